import numpy as np
import pytest

from breakhis_lib import experiment
from breakhis_lib.data import dataset, splits
from breakhis_lib.errors import InputError
from breakhis_lib.model import features, finetune, network, readings, weights
from tests.conftest import SMALL

pytestmark = pytest.mark.weights


@pytest.fixture(scope="module")
def material(slides, weights_file, tmp_path_factory):
    """Fields, features, split and weights of the x200 practice images."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BREAKHIS_CACHE", str(tmp_path_factory.mktemp("cache")))
        tensors = weights.read(weights_file)
        fields = dataset.add_digests(dataset.select(dataset.scan(slides), 200))
        found, _ = features.extract(fields, size=SMALL, tensors=tensors, views=8)
        yield found, fields, splits.draw(fields, "image", 0), tensors


def train(material, seed=0, sets=None, **settings):
    found, fields, drawn, tensors = material
    settings = readings.Settings(**{"epochs": 3, "learning_rate": 1e-3, **settings})
    return finetune.train(
        found, fields, drawn if sets is None else sets, seed=seed, settings=settings, size=SMALL, tensors=tensors
    )


def test_training_learns_and_predicts_every_image_with_its_set(material):
    trained = train(material, epochs=6, patience=0)
    table = trained.predictions
    assert trained.history.loss.iloc[-1] < 0.7 * trained.history.loss.iloc[0]
    assert list(table.columns) == ["file", "slide", "label", "set", "p_malignant"]
    assert sorted(table.file) == sorted(material[1].file)
    assert (table.set.to_numpy() == material[2].to_numpy()).all()
    assert table.p_malignant.between(0, 1).all()


def test_the_same_seed_trains_the_same_head_and_another_does_not(material):
    first, again, other = train(material), train(material), train(material, seed=1)
    np.testing.assert_allclose(first.predictions.p_malignant, again.predictions.p_malignant, atol=1e-4)
    assert np.abs(first.predictions.p_malignant - other.predictions.p_malignant).max() > 1e-3


def test_the_best_epoch_by_validation_loss_is_restored(material):
    found, fields, sets, _ = material
    trained = train(material, epochs=8, patience=0, learning_rate=3e-3)
    assert trained.best_epoch == trained.history.val_loss.idxmin()
    validation = trained.predictions[trained.predictions.set == "validation"]
    right = np.where(validation.label == 1, validation.p_malignant, 1 - validation.p_malignant)
    assert -np.log(right).mean() == pytest.approx(trained.history.val_loss.min(), rel=1e-2)


def test_the_labels_of_test_images_do_not_matter_to_training(material):
    found, fields, sets, tensors = material
    flipped = fields.copy()
    tested = sets == "test"
    flipped.loc[tested, "label"] = 1 - flipped.label[tested]
    flipped.loc[tested, "label_name"] = flipped.label[tested].map(["benign", "malignant"].__getitem__)
    first = train(material)
    second = train((found, flipped, sets, tensors))
    np.testing.assert_allclose(first.predictions.p_malignant, second.predictions.p_malignant, atol=1e-4)


def test_training_stops_early_when_validation_no_longer_improves(material):
    trained = train(material, epochs=40, patience=1, learning_rate=5e-3)
    assert len(trained.history) < 40
    assert len(trained.history) == trained.best_epoch + 1


@pytest.mark.parametrize("settings", [{"class_weights": True}, {"augment": True}, {"weight_decay": 0.5}])
def test_options_change_what_is_learned(material, settings):
    if "class_weights" in settings:  # as many benign as malignant images would weigh alike anyway
        found, fields, sets, tensors = material
        sets = sets.mask((fields.label == 0) & (sets == "train") & (fields.index % 2 == 0), "test")
    else:
        sets = None
    plain = train(material, sets=sets).predictions.p_malignant
    changed = train(material, sets=sets, **settings).predictions.p_malignant
    assert np.abs(plain - changed).max() > 1e-3


def test_eight_classes_give_seven_probabilities(material):
    found, fields, sets, tensors = material
    names = sorted(fields.subtype.unique())
    fields = fields.assign(label=fields.subtype.map(names.index), label_name=fields.subtype)
    table = train((found, fields, sets, tensors), epochs=1).predictions
    assert [name for name in table if name.startswith("p_")] == [f"p_{name}" for name in names[1:]]
    assert (table.filter(like="p_").sum(axis=1) <= 1 + 1e-5).all()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epochs": 0}, "epochs is 0"),
        ({"weight_decay": 1.0}, "weight_decay is 1.0"),
        ({"learning_rate": -1.0}, "learning_rate is -1.0"),
        ({"batch_size": 0}, "batch_size is 0"),
    ],
)
def test_bad_values_are_named(material, settings, message):
    with pytest.raises(InputError, match=message):
        train(material, **settings)


def test_a_head_trained_anew_gives_what_a_new_one_gives_in_whatever_order(material):
    found, fields, sets, tensors = material
    settings = readings.Settings(epochs=2, learning_rate=1e-3, batch_size=2)

    def run(seed, head=None):
        return finetune.train(found, fields, sets, "block14", seed, settings, SMALL, tensors, head=head)

    new = {seed: run(seed) for seed in (3, 7)}
    expected = {seed: trained.predictions.p_malignant.tolist() for seed, trained in new.items()}
    assert expected[3] != expected[7]
    head = new[3].head
    for seed in (7, 3, 7):
        again = run(seed, head)
        assert again.head is head
        assert again.predictions.p_malignant.tolist() == expected[seed]
        assert again.history.equals(new[seed].history)


def test_a_run_builds_one_network_for_all_magnifications(slides, ready, tmp_path, monkeypatch):
    def answers(*magnifications):
        plan = experiment.Plan(magnifications, ("image",), seeds=(0,), settings=readings.Settings(epochs=1), size=SMALL)
        record = experiment.run(slides, tmp_path / f"{magnifications}", plan)
        return record.predictions().drop(columns="seconds", errors="ignore")

    alone = [answers(40), answers(200)]
    built, build = [], network.build
    monkeypatch.setattr(network, "build", lambda *given, **named: built.append(given) or build(*given, **named))
    together = answers(40, 200)  # whose features are there already
    assert len(built) == 1
    for one in alone:
        own = together[together.magnification.isin(one.magnification)].reset_index(drop=True)
        assert own.equals(one)


def test_features_of_other_fields_or_another_reading_are_refused(material):
    found, fields, sets, tensors = material
    with pytest.raises(InputError, match="16 features do not belong to 14 fields"):
        train((found, fields[2:], sets[2:], tensors))
    with pytest.raises(InputError, match="these features are not of reading sepconv4 at size 96x96"):
        finetune.train(found, fields, sets, "sepconv4", size=SMALL, tensors=tensors)


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_a_seed_that_keras_cannot_take_is_named(material, seed):
    with pytest.raises(InputError, match=f"seed {seed} is out of range"):
        train(material, seed=seed)
