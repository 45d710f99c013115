"""What made results/: its questions, its splits and its copies of images."""

import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from breakhis_lib.data import dataset, images, splits

EXPERIMENTS = Path(__file__).parents[1] / "experiments"
sys.path.insert(0, str(EXPERIMENTS))


@pytest.fixture
def subset():
    """As many names as the real subset has at x100, of BreakHis' own."""
    return dataset.select(dataset.official(), 100)


def test_splits_of_equal_amounts_differ_in_whether_the_slides_were_seen(subset):
    import amounts

    (_, known, by_image), (_, fewer, by_slide) = amounts.pair(subset, 3)
    trained = [set(known.file[by_image == "train"]), set(fewer.file[by_slide == "train"])]
    assert trained[0] == trained[1]
    assert set(known.slide[by_image == "test"]) <= set(known.slide[by_image == "train"])
    assert not set(fewer.slide[by_slide == "test"]) & set(fewer.slide[by_slide == "train"])
    assert set(fewer.file[by_slide == "test"]) == set(subset.file[splits.draw(subset, "slide", 3) == "test"])


@pytest.mark.parametrize(
    ("name", "slides", "images", "of"),
    [
        ("eva, 4 classes", 4, 91, 339),
        ("Breakhis-patient-level-audit", 6, 645, 1653),
        ("official, fold 1", 9, 1145, 2904),
    ],
)
def test_public_splits_share_slide_numbers_with_training(name, slides, images, of):
    import public_splits

    _, magnifications, subtypes, tested = public_splits.tests()[name]
    fields = dataset.official()
    fields = fields[fields.magnification.isin(magnifications) & fields.subtype.isin(subtypes)]
    found = public_splits.shared(fields, tested)
    assert (found["share a number"], found["images that share a number"], found["test images"]) == (slides, images, of)


def test_copies_change_what_they_say_and_nothing_else(slides, tmp_path, monkeypatch):
    import copies

    monkeypatch.chdir(tmp_path)
    for path in [path for kind in ("A", "DC") for path in sorted(slides.rglob(f"*_{kind}-*-40-*.png"))]:
        (tmp_path / "few").mkdir(exist_ok=True)
        shutil.copy(path, tmp_path / "few")
    slides = tmp_path / "few"
    first = sorted(slides.rglob("*-40-*.png"))[0]
    plain = images.read_image(first)
    grey = images.read_image(copies.grey(slides) / first.name)
    assert (np.ptp(grey, axis=2) == 0).all()
    assert grey.shape == plain.shape
    alike = images.read_image(copies.one_storage(slides) / f"{first.stem}.jpg")
    assert alike.shape == (224, 224, 3)
    for make in (copies.macenko_by_image, copies.macenko_by_slide, copies.reinhard_by_image, copies.reinhard_by_slide):
        folder = make(slides)
        names = {field.file for field in dataset.scan(slides).itertuples()}
        assert {path.name for path in folder.iterdir()} == names
        changed = [images.read_image(folder / file).astype(int) for file in sorted(names)]
        assert all(image.shape == plain.shape for image in changed)
        last = images.read_image(slides / sorted(names)[-1])  # the first is what Reinhard's is fitted to
        assert np.abs(changed[-1] - last).mean() > 1


def test_jittered_views_begin_with_the_image_as_it_is(slides):
    import jitter

    from breakhis_lib.model import features

    path = sorted(slides.rglob("*.png"))[0]
    views = jitter.views(path, np.random.default_rng(0))
    assert views.shape == (8, 299, 299, 3)
    np.testing.assert_array_equal(views[0], features.prepare(path)[0])
    apart = np.abs(views[1:].astype(float) - views[0]).mean(axis=(1, 2, 3))
    assert (apart > 1).all() and (apart < 60).all()


def test_what_is_recorded_and_what_is_to_do_is_told(monkeypatch, capsys):
    import reproduce

    monkeypatch.chdir(EXPERIMENTS.parent)
    monkeypatch.setattr(sys, "argv", ["reproduce.py", "--check"])
    with pytest.raises(SystemExit) as end:
        reproduce.main()
    told = capsys.readouterr().out
    assert "breakhis-subset: Does it hold" in told
    assert "In all about" in told
    assert end.value.code == int("to do" in told)


def test_side_by_side_one_that_fails_is_told_and_the_others_go_on(monkeypatch, capsys, tmp_path):
    import reproduce

    done = []

    def run(name, data):
        if name == "steps":
            raise MemoryError("the card is full")
        done.append(name)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(reproduce, "run", run)
    monkeypatch.setattr(reproduce.workers, "executor", ThreadPoolExecutor)
    monkeypatch.setattr(sys, "argv", ["reproduce.py", ".", "--jobs", "2", "--only", "steps", "x400", "amounts"])
    with pytest.raises(SystemExit) as end:
        reproduce.main()
    assert end.value.code == 1
    assert sorted(done) == ["amounts", "x400"]
    assert "steps failed: MemoryError: the card is full" in capsys.readouterr().out


def test_the_runs_that_options_ask_for_are_counted():
    import reproduce

    runs = reproduce.asked("--magnifications 40,200 --pooled --protocols image,number --seeds 0,1,2 --readings probe")
    assert len(runs) == 12
    assert runs[0] == {"magnification": 40, "protocol": "image", "reading": "probe", "seed": 0}


@pytest.mark.weights
def test_depths_are_read_from_one_pass_and_heads_end_where_they_say(slides, ready, tmp_path, monkeypatch):
    import depth
    import depth_heads

    from breakhis_lib.model import features, finetune, readings

    monkeypatch.setattr(features, "SIZE", (96, 96))
    monkeypatch.setattr(readings, "SIZE", (96, 96))
    monkeypatch.setattr(features.prepare, "__defaults__", ((96, 96), 1))
    fields = dataset.add_digests(dataset.select(dataset.scan(slides), 200))
    found = depth.averages(fields, tmp_path / "kept.npz")
    assert list(found) == [2, 3, 4, 6, 8, 10, 12, 13, 14]
    assert [array.shape[1] for array in found.values()] == [128, 256, 728, 728, 728, 728, 728, 1024, 2048]
    top, _ = features.extract(fields, "probe", size=(96, 96), precision="float32")
    np.testing.assert_allclose(found[14], top.take(range(len(fields))), atol=1e-4)
    np.testing.assert_array_equal(depth.averages(fields, tmp_path / "kept.npz")[6], found[6])  # not computed again

    trunk, head = depth_heads.cut(6)
    kept = depth_heads.embedded(trunk, fields)
    assert {variable.path.split("/")[-2].split("_")[0] for variable in head.trainable_variables} == {
        "block6",
        "softmax",
    }
    settings = readings.Settings(epochs=1)
    sets = splits.draw(fields, "image", 0)
    trained = finetune.train(kept, fields, sets, settings=settings, size=(96, 96), head=head)
    plain = kept.take(range(len(fields))).mean(axis=(1, 2))
    assert plain.shape[1] == 728
    assert trained.predictions.p_malignant.between(0, 1).all()
    table = depth.by_slide(trained.predictions, fields)
    assert table.images.sum() == (sets != "train").sum()
