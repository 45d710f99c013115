"""SIGKILL at random moments: the next call finishes, what it makes is whole, and nothing else is left.

    FAULTS=20 python -m pytest tests/faults/test_kills.py

kills each command so many times. In the tests of every change this would take too long; workers and downloads that
are killed are tested there (tests/test_workers.py, tests/data/test_download.py).
"""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time

import h5py
import pytest

from breakhis_lib.evaluation import records
from tests.page_rules import ROOT
from tests.test_workers import without_times

KILLS = int(os.environ.get("FAULTS", 0))
pytestmark = [
    pytest.mark.skipif(not KILLS, reason="takes minutes: FAULTS=20 kills each command 20 times"),
    pytest.mark.timeout(3600),
]
SMALL = ["--size", "96", "--epochs", "3", "--seeds", "0,1", "--magnifications", "40", "--protocols", "image,slide"]


def start(folder, words):
    command = [sys.executable, "-m", "breakhis_lib.cli", *words]
    quiet = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, "start_new_session": True}
    return subprocess.Popen(command, cwd=folder, env={**os.environ, "BREAKHIS_CACHE": str(folder / "cache")}, **quiet)


def finish(process):
    told, _ = process.communicate(timeout=600)
    assert process.returncode == 0, told
    return told


def tensors(path):
    """Every tensor of an HDF5 file: name -> bytes."""
    found = {}
    with h5py.File(path) as file:
        file.visititems(
            lambda name, item: found.update({name: item[()].tobytes()}) if isinstance(item, h5py.Dataset) else None
        )
    return found


def everything(folder):
    """What lies below a folder, locks apart: name -> content, for run.json without what differs between two runs."""
    found = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = str(path.relative_to(folder))
        if path.name in {"lock", ".lock", ".session"} or path.suffix == ".lock":
            continue
        found[name] = path.read_bytes()
        if path.suffix == ".h5":  # HDF5 notes more than the tensors
            found[name] = tensors(path)
        if path.name == "run.json":
            record = records.Record(path.parent)
            found[name] = [*without_times(record, "session"), json.dumps(record.info()["settings"], sort_keys=True)]
    return found


@pytest.fixture
def place(tmp_path, slides, weights_file, monkeypatch):
    """Folders to work in, each with slides and an empty cache."""
    monkeypatch.setenv("BREAKHIS_WEIGHTS", str(weights_file))

    def make(name):
        shutil.copytree(slides, tmp_path / name / "slides")
        return tmp_path / name

    return make


COMMANDS = {
    "practice": ["practice", "made", "--slides-per-subtype", "1", "--images", "2"],
    "run": ["run", "--data", "slides", "--results", "made", *SMALL],
    "run by two workers": ["run", "--data", "slides", "--results", "made", *SMALL, "--workers", "2"],
    "report": ["report", str(ROOT / "results" / "x400"), "--to", "made/page.html"],
}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_killed_command_is_finished_by_the_next_call(name, place):
    chance, words = random.Random(name), COMMANDS[name]
    calm, killed = place("calm"), place("killed")
    (calm / "made").mkdir(), (killed / "made").mkdir()
    began = time.monotonic()
    finish(start(calm, words))
    lasts = time.monotonic() - began
    expected, ends = everything(calm / "made"), 0
    while ends < KILLS:
        process = start(killed, words)
        try:
            process.wait(chance.uniform(0.05, 1) * lasts)
            finish(process)
            assert everything(killed / "made") == expected
            shutil.rmtree(killed / "made"), shutil.rmtree(killed / "cache", ignore_errors=True)
            (killed / "made").mkdir()
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            ends += 1
    finish(start(killed, words))
    assert everything(killed / "made") == expected
    assert everything(killed / "cache").keys() == everything(calm / "cache").keys()


def test_four_processes_that_start_the_same_run_do_the_work_once(place):
    calm, crowd = place("calm"), place("crowd")
    finish(start(calm, COMMANDS["run"]))
    told = [finish(process) for process in [start(crowd, COMMANDS["run"]) for _ in range(4)]]
    assert everything(crowd / "made") == everything(calm / "made")
    runs = json.loads((crowd / "made" / "run.json").read_text(encoding="utf-8"))["runs"]
    assert sum("best epoch" in line for one in told for line in one.splitlines()) == sum(
        run["reading"] == "block14" for run in runs
    )
