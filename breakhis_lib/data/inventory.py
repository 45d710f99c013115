"""Is a folder of images whole and sound? What is missing, damaged, misplaced or there twice, as data.

`dataset.scan` stops at the first thing that is wrong; this looks at every file, decodes it, and lists
all that was found. Nothing is changed and nothing is printed.
"""

import hashlib
import os
import re
from concurrent.futures import ThreadPoolExecutor
from importlib import resources
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from breakhis_lib.data import dataset, folders, images
from breakhis_lib.data.dataset import TWIN_SLIDE
from breakhis_lib.errors import InputError

COLUMNS = ["file", "path", "kind", "group", "detail"]
# Kind of finding: its meaning, in the order in which they are told.
KINDS = pd.read_csv(resources.files(__package__) / "findings.csv", index_col="kind").meaning.to_dict()
SIZE = (700, 460)  # width and height in pixels (the data set's own page)
OTHER_SIZES = {("PC", "14", "12465"): (700, 456)}  # the one slide that differs
MODES = {"1": "black and white", "L": "grey", "P": "a palette", "CMYK": "CMYK", "RGBA": "RGB with alpha"}


class Report(NamedTuple):
    """What `inspect` found."""

    folder: Path
    layout: str  # "breakhis", "simulated" (practice slides), or "classes" (one sub-folder a class)
    counts: dict  # how many of what: the images, and one entry a kind of finding
    findings: pd.DataFrame  # one row a finding, with COLUMNS; group numbers equal images, 0 elsewhere


class _Look(NamedTuple):
    """What one file turned out to be; no pixels are kept."""

    path: Path
    trouble: str = ""
    format: str = ""
    mode: str = ""
    size: tuple = ()
    pages: int = 1
    marked: bool = False  # carries the mark of a simulated image
    digest: str = ""


def inspect(folder, progress=lambda done, total: None):
    """Look at every image of a folder.

    folder: BreakHis in its own layout at any depth, practice slides, or one sub-folder a class.
    progress: called as progress(images done, images in all) after each image.
    Returns a Report. For BreakHis every kind of KINDS is looked for; for practice slides all but
    missing and twin; for a folder of classes only unreadable, extension, mode, duplicate, refused and unused.
    Raises InputError when the folder is missing, cannot be read, or holds no image.
    """
    folder, rows = Path(folder), []

    def closed(error):
        why = f"is a folder that cannot be listed ({error.strerror}); the images in it were not seen"
        rows.append(_row(Path(error.filename), "unreadable", why))

    paths = [path for path in dataset.walk(folder, closed) if path.suffix.lower() in images.EXTENSIONS]
    named = [path for path in folder.rglob("*") if path.suffix.lower() in images.EXTENSIONS and path.is_dir()]
    rows += [_row(path, "unreadable", "is a folder, not an image") for path in named]
    if not paths and not rows:
        raise InputError(f"{folder} holds no image; expected PNG, JPEG or TIFF files in it or below it.")
    names = {path: dataset.parse_name(path.name) for path in paths}
    simulated = [dataset.is_simulated(name) for name in names.values() if name]
    layout = "classes" if not simulated else "simulated" if all(simulated) else "breakhis"
    looks, pool = [], ThreadPoolExecutor(min(4, os.cpu_count() or 1))  # decoding and hashing leave Python's lock
    try:
        for look in pool.map(_look, paths):
            looks.append(look)
            rows += _content_findings(look)
            progress(len(looks), len(paths))
    finally:
        pool.shutdown(cancel_futures=True)  # an interrupted call stops now, not after thousands of images
    counts = {"images": len(paths), "readable": sum(not look.trouble for look in looks)}
    if layout == "classes":
        rows += _what_run_would_say(folder)
        rows += _duplicates(looks, {path: path.relative_to(folder).parts[0] for path in paths})
    else:
        rows += _name_findings(folder, looks, names, layout)
        twins, twin_counts = _twins(looks) if layout == "breakhis" else ([], {})
        counts |= twin_counts
        rows += twins + _duplicates(looks, {path: name["label_name"] for path, name in names.items() if name})
    if layout == "breakhis":
        official, present = set(dataset.official().file), {path.with_suffix(".png").name for path in paths}
        counts |= {"official": len(official), "official_present": len(official & present)}
        for file in sorted(official - present):
            rows.append(_row(None, "missing", f"expected as {dataset.official_path(file).as_posix()}", file))
    findings = pd.DataFrame(rows, columns=COLUMNS)
    if layout == "classes":
        findings["file"] = [folders.plain(Path(path).relative_to(folder).as_posix()) for path in findings.path]
    findings["kind"] = pd.Categorical(findings.kind, categories=list(KINDS), ordered=True)
    findings = findings.sort_values(["kind", "group", "file"], ignore_index=True, kind="stable")
    counts["duplicate_groups"] = findings.group.nunique() - int((findings.group == 0).any())
    return Report(folder, layout, counts | findings.kind.value_counts(sort=False).to_dict(), findings)


def _what_run_would_say(folder):
    try:
        left_out = dataset.survey(folder)[1]
    except InputError as error:
        return [_row(folder, "refused", str(error))]
    return [_row(folder / row.file, "unused", row.reason) for row in left_out.itertuples()]


def pixel_digest(pixels):
    """SHA-256 over an image's shape and bytes, as hexadecimal text; equal for equal pixels in any file format.

    pixels: uint8 array of shape (height, width, 3).
    """
    return hashlib.sha256(str(pixels.shape).encode() + b"\0" + pixels.tobytes()).hexdigest()


def _row(path, kind, detail, file=None, group=0):
    path_text = "" if path is None else str(path)
    return {"file": file or path.name, "path": path_text, "kind": kind, "group": group, "detail": detail}


def _look(path):
    try:
        with images.open_image(path) as image:
            pages = getattr(image, "n_frames", 1) if image.format == "TIFF" else 1
            header = {"format": image.format, "mode": _stored_mode(image), "size": image.size, "pages": pages}
            marked = "Simulated" in image.info
        return _Look(path, marked=marked, digest=pixel_digest(images.read_image(path)), **header)
    except InputError as error:
        trouble = str(error).removeprefix(f"{path} ")
        if path.is_symlink() and not path.exists() and "does not exist" in trouble:
            trouble = f"is a link to {path.readlink()}, which does not exist"
        return _Look(path, trouble)


def _stored_mode(image):
    """How a file stores its pixels; Pillow calls 16-bit colour RGB, so its decoder's setting is asked as well."""
    settings = str(image.tile[0][3]) if image.tile else ""
    if "16" in image.mode or ";16" in settings:
        kind = "grey" if image.mode[0] in "IL" else image.mode
        return f"16-bit {kind} (white is taken as the most that 8, 10, 12, 14 or 16 bits hold, whichever fits)"
    return image.mode if image.mode == "RGB" else MODES.get(image.mode, f"mode {image.mode}")


def _content_findings(look):
    """What is wrong with a file whatever its name."""
    path = look.path
    if look.trouble:
        return [_row(path, "unreadable", look.trouble)]
    rows = []
    if look.format != images.FORMATS[path.suffix.lower()] and look.format != "MPO":  # a phone's JPEG
        rows.append(_row(path, "extension", f"is named {path.suffix} but is a {look.format} file"))
    if look.mode != "RGB":
        rows.append(_row(path, "mode", f"is stored as {look.mode}; it is converted to RGB when read"))
    if look.pages > 1:
        rows.append(_row(path, "pages", f"holds {look.pages} pages; one of {'x'.join(map(str, look.size))} is read"))
    return rows


# A folder that says something about its images: a class, subtype, slide or magnification.
_FOLDER = re.compile("|".join([*dataset.CLASSES, *dataset.SUBTYPES.values(), r"SOB_.+", r"(?:40|100|200|400)X"]), re.I)


def _name_findings(folder, looks, names, layout):
    """What contradicts the names, in BreakHis' layout: size, folder, and names that should not be there."""
    rows, official, first = [], set(dataset.official().file), {}
    for look in looks:
        path, name = look.path, names[look.path]
        simulated = look.marked or (name is not None and dataset.is_simulated(name))
        if layout == "breakhis" and simulated:
            rows.append(_row(path, "simulated", "is a simulated image, made by a program; it is not BreakHis"))
        elif path.with_suffix(".png").name not in official and not simulated:
            told = "bears no name of BreakHis" + ("" if name else "; `breakhis run` leaves it out")
            rows.append(_row(path, "extra", told))
        if name is None:
            continue
        if layout == "simulated" and not look.trouble and not look.marked:
            rows.append(_row(path, "unmarked", KINDS["unmarked"]))
        place = dataset.official_path(path.name)
        right = {part.lower() for part in place.parts}
        told = filter(_FOLDER.fullmatch, path.relative_to(folder).parts[:-1])
        wrong = [part for part in told if part.lower() not in right]
        if wrong:
            rows.append(_row(path, "place", f"lies in {', '.join(wrong)}; expected as {place.as_posix()}"))
        expected = OTHER_SIZES.get((name["subtype"], name["year"], name["slide"]), SIZE)
        if not look.trouble and look.size != expected:
            sizes = "x".join(map(str, look.size)), "x".join(map(str, expected))
            rows.append(_row(path, "size", "has {} pixels; {} were expected".format(*sizes)))
        if first.setdefault(path.stem, path) != path:
            rows.append(_row(path, "repeated", f"is there also as {first[path.stem]}"))
    return rows


def _twin(file):
    """The lobular name of a ductal image of the twin slide, whether or not such an image exists."""
    return file.replace("_DC-", "_LC-", 1)


def _twins(looks):
    """The images of slide 13412 that bear both names: rows, and counts of pairs that exist, are here, are equal."""
    names = dataset.official()
    names = set(names.file[names.slide == TWIN_SLIDE])
    pairs = sorted((file, _twin(file)) for file in names if "_DC-" in file and _twin(file) in names)
    by_name = {look.path.name: look for look in looks}
    rows, equal = [], 0
    for ductal, lobular in pairs:
        if ductal not in by_name or lobular not in by_name:
            continue
        one, other = by_name[ductal], by_name[lobular]
        verdict = "their pixels are identical" if one.digest == other.digest else "their pixels differ"
        if one.trouble or other.trouble:
            verdict = "they cannot be compared, since one cannot be read"
        equal += verdict.endswith("identical")
        rows.append(_row(one.path, "twin", f"is filed as {lobular} too; {verdict}"))
    return rows, {"twin_pairs": len(pairs), "twin_pairs_present": len(rows), "twin_pairs_identical": equal}


def _duplicates(looks, class_of):
    """Images with equal pixels, one row each, numbered by group; a lone pair of twins is left to `_twins`."""
    rows, number = [], 0
    by_digest = pd.DataFrame(looks, columns=_Look._fields).groupby("digest", sort=False).path.agg(list)
    for paths in by_digest.drop("", errors="ignore"):  # a file that cannot be read has none
        names = sorted(path.name for path in paths)
        if len(paths) < 2 or (len(paths) == 2 and TWIN_SLIDE in names[0] and names[1] == _twin(names[0]) != names[0]):
            continue
        number += 1
        classes = sorted({class_of[path] for path in paths if path in class_of})
        clash = f", under different classes ({', '.join(classes)})" if len(classes) > 1 else ""
        detail = f"is one of {len(paths)} images with the same pixels{clash}; the first is {paths[0]}"
        rows += [_row(path, "duplicate", detail, group=number) for path in paths]
    return rows
