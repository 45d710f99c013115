import json
import shutil

import numpy as np
import pandas as pd
import pytest

from breakhis_lib.errors import InputError
from breakhis_lib.evaluation import metrics, records, report, tables
from tests import site

HISTORY = pd.DataFrame({"loss": [0.5]}, index=pd.RangeIndex(1, 2, name="epoch"))
AUDIT = {"test images": 20, "share a slide": 20}


def add(record, protocol, seed, right):
    random = np.random.default_rng(seed)
    slide = np.repeat(np.arange(12), 5)
    label = slide % 2
    correct = random.random(60) < right
    table = pd.DataFrame({"file": [f"SOB_{n}.png" for n in range(60)], "slide": slide.astype(str), "label": label})
    table["set"] = np.roll(np.resize(["train", "validation", "test"], 60), seed)  # another third each time
    table["p_malignant"] = np.where(correct == (label == 1), 0.8, 0.2) + random.random(60) / 10
    key = {"magnification": 200, "protocol": protocol, "reading": "block14", "seed": seed}
    record.add(key, table, HISTORY, {"audit": AUDIT})


@pytest.fixture
def record(tmp_path):
    record = records.Record(tmp_path / "x")
    session = {"command": "breakhis run", "date": "2026-11-24", "versions": {"keras": "3"}, "device": "CPU"}
    record.begin(
        session, classes=["benign", "malignant"], settings={"epochs": 15}, data={"200": {"images": 60, "sha256": "abc"}}
    )
    for seed in (0, 1):
        add(record, "image", seed, 0.95)
        add(record, "slide", seed, 0.75)
    return record


def test_slides_that_share_a_number_are_drawn_together_too(tmp_path, record):
    text = report.write(record, tmp_path / "page.html").read_text()
    assert "numbers drawn" not in text  # slides 0 to 11 are as many numbers
    table = record.predictions()
    table["slide"] = table.slide.map(lambda slide: f"{int(slide) // 2}{'AB'[int(slide) % 2]}")
    record._store({"predictions.csv": table.to_csv(index=False)})
    assert "low, numbers drawn" in report.write(record, tmp_path / "page.html").read_text()


def test_the_report_is_one_page_with_everything_in_it(record, tmp_path):
    path = report.write(record, tmp_path / "page.html")
    text = path.read_text()
    for expected in (
        "Table 4",
        "96.31",
        "patient recognition rate",
        "Wilson",
        "What an answer is worth",
        "What a missed malignant image costs",
        "Calibration",
        "Worst errors",
        "share a slide",
        "breakhis run",
        "not for clinical use",
        "By image less by slide",
        "<svg",
    ):
        assert expected in text
    assert not site.loads_from_network(tmp_path)
    assert "SIMULATED" not in text.upper()


@site.needs_browser
def test_the_report_is_readable_in_light_and_dark_wide_and_narrow(record, tmp_path):
    report.write(record, tmp_path / "page.html")
    assert site.seen(tmp_path, ["page"]) == []


def test_the_report_of_a_reading_that_is_not_there_names_those_that_are(record, tmp_path):
    with pytest.raises(InputError, match="no run of reading last4; there is block14"):
        report.write(record, tmp_path / "page.html", "last4")
    with pytest.raises(InputError, match="choose another place"):
        report.write(record, tmp_path / "x" / "run.json" / "page.html")


def test_the_table_of_runs_says_what_validation_would_choose(record):
    table = tables.runs([record.folder])
    assert table.index.tolist() == [("x", 200, "image", "block14"), ("x", 200, "slide", "block14")]
    assert table.validation.iloc[0] > table.validation.iloc[1]
    assert table.low.iloc[0] != table.low.iloc[0]  # almost all slides are right under both seeds: too few to say
    assert table.low.iloc[1] < table.accuracy.iloc[1] < table.high.iloc[1]
    assert table.runs.tolist() == [2, 2]


def test_the_worst_errors_come_first(record):
    predictions = record.predictions()
    found = tables.errors(predictions[predictions.set == "test"])
    assert found["probability of the truth"].is_monotonic_increasing
    assert (found["probability of the truth"] < 0.5).all()


def test_a_change_is_compared_with_the_default_on_the_same_splits(record, tmp_path):
    better = records.Record(tmp_path / "better")
    better.begin({}, settings={"epochs": 5, "size": [224, 224]})
    add(better, "slide", 0, 1.0)  # seed 0 alone, and always right
    add(better, "number", 0, 1.0)  # a protocol that the default was not run by
    table = tables.against_default([better.folder], record)
    assert table.index.tolist() == [("epochs 5, size 224x224", 200, "slide")]
    row, of_default = table.iloc[0], record.predictions()
    tested = of_default[(of_default.protocol == "slide") & (of_default.seed == 0) & (of_default.set == "test")]
    assert np.isclose(row.test, 100 - 100 * metrics.is_correct(tested).mean())
    assert np.isnan(row.low)  # too few of the twelve slides differ
    assert row.validation > 0
    assert (row.runs, row.images) == (1, len(tested))


def test_a_record_with_the_default_settings_goes_by_its_own_name(record):
    table = tables.against_default([record.folder], record)
    assert table.index.unique("change").tolist() == ["x"]
    assert not table[["validation", "test", "low", "high"]].any(axis=None)


def test_a_setting_that_older_records_do_not_name_has_its_default(record, tmp_path):
    folder = tmp_path / "newer"
    shutil.copytree(record.folder, folder)
    info = json.loads((folder / "run.json").read_text())
    info["settings"] |= {"epochs": 99, "weight_decay": 0, "pooled": False}
    (folder / "run.json").write_text(json.dumps(info))
    assert "pooled" not in record.info()["settings"]
    assert tables.against_default([folder], record).index.unique("change").tolist() == ["epochs 99"]


def test_a_folder_without_a_record_is_named(record, tmp_path):
    with pytest.raises(InputError, match="nowhere"):
        tables.against_default([tmp_path / "nowhere"], record)


def test_the_same_record_gives_the_same_page(tmp_path):
    for name in ("first.html", "second.html"):
        report.write(records.named("x400"), tmp_path / name)
    assert (tmp_path / "first.html").read_bytes() == (tmp_path / "second.html").read_bytes()
