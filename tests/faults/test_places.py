"""Full disks, folders that cannot be written, no home, closed streams: one clear error, and nothing made is lost."""

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from breakhis_lib import cache, practice
from breakhis_lib.data import download
from breakhis_lib.errors import InputError
from breakhis_lib.evaluation import figures, records
from breakhis_lib.files import whole
from tests.page_rules import ROOT
from tests.test_cli import breakhis, flat

RECORD = ROOT / "results" / "x400"
PRACTICE = "practice made --slides-per-subtype 1 --images 1"
KEY = {"magnification": 200, "protocol": "slide", "reading": "block14"}


@pytest.fixture
def disk(tmp_path):
    """A small disk: (its folder, a function that mounts it anew with other options, such as size=1m or ro)."""
    folder = tmp_path / "disk"
    folder.mkdir()

    def mount(*words):
        return subprocess.run(["mount", *words, str(folder)], capture_output=True).returncode == 0

    if sys.platform != "linux" or not mount("-t", "tmpfs", "-o", "size=16k", "tmpfs"):
        pytest.skip("a small disk can be mounted by root on Linux alone")

    def again(options):
        assert mount("-o", f"remount,{options}")

    yield folder, again
    subprocess.run(["umount", str(folder)], check=True)


def partial(folder):
    return [path.name for path in folder.rglob("*partial*")]


def files(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.suffix[1:]}


def test_practice_slides_on_a_full_disk_are_whole_and_gone_on_with(disk, tmp_path):
    folder, again = disk
    few = {"slides_per_subtype": 1, "images_per_magnification": 2, "magnifications": 40, "subtypes": ("A", "DC")}
    calm = files(practice.make(tmp_path / "calm", **few, workers=1))
    again(f"size={int(sum(map(len, calm.values())) * 0.6) // 1024}k")
    with pytest.raises(
        InputError, match=r"SOB_\S+\.png cannot be written \(No space left on device\); free some space"
    ):
        practice.make(folder, **few, workers=1)
    assert partial(folder) == []
    made = files(folder)
    assert 0 < len(made) < 4 and made.items() <= calm.items()
    again("size=16m")
    practice.make(folder, **few, workers=1)
    assert files(folder) == calm


def runs():
    """Two runs of a record: (key, predictions, history)."""
    files = pd.DataFrame({"file": [f"image{number}.png" for number in range(90)], "slide": "1", "label": [0, 1] * 45})
    for seed in (0, 1):
        sets = np.roll(np.repeat(["train", "validation", "test"], 30), seed)
        history = pd.DataFrame({"accuracy": [0.5], "loss": [1.0]}, index=pd.RangeIndex(1, 2, name="epoch"))
        yield {**KEY, "seed": seed}, files.assign(set=sets, p_malignant=0.25), history


def record_all(folder):
    record = records.Record(folder)
    if not record.exists():
        record.begin({"command": "breakhis run"}, classes=["benign", "malignant"])
    for key, predictions, history in runs():
        record.add(key, predictions, history, {"best epoch": 1})


def test_a_record_on_a_full_disk_is_read_and_gone_on_with_wherever_it_stopped(disk, tmp_path):
    folder, again = disk
    record_all(tmp_path / "calm")
    calm, refused = files(tmp_path / "calm"), []
    for pages in range(1, 30):
        again(f"size={4 * pages}k")
        try:
            record_all(folder / "record")
        except InputError as error:
            refused.append(str(error))
            assert "No space left on device" in str(error) and "record" in str(error)
            assert partial(folder) == []
            record = records.Record(folder / "record")
            for name, table in {"predictions.csv": record.predictions, "history.csv": record.history}.items():
                if (record.folder / name).exists():
                    assert len(table())
        else:
            break
    assert len(refused) > 3 and len({error.split(" cannot")[0] for error in refused}) > 2, "at several files"
    assert files(folder / "record") == calm


def test_a_page_on_a_full_disk_leaves_the_page_that_was_there(disk):
    folder, again = disk
    (folder / "page.html").write_text("the page of before")
    result = breakhis("report", RECORD, "--to", folder / "page.html")
    assert result.returncode == 1
    assert (
        f"Error: {folder / 'page.html'} cannot be written (No space left on device); free some space" in result.stderr
    )
    assert [path.read_text() for path in folder.iterdir()] == ["the page of before"]
    again("size=1m")
    assert breakhis("report", RECORD, "--to", folder / "page.html").returncode == 0
    again("ro")
    result = breakhis("report", RECORD, "--to", folder / "page.html")
    assert result.returncode == 1 and "page.html cannot be written (Read-only file system)" in result.stderr
    assert "</html>" in (folder / "page.html").read_text(encoding="utf-8")


def test_maps_on_a_full_disk_are_whole_or_not_there(disk, tmp_path):
    folder, again = disk
    record_all(tmp_path / "record")
    record, place = records.Record(tmp_path / "record"), tmp_path / "x.png"
    Image.effect_noise((90, 90), 60).convert("RGB").save(place)
    answer = {"file": str(place), "benign": 0.25, "malignant": 0.75, "map of": "malignant", "map": np.eye(3)}
    one, other = figures.write_answers(pd.DataFrame([answer, answer]), record, tmp_path / "maps")
    again(f"size={int(one.stat().st_size * 1.5) // 1024}k")
    with pytest.raises(InputError, match=r"x-map-2\.png cannot be written \(No space left on device\)"):
        figures.write_answers(pd.DataFrame([answer, answer]), record, folder / "maps")
    assert files(folder) == {"maps/x-map-1.png": one.read_bytes()} and partial(folder) == []
    again("size=16m")
    figures.write_answers(pd.DataFrame([answer, answer]), record, folder / "maps")
    assert files(folder) == {f"maps/{path.name}": path.read_bytes() for path in (one, other)}


def test_what_lies_in_a_folder_that_cannot_be_written_is_read_and_what_would_go_there_is_refused(
    disk, tmp_path, monkeypatch
):
    folder, again = disk
    again("size=4m")
    record_all(folder / "record")
    again("ro")
    assert len(records.Record(folder / "record").predictions()) == 120
    with pytest.raises(InputError, match=r"record cannot be written \(Read-only file system\); choose another folder"):
        records.Record(folder / "record").begin({})
    monkeypatch.chdir(folder)
    for words, told in (
        (["practice", "made"], "made cannot be written (Read-only file system)"),
        (["report", RECORD], "x400-report.html cannot be written (Read-only file system)"),
        (["download", "breakhis"], "breakhis cannot be used: Read-only file system"),
    ):
        result = breakhis(*words)
        assert result.returncode == 1 and told in flat(result.stderr)
        assert len(result.stderr.split()) < 40
    with pytest.raises(InputError, match="cannot be used: Read-only file system"):
        download.fetch(folder / "data", archive=tmp_path / "any.tar.gz")
    for name in ("BREAKHIS_CACHE", "XDG_CACHE_HOME", "BREAKHIS_WEIGHTS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(folder))
    for words in (["practice"], ["weights"]):
        result = breakhis(*words)
        assert result.returncode == 1 and f"Error: {folder}/.cache" in result.stderr
        assert "Read-only file system" in result.stderr


def test_without_any_home_the_cache_is_asked_for_and_no_folder_of_a_strange_name_is_made(tmp_path, monkeypatch):
    pwd = pytest.importorskip("pwd", reason="this system tells homes in another way")

    def nobody(number):
        raise KeyError(number)

    for name in ("HOME", "XDG_CACHE_HOME", "BREAKHIS_CACHE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", nobody)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="set BREAKHIS_CACHE"):
        cache.folder()
    assert list(tmp_path.iterdir()) == []


def shell(line, folder):
    """Run a line of the shell in which `breakhis` is the command line: (exit code, standard output and error)."""
    define = f'breakhis() {{ "{sys.executable}" -m breakhis_lib.cli "$@"; }}\n'
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "160"}
    done = subprocess.run(["bash", "-c", define + line], cwd=folder, env=environment, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.skipif(os.name == "nt", reason="streams are closed in another way")
@pytest.mark.parametrize(
    ("line", "code", "told"),
    [
        (f"breakhis report {RECORD} --to page.html <&- >&- 2>&- && head -c 15 page.html", 0, "<!doctype html>"),
        (f"breakhis table {RECORD} >&-", 0, ""),
        ("breakhis table nothing <&- >&- 2>&-", 1, ""),
        (f"breakhis {PRACTICE} <&- >&- 2>&-; find made -name '*.png' | wc -l", 0, "32"),
        (f"breakhis table {RECORD} | true; test ${{PIPESTATUS[0]}} -le 1", 0, ""),
        (f"breakhis table {RECORD} | head -1", 0, "Table 4"),
        (f"breakhis table {RECORD} > /dev/full", 1, "Error: standard output cannot be written (No space left"),
    ],
    ids=["a page", "a table", "an error", "practice slides", "a pipe never read", "a pipe read a little", "full"],
)  # fmt: skip
def test_streams_that_are_closed_or_full(tmp_path, line, code, told):
    if "/dev/full" in line and not Path("/dev/full").exists():
        pytest.skip("this system has no device that is always full")
    returned, said = shell(line, tmp_path)
    assert returned == code, said
    assert told.lower() in said.lower() if told else said == ""
    assert "Traceback" not in said and "Unexpected" not in said


@pytest.mark.weights
@pytest.mark.skipif(os.name == "nt", reason="streams are closed in another way")
def test_a_run_without_any_stream_is_recorded(tmp_path, slides, ready):
    options = "--magnifications 40 --readings colour --seeds 0 --protocols slide --results record"
    returned, said = shell(f"breakhis run --data {slides} {options} <&- >&- 2>&-", tmp_path)
    assert (returned, said) == (0, "")
    assert records.Record(tmp_path / "record").has(magnification=40, protocol="slide", reading="colour", seed=0)
    assert len(records.Record(tmp_path / "record").predictions())


def test_what_a_killed_process_left_of_a_file_goes_and_what_another_writes_stays(tmp_path):
    path = tmp_path / "a [1].csv"
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        gone.wait()
    dead, other, alive = (
        tmp_path / f".partial-{number}-{name}"
        for number, name in ((gone.pid, path.name), (gone.pid, "b.csv"), (os.getppid(), path.name))
    )
    for left in (dead, other, alive):
        left.touch()
    with contextlib.suppress(ZeroDivisionError), whole(path) as new:
        new.write_text("half")
        raise ZeroDivisionError
    assert {*tmp_path.iterdir()} == {other, alive}
    with whole(path) as new:
        new.write_text("whole")
    assert path.read_text() == "whole" and {*tmp_path.iterdir()} == {other, alive, path}


def test_a_file_behind_a_link_is_written_where_it_is_and_a_device_stays_one(tmp_path):
    (tmp_path / "real.html").write_text("before")
    (tmp_path / "link.html").symlink_to(tmp_path / "real.html")
    with whole(tmp_path / "link.html") as new:
        new.write_text("after")
    assert (tmp_path / "real.html").read_text() == "after" and (tmp_path / "link.html").is_symlink()
    with whole(os.devnull) as new:
        new.write_text("nothing", encoding="utf-8")
    assert not Path(os.devnull).is_file()
