"""Runs trained by several processes: the same record as one process makes, whatever ends a worker."""

import json
import os
import signal
import time

import pandas as pd
import psutil
import pytest

from breakhis_lib import experiment, workers
from breakhis_lib.errors import InputError
from breakhis_lib.model.readings import Settings
from tests.conftest import SMALL, cache_in

PLAN = experiment.Plan(
    (40,), ("image", "slide"), ("block14", "colour"), (0, 1), Settings(epochs=3, batch_size=4), SMALL
)


@pytest.fixture(scope="module")
def one_process(slides, weights_file, tmp_path_factory):
    """The record of PLAN, trained by one process with one thread; and the cache that holds the features."""
    folder = tmp_path_factory.mktemp("one")
    with cache_in(folder, weights_file), workers.Processes(1) as executor:
        yield experiment.run(slides, folder / "record", PLAN, executor=executor)


def without_times(record, *others):
    left_out = {"seconds", *others}
    runs = [{name: value for name, value in run.items() if name not in left_out} for run in record.info()["runs"]]
    return sorted(map(json.dumps, runs))


def assert_same(record, expected):
    for name in ("predictions.csv", "splits.csv", "history.csv", "heads/images.csv"):
        assert (record.folder / name).read_bytes() == (expected.folder / name).read_bytes(), name
    assert without_times(record) == without_times(expected)
    assert {path.name for path in (record.folder / "heads").iterdir()} == {
        path.name for path in (expected.folder / "heads").iterdir()
    }


@pytest.mark.weights
def test_another_number_of_threads_changes_the_last_decimal_at_most(one_process, slides, tmp_path):
    record = experiment.run(slides, tmp_path / "record", PLAN)  # this process, with all of the processor's threads
    assert without_times(record) == without_times(one_process)
    for name in ("predictions.csv", "history.csv"):  # a processor may add in another order with other threads
        here, there = (pd.read_csv(one.folder / name) for one in (record, one_process))
        pd.testing.assert_frame_equal(here, there, atol=1e-5, rtol=0)


class EndsAWorker(experiment.Watcher):
    """Ends one process of those that train, as a short memory would, when the first run is done."""

    def __init__(self, find):
        self.find, self.ended, self.lines = find, [], []

    def say(self, message):
        self.lines.append(message)
        if "best epoch" in message and not self.ended:
            self.ended.append(self.find())
            os.kill(self.ended[0], signal.SIGKILL)


def child(word):
    """A process that this one started, whose command line holds a word."""
    below = psutil.Process().children(recursive=True)
    return max(process.pid for process in below if any(word in part for part in process.cmdline()))


@pytest.mark.weights
def test_two_processes_make_the_record_of_one_though_one_is_killed(one_process, slides, tmp_path):
    watcher = EndsAWorker(lambda: child("loky"))
    with workers.executor(2) as executor:
        record = experiment.run(slides, tmp_path / "record", PLAN, watcher=watcher, executor=executor)
    assert watcher.ended
    assert_same(record, one_process)
    assert sum("best epoch" in line for line in watcher.lines) == 8


@pytest.mark.weights
def test_a_dask_cluster_makes_the_record_of_one_process_though_a_worker_is_killed(one_process, slides, tmp_path):
    distributed = pytest.importorskip("distributed", reason="Dask is not installed: pip install '.[cluster]'")
    alone = {"threads_per_worker": 1, "env": workers.ONE_THREAD}
    with distributed.LocalCluster(2, dashboard_address=None, processes=True, **alone) as cluster:
        pids = distributed.Client(cluster).run(os.getpid)
        watcher = EndsAWorker(lambda: next(iter(pids.values())))
        with workers.executor(scheduler=cluster.scheduler_address) as executor:
            record = experiment.run(slides, tmp_path / "record", PLAN, watcher=watcher, executor=executor)
    assert watcher.ended
    assert_same(record, one_process)


def once_killed(folder, name):
    """Note the call; the first of that name ends its process."""
    calls = len(list(folder.glob(f"{name}-*")))
    (folder / f"{name}-{calls}").touch()
    if name == "killed" and calls == 0:
        time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.7)
    return name


def test_a_killed_process_costs_its_own_call_only(tmp_path):
    with workers.executor(2) as executor:
        futures = [executor.submit(once_killed, tmp_path, name) for name in ("killed", "beside", "next")]
        assert [future.result() for future in futures] == ["killed", "beside", "next"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["beside-0", "killed-0", "killed-1", "next-0"]


def always_killed():
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_call_that_ends_every_process_is_given_up():
    gives_up = pytest.raises(InputError, match="ended 3 times over the same run.*fewer --workers")
    with gives_up, workers.executor(2) as executor:
        executor.submit(always_killed).result()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [((0,), "workers is 0; expected 1 or more"), ((1, "tcp://127.0.0.1:9"), "no Dask scheduler answers at tcp://127")],
)
def test_what_cannot_work_is_named(arguments, message, monkeypatch):
    monkeypatch.setattr(workers, "PATIENCE", 1)
    with pytest.raises(InputError, match=message), workers.executor(*arguments):
        pass


def test_one_worker_is_this_process():
    with workers.executor(1) as executor:
        assert executor is None
