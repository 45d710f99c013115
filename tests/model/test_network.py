import numpy as np
import pytest

from breakhis_lib.errors import InputError
from breakhis_lib.model import backend, network, readings, weights
from breakhis_lib.model.backend import keras
from tests.conftest import SMALL

pytestmark = pytest.mark.weights


@pytest.fixture(scope="module")
def tensors(weights_file):
    return weights.read(weights_file)


@pytest.fixture(scope="module")
def pixels():
    return np.random.default_rng(0).uniform(-1, 1, (4, *SMALL, 3)).astype("float32")


@pytest.mark.parametrize("reading", readings.READINGS)
def test_trunk_and_top_together_equal_the_uncut_network(tensors, pixels, reading):
    base = network.xception(SMALL, tensors)
    expected = np.asarray(base.predict_on_batch(pixels)).mean(axis=(1, 2))
    trunk, top = network.cut(base, reading)
    found = top.predict_on_batch(trunk.predict_on_batch(pixels))
    found = found if reading == "probe" else found.mean(axis=(1, 2))
    assert expected.max() > 0.5
    np.testing.assert_allclose(found, expected, atol=1e-5)


# Reading, layers' own parameters that train, statistics and frozen parameters above the cut: counted by
# hand from the shapes of Xception's layers (reference: Chollet 2017, figure 5).
COUNTS = {
    "block14": (4_748_800, 7_168),
    "last4": (3_163_648, 4_096),
    "sepconv4": (6_030_192, None),
    "block13": (6_788_384, 12_720),
    "blocks4": (10_016_336, None),
    "probe": (0, 0),
}


@pytest.mark.parametrize("reading", COUNTS)
def test_each_reading_trains_the_parameters_it_says(tensors, reading):
    _, head = network.build(reading, size=SMALL, tensors=tensors)
    count = network.count_parameters(head)
    trained, fixed = COUNTS[reading]
    assert count["softmax"] == 2 * 2048 + 2
    assert count["trainable"] - count["softmax"] == trained
    assert fixed is None or count["fixed"] == fixed


@pytest.mark.parametrize("reading", ["block14", "block13"])
def test_a_step_on_features_moves_the_weights_as_in_the_uncut_network(tensors, pixels, reading):
    labels = np.array([0, 1, 1, 0])
    trunk, head = network.build(reading, dropout=0, size=SMALL, tensors=tensors, dtype="float32")
    softmax = head.get_layer("softmax").get_weights()
    features = trunk.predict_on_batch(pixels)

    # The uncut network, put together anew from Keras' own model, with the same layers frozen.
    base = network.xception(SMALL, tensors)
    first = [layer.name for layer in base.layers].index(readings.READINGS[reading].first)
    for layer in base.layers[:first]:
        layer.trainable = False
    dense = keras.layers.Dense(2, activation="softmax")
    dense.build((None, 2048))
    dense.set_weights(softmax)

    class Uncut(keras.Model):
        def __init__(self):
            super().__init__()
            self.base, self.dense = base, dense

        def call(self, inputs):
            return self.dense(keras.ops.mean(self.base(inputs, training=False), axis=(1, 2)))

    def step(model, inputs):
        before = [np.array(weight) for weight in model.trainable_weights]
        model.compile(keras.optimizers.SGD(1.0), "sparse_categorical_crossentropy")
        model.train_on_batch(inputs, labels)
        changes = [np.array(new) - old for new, old in zip(model.trainable_weights, before, strict=True)]
        return sorted(changes, key=lambda change: (change.shape, float(np.abs(change).sum())))

    ours, theirs = step(head, features), step(Uncut(), pixels)
    assert [change.shape for change in ours] == [change.shape for change in theirs]
    assert max(np.abs(change).max() for change in ours) > 1e-3
    for mine, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(mine, other, atol=2e-4 * max(np.abs(other).max(), 1e-3))


def test_batch_norm_keeps_imagenets_statistics_unless_asked(tensors, pixels):
    for mode, moves in (("inference", False), ("batch", True)):
        trunk, head = network.build(batch_norm=mode, size=SMALL, tensors=tensors)
        before = [np.array(weight) for weight in head.non_trainable_weights if "moving" in weight.path]
        head.compile("sgd", "sparse_categorical_crossentropy")
        head.train_on_batch(trunk.predict_on_batch(pixels), np.array([0, 1, 1, 0]))
        after = [np.array(weight) for weight in head.non_trainable_weights if "moving" in weight.path]
        assert len(before) == 4
        assert any(not np.array_equal(old, new) for old, new in zip(before, after, strict=True)) is moves


def test_softmax_over_more_classes(tensors, pixels):
    trunk, head = network.build("probe", classes=8, size=SMALL, tensors=tensors)
    shares = np.asarray(head.predict_on_batch(trunk.predict_on_batch(pixels)))
    assert shares.shape == (4, 8)
    np.testing.assert_allclose(shares.sum(axis=1), 1, atol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"reading": "top4"}, "top4.*block14"),
        ({"classes": 1}, "1 class"),
        ({"batch_norm": "frozen"}, "frozen"),
        ({"dropout": 1.0}, "dropout 1.0"),
        ({"size": (64, 299)}, "64x299"),
    ],
)
def test_bad_values_are_named(tensors, arguments, message):
    with pytest.raises(InputError, match=message):
        network.build(**arguments, tensors=tensors)


def test_the_device_is_one_line():
    assert backend.device().startswith(("CPU", "GPU"))
    assert "\n" not in backend.device()
