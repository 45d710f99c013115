"""The user's cache: weights, features and practice slides, made once and used by every run."""

import os
from pathlib import Path

import pooch


def folder():
    """The cache folder: the environment variable BREAKHIS_CACHE, or the system's cache folder for `breakhis`."""
    return Path(os.environ.get("BREAKHIS_CACHE") or pooch.os_cache("breakhis"))
