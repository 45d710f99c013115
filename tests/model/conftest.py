"""What several tests of this room need: a disk that is full."""

import contextlib

import pytest


@pytest.fixture
def full_disk():
    """A context in which no file can grow beyond so many bytes: writing more is the operating system's error."""
    resource = pytest.importorskip("resource", reason="no such limits on this system")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    @contextlib.contextmanager
    def limit(size):
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

    return limit
