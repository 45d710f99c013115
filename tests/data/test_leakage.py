import pandas as pd
import pytest

from breakhis_lib.data import dataset, leakage, splits


@pytest.fixture(scope="module")
def official():
    return dataset.official()


@pytest.fixture(scope="module")
def x100(official):
    return dataset.select(official, 100)


def test_official_folds_are_the_published_ones_and_leak_through_13412(official):
    sizes, twins = [], []
    for seed in range(5):
        audit = leakage.audit(official, splits.draw(official, "official", seed))
        sizes.append(audit["test images"])
        twins.append(audit["have a twin"])
    assert sizes == [2904, 2403, 2577, 2698, 3083]
    assert twins == [121, 0, 121, 0, 121]


def test_audit_counts_what_is_shared_by_image_and_nothing_by_slide(x100):
    by_image = leakage.audit(x100, splits.draw(x100, "image", 0))
    assert by_image["share a slide"] == by_image["test images"] > 400
    assert by_image["have a twin"] > 0
    by_slide = leakage.audit(x100, splits.draw(x100, "slide", 0))
    assert by_slide["share a slide"] == by_slide["have a twin"] == 0
    assert by_slide["share a slide number"] > 0
    by_number = leakage.audit(x100, splits.draw(x100, "number", 0))
    assert by_number["share a slide number"] == 0


def test_audit_sees_the_same_field_at_another_magnification(official):
    pooled = leakage.audit(official, splits.draw(official.assign(magnification=0), "image", 0))  # each image by itself
    assert pooled["share a field at another magnification"] > 0.8 * pooled["test images"]


def test_the_slides_on_both_sides_are_named(official):
    on_both = [leakage.both_sides(official, splits.draw(official, "official", seed)) for seed in range(5)]
    assert ["13412" in table.index for table in on_both] == [True, False, True, False, True]
    assert all(set(table.index) <= {"13412"} for table in on_both)
    assert on_both[0].loc["13412"].tolist() == [123, 123]
    numbers = leakage.both_sides(official, splits.draw(official, "official", 0), "number")
    assert {"13412"} < set(numbers.index)
    assert leakage.both_sides(official, splits.draw(official, "number", 0), "number").empty


def test_the_table_has_a_row_for_every_split(x100):
    table = leakage.table(x100, ["image", "slide"], [0, 1])
    assert table.index.tolist() == [("image", 0), ("image", 1), ("slide", 0), ("slide", 1)]
    assert (table.loc["slide"]["share a slide"] == 0).all()
    assert isinstance(table, pd.DataFrame)
