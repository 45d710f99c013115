"""Prepare a copy of the course for one GitHub repository: launch buttons, and notebooks for Colab.

    python -m teaching.publish https://github.com/OWNER/NAME

writes the address into _config.yml, so that built pages carry Binder and Colab buttons, and puts a first cell into
every chapter that, in Colab, fetches the course and installs it. The workflow `book.yml` does this in its own copy,
which becomes the branch `launch` that the buttons open; what is committed has no such cell.
"""

import argparse
import re
import tomllib
from pathlib import Path

import nbformat
import yaml

from locks import lock

BRANCH = "launch"
LAUNCH_BUTTONS = {
    "notebook_interface": "jupyterlab",
    "binderhub_url": "https://mybinder.org",
    "colab_url": "https://colab.research.google.com",
}
COLAB = """# In Colab, this fetches the course and installs what it needs, in minutes; elsewhere it does nothing.
import os
import subprocess
import sys
from importlib import metadata

COURSE = os.environ.get("COURSE", "/content/course")
PACKAGES = "{packages}"
if "google.colab" in sys.modules:
    if not os.path.exists(COURSE):
        subprocess.run(["git", "clone", "--quiet", "--depth=1", "--branch={branch}", "{address}", COURSE], check=True)
        install = [sys.executable, "-m", "pip", "install", "--quiet"]
        subprocess.run([*install, *PACKAGES.split()], check=True)
        subprocess.run([*install, "--no-deps", "--editable", COURSE], check=True)
        loaded = {{name: sys.modules[name].__version__ for name in ("numpy", "pandas") if name in sys.modules}}
        if any(metadata.version(name) != version for name, version in loaded.items()):
            print("Now choose Runtime, Restart session, and run on from the next cell.")
    sys.path.insert(0, COURSE)
    os.chdir(COURSE + "/chapters")"""
BY_THE_RUNTIME = {"ipykernel", "ipython"}  # Colab works with its own


def packages(root):
    """What Colab installs: the packages that the chapters ask for, each as locks/ has it, with blanks between."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = [*project["dependencies"], *project["optional-dependencies"]["chapters"]]
    names = {re.match(r"[\w-]+", text)[0] for text in asked} - BY_THE_RUNTIME
    locked = lock.layer("course")
    return " ".join(re.match(r"\S+", locked[name])[0] for name in sorted(names))


def prepare(root, address):
    """Write the address into settings and set-up, the Colab cell into every chapter.

    root: folder of the course. address: of its GitHub repository, https://github.com/OWNER/NAME.
    Raises ValueError on another address.
    """
    address = address.rstrip("/").removesuffix(".git")
    if not re.fullmatch(r"https://github\.com/[\w.-]+/[\w.-]+", address):
        raise ValueError(f"{address} is no GitHub repository; expected https://github.com/OWNER/NAME")
    config = yaml.safe_load((root / "_config.yml").read_text(encoding="utf-8"))
    config["repository"] = {"url": address, "branch": BRANCH, "path_to_book": ""}
    config["launch_buttons"] = LAUNCH_BUTTONS
    (root / "_config.yml").write_text(yaml.safe_dump(config, allow_unicode=True, sort_keys=False), encoding="utf-8")
    page = root / "chapters" / "set_up.md"
    text = page.read_text(encoding="utf-8")
    text = re.sub(r" \(A published copy[^)]*\)", "", text)  # what is said where there is no address
    page.write_text(text.replace("ADDRESS", address), encoding="utf-8")
    source = COLAB.format(branch=BRANCH, address=address, packages=packages(root))
    for path in sorted((root / "chapters").glob("*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        cell = nbformat.v4.new_code_cell(source, id="colab", metadata={"tags": ["remove-cell"]})
        notebook.cells = [cell, *(kept for kept in notebook.cells if kept.id != "colab")]
        nbformat.write(notebook, path)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("address", help="https://github.com/OWNER/NAME")
    try:
        prepare(Path(__file__).parents[1], parser.parse_args().address)
    except ValueError as error:
        parser.error(str(error))
