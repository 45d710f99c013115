"""The locks: exact versions with hashes of everything that is asked for, for every system and Python."""

import re
import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from locks import lock
from tests.page_rules import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def asked(*extras):
    """What pyproject.toml asks for, with these extras and those that they name."""
    texts = list(PROJECT["dependencies"])
    for extra in extras:
        texts += PROJECT["optional-dependencies"][extra]
    for requirement in map(Requirement, texts):
        if requirement.name == PROJECT["name"]:
            yield from asked(*requirement.extras)
        else:
            yield requirement


@pytest.mark.parametrize(("name", "extras"), [("course", ["book"]), ("tests", ["book", "test"])])
def test_what_the_project_asks_for_is_locked_in_a_version_that_fits(name, extras):
    packages = lock.layer(name)
    for requirement in asked(*extras):
        block = packages[canonicalize_name(requirement.name)]
        version = re.search(r"==([^\s;]+)", block)[1]
        assert version in requirement.specifier, f"{requirement} is locked at {version}: make lock"


def test_every_package_has_hashes_and_none_comes_from_elsewhere():
    for name, block in lock.layer("tests").items():
        assert re.match(r"[a-z0-9.-]+==[^\s;]+( ; [^\\]+)? \\\n( +--hash=sha256:[0-9a-f]{64}( \\)?\n)+\Z", block), name


def test_the_pages_need_no_tensorflow_and_the_others_need_the_build_tools():
    pages = lock.layer("pages")
    assert not {"tensorflow", "keras", "jupyterlab"} & pages.keys()
    assert {"setuptools", "wheel"} <= lock.layer("course").keys()  # the library itself is installed without isolation
    assert not {"jax", "playwright", "ruff"} & lock.layer("course").keys()


def test_systems_are_told_apart():
    packages = lock.layer("course")
    for name, system in {"colorama": "win32", "pywinpty": "nt", "appnope": "darwin"}.items():
        assert system in packages[name].splitlines()[0]
