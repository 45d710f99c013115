"""What stands beside each other in a table belongs together."""

import json

import numpy as np
import pandas as pd
import pytest

from breakhis_lib.errors import InputError
from breakhis_lib.evaluation import metrics, report, tables


def predictions(magnification=200, protocols=(("image", 36), ("slide", 20)), malignant=(19, 12)):
    """Test rows of protocols that test so many images, so many of them malignant."""
    parts = []
    for (protocol, images), ones in zip(protocols, malignant, strict=True):
        label = (np.arange(images) < ones).astype(int)
        file = [f"{number}.png" for number in range(images)]
        part = pd.DataFrame({"file": file, "slide": file, "label": label, "p_malignant": 0.9})
        parts.append(part.assign(protocol=protocol))
    same = {"magnification": magnification, "reading": "block14", "seed": 0, "set": "test"}
    return pd.concat(parts, ignore_index=True).assign(**same)


def test_the_majority_class_is_that_of_the_images_tested():
    found = tables.ways(predictions()).loc[200].accuracy
    assert found["majority class, by image"] == pytest.approx(100 * 19 / 36)
    assert found["majority class, by slide"] == pytest.approx(60)
    alike = tables.ways(predictions(protocols=(("image", 20), ("slide", 20)), malignant=(12, 12))).loc[200]
    assert alike.accuracy["majority class"] == pytest.approx(60)


def test_the_paper_stands_beside_breakhis_alone():
    assert "paper" in tables.ways(predictions()).index.get_level_values("way")
    other = tables.ways(predictions(magnification=0))
    assert set(other.index.get_level_values("magnification")) == {0}
    assert not other.index.get_level_values("way").str.startswith("paper").any()


def test_a_reading_that_was_not_run_is_named():
    with pytest.raises(InputError, match="no run of reading blokc14; there is block14"):
        tables.table4(predictions(), "blokc14")


def test_an_interval_is_told_or_said_to_be_missing():
    assert tables.interval(41.63, 94.91) == "41.6 to 94.9"
    assert tables.interval(np.nan, np.nan) == "too few slides"


def test_records_of_one_name_are_told_apart(tmp_path):
    folders = [tmp_path / place / "x" for place in ("old", "new")]
    for folder in folders:
        folder.mkdir(parents=True)
        both = pd.concat([predictions(), predictions().assign(set="validation")])
        both.to_csv(folder / "predictions.csv", index=False)
        (folder / "run.json").write_text(json.dumps({"runs": [1]}), encoding="utf-8")
    assert set(tables.runs(folders).index.get_level_values("record")) == {"old/x", "new/x"}
    assert set(tables.runs(folders[:1]).index.get_level_values("record")) == {"x"}


def test_an_audit_under_an_older_name_makes_no_second_column():
    audit = {"test images": 20, "share a slide": 3, "share a slide number": 4, "have a twin": 0}
    names = ("share a field at another magnification", "have the same-numbered field at another magnification")
    runs = [{"magnification": 200, "protocol": "image", "audit": {**audit, name: 0}} for name in names]
    html = report._leakage(runs)
    assert "another magnification" not in html
    assert "20.0" in html


def test_a_threshold_from_validation_and_whole_slides_stand_beside_accuracy():
    label, p = np.array([0, 0, 0, 1, 1, 1]), [0.6, 0.6, 0.7, 0.8, 0.8, 0.9]  # one half calls everything malignant
    same = {"magnification": 200, "reading": "block14", "seed": 0, "protocol": "slide"}
    rows = pd.DataFrame({"file": list("abcdef"), "slide": list("aabbcc"), "label": label, "p_malignant": p})
    rows.loc[2, "slide"] = "a"
    rows.loc[3, "slide"] = "c"
    both = pd.concat([rows.assign(set="validation"), rows.assign(set="test")], ignore_index=True).assign(**same)
    found = tables.ways(both).loc[(200, "ours, by slide")]
    assert found.accuracy == pytest.approx(50)
    assert (found.threshold, found.AUC, found.balanced) == (100, 100, 50)
    assert found["whole slides"] == pytest.approx(50)
    assert tables.ways(both[both.set == "test"]).threshold.isna().all()


def test_by_number_the_interval_is_over_numbers():
    """Two slides of one number are right and wrong together: as slides they would look twice as many."""
    label = np.tile([0, 1], 20)
    slide = [f"{number // 2}{side}" for number in range(20) for side in ("AB", "CD")]
    right = np.repeat(np.arange(20) % 3 > 0, 2)
    p = np.where(right, label, 1 - label)
    rows = pd.DataFrame({"file": slide, "slide": slide, "label": label, "p_malignant": p.astype(float)})
    rows = rows.assign(magnification=200, reading="block14", seed=0, set="test")
    rows["slide"] = [f"{100 + place // 2}{'AB' if place % 2 else 'CD'}" for place in range(40)]
    width = {}
    for protocol in ("slide", "number"):
        found = tables.table4(rows.assign(protocol=protocol)).loc[(200, protocol)]
        width[protocol] = found.high - found.low
    assert width["number"] > 1.2 * width["slide"]


def test_two_trainings_are_compared_where_both_were_tested_whatever_seed_tested_an_image():
    first = predictions(protocols=(("image", 36), ("slide", 36)), malignant=(19, 19))
    second = first[first.protocol == "slide"].assign(seed=1, p_malignant=0.1)
    found = tables.less(first, second)
    assert found.index.tolist() == [("block14", 200, "slide")]
    expected = 100 * metrics.paired_difference(first[first.protocol == "slide"], second)
    pd.testing.assert_series_equal(found.iloc[0], expected, check_names=False)
    assert found.difference.iloc[0] == pytest.approx(100 * (19 - 17) / 36)
