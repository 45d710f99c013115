"""The command line as a user meets it."""

import contextlib
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from breakhis_lib import cli, experiment, practice
from breakhis_lib.data import dataset
from breakhis_lib.errors import InputError
from breakhis_lib.evaluation import records
from teaching import head
from tests.conftest import cache_in
from tests.page_rules import ROOT

COMMAND = Path(sys.executable).with_name("breakhis")
QUICK = ["--size", "96", "--epochs", "2", "--magnifications", "200", "--seeds", "0"]


class Result(NamedTuple):
    """What a command ended with."""

    returncode: int
    stdout: str
    stderr: str


def breakhis(*arguments, cwd=None):
    """Run a command as its console script does, in this process: loading Keras takes each new one seconds."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    stop = signal.getsignal(signal.SIGINT)
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.chdir(cwd or Path.cwd())
        patch.setenv("COLUMNS", "160")
        patch.setattr(sys, "argv", ["breakhis", *map(str, arguments)])
        try:
            cli.main()
        except SystemExit as end:
            code = end.code or 0
        finally:
            signal.signal(signal.SIGINT, stop)
    assert "Traceback" not in err.getvalue()
    return Result(code, out.getvalue(), err.getvalue())


def flat(text):
    return " ".join(text.split())


@pytest.fixture(scope="module")
def trained(slides, weights_file, tmp_path_factory):
    """A folder with a cache and a finished run on practice slides: (folder, the run's output)."""
    folder = tmp_path_factory.mktemp("trained")
    with cache_in(folder, weights_file):
        yield folder, breakhis("run", "--data", slides, *QUICK, "--results", folder / "record")


def test_help_lists_every_command_with_examples():
    text = flat(breakhis("--help").stdout)
    for command in ("practice", "download", "check", "weights", "run", "table", "predict", "demo"):
        assert command in text
        assert "xample" in breakhis(command, "--help").stdout or command == "weights"


@pytest.mark.weights
def test_run_records_and_prints_table_4(trained):
    folder, result = trained
    assert result.returncode == 0, result.stderr
    assert re.search(r"Device: (CPU|GPU).*", result.stderr)
    assert len(re.findall("Device:", result.stderr)) == 1
    shown = flat(result.stdout)
    assert "SIMULATED" in shown
    for number in ("96.47", "98.30", "96.31", "91.06"):
        assert number in shown
    record = folder / "record"
    info = json.loads((record / "run.json").read_text(encoding="utf-8"))
    assert info["sessions"][0]["command"].startswith("breakhis run --data")
    assert {run["protocol"] for run in info["runs"]} == {"image", "slide"}
    run = info["runs"][0]
    assert run["images"]["train"] + run["images"]["validation"] + run["images"]["test"] == 16
    assert run["seconds"]["fine-tuning"] > 0
    table = pd.read_csv(record / "predictions.csv", dtype={"slide": str})
    assert list(table.columns) == (
        ["magnification", "protocol", "reading", "seed", "set", "file", "slide", "label", "p_malignant"]
    )
    assert set(table.reading) == {"block14"}


@pytest.mark.weights
def test_report_writes_a_page_and_table_compares_runs(trained, tmp_path):
    folder, _ = trained
    result = breakhis("report", folder / "record", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "simulated" in (tmp_path / "record-report.html").read_text(encoding="utf-8")
    assert "record-report.html" in result.stdout
    compared = flat(breakhis("table", "--runs", folder / "record").stdout)
    assert "Every kind of run" in compared
    assert "validation" in compared
    missing = breakhis("report", tmp_path / "nothing")
    assert missing.returncode == 1
    assert "breakhis run" in flat(missing.stderr)


def test_controls_run_beside_fine_tuning(slides, ready, tmp_path):
    options = [*QUICK, "--readings", "logistic,colour", "--protocols", "slide", "--shuffle-labels", "slide"]
    result = breakhis("run", "--data", slides, *options, "--results", tmp_path / "x")
    assert result.returncode == 0, result.stderr
    record = json.loads((tmp_path / "x" / "run.json").read_text(encoding="utf-8"))
    assert [run["reading"] for run in record["runs"]] == ["logistic", "colour"]
    assert record["settings"]["shuffled labels"] == "slide"
    wrong = breakhis("run", "--data", slides, "--shuffle-labels", "patient", "--results", tmp_path / "x")
    assert "choose image or slide" in flat(wrong.stderr)


def test_a_finished_run_is_not_repeated_and_another_seed_is_added(trained, slides):
    folder, _ = trained
    before = (folder / "record" / "predictions.csv").read_text(encoding="utf-8")
    again = breakhis("run", "--data", slides, *QUICK, "--results", folder / "record")
    assert again.returncode == 0
    assert "best epoch" not in again.stderr
    assert (folder / "record" / "predictions.csv").read_text(encoding="utf-8") == before
    more = breakhis("run", "--data", slides, *QUICK[:-1], "0,1", "--protocols", "slide", "--results", folder / "record")
    assert more.stderr.count("best epoch") == 1
    assert set(before.splitlines()) < set(
        (folder / "record" / "predictions.csv").read_text(encoding="utf-8").splitlines()
    )


@pytest.mark.weights
def test_one_model_for_all_magnifications_is_tested_on_each(slides, ready, tmp_path):
    asked = ["run", "--data", slides, "--size", "96", "--epochs", "2", "--seeds", "0", "--pooled"]
    asked += ["--protocols", "image,slide"]
    first = breakhis(*asked, cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    folder = tmp_path / "results" / slides.name / "pooled"
    record = records.Record(folder)
    runs = pd.DataFrame(record.info()["runs"])
    assert runs[["magnification", "protocol"]].to_numpy().tolist() == (
        [[40, "image"], [200, "image"], [40, "slide"], [200, "slide"]]
    )
    for protocol in ("image", "slide"):
        assert record.split([40, 200], protocol, 0).value_counts().sum() == 32
        history = record.history().query("protocol == @protocol").drop(columns="magnification")
        assert history[:2].to_numpy().tolist() == history[2:].to_numpy().tolist()  # one training
    assert [audit["share a field at another magnification"] for audit in runs.audit] == [0, 0, 0, 0]
    assert sum(images["test"] for images in runs.images[:2]) == (record.split([40, 200], "image", 0) == "test").sum()
    predictions = record.predictions()
    assert (
        predictions.file.map(lambda name: dataset.parse_name(name)["magnification"]) == predictions.magnification
    ).all()
    assert "4 runs" not in first.stderr and len(re.findall("validation accuracy", first.stderr)) == 2
    shown = flat(breakhis("table", "results", cwd=tmp_path).stdout)
    assert "one model for all magnifications" in shown
    again = breakhis(*asked, cwd=tmp_path)
    assert "best epoch" not in again.stderr
    trained_at_40 = predictions.query("magnification == 40 and protocol == 'slide'").file.iloc[0]
    renamed = shutil.copy(next(slides.rglob(trained_at_40)), tmp_path / "renamed.png")
    said = flat(breakhis("predict", renamed, "--results", folder, "--magnification", "200").stdout)
    assert f"its {predictions.query('protocol == @protocol and file == @trained_at_40').set.iloc[0]} set" in said


@pytest.mark.weights
def test_by_number_is_split_too_where_slides_share_one(ready, tmp_path):
    few = {"images_per_magnification": 1, "magnifications": 40, "workers": 1}
    practice.make(tmp_path / "four", slides_per_subtype=3, subtypes=("A", "F", "DC", "LC"), **few)
    practice.make(tmp_path / "four", slides_per_subtype=3, subtypes=("A", "DC"), **{**few, "magnifications": 200})
    practice.make(tmp_path / "two", slides_per_subtype=3, subtypes=("A", "DC"), **few)  # three slides, two numbers
    for name, protocols in (("four", ["image", "number", "slide"]), ("two", ["image", "slide"])):
        asked = ("--readings", "colour", "--seeds", "0", "--results", tmp_path / "record" / name)
        asked += ("--magnifications", "40")  # of what is not asked for there may be too little
        result = breakhis("run", "--data", tmp_path / name, *asked)
        assert result.returncode == 0, result.stderr
        assert sorted(records.Record(tmp_path / "record" / name).predictions().protocol.unique()) == protocols


@pytest.mark.weights
@pytest.mark.parametrize("other", ["--learning-rate=0.01", "--pooled"])
def test_other_settings_are_refused_and_the_record_kept(trained, slides, other):
    folder, _ = trained
    result = breakhis("run", "--data", slides, *QUICK, other, "--results", folder / "record")
    assert result.returncode == 1
    assert f"settings.{other[2:].split('=')[0].replace('-', '_')} is" in result.stderr
    assert "--results" in result.stderr


@pytest.mark.weights
def test_a_stopped_run_says_so_and_goes_on(slides, ready, tmp_path):
    arguments = [COMMAND, "run", "--data", slides, *QUICK[:-1], "0,1,2", "--results", tmp_path / "record"]
    process = subprocess.Popen(list(map(str, arguments)), stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    lines = []
    for line in process.stderr:
        lines.append(line)
        if "best epoch" in line:
            break
    process.send_signal(signal.SIGINT)
    _, rest = process.communicate()
    assert process.returncode == 130
    assert "Stopped" in rest
    done = len(json.loads((tmp_path / "record" / "run.json").read_text(encoding="utf-8"))["runs"])
    assert 1 <= done < 6
    again = subprocess.run(list(map(str, arguments)), capture_output=True, text=True)
    assert again.returncode == 0
    assert again.stderr.count("best epoch") == 6 - done


@pytest.mark.weights
def test_predict_prints_the_probability_of_each_label(trained, slides):
    folder, _ = trained
    images = sorted(slides.rglob("*-200-001.png"))[:2]
    result = breakhis("predict", *images, "--results", folder / "record")
    assert result.returncode == 0, result.stderr
    rows = re.findall(r"(SOB_\S+)\s+│\s+([\d.]+)\s+│\s+([\d.]+)", result.stdout)
    assert [name for name, _, _ in rows] == [image.name for image in images]
    for _, benign, malignant in rows:
        assert float(benign) + float(malignant) == pytest.approx(1, abs=2e-4)
    assert "not for clinical use" in flat(result.stdout)
    assert records.CAUTION in flat(result.stdout) and "trained on simulated slides" in flat(result.stdout)
    assert records.CAUTION in (ROOT / "chapters" / "own_images.ipynb").read_text(encoding="utf-8")


@pytest.mark.weights
def test_maps_are_written_for_every_image_and_add_up_to_the_answer(trained, slides, tmp_path):
    folder, _ = trained
    found = sorted(slides.rglob("*-200-001.png"))[:2]
    asked = [shutil.copy(image, tmp_path / name) for image, name in zip(found, ("one.png", "two.png"), strict=True)]
    (tmp_path / "broken.png").write_bytes(b"\x89PNG")
    result = breakhis("predict", *asked, tmp_path / "broken.png", "--results", folder / "record", "--maps", "maps",
                      cwd=tmp_path)  # fmt: skip
    assert result.returncode == 1 and "broken.png" in result.stderr
    assert sorted(path.name for path in (tmp_path / "maps").iterdir()) == ["one-map-1.png", "two-map-2.png"]
    pictures = [np.asarray(Image.open(path)) for path in sorted((tmp_path / "maps").iterdir())]
    assert all(picture.std() > 10 for picture in pictures), "not blank"
    answers, _ = experiment.predict(asked, records.Record(folder / "record"), maps=True)
    assert (answers["map of"] == "malignant").all()
    log_odds = np.log(answers.malignant / answers.benign)
    assert np.ptp(log_odds - answers["map"].map(np.mean)) < 1e-3 < np.ptp(log_odds), "apart by the bias alone"
    (tmp_path / "file").touch()
    refused = breakhis("predict", *asked, "--results", folder / "record", "--maps", tmp_path / "file")
    assert refused.returncode == 1 and "choose another folder" in flat(refused.stderr)


@pytest.mark.weights
def test_a_head_for_a_release_says_what_it_is_and_answers(trained, slides, tmp_path):
    folder, _ = trained
    with pytest.raises(InputError, match="one run by slide"):
        head.write(records.Record(folder / "record"), tmp_path)
    options = ["--protocols", "slide", "--results", tmp_path / "one"]
    assert breakhis("run", "--data", slides, *QUICK, *options).returncode == 0
    shutil.unpack_archive(head.write(records.Record(tmp_path / "one"), tmp_path / "made"), tmp_path)
    unpacked = tmp_path / head.NAME
    text = (unpacked / "README.md").read_text(encoding="utf-8")
    for told in (records.CAUTION, "simulated", "| seed | 0 |", "tensorflow", "LICENSE", "96 by 96", "block14"):
        assert told in text
    assert "MIT" in (unpacked / "LICENSE").read_text(encoding="utf-8")
    image = next(slides.rglob("*-200-001.png"))
    assert "malignant" in breakhis("predict", image, "--results", unpacked).stdout


@pytest.mark.weights
def test_predict_agrees_with_the_recorded_prediction(trained, slides):
    folder, _ = trained
    table = pd.read_csv(folder / "record" / "predictions.csv")
    row = table[(table.protocol == "slide") & (table.set == "test") & (table.seed == 0)].iloc[0]
    result = breakhis("predict", next(slides.rglob(row.file)), "--results", folder / "record")
    found = float(re.search(r"SOB_\S+\s+│\s+[\d.]+\s+│\s+([\d.]+)", result.stdout)[1])
    assert found == pytest.approx(row.p_malignant, abs=2e-3)
    assert "its test set" in flat(result.stdout)


@pytest.mark.weights
def test_predict_names_what_does_not_fit(trained, tmp_path, slides):
    folder, _ = trained
    Image.new("RGB", (64, 64)).save(tmp_path / "mine.png")
    (tmp_path / "broken.png").write_bytes(b"\x89PNG")
    record = ["--results", folder / "record"]
    assert breakhis("predict", tmp_path / "mine.png", *record).returncode == 0, "the record has one magnification"
    for image, message in (
        (tmp_path / "none.png", "none.png does not exist"),
        (tmp_path / "broken.png", "broken.png"),
        (next(slides.rglob("*-40-001.png")), "magnification 40"),
    ):
        result = breakhis("predict", image, *record)
        assert result.returncode == 1
        assert message in result.stderr
    assert "breakhis run" in breakhis("predict", tmp_path / "mine.png", "--results", tmp_path / "no").stderr


@pytest.mark.weights
def test_any_folder_of_classes_travels_the_same_way(ready, tmp_path):
    random = np.random.default_rng(0)
    rows = []
    for name, brightness in (("clear", 200), ("dim", 60), ("dark", 20)):
        (tmp_path / "scans" / name).mkdir(parents=True)
        for patient in range(4):
            for view in range(2):
                file = f"{name}/{patient}-{view}.jpg"
                pixels = random.integers(0, brightness, (80, 100), dtype=np.uint8)
                Image.fromarray(pixels).save(tmp_path / "scans" / file)
                rows.append((file, f"{name}{patient}"))
    pd.DataFrame(rows, columns=["file", "group"]).to_csv(tmp_path / "patients.csv", index=False)
    result = breakhis(
        "run", "--data", "scans", "--groups", "patients.csv", "--size", "96", "--epochs", "1", "--protocols", "slide",
        "--seeds", "0", cwd=tmp_path,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    table = pd.read_csv(tmp_path / "results" / "scans" / "predictions.csv")
    assert list(table.columns[-2:]) == ["p_dark", "p_dim"]
    assert set(table.magnification) == {0}
    assert breakhis("report", "results/scans", cwd=tmp_path).returncode == 0
    assert "balanced accuracy" in (tmp_path / "scans-report.html").read_text(encoding="utf-8")
    shown = breakhis("predict", "scans/dim/0-0.jpg", "--results", "results/scans", cwd=tmp_path)
    assert "dim" in shown.stdout and "all by slide" in shown.stdout
    assert records.CAUTION in flat(shown.stdout) and "simulated" not in shown.stdout
    images = sorted((tmp_path / "scans").rglob("*.jpg"))
    answers, _ = experiment.predict(images, records.Record(tmp_path / "results" / "scans"), maps=True)
    assert (answers[["clear", "dark", "dim"]].idxmax(axis=1) == answers["map of"]).all()


@pytest.mark.weights
def test_an_unreadable_image_is_left_out_and_counted(ready, slides, tmp_path):
    shutil.copytree(slides, tmp_path / "slides")
    victim = sorted((tmp_path / "slides").rglob("*-200-001.png"))[0]
    victim.write_bytes(victim.read_bytes()[:3000])
    result = breakhis("run", "--data", tmp_path / "slides", *QUICK, "--results", tmp_path / "record")
    assert result.returncode == 0, result.stderr
    assert f"Left out: {victim}" in result.stderr
    info = json.loads((tmp_path / "record" / "run.json").read_text(encoding="utf-8"))
    assert sum(info["runs"][0]["images"].values()) == 15


BAD = [
    (["run", "--data", "nowhere"], "nowhere is not a folder"),
    (["run", "--data", "SLIDES", "--magnifications", "50"], "magnification 50"),
    (["run", "--data", "SLIDES", "--magnifications", "forty"], "'forty'"),
    (["run", "--data", "SLIDES", "--protocols", "patient"], "'patient'"),
    (["run", "--data", "SLIDES", "--protocols", "official"], "outside BreakHis"),
    (["run", "--data", "SLIDES", "--readings", "top"], "'top'"),
    (["run", "--data", "SLIDES", "--epochs", "0"], "epochs is 0"),
    (["run", "--data", "SLIDES", "--size", "big"], "'big'"),
    (["run", "--data", "SLIDES", "--weights", "no.h5"], "no.h5"),
    (["table", "nothing"], "nothing"),
    (["table"], "breakhis run"),
    (["weights", "no.h5"], "no.h5"),
    (["check", "nowhere"], "nowhere"),
    (["practice", "made", "--seed", "-1"], "-1"),
    (["run", "--seeds", ""], "no seeds to run"),
    (["run", "--readings", ""], "no readings to run"),
    (["run", "--seeds", "0-4"], "'0-4' is not understood; list whole numbers, each by itself"),
    (["run", "--seeds", "4294967296"], "4294967296"),
    (["run", "--size", "²"], "'²'"),
    (["run", "--size", "0"], "size 0x0 is too small"),
    (["run", "--dropout", "1.5"], "dropout"),
    (["run", "--batch-norm", "frozen"], "'frozen'"),
    (["run", "--augment", "--size", "96x146"], "square"),
    (["run", "--readings", "sepconv4", "--batch-norm", "batch"], "sepconv4"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD, ids=[" ".join(arguments) for arguments, _ in BAD])
def test_bad_input_is_one_clear_error(arguments, message, slides, tmp_path, own_cache):
    result = breakhis(*[str(slides) if part == "SLIDES" else part for part in arguments], cwd=tmp_path)
    assert result.returncode == 1
    assert message in flat(result.stderr)
    assert not (tmp_path / "results").exists(), "a refused run leaves nothing behind"


def scans(folder, names=("clear", "dim"), patients=4, views=2):
    """A folder of classes with pictures of noise, and the rows of its groups file."""
    random, rows = np.random.default_rng(0), []
    for number, name in enumerate(names):
        (folder / name).mkdir(parents=True)
        for patient in range(patients):
            for view in range(views):
                file = f"{name}/{patient}-{view}.png"
                pixels = random.integers(0, 200 // (1 + 2 * number), (80, 100, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / file)
                rows.append((file, f"{name}{patient}"))
    return pd.DataFrame(rows, columns=["file", "group"])


COLOUR = ["--readings", "colour", "--seeds", "0", "--size", "96"]  # seconds, and no weights but those in the cache


@pytest.mark.weights
def test_groups_named_later_are_no_silent_change_of_the_split(ready, tmp_path):
    scans(tmp_path / "scans").to_csv(tmp_path / "groups.csv", index=False)
    run = ["run", "--data", "scans", *COLOUR]
    alone = breakhis(*run, cwd=tmp_path)
    assert alone.returncode == 0, alone.stderr
    assert "By slide is left out: nothing says which slide or patient" in flat(alone.stderr)
    assert "Images: 16 used (8 clear, 8 dim), none left out." in flat(alone.stderr)
    assert "by slide" not in alone.stdout
    assert "paper" not in alone.stdout
    refused = breakhis(*run, "--groups", "groups.csv", cwd=tmp_path)
    assert refused.returncode == 1
    assert "groups is 'none: every image is its own' in this record" in flat(refused.stderr)
    grouped = breakhis(*run, "--groups", "groups.csv", "--results", "by-patient", cwd=tmp_path)
    assert grouped.returncode == 0, grouped.stderr
    audits = {
        run["protocol"]: run["audit"]
        for run in json.loads((tmp_path / "by-patient/run.json").read_text(encoding="utf-8"))["runs"]
    }
    assert audits["slide"]["share a slide"] == 0 < audits["image"]["share a slide"]
    asked = breakhis(*run, "--protocols", "slide", "--results", "other", cwd=tmp_path)
    assert asked.returncode == 1
    assert "--groups" in asked.stderr
    assert not (tmp_path / "other").exists()


@pytest.mark.weights
def test_a_named_positive_class_has_label_1_and_a_report_names_it(ready, tmp_path):
    scans(tmp_path / "covid", ("COVID", "NORMAL"))
    run = ["run", "--data", "covid", *COLOUR]
    for arguments, column in ((["--positive", "COVID", "--results", "named"], "p_COVID"), ([], "p_NORMAL")):
        result = breakhis(*run, *arguments, cwd=tmp_path)
        assert result.returncode == 0, result.stderr
        record = tmp_path / (arguments[-1] if arguments else "results/covid")
        assert pd.read_csv(record / "predictions.csv").columns[-1] == column
        page = record.name + "-report.html"
        assert breakhis("report", record, cwd=tmp_path).returncode == 0
        text = (tmp_path / page).read_text(encoding="utf-8")
        assert ("sensitivity" in text) == bool(arguments)
        assert "--positive" in text or arguments
    other = breakhis(*run, "--positive", "FLU", cwd=tmp_path)
    assert other.returncode == 1
    assert "COVID" in other.stderr and "FLU" in other.stderr


@pytest.mark.weights
def test_names_with_brackets_and_colons_are_printed_as_they_are(ready, tmp_path):
    scans(tmp_path / "kopya [son]")
    odd = tmp_path / "kopya [son]" / "clear" / "bad [red].png"
    odd.write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    result = breakhis("run", "--data", "kopya [son]", *COLOUR, "--results", "r [bold] :smile:", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "Recorded in r [bold] :smile:." in flat(result.stdout)
    page = breakhis("report", "r [bold] :smile:", cwd=tmp_path)
    assert "Written to r [bold] :smile:-report.html" in flat(page.stdout)
    assert "bad [red].png" in breakhis("check", "kopya [son]", cwd=tmp_path).stdout


@pytest.mark.weights
def test_modules_of_the_users_folder_are_not_taken_for_pythons_own(slides, ready, tmp_path):
    for name in ("random", "keras", "token"):
        (tmp_path / f"{name}.py").write_text("raise RuntimeError('the user's own module')", encoding="utf-8")
    result = breakhis("run", "--data", slides, *QUICK, "--epochs", "1", "--results", "record", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert len(json.loads((tmp_path / "record" / "run.json").read_text(encoding="utf-8"))["runs"]) == 2


@pytest.mark.weights
def test_predict_knows_an_image_by_its_content_and_answers_for_those_it_can_read(trained, slides, tmp_path):
    folder, _ = trained
    table = pd.read_csv(folder / "record" / "predictions.csv")
    row = table[(table.protocol == "slide") & (table.set == "validation") & (table.seed == 0)].iloc[0]
    renamed, foreign, empty = (tmp_path / name for name in ("mine.png", row.file, "empty.png"))
    shutil.copy(next(slides.rglob(row.file)), renamed)
    Image.effect_noise((90, 90), 50).convert("RGB").save(foreign)
    empty.touch()
    result = breakhis("predict", renamed, foreign, empty, "--results", folder / "record")
    assert result.returncode == 1
    shown = flat(result.stdout)
    assert re.search(r"mine\.png[^S]*its validation set", shown)
    assert re.search(rf"{row.file}.*none of its sets", shown)
    assert "empty.png is empty" in flat(result.stderr)


@pytest.mark.weights
def test_a_head_of_plain_images_judges_an_image_whatever_its_name(ready, tmp_path):
    scans(tmp_path / "scans")
    options = ["--data", "scans", "--size", "96", "--epochs", "1", "--seeds", "0"]
    assert breakhis("run", *options, cwd=tmp_path).returncode == 0
    shutil.copy(tmp_path / "scans" / "clear" / "0-0.png", tmp_path / "SOB_B_A-14-22549AB-40-001.png")
    shown = breakhis("predict", "SOB_B_A-14-22549AB-40-001.png", "--results", "results/scans", cwd=tmp_path)
    assert shown.returncode == 0, shown.stderr
    assert re.search("its (train|validation|test) set", shown.stdout)


def test_table_takes_every_record_below_results_and_names_a_reading_that_is_not_there():
    root = Path(__file__).parents[1]
    shown = flat(breakhis("table", cwd=root).stdout)
    for path in (root / "results").rglob("run.json"):
        assert str(path.parent.relative_to(root)) in shown
    wrong = breakhis("table", "results/x400", "--reading", "blokc14", cwd=root)
    assert wrong.returncode == 1
    assert "blokc14" in wrong.stderr and "logistic" in wrong.stderr


def test_check_calls_practice_slides_simulated(slides):
    result = breakhis("check", slides)
    assert result.returncode == 0, result.stdout
    assert "simulated" in result.stdout


@pytest.mark.real
def test_check_of_the_real_subset_counts_and_names_13412(real):
    result = breakhis("check", real)
    assert result.returncode == 1
    assert "1233 of the 7,909 official images are there" in flat(result.stdout)
    assert "13412" in result.stdout


@pytest.mark.real
def test_the_committed_record_is_of_the_real_images(real):
    record = Path(__file__).parents[1] / "results" / "breakhis-subset"
    info = json.loads((record / "run.json").read_text(encoding="utf-8"))
    fields = dataset.add_digests(dataset.scan(real))
    for magnification, about in info["data"].items():
        assert dataset.data_digest(dataset.select(fields, int(magnification))) == about["sha256"]
    table = pd.read_csv(record / "predictions.csv", dtype={"slide": str})
    labels = table.file.map(fields.set_index("file").label)
    assert (labels == table.label).all()


def test_help_answers_without_loading_tensorflow():
    code = "import sys; from breakhis_lib import cli; sys.exit(bool({'tensorflow', 'pandas'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.weights
def test_a_locale_of_other_letters_changes_nothing(ready, tmp_path):
    groups = scans(tmp_path / "scans")
    groups.assign(group="환자 " + groups.group).to_csv(tmp_path / "groups.csv", index=False)
    ascii_alone = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    result, page = (
        subprocess.run([COMMAND, *words], cwd=tmp_path, capture_output=True, env={**os.environ, **ascii_alone})
        for words in (
            ["run", "--data", "scans", "--groups", "groups.csv", "--positive", "dim", *COLOUR, "--results", "r"],
            ["report", "r"],
        )
    )
    assert (result.returncode, page.returncode) == (0, 0), result.stderr.decode() + page.stderr.decode()
    assert "환자 clear0" in (tmp_path / "r" / "predictions.csv").read_text(encoding="utf-8")
    assert "환자 " in (tmp_path / "r-report.html").read_text(encoding="utf-8")


@pytest.mark.skipif(os.name == "nt", reason="Windows has no pseudo-terminals of this kind")
@pytest.mark.parametrize(("columns", "seen"), [(80, False), (130, True)])
def test_table_4_fits_a_terminal(columns, seen):
    import pty

    here, there = pty.openpty()
    command = [COMMAND, "table", ROOT / "results" / "x400"]
    done = subprocess.Popen(command, stdout=there, env={**os.environ, "COLUMNS": str(columns), "TERM": "xterm"})
    os.close(there)
    shown = b""
    with contextlib.suppress(OSError):  # the end of a pseudo-terminal is an error on Linux
        while part := os.read(here, 65536):
            shown += part
    assert done.wait() == 0
    lines = re.sub(r"\x1b\[[0-9;]*m", "", shown.decode()).splitlines()
    assert max(map(len, lines)) <= columns
    assert any("ours, by slide" in line for line in lines)
    assert any("whole slides" in line for line in lines) == seen


@pytest.mark.parametrize(("columns", "seen"), [({"COLUMNS": "80"}, False), ({}, True)])
def test_columns_are_the_width_where_no_terminal_is(columns, seen):
    others = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    done = subprocess.run([COMMAND, "table", ROOT / "results" / "x400"], env=others | columns, capture_output=True)
    lines = done.stdout.decode().splitlines()
    assert any("whole slides" in line for line in lines) == seen
    assert (max(map(len, lines)) <= 80) != seen


def test_a_record_that_has_only_begun_is_left_out_of_the_table(tmp_path):
    shutil.copytree(ROOT / "results" / "x400", tmp_path / "results" / "whole")
    (tmp_path / "results" / "begun").mkdir()
    shutil.copy(ROOT / "results" / "x400" / "run.json", tmp_path / "results" / "begun")
    result = breakhis("table", cwd=tmp_path)
    assert result.returncode == 0
    assert "results/whole" in flat(result.stdout)
    assert "begun" not in result.stdout
