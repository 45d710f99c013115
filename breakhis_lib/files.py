"""Files that are whole or not there, and folders that one process at a time writes into."""

import contextlib
import glob
import os
from pathlib import Path

import filelock
import psutil

from breakhis_lib.errors import InputError


@contextlib.contextmanager
def alone(lock, advice="choose another folder", waiting=None):
    """A context in which no other process is that names the same file `lock`, whose folder is made.

    advice: what to do where it cannot be written, for the InputError. waiting: called when another process is in.
    """
    held = filelock.FileLock(lock)
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        try:
            held.acquire(timeout=0 if waiting else -1)
        except filelock.Timeout:
            waiting()
            held.acquire()
    except OSError as error:
        raise InputError(f"{lock.parent} cannot be written ({error.strerror}); {advice}.") from None
    try:
        yield
    finally:
        held.release()


@contextlib.contextmanager
def whole(path, advice="free some space or choose another folder; what it held before is kept"):
    """A context to write a file whole or not at all: it gives another name, which becomes `path` at its end.

    path: of the file, whose folder is made; what is no file, such as /dev/null, is written as it is. What a process
    that was killed left of it goes. advice: what to do where it cannot be written, for the InputError.
    """
    real = Path(os.path.realpath(path))
    partial = real.with_name(f".partial-{os.getpid()}-{real.name}")
    try:
        if Path(path).exists() and not real.is_file():
            yield Path(path)
            return
        real.parent.mkdir(parents=True, exist_ok=True)
        for left in real.parent.glob(f".partial-*-{glob.escape(real.name)}"):
            writer, alive = int(left.name.split("-")[1]), psutil.process_iter(["status"])
            if not any(one.pid == writer and one.info["status"] != psutil.STATUS_ZOMBIE for one in alive):
                left.unlink(missing_ok=True)
        yield partial
        partial.replace(real)
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error.strerror or error}); {advice}.") from None
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)


def write_page(path, page):
    """Write the text of a page. Returns its path; raises InputError where it cannot be written."""
    with whole(path, "free some space or choose another place with --to") as partial:
        partial.write_text(page, encoding="utf-8")
    return Path(path)
