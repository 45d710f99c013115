"""One zip with the whole course for a room without a network: pages, notebooks, slides, weights, a head, packages.

    python -m teaching.kit --system windows --python 3.12

`make kit` makes all that goes into it first. The packages are those of locks/course.txt, for one system and one
Python, whatever machine collects them; pip checks their hashes now, and again in the room.
"""

import argparse
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from packaging.markers import Marker

from locks import lock
from teaching import editions, slides

ROOT = Path(__file__).parents[1]
MANYLINUX = [f"manylinux_2_{minor}" for minor in (5, 12, 17, 24, 26, 27, 28)] + ["manylinux2014", "manylinux1"]
SYSTEMS = {  # what the packages' markers ask of a system, and the names that pip gives to its builds
    "linux": ("Linux", "linux", "posix", "x86_64", [f"{name}_x86_64" for name in MANYLINUX]),
    "linux-arm": ("Linux", "linux", "posix", "aarch64", [f"{name}_aarch64" for name in MANYLINUX]),
    "macos": ("Darwin", "darwin", "posix", "arm64", [f"macosx_{major}_0_arm64" for major in range(11, 16)]),
    "windows": ("Windows", "win32", "nt", "AMD64", ["win_amd64"]),
}
VERSIONS = {"3.11": "3.11.9", "3.12": "3.12.9", "3.13": "3.13.2"}  # full ones, which markers compare
START = """<!doctype html><html lang="en"><meta charset="utf-8"><title>From Slide to Softmax</title>
<style>body {{ font: 1.1rem/1.6 sans-serif; max-width: 42rem; margin: 3rem auto; padding: 0 1rem }}
pre {{ background: #eee; color: #222; padding: .7rem; overflow: auto }}</style>
<h1>From Slide to Softmax</h1>
{read}<p><b>To run the chapters</b>, with Python {python} on {system}, in a terminal in this folder (a few minutes):</p>
<pre>{install}
{lab}</pre>
<p><b>To ask the head that comes along</b> about a simulated image:</p>
<pre>{ask}</pre>
<p>Nothing here asks for a network. Not for clinical use.</p></html>
"""
READ = """<p><b>To read</b>: <a href="pages/index.html">open the book</a>. Nothing needs to be installed.
<b>To teach</b>: <a href="slides/index.html">slides for each chapter</a>.</p>
"""
TELLS = ("chapters/quiz/", "chapters/instructors.md", "tests/", "locale/", "teaching/")  # what a solution stands in
POSIX = """#!/bin/sh
# Installs the course from this folder alone, into the folder .venv beside this file.
set -e
cd "$(dirname "$0")"
python{python} -m venv .venv
.venv/bin/python -m pip install --quiet --no-index --find-links wheels --no-deps -r course/locks/course.txt
.venv/bin/python -m pip install --quiet --no-index --no-deps --no-build-isolation --editable course
"""
WINDOWS = """@echo off
rem Installs the course from this folder alone, into the folder .venv beside this file.
cd /d "%~dp0"
set PIP_NO_INDEX=1
py -{python} -m venv .venv || exit /b 1
.venv\\Scripts\\python -m pip install --quiet --find-links wheels --no-deps -r course\\locks\\course.txt || exit /b 1
.venv\\Scripts\\python -m pip install --quiet --no-deps --no-build-isolation --editable course
"""


def packages(system, python):
    """The packages of locks/course.txt that this system and Python need: lines for pip, without markers."""
    platform, sys_platform, os_name, machine, _ = SYSTEMS[system]
    there = {"platform_system": platform, "sys_platform": sys_platform, "os_name": os_name, "platform_machine": machine}
    there |= {"python_version": python, "python_full_version": VERSIONS[python], "implementation_name": "cpython"}
    there |= {"platform_python_implementation": "CPython", "extra": ""}
    for block in lock.layer("course").values():
        package, marker, hashes = re.match(r"(\S+)(?: ; ([^\\]+))? \\\n(.*)", block, flags=re.DOTALL).groups()
        if marker is None or Marker(marker).evaluate(there):
            yield f"{package} \\\n{hashes}"


def download(system, python, folder):
    """Fetch the packages' wheels into a folder."""
    folder.mkdir(parents=True)
    chosen = folder.parent / "packages.txt"
    chosen.write_text("".join(packages(system, python)), encoding="utf-8")
    tags = [word for tag in [*SYSTEMS[system][-1], "any"] for word in ("--platform", tag)]
    asked = ["--only-binary=:all:", "--no-deps", "--require-hashes", "--python-version", VERSIONS[python], *tags]
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", *asked]
    if subprocess.run([*pip, "--dest", folder, "--requirement", chosen]).returncode:
        sys.exit(f"kit: pip could not fetch all packages for {system} and Python {python}; what it says stands above.")


def assemble(system, python, parts, student=False):
    """Lay the kit out in the folder `parts`, which holds pages (not for students), cache, head and wheels already."""
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in filter(None, tracked.split("\0")):
        if (ROOT / name).exists() and not (student and name.startswith(TELLS)):
            (parts / "course" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, parts / "course" / name)
    if student:
        editions.write("student", parts / "course")
    else:
        slides.write(parts / "slides")
    windows = system == "windows"
    script, text = ("install.bat", WINDOWS) if windows else ("install.sh", POSIX)
    (parts / script).write_text(text.format(python=python), encoding="utf-8", newline="\r\n" if windows else "\n")
    there, slash = (".venv\\Scripts\\", "\\") if windows else (".venv/bin/", "/")
    image = next(path for path in sorted((parts / "cache").rglob("*.png")) if "-200-" in path.name).relative_to(parts)
    home = "set BREAKHIS_CACHE=cache\n" if windows else "export BREAKHIS_CACHE=$PWD/cache\n"
    page = START.format(
        read="" if student else READ,
        python=python,
        system=system,
        install=script if windows else f"sh {script}",
        lab=f"{home}{there}jupyter lab course{slash}chapters",
        ask=f"{home}{there}breakhis predict {str(image).replace('/', slash)} --results head",
    )
    (parts / "start.html").write_text(page, encoding="utf-8")


def pack(parts, path, folder="slide-to-softmax"):
    """Write the zip, all of it in one folder; wheels, images and weights gain nothing by being compressed."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as kit:
        for file in sorted(path for path in parts.rglob("*") if path.is_file()):
            method = zipfile.ZIP_STORED if file.suffix in {".whl", ".png", ".h5"} else zipfile.ZIP_DEFLATED
            kit.write(file, Path(folder) / file.relative_to(parts), method)


def main():
    """Collect everything into _build/kit/<system>-<python>.zip."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--system", choices=SYSTEMS, required=True)
    parser.add_argument("--python", choices=VERSIONS, required=True)
    parser.add_argument("--pages", type=Path, required=True, help="the rendered book")
    parser.add_argument("--cache", type=Path, required=True, help="a cache with practice slides and weights")
    parser.add_argument("--head", type=Path, required=True, help="a record with its trained heads")
    parser.add_argument("--to", type=Path, required=True, help="where the zip goes")
    parser.add_argument("--student", action="store_true", help="without solutions, slides and pages, which hold them")
    options = parser.parse_args()
    parts = options.to.with_suffix("")
    shutil.rmtree(parts, ignore_errors=True)
    if not options.student:
        shutil.copytree(options.pages, parts / "pages")
    shutil.copytree(options.cache / "practice", parts / "cache" / "practice")  # and nothing else that lies there
    for weights in options.cache.glob("xception*.h5"):
        shutil.copy2(weights, parts / "cache")
    shutil.copytree(options.head, parts / "head", ignore=shutil.ignore_patterns(".lock*", ".session*"))
    print(f"Packages for {options.system}, Python {options.python} ...", flush=True)
    download(options.system, options.python, parts / "wheels")
    assemble(options.system, options.python, parts, options.student)
    pack(parts, options.to)
    shutil.rmtree(parts)
    print(f"The kit: {options.to}, {options.to.stat().st_size / 1e6:.0f} MB. Unpack it and open start.html.")


if __name__ == "__main__":
    main()
