"""The one kind of error that a user can mend: bad input, a missing file, a value out of range."""


class InputError(ValueError):
    """Something the user gave cannot be used.

    The message names the file or value, says what was expected and what to do next; the command
    line prints it without a traceback.
    """
