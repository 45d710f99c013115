"""What a published copy gets: buttons and links that name existing files, and a cell that works in Colab alone."""

import json
import os
import subprocess
import sys
from importlib import metadata

import pytest
import yaml

import breakhis_lib
from teaching import publish
from tests.page_rules import ROOT

ADDRESS = "https://github.com/OWNER/NAME"


@pytest.fixture
def course(tmp_path):
    """A clone of the course as a git repository of its own."""
    subprocess.run(["git", "clone", "--quiet", "--depth=1", ROOT.as_uri(), tmp_path / "course"], check=True)
    return tmp_path / "course"


def first_cell(path):
    return next(cell for cell in json.loads(path.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code")


def test_a_published_copy_has_buttons_and_one_colab_cell_a_chapter(course):
    publish.prepare(course, f"{ADDRESS}.git")  # as a remote is often written
    publish.prepare(course, ADDRESS)
    config = yaml.safe_load((course / "_config.yml").read_text(encoding="utf-8"))
    assert config["repository"]["url"] == ADDRESS
    assert config["repository"]["branch"] == publish.BRANCH
    assert f"git checkout -B {publish.BRANCH}" in (ROOT / ".github" / "workflows" / "book.yml").read_text(
        encoding="utf-8"
    )
    assert set(config["launch_buttons"]) == {"notebook_interface", "binderhub_url", "colab_url"}
    set_up = (course / "chapters" / "set_up.md").read_text(encoding="utf-8")
    assert f"`git clone {ADDRESS}`; or" in set_up and "ADDRESS" not in set_up
    for path in (course / "chapters").glob("*.ipynb"):
        sources = ["".join(cell["source"]) for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]]
        assert sources[0].startswith("# In Colab")
        assert ADDRESS in sources[0]
        assert sum("google.colab" in source for source in sources) == 1


def test_the_colab_cell_does_nothing_elsewhere(tmp_path):
    cell = publish.COLAB.format(branch="launch", address=ADDRESS, packages="")
    code = f"import os\nbefore = os.getcwd()\n{cell}\nassert os.getcwd() == before"
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("numpy", "restart"), [(metadata.version("numpy"), False), ("1.0", True)])
def test_the_colab_cell_fetches_the_course_and_finds_its_records(course, tmp_path, numpy, restart):
    subprocess.run(["git", "branch", publish.BRANCH], cwd=course, check=True)
    cell = publish.COLAB.format(branch=publish.BRANCH, address=course.as_uri(), packages=publish.packages(course))
    code = f"""
import subprocess, sys, types
sys.modules["google.colab"] = types.ModuleType("google.colab")
run = subprocess.run
installed = []
subprocess.run = lambda command, **options: installed.append(command) if "pip" in command else run(command, **options)
sys.modules["numpy"] = types.SimpleNamespace(__version__="{numpy}")
{cell}
del sys.modules["numpy"]
from breakhis_lib.evaluation import records
assert records.named("breakhis-subset").exists()
assert installed[0][5].startswith("filelock==") and not [word for word in installed[0] if word.startswith("ipy")]
assert installed[1][-2:] == ["--editable", COURSE]
"""
    environment = {"COURSE": str(tmp_path / "fetched"), "PATH": "/usr/bin:/bin"}
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, check=True, capture_output=True)
    assert (b"Restart session" in done.stdout) == restart


@pytest.mark.parametrize(
    "address", ["github.com/OWNER/NAME", "https://example.org/OWNER/NAME", "https://github.com/OWNER"]
)
def test_another_address_is_refused(course, address):
    with pytest.raises(ValueError, match="expected https://github.com/OWNER/NAME"):
        publish.prepare(course, address)


def test_binder_gets_what_the_chapters_need():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    pip = next(entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict))
    assert pip == ["-r locks/course.txt"]
    last = (ROOT / "postBuild").read_text(encoding="utf-8").splitlines()[-1]
    assert last == "pip install --no-deps --no-build-isolation --editable ."
    assert os.access(ROOT / "postBuild", os.X_OK)  # or Binder does not run it


def test_the_version_to_cite_is_the_librarys():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    assert citation["version"] == breakhis_lib.__version__
    assert citation["title"] == config["title"]
    assert citation["authors"] == [{"name": config["author"]}]
