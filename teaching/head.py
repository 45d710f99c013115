"""A trained head as one small zip, to attach to a release: a record on practice slides, its head, and what they are.

    python -m teaching.head _build/head/record _build/head

`make head` trains it first. The zip is built output and is not committed.
"""

import shutil
import sys
from pathlib import Path

from breakhis_lib import __version__
from breakhis_lib.errors import InputError
from breakhis_lib.evaluation import records
from teaching import kit

NAME = "slide-to-softmax-head"
READ_ME = """# A trained head of From Slide to Softmax {version}

**{caution}**

What is here: the part of an Xception network that the course trains, for two labels, {classes}, and the record of that
training. The simulated slides are drawings that the course makes itself; no image of BreakHis was used, and none is in
this archive. The head says nothing about real tissue.

| | |
|---|---|
| trained on | {train} images of simulated slides, {at}, {size} pixels |
| split by | {protocol}: no image of a slide that was tested is among those trained on |
| reading of "top four layers" | {reading} |
| seed | {seed} |
| tested on | {test} images of {slides} slides, of which it called {right} right |
| made with | {versions} |
| command | `{command}` |

## To use it

Install the course; its page on set-up says how. Then, in the folder that holds this one:

    breakhis predict IMAGE --results {name} --maps maps
    breakhis demo --results {name}

The first prediction needs Xception's ImageNet weights, which `breakhis weights` fetches (84 MB, once). To have images
to ask about, `breakhis practice slides` draws some. `breakhis report {name}` shows how good the head is.

## Licence

MIT, the file LICENSE beside this one. The head began as the ImageNet weights for Xception that Keras publishes, by its
documentation under the MIT licence as well.
"""


def describe(record):
    """The README of a record with one run by slide on practice slides, as text. Raises InputError for another."""
    runs, info = record.info().get("runs", []), record.info()
    fits = len(runs) == 1 and runs[0]["protocol"] == "slide" and record.head_path(runs[0]).exists()
    if not fits or not record.is_simulated():
        raise InputError(
            f"{record.folder} is not a record of one run by slide on practice slides with its head; make one with "
            "`breakhis run --magnifications 200 --protocols slide --seeds 0`."
        )
    [run], session, tested = runs, info["sessions"][-1], record.predictions().query("set == 'test'")
    right = (tested.p_malignant >= 0.5) == (tested.label == 1)
    return READ_ME.format(
        **{name: run[name] for name in ("protocol", "reading", "seed")},
        version=__version__,
        caution=record.caution(),
        classes=" and ".join(info["classes"]),
        train=run["images"]["train"],
        test=len(tested),
        slides=tested.slide.nunique(),
        right=right.sum(),
        at=f"x{run['magnification']}",
        size=" by ".join(map(str, info["settings"]["size"])),
        versions=", ".join(f"{name} {version}" for name, version in session["versions"].items()),
        command=session["command"],
        name=NAME,
    )


def write(record, folder):
    """Write the zip into a folder; returns its path. Raises InputError as `describe`."""
    parts, path = folder / NAME, folder / f"{NAME}-{__version__}.zip"
    read_me = describe(record)
    shutil.rmtree(parts, ignore_errors=True)
    shutil.copytree(record.folder, parts, ignore=shutil.ignore_patterns(".*"))
    (parts / "README.md").write_text(read_me, encoding="utf-8")
    shutil.copy2(kit.ROOT / "LICENSE", parts)
    kit.pack(parts, path, NAME)
    shutil.rmtree(parts)
    return path


def main():
    """Write the zip of a record into a folder."""
    if len(sys.argv) != 3:
        sys.exit("usage: python -m teaching.head RECORD FOLDER")
    try:
        path = write(records.Record(sys.argv[1]), Path(sys.argv[2]))
    except InputError as error:
        sys.exit(f"Error: {error}")
    print(f"The head: {path}, {path.stat().st_size / 1e6:.0f} MB. Unpacked, `breakhis predict IMAGE --results {NAME}`.")


if __name__ == "__main__":
    main()
