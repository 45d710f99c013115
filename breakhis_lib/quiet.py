"""Silence for libraries that write to the process' standard error from C++ as they load."""

import contextlib
import os
import sys
import tempfile


@contextlib.contextmanager
def standard_error():
    """Hold file descriptor 2 while the block runs; what was written is shown only if the block fails."""
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.seek(0)
            os.write(kept, held.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)
