import pandas as pd
import pytest

from breakhis_lib.data import dataset, splits
from breakhis_lib.errors import InputError


@pytest.fixture(scope="module")
def official():
    return dataset.official()


@pytest.fixture(scope="module")
def x100(official):
    return dataset.select(official, 100)


@pytest.mark.parametrize(("protocol", "unit"), [("image", "file"), ("slide", "slide"), ("number", "number")])
def test_sets_share_no_unit_and_hold_both_classes(x100, protocol, unit):
    sets = splits.draw(x100, protocol, seed=0)
    assert set(sets) == {"train", "validation", "test"}
    assert (x100.groupby(unit).apply(lambda rows: sets[rows.index].nunique()) == 1).all()
    assert (x100.label.groupby(sets).nunique() == 2).all()
    majority = x100.label.mean()
    assert x100.label.groupby(sets).mean().sub(majority).abs().max() < 0.12


@pytest.mark.parametrize("protocol", ["image", "slide", "number"])
def test_five_seeds_test_every_image_once_and_the_next_five_again(x100, protocol):
    tested = [x100.file[splits.draw(x100, protocol, seed) == "test"] for seed in range(10)]
    assert sorted(pd.concat(tested[:5])) == sorted(x100.file)
    assert sorted(pd.concat(tested[5:])) == sorted(x100.file)
    assert set(tested[0]) != set(tested[5])


def test_the_same_seed_draws_the_same_split(x100):
    assert splits.draw(x100, "slide", 3).equals(splits.draw(x100, "slide", 3))


def test_lettered_slides_of_one_number_stay_together(official):
    fields = dataset.select(official, 200)
    sets = splits.draw(fields, "number", 1)
    assert sets[fields.slide.isin(["22549AB", "22549CD", "22549G"])].nunique() == 1


def test_too_few_slides_name_the_class_and_the_need(x100):
    few = x100[x100.slide.isin(["22549AB", "22549CD", "2523", "2773", "2980"])].reset_index(drop=True)
    with pytest.raises(InputError, match="class benign has 2 slides at magnification 100; expected at least 3"):
        splits.draw(few, "slide", 0)


@pytest.mark.parametrize(
    ("protocol", "seed", "message"),
    [("patient", 0, "patient.*image, slide, number, official"), ("image", -1, "-1"), ("official", 5, "0 to 4")],
)
def test_bad_values_are_named(x100, protocol, seed, message):
    with pytest.raises(InputError, match=message):
        splits.draw(x100, protocol, seed)


def test_official_folds_refuse_other_slides(slides):
    with pytest.raises(InputError, match="outside BreakHis"):
        splits.draw(dataset.select(dataset.scan(slides), 40), "official", 0)
