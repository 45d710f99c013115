import numpy as np
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
    [
        ("patient", 0, "patient.*image, slide, number, official"),
        ("image", -1, "-1"),
        ("image", 2**32, "0 to 4294967295"),
        ("official", 5, "0 to 4"),
    ],
)
def test_bad_values_are_named(x100, protocol, seed, message):
    with pytest.raises(InputError, match=message):
        splits.draw(x100, protocol, seed)


def test_official_folds_refuse_other_slides(slides):
    with pytest.raises(InputError, match="outside BreakHis"):
        splits.draw(dataset.select(dataset.scan(slides), 40), "official", 0)


def roles(fields, protocol, seeds=5, first=0):
    """How often each unit is tested, validates and is trained on, over the seeds of one shuffle."""
    unit = splits.UNITS[protocol]
    sets = pd.concat(
        [splits.draw(fields, protocol, seed).groupby(fields[unit]).first() for seed in range(first, first + seeds)]
    )
    return pd.crosstab(sets.index, sets)[list(splits.SETS)]


@pytest.mark.parametrize("protocol", ["image", "slide", "number"])
@pytest.mark.parametrize("magnification", dataset.MAGNIFICATIONS)
def test_a_shuffle_tests_every_unit_once_validates_on_it_once_and_trains_on_it_otherwise(
    official, protocol, magnification
):
    for first in (0, 5, 10):
        counted = roles(dataset.select(official, magnification), protocol, first=first)
        assert (counted == [3, 1, 1]).all(axis=None)


@pytest.mark.parametrize("seed", range(40))
def test_so_it_is_for_units_of_any_size_and_for_fewer_folds_than_five(seed):
    random = np.random.default_rng(seed)
    counts = random.integers(3, 12, 2)  # slides of each class
    sizes = np.ceil(random.lognormal(2, random.choice([0.3, 1, 1.6]), counts.sum())).astype(int)  # images a slide
    fields = fields_of(np.repeat([0, 1], counts), sizes)
    folds = min(5, *counts)
    assert (roles(fields, "slide", folds) == [folds - 2, 1, 1]).all(axis=None)


def fields_of(labels, sizes):
    slide = np.repeat([f"s{number}" for number in range(len(sizes))], sizes)
    label = np.repeat(labels, sizes)
    names = np.array(["benign", "malignant"])[label]
    file = [f"{number}.png" for number in range(len(slide))]
    return pd.DataFrame(
        {"file": file, "magnification": 0, "label": label, "label_name": names, "slide": slide, "number": slide}
    )


def test_official_folds_test_as_published_and_no_slide_validates_twice(official, x100):
    counted = roles(x100, "official")
    assert (counted.validation <= 1).all()
    assert (counted.validation + counted.test >= 1).all()
    published = splits.official_folds()
    tested = set(published.slide[(published.fold == 1) & (published.set == "test")])
    assert set(x100.slide[splits.draw(x100, "official", 0) == "test"]) <= tested


def test_another_shuffle_validates_on_other_images(x100):
    by_seed = [set(x100.slide[splits.draw(x100, "slide", seed) == "validation"]) for seed in (0, 5, 10)]
    assert len(set(map(frozenset, by_seed))) == 3


def test_by_slide_is_refused_where_nothing_says_which_slide_an_image_is_from():
    fields = fields_of([0, 1] * 5, [1] * 10).assign(slide=lambda table: table.file)
    with pytest.raises(InputError, match="nothing says which slide or patient.*--groups"):
        splits.draw(fields, "slide", 0)
    assert set(splits.draw(fields, "image", 0)) == set(splits.SETS)


def test_tables_joined_without_a_new_index_are_refused(official):
    fields = pd.concat([dataset.select(official, 40), dataset.select(official, 200)])
    with pytest.raises(InputError, match="index holds 0 twice"):
        splits.draw(fields, "slide", 0)


def test_by_image_all_magnifications_of_one_place_stay_together():
    fields = dataset.official()
    sets = splits.draw(fields, "image", 3)
    assert (sets.groupby([fields.slide, fields.sequence]).nunique() == 1).all()
    assert sets.groupby(fields.slide).nunique().max() == 3  # slides do not
    assert sets.value_counts(normalize=True)["test"] == pytest.approx(0.2, abs=0.02)
