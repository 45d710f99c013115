"""Who trains: processes of this machine, or the workers of a Dask cluster, as one concurrent.futures.Executor."""

import concurrent.futures
import contextlib
import signal
import threading

from breakhis_lib.errors import InputError

PATIENCE = 10  # seconds that a scheduler has to answer
TRIES = 3  # a run that ends its process as often is given up
ONE_THREAD = {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1", "OMP_NUM_THREADS": "1"}


@contextlib.contextmanager
def executor(workers=1, scheduler=None):
    """A context that gives an Executor: None for one worker, who is this process.

    workers: processes of this machine, each with one thread. scheduler: instead, the address of a Dask scheduler, such
    as tcp://10.0.0.1:8786; its workers must see the data, the record and the cache under the same paths. Raises
    InputError where the number is below one, or no scheduler answers.
    """
    if workers < 1:
        raise InputError(f"workers is {workers}; expected 1 or more.")
    if not scheduler:
        with Processes(workers) if workers > 1 else contextlib.nullcontext() as found:
            yield found
        return
    try:
        from distributed import Client
    except ImportError:
        raise InputError("--scheduler needs Dask: pip install 'breakhis-lib[cluster]'.") from None
    try:
        client = Client(scheduler, timeout=PATIENCE)
    except (OSError, ValueError) as error:
        raise InputError(
            f"no Dask scheduler answers at {scheduler} ({error}); start one with `dask scheduler`."
        ) from None
    with client, client.get_executor(pure=False) as found:
        yield found


class Processes(concurrent.futures.ThreadPoolExecutor):
    """So many processes, one a thread: one that dies is replaced and its call made again, the others go on."""

    def __init__(self, count):
        """Start a process when the first call is made."""
        super().__init__(count)
        self.pools, self.own = [], threading.local()

    def submit(self, function, /, *arguments):
        """See concurrent.futures.Executor."""
        return super().submit(self._call, function, arguments)

    def _call(self, function, arguments):
        from joblib.externals.loky import ProcessPoolExecutor, process_executor  # needs no guard in a user's script

        for _ in range(TRIES):
            if not hasattr(self.own, "pool"):
                self.own.pool = ProcessPoolExecutor(1, initializer=_ignore_stop, env=ONE_THREAD)
                self.pools.append(self.own.pool)
            try:
                return self.own.pool.submit(function, *arguments).result()
            except process_executor.BrokenProcessPool:
                del self.own.pool
        raise InputError(
            f"a worker was ended {TRIES} times over the same run; memory may be short: use fewer --workers."
        )

    def __exit__(self, kind, value, trace):
        """Wait for the processes; where an error or a stop came, end them."""
        self.shutdown(wait=False, cancel_futures=True)
        for pool in self.pools:
            pool.shutdown(kill_workers=kind is not None)


def _ignore_stop():
    """Leave Ctrl-C, which a terminal sends to all processes, to the one that started them."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
