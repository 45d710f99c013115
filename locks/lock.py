"""Exact versions of everything, with hashes, for every system and Python that the course runs on.

    python -m locks.lock [--upgrade]

resolves what pyproject.toml asks for and writes three files, each of which begins with the one before it:

    pages.txt    renders the book from the stored outputs, without TensorFlow
    course.txt   adds what runs the chapters: the extra `book`
    tests.txt    adds what checks them: the extra `test`

Versions stay as they are where they still fit; --upgrade takes the newest that fit. Needs uv (pip install uv): pip
resolves for its own system alone. Plain pip installs from the files.
"""

import argparse
import re
import subprocess
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
LAYERS = {  # the file: extras, and what it does without
    "pages": (["book"], ["tensorflow", "keras", "h5py", "jupyterlab", "jupyterlab-myst"]),
    "course": (["book"], []),
    "tests": (["book", "test"], []),
}
OLDEST_PYTHON = re.search(
    r'requires-python = ">=([\d.]+)', (HERE.parent / "pyproject.toml").read_text(encoding="utf-8")
)[1]


def packages(text):
    """The blocks of a lock: a package's name, and its version, markers and hashes."""
    blocks = re.findall(r"^[a-z0-9].*?(?=^[a-z0-9]|\Z)", text, flags=re.MULTILINE | re.DOTALL)
    return {re.match(r"[\w.-]+", block)[0]: block for block in blocks}


def layer(name):
    """The packages of a lock and of the locks below it, as `packages` gives them."""
    text = (HERE / f"{name}.txt").read_text(encoding="utf-8")
    below = re.search(r"^-r (\w+)\.txt$", text, flags=re.MULTILINE)
    return (layer(below[1]) if below else {}) | packages(text)


def resolve(lock, *options):
    """Have uv write a lock, with what stands in it as the versions that are preferred."""
    subprocess.run(
        ["uv", "pip", "compile", "--quiet", "--universal", "--python-version", OLDEST_PYTHON, "--generate-hashes"]
        + ["--no-header", "--no-annotate", *options, HERE.parent / "pyproject.toml", "--output-file", lock],
        check=True,
    )
    return packages(lock.read_text(encoding="utf-8"))


def main(upgrade):
    """Write all layers."""
    with tempfile.TemporaryDirectory() as folder:
        whole, part = Path(folder, "whole.txt"), Path(folder, "part.txt")
        whole.write_text("".join(layer("tests").values()), encoding="utf-8")
        found = resolve(whole, "--extra=book", "--extra=test", *(["--upgrade"] if upgrade else []))
        below, written = "", set()
        for name, (extras, without) in LAYERS.items():
            excluded = Path(folder, "without.txt")
            excluded.write_text("\n".join(without), encoding="utf-8")
            part.unlink(missing_ok=True)
            extras = [f"--extra={extra}" for extra in extras]
            needed = resolve(part, *extras, f"--constraints={whole}", f"--excludes={excluded}").keys() - written
            blocks = "".join(found[package] for package in sorted(needed))
            (HERE / f"{name}.txt").write_text(below + blocks, encoding="utf-8")
            below, written = f"-r {name}.txt\n", written | needed


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--upgrade", action="store_true", help="take the newest versions that fit")
    main(parser.parse_args().upgrade)
