import contextlib
import json
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from breakhis_lib.data import splits
from breakhis_lib.errors import InputError
from breakhis_lib.evaluation import metrics, records

KEY = {"magnification": 200, "protocol": "slide", "reading": "block14", "seed": 3}


@pytest.fixture
def predictions():
    return pd.DataFrame(
        {
            "file": [f"image{number}.png" for number in range(5)],
            "slide": ["190EF", "2523", "2523", "007", "007"],
            "label": [0, 1, 1, 0, 1],
            "set": ["train", "train", "validation", "test", "test"],
            "p_malignant": [0.1, 0.9, 0.123456789, 0.5, 1.0],
        }
    )


@pytest.fixture
def history():
    index = pd.RangeIndex(1, 3, name="epoch")
    return pd.DataFrame(
        {"accuracy": [0.5, 0.75], "loss": [0.7, 0.5], "val_accuracy": [0.5, 0.5], "val_loss": [0.7, 0.6]}, index=index
    )


@pytest.fixture
def record(tmp_path, predictions, history):
    record = records.Record(tmp_path / "results" / "x")
    record.begin({"command": "breakhis run"}, settings={"epochs": 2}, data={"200": {"sha256": "abc"}})
    record.add(KEY, predictions, history, {"best epoch": 2})
    return record


def test_the_predictions_file_has_the_columns_and_decimals_promised(record):
    lines = (record.folder / "predictions.csv").read_text().splitlines()
    assert lines[0] == "magnification,protocol,reading,seed,set,file,slide,label,p_malignant"
    assert lines[1:] == [
        "200,slide,block14,3,validation,image2.png,2523,1,0.123457",
        "200,slide,block14,3,test,image3.png,007,0,0.500000",
        "200,slide,block14,3,test,image4.png,007,1,1.000000",
    ]
    assert record.predictions().slide.tolist() == ["2523", "007", "007"]


def test_runs_add_up_and_are_known(record, predictions, history):
    record.add({**KEY, "seed": 0}, predictions, history, {})
    assert record.has(**KEY)
    assert record.has(**{**KEY, "seed": 0})
    assert not record.has(**{**KEY, "seed": 1})
    assert record.predictions().seed.tolist() == [0, 0, 0, 3, 3, 3]
    assert len(record.history()) == 4


def test_a_run_left_half_by_a_kill_is_replaced(record, predictions, history):
    info = json.loads((record.folder / "run.json").read_text())
    info["runs"] = []  # as if killed after predictions.csv and before run.json
    (record.folder / "run.json").write_text(json.dumps(info))
    record.add(KEY, predictions, history, {})
    assert len(record.predictions()) == 3
    assert len(record.history()) == 2


def test_splits_are_stored_for_all_sets(record, predictions, history):
    assert record.split(200, "slide", 3).tolist() == predictions.set.tolist()
    assert record.split(200, "slide", 4) is None
    assert record.split(100, "slide", 3) is None
    record.add({**KEY, "magnification": 100}, predictions.assign(file="other" + predictions.file), history, {})
    assert record.split(200, "slide", 3).tolist() == predictions.set.tolist()


def test_a_record_refuses_other_settings_or_other_data(record):
    with pytest.raises(InputError, match=r"settings.epochs is 2 in this record, this run has 9.*--results"):
        record.begin({}, settings={"epochs": 9}, data={})
    with pytest.raises(InputError, match=r"data.200.sha256"):
        record.begin({}, settings={"epochs": 2}, data={"200": {"sha256": "other"}})
    record.begin({}, settings={"epochs": 2}, data={"100": {"sha256": "new"}})
    assert set(record.info()["data"]) == {"100", "200"}


def test_a_failed_write_keeps_what_was_there(record, predictions, history, monkeypatch):
    before, write = (record.folder / "predictions.csv").read_text(), type(record.folder).write_text

    def full(self, text, encoding):
        write(self, text[: len(text) // 2], encoding)
        if self.name.endswith("predictions.csv"):
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(type(record.folder), "write_text", full)
    with pytest.raises(InputError, match=r"predictions\.csv cannot be written \(No space left on device\)"):
        record.add({**KEY, "seed": 9}, predictions, history, {})
    assert (record.folder / "predictions.csv").read_text() == before
    assert list(record.folder.glob("*partial*")) == []


class Killed(BaseException):
    """As SIGKILL ends a process: nothing after it is done."""


def contents(record):
    return {path.name: path.read_bytes() for path in record.folder.rglob("*.*") if path.suffix in {".csv", ".json"}}


@pytest.mark.parametrize("digests", [True, False], ids=["with digests", "of an earlier version"])
@pytest.mark.parametrize("writes", range(8))
def test_a_kill_between_two_files_leaves_a_record_that_is_read_and_gone_on_with(
    record, predictions, history, monkeypatch, tmp_path, writes, digests
):
    seed_9, images = {**KEY, "seed": 9}, predictions.assign(magnification=200, sha256=["aa", "bb", "cc", "dd", "ee"])
    record.keep_digests(images[:2])
    if not digests:
        record._write_json({name: value for name, value in record.info().items() if name != "digests"})

    def finish(record):
        record.keep_digests(images)
        record.add(seed_9, predictions, history, {"best epoch": 1})

    shutil.copytree(record.folder, tmp_path / "calm")
    finish(records.Record(tmp_path / "calm"))
    left, write = [None] * writes, records.Record._write

    def killed(self, name, text):
        if not left:
            raise Killed
        left.pop()
        write(self, name, text)

    with monkeypatch.context() as patch:
        patch.setattr(records.Record, "_write", killed)
        with contextlib.suppress(Killed):
            finish(record)
    assert record.predictions()[lambda table: table.seed == 3].shape == (3, 9)
    assert len(record.history().query("seed == 3")) == 2
    assert record.set_of(KEY, "aa") == "train"
    finish(record)
    assert contents(record) == contents(records.Record(tmp_path / "calm"))
    assert {len(digest) for digest in record.info()["digests"].values()} == {64}


TABLES = ["predictions.csv", "history.csv", "splits.csv", "heads/images.csv"]


@pytest.mark.parametrize("name", TABLES)
def test_one_bit_that_flipped_in_a_table_is_noticed_wherever_it_is(record, predictions, history, name):
    record.keep_digests(predictions.assign(magnification=200, sha256=["aa", "bb", "cc", "dd", "ee"]))
    path, told = record.folder / name, []
    written = path.read_bytes()
    for place in range(len(written)):
        path.write_bytes(written[:place] + bytes([written[place] ^ 1]) + written[place + 1 :])
        with pytest.raises(InputError, match=path.name) as caught:
            record._table(name)
        told.append(str(caught.value))
    assert any("does not hold what was written" in one and "restore it from version control" in one.lower()
               for one in told)  # fmt: skip
    if name != "heads/images.csv":
        damaged = path.read_bytes()
        with pytest.raises(InputError):
            record.add({**KEY, "seed": 9}, predictions, history, {})
        assert path.read_bytes() == damaged, "never overwritten"
    path.write_bytes(written)
    assert len(record._table(name))


def test_a_table_with_the_line_ends_of_windows_is_what_was_written(record):
    before = record.predictions()
    for name in TABLES[:3]:
        content = (record.folder / name).read_bytes()
        (record.folder / name).write_bytes(content.replace(b"\n", b"\r\n"))
    pd.testing.assert_frame_equal(record.predictions(), before)
    assert len(record.history()) == 2 and record.split(200, "slide", 3) is not None


def test_a_run_that_another_process_adds_meanwhile_is_no_damage(record, predictions, history, monkeypatch):
    info, told = records.Record.info, []

    def meanwhile(self):
        found = info(self)
        if not told:  # the table is read after this, and is then a newer one than run.json was
            told.append(found)
            records.Record(self.folder).add({**KEY, "seed": 9}, predictions, history, {})
        return found

    monkeypatch.setattr(records.Record, "info", meanwhile)
    assert record.predictions().seed.nunique() == 2


@pytest.mark.parametrize("tear", [b"<<<<<<< ours\n", b"1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n", b"200,\xff"])
@pytest.mark.parametrize("name", ["predictions.csv", "history.csv", "splits.csv"])
def test_what_cannot_be_read_is_never_overwritten(record, predictions, history, name, tear):
    path = record.folder / name
    torn = path.read_bytes() + tear
    path.write_bytes(torn)
    with pytest.raises(InputError, match=rf"{name} cannot be read.*restore it"):
        record.add({**KEY, "seed": 9}, predictions, history, {})
    assert path.read_bytes() == torn
    assert not record.has(**{**KEY, "seed": 9})


def test_a_stored_split_that_cannot_be_read_is_not_drawn_anew(record):
    (record.folder / "splits.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match=r"splits\.csv cannot be read"):
        record.split(200, "slide", 3)


@pytest.mark.parametrize("group", ["NA", "null", "None", "nan", "N/A", "1e5", "007", "유방"])
def test_groups_keep_their_names(record, predictions, history, group):
    record.add({**KEY, "seed": 9}, predictions.assign(slide=group, file=f"{group}/" + predictions.file), history, {})
    kept = record.predictions()
    assert set(kept.slide[kept.seed == 9]) == {group}
    assert record.split(200, "slide", 9).index[0] == f"{group}/image0.png"


def test_a_run_is_there_once_however_often_it_is_added(record, predictions, history):
    record.add(KEY, predictions.assign(p_malignant=0.0), history, {})
    assert len(record.info()["runs"]) == 1
    assert record.predictions().p_malignant.max() == 1.0


def test_another_process_waits_for_the_session(record):
    said = []
    code = (
        "import sys; from breakhis_lib.evaluation import records\n"
        "with records.Record(sys.argv[1]).session():\n    print('in', flush=True); sys.stdin.read()"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", code, str(record.folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert other.stdout.readline() == b"in\n"
    with record.session(lambda message: (said.append(message), other.communicate(b""))):
        assert "another process adds runs" in said[0]


def test_a_record_without_a_run_takes_other_settings(tmp_path):
    record = records.Record(tmp_path)
    record.begin({"command": "first"}, settings={"epochs": 2}, positive=None)
    record.begin({"command": "second"}, settings={"epochs": 9}, positive="x")
    assert record.info()["settings"] == {"epochs": 9}
    assert [session["command"] for session in record.info()["sessions"]] == ["first", "second"]


def test_runs_of_the_first_rule_of_splits_are_not_mixed_with_others(record, predictions, history):
    assert "split rule" not in record.info()  # as records were written before rules had names
    with pytest.raises(InputError, match="split rule is '.*first fold of the rest' in this record"):
        record.begin({}, **{"split rule": splits.RULE})
    assert len(record.predictions()) == 3


@pytest.mark.parametrize(
    ("info", "positive"),
    [
        ({"classes": ["benign", "malignant"]}, "malignant"),
        ({"classes": ["NORMAL", "COVID"], "positive": "COVID"}, "COVID"),
        ({"classes": ["COVID", "NORMAL"], "positive": None}, None),
        ({"classes": ["benign", "malignant", "normal"]}, None),
    ],
)
def test_the_positive_class_is_the_one_that_was_named(tmp_path, info, positive):
    (tmp_path / "run.json").write_text(json.dumps(info))
    assert records.Record(tmp_path).positive() == positive


def test_an_image_is_known_by_its_content_and_not_by_its_name(record, predictions):
    assert record.set_of(KEY, "aa") is None  # a record of before, which kept no digests
    record.keep_digests(predictions.assign(magnification=200, sha256=["aa", "bb", "cc", "dd", "ee"]))
    assert record.set_of(KEY, "aa") == "train"
    assert record.set_of(KEY, "dd") == "test"
    assert record.set_of(KEY, "image0.png") == "none"


def test_a_folder_where_nothing_can_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(InputError, match="cannot be written.*choose another folder"):
        records.Record(tmp_path / "file").begin({})


def test_an_absent_or_damaged_record_is_named(tmp_path):
    with pytest.raises(InputError, match="breakhis run"):
        records.Record(tmp_path / "none").predictions()
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(InputError, match=r"run\.json cannot be read"):
        records.Record(tmp_path).info()


def clustered(slides=40, images=10, seeds=2, seed=0):
    """Predictions of slides that are each right with a chance of their own."""
    random = np.random.default_rng(seed)
    rows = []
    for slide in range(slides):
        chance = random.beta(4, 1)
        for image in range(images):
            for run in range(seeds):
                right = random.random() < chance
                rows.append((run, f"{slide}-{image}", str(slide), 1, 0.9 if right else 0.1))
    return pd.DataFrame(rows, columns=["seed", "file", "slide", "label", "p_malignant"])


def test_mean_accuracy_is_the_mean_over_runs_with_its_counts():
    table = pd.DataFrame(
        {
            "seed": [0, 0, 0, 1],
            "file": ["a", "b", "c", "a"],
            "slide": ["1", "1", "2", "1"],
            "label": [1, 0, 1, 1],
            "p_malignant": [0.5, 0.5, 0.2, 0.7],
        }
    )
    found = metrics.mean_accuracy(table)
    assert found["accuracy"] == pytest.approx((1 / 3 + 1) / 2)
    assert (found["runs"], found["images"], found["slides"]) == (2, 3, 2)
    assert np.isnan(found["low"])  # of two slides


def test_the_interval_widens_with_whole_slides_not_with_images():
    table = clustered()
    by_slide = metrics.mean_accuracy(table)
    as_if_alone = metrics.mean_accuracy(table.assign(slide=table.file))
    width = lambda found: found["high"] - found["low"]  # noqa: E731
    assert width(by_slide) > 1.3 * width(as_if_alone)


def test_predicted_label_takes_the_most_probable_of_many():
    table = pd.DataFrame({"p_b": [0.2, 0.5, 0.1], "p_c": [0.1, 0.5, 0.6]})
    assert metrics.predicted_label(table).tolist() == [0, 2, 2]
