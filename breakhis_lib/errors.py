"""The one kind of error that a user can mend: bad input, a missing file, a value out of range."""

from pathlib import Path


class InputError(ValueError):
    """Something the user gave cannot be used.

    The message names the file or value, says what was expected and what to do next; the command
    line prints it without a traceback.
    """


def write_page(path, page):
    """Write the text of a page. Returns its path; raises InputError where it cannot be written."""
    path = Path(path)
    try:
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error.strerror}); choose another place with --to.") from None
    return path
