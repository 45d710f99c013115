"""What several tests need: simulated slides, ImageNet weights, a cache of their own."""

import contextlib
import os
import tempfile
from pathlib import Path

import pytest

os.environ.pop("MPLBACKEND", None)  # a user's own settings would change what the chapters print
os.environ.setdefault("IPYTHONDIR", tempfile.mkdtemp(prefix="ipython-"))

REAL = Path(__file__).parents[2] / "shared" / "data" / "breakhis_subset"
SMALL = (96, 96)  # pixels: the smallest images that keep Xception's five halvings meaningful, and seconds short


@pytest.fixture(scope="session")
def slides(tmp_path_factory):
    """Practice slides: one of each sub-type, two images at x40 and x200."""
    from breakhis_lib import practice

    folder = tmp_path_factory.mktemp("slides")
    return practice.make(folder, slides_per_subtype=1, images_per_magnification=2, magnifications=(40, 200), workers=1)


@pytest.fixture(scope="session")
def weights_file():
    """Xception's real ImageNet weights, fetched once into the user's cache."""
    from breakhis_lib.errors import InputError
    from breakhis_lib.model import weights

    try:
        return weights.locate()[0]
    except InputError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"no ImageNet weights here: {error}")


@contextlib.contextmanager
def cache_in(folder, weights_file):
    """A context with the cache in a folder and the weights at hand, for fixtures that outlive one test."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BREAKHIS_CACHE", str(folder / "cache"))
        patch.setenv("BREAKHIS_WEIGHTS", str(weights_file))
        yield


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    """An empty cache folder for one test."""
    monkeypatch.setenv("BREAKHIS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def ready(own_cache, weights_file, monkeypatch):
    """An empty cache, with the weights at hand."""
    monkeypatch.setenv("BREAKHIS_WEIGHTS", str(weights_file))
    return own_cache


@pytest.fixture(scope="session")
def real():
    """The folder of real BreakHis images that may stand beside the project."""
    if not REAL.is_dir():
        pytest.skip("the real BreakHis subset does not stand beside the project")
    return REAL
