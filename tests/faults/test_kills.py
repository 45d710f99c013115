"""SIGKILL at random moments: the next call finishes, what it makes is whole, and nothing else is left.

    FAULTS=20 python -m pytest tests/faults/test_kills.py

kills each command so many times, which takes about half an hour. In the tests of every change this would be too long;
workers and downloads that are killed are tested there (tests/test_workers.py, tests/data/test_download.py), and what a
kill between two writes leaves (tests/evaluation/test_records.py, tests/faults/test_places.py).
"""

import contextlib
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

from breakhis_lib import workers
from breakhis_lib.evaluation import records
from tests.data import test_download
from tests.page_rules import ROOT
from tests.test_workers import without_times

KILLS = int(os.environ.get("FAULTS", 0))
pytestmark = [
    pytest.mark.skipif(not KILLS, reason="takes minutes: FAULTS=20 kills each command 20 times"),
    pytest.mark.timeout(3600),
]
SMALL = ["--size", "96", "--epochs", "3", "--seeds", "0,1", "--magnifications", "40", "--protocols", "image,slide"]
# The command line, but for the address of the weights, which a test may serve itself.
COMMAND_LINE = """
import os
from breakhis_lib import cli
from breakhis_lib.model import weights
weights.KERAS_URL = os.environ.get("KERAS_URL", weights.KERAS_URL)
cli.main()
"""
server = test_download.server  # a fixture


def start(folder, words):
    command = [sys.executable, "-c", COMMAND_LINE, *words]
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
        (tmp_path / name / "made").mkdir()
        return tmp_path / name

    return make


@pytest.fixture
def serve(server, weights_file, monkeypatch):
    """A function (name of a command, folder) to a context: what the command needs runs, and words that it needs."""

    @contextlib.contextmanager
    def running(name, folder):
        if name == "weights":
            server.body, server.tag = weights_file.read_bytes(), '"weights"'
            monkeypatch.setenv("KERAS_URL", server.url)
            monkeypatch.delenv("BREAKHIS_WEIGHTS", raising=False)
        if name != "run on Dask":
            yield []
            return
        distributed = pytest.importorskip("distributed", reason="Dask is not installed: pip install '.[cluster]'")
        place = {"BREAKHIS_CACHE": str(folder / "cache"), "BREAKHIS_WEIGHTS": str(weights_file)}
        alone = {"threads_per_worker": 1, "env": {**workers.ONE_THREAD, **place}}
        with distributed.LocalCluster(2, dashboard_address=None, processes=True, **alone) as cluster:
            yield ["--scheduler", cluster.scheduler_address]

    return running


ON_SLIDES = ["run", "--data", "slides", "--results", "made"]
COMMANDS = {  # fmt: skip
    "practice": ["practice", "made", "--slides-per-subtype", "1", "--images", "2"],
    "weights": ["weights"],
    # Eight views an image, so that most of the time goes into features: sixteen batches of them.
    "features": [
        *ON_SLIDES,
        "--size",
        "128",
        "--augment",
        "--readings",
        "logistic",
        "--protocols",
        "slide",
        "--seeds",
        "0",
    ],
    "run": [*ON_SLIDES, *SMALL],
    "run by two workers": [*ON_SLIDES, *SMALL, "--workers", "2"],
    "run on Dask": [*ON_SLIDES, *SMALL],
    "report": ["report", str(ROOT / "results" / "x400"), "--to", "made/page.html"],
}


def made(folder):
    """What a command made: its results and what it put into the cache."""
    return {name: everything(folder / name) for name in ("made", "cache")}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_killed_command_is_finished_by_the_next_call(name, place, serve):
    chance, calm, killed = random.Random(name), place("calm"), place("killed")
    with serve(name, calm) as more:
        began = time.monotonic()
        finish(start(calm, COMMANDS[name] + more))
        lasts = time.monotonic() - began
    expected, ends = made(calm), 0
    with serve(name, killed) as more:
        while ends < KILLS:
            process = start(killed, COMMANDS[name] + more)
            try:
                process.wait(chance.uniform(0.05, 1) * lasts)
                finish(process)
                assert made(killed) == expected
                idle(more)
                shutil.rmtree(killed / "made"), shutil.rmtree(killed / "cache", ignore_errors=True)
                (killed / "made").mkdir()
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate()
                ends += 1
        finish(start(killed, COMMANDS[name] + more))
        idle(more)
    assert made(killed) == expected


def idle(more):
    """Wait until the workers of a cluster do nothing: they go on with what a client began that was killed."""
    if more:
        from distributed import Client

        with Client(more[1]) as client:
            while any(client.run(lambda dask_worker: len(dask_worker.state.tasks)).values()):
                time.sleep(0.1)


def test_four_processes_that_start_the_same_run_do_the_work_once(place):
    calm, crowd = place("calm"), place("crowd")
    finish(start(calm, COMMANDS["run"]))
    told = [finish(process) for process in [start(crowd, COMMANDS["run"]) for _ in range(4)]]
    assert everything(crowd / "made") == everything(calm / "made")
    runs = json.loads((crowd / "made" / "run.json").read_text(encoding="utf-8"))["runs"]
    assert sum("best epoch" in line for one in told for line in one.splitlines()) == sum(
        run["reading"] == "block14" for run in runs
    )
