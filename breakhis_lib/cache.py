"""The user's cache: weights, features and practice slides, made once and used by every run."""

import os
from pathlib import Path

import pooch

from breakhis_lib.errors import InputError


def folder():
    """The cache folder: the environment variable BREAKHIS_CACHE, or the system's cache folder for `breakhis`."""
    try:
        return Path(os.environ.get("BREAKHIS_CACHE") or pooch.os_cache("breakhis"))
    except RuntimeError:
        raise InputError("this user has no home for the cache; set BREAKHIS_CACHE to a folder of its own.") from None
