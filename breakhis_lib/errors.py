"""The one kind of error that a user can mend: bad input, a missing file, a value out of range; and whole files."""

import contextlib
import glob
import os
from pathlib import Path

import psutil


class InputError(ValueError):
    """Something the user gave cannot be used.

    The message names the file or value, says what was expected and what to do next; the command
    line prints it without a traceback.
    """


@contextlib.contextmanager
def whole(path):
    """A context to write a file whole or not at all: under the name that it gives, which becomes `path` at the end.

    path: of the file; what is no file, such as /dev/stdout, is written as it is. What a killed process left goes.
    """
    path = Path(os.path.realpath(path))
    if path.exists() and not path.is_file():
        yield path
        return
    for left in path.parent.glob(f".partial-*-{glob.escape(path.name)}"):
        if not psutil.pid_exists(int(left.name.split("-")[1])):
            left.unlink(missing_ok=True)
    partial = path.with_name(f".partial-{os.getpid()}-{path.name}")
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def write_page(path, page):
    """Write the text of a page. Returns its path; raises InputError where it cannot be written."""
    path = Path(path)
    try:
        with whole(path) as partial:
            partial.write_text(page, encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error.strerror}); choose another place with --to.") from None
    return path
