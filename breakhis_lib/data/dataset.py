"""Which images there are: a folder becomes *fields*, a data frame with one row an image.

Two kinds of folder are understood. BreakHis' own layout, whatever the root above it, where the file
name says everything; and any folder with one sub-folder a class, the way to other images.

Source of the grammar: BreakHis' official names (Spanhol et al. 2016, doi 10.1109/TBME.2015.2496264).
"""

import hashlib
import lzma
import os
import re
from importlib import resources
from pathlib import Path

import pandas as pd

from breakhis_lib.data import folders, images
from breakhis_lib.errors import InputError

COLUMNS = [
    "file", "path", "magnification", "label", "label_name", "subtype", "year", "slide", "number", "sequence",
]  # fmt: skip
MAGNIFICATIONS = (40, 100, 200, 400)
CLASSES = ("benign", "malignant")
_SUBTYPES = pd.read_csv(resources.files(__package__) / "subtypes.csv", index_col="code")
SUBTYPES = _SUBTYPES["name"].to_dict()  # code: name of the folder
BENIGN_SUBTYPES = tuple(_SUBTYPES.index[_SUBTYPES["class"] == "benign"])
NAME = re.compile(
    r"SOB_(?:(?P<B>B)_(?P<benign>A|F|PT|TA)|M_(?P<malignant>DC|LC|MC|PC))"
    r"-(?P<year>\d\d)-(?P<slide>\w+)-(?P<magnification>40|100|200|400)-(?P<sequence>\d+)"
    r"\.(?i:png|jpe?g|tiff?)",
    re.ASCII,
)
FIRST_SIMULATED = 90001  # slide numbers of practice slides; BreakHis' own end at 29960
NO_MAGNIFICATION = folders.NO_MAGNIFICATION
TWIN_SLIDE = "13412"  # filed both as ductal (DC) and as lobular (LC), the same pictures under two names


def parse_name(file):
    """What a BreakHis file name says of its image.

    file: a name such as SOB_B_TA-14-16184-40-001.png, without folders; copies in other formats keep the name but for
    its ending.
    Returns a dictionary with file, magnification, label (0 benign, 1 malignant), label_name, subtype,
    year (two digits), slide (its identifier), number (the slide's digits, shared by 22549AB, CD and G)
    and sequence; or None when the name is not in the grammar.
    """
    match = NAME.fullmatch(file)
    if match is None:
        return None
    label = 0 if match["B"] else 1
    return {
        "file": file,
        "magnification": int(match["magnification"]),
        "label": label,
        "label_name": CLASSES[label],
        "subtype": match["benign"] or match["malignant"],
        "year": match["year"],
        "slide": match["slide"],
        "number": slide_number(match["slide"]),
        "sequence": int(match["sequence"]),
    }


def slide_number(slide):
    """The digits that a slide identifier starts with: 22549AB, 22549CD and 22549G share 22549."""
    return re.match(r"\d*", slide)[0] or slide


def official_path(name):
    """Where BreakHis keeps an image, from the archive's top folder down (a relative path)."""
    field = parse_name(name)
    slide = f"{name[:5]}_{field['subtype']}_{field['year']}-{field['slide']}"
    top = Path("BreaKHis_v1/histology_slides/breast") / field["label_name"] / "SOB"
    return top / SUBTYPES[field["subtype"]] / slide / f"{field['magnification']}X" / name


def official():
    """All 7,909 official BreakHis images, by name alone.

    Returns fields without the column path. Source: two independent public lists that agree.
    """
    packed = resources.files(__package__).joinpath("official_names.txt.xz").read_bytes()
    return pd.DataFrame([parse_name(name) for name in lzma.decompress(packed).decode().split()])


def count(fields):
    """The paper's Table 2 for any fields: images by magnification and class, with their total.

    Returns a data frame of counts, one row a magnification.
    """
    names = fields.groupby("label").label_name.first()
    table = pd.crosstab(fields.magnification, fields.label).rename(columns=names)
    table.columns.name = None
    return table.assign(total=table.sum(axis=1))


def walk(folder, unreadable=None):
    """Every file below a folder that is not hidden, in sorted order; each real folder once, even in a loop of links.

    unreadable: called with the OSError of each sub-folder that cannot be listed; without it that is an error.
    Yields pathlib.Path. Raises InputError when the folder is missing or cannot be read.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder; give the folder that holds the images.")
    if not os.access(folder, os.R_OK | os.X_OK):
        raise InputError(f"{folder} cannot be read: permission denied; change its permissions.")
    seen = {folder.resolve()}
    for current, subfolders, files in os.walk(folder, onerror=unreadable or _refuse, followlinks=True):
        new = []
        for name in sorted(name for name in subfolders if not name.startswith((".", "__MACOSX"))):
            _readable(name, current)
            real = Path(os.path.realpath(os.path.join(current, name)))
            if real not in seen:
                seen.add(real)
                new.append(name)
        subfolders[:] = new
        for name in sorted(name for name in files if not name.startswith(".")):
            yield Path(current, _readable(name, current))


def _readable(name, folder):
    """The name, if it is text; a zip made on a Korean Windows, for instance, leaves bytes that are none."""
    if name != name.encode(errors="surrogateescape").decode(errors="replace"):
        raise InputError(
            f"{folder} holds a name that is not in UTF-8 ({name.encode(errors='surrogateescape')!r}); "
            "rename it, or unpack its archive again with the right encoding (for instance unzip -O cp949)."
        )
    return name


def _refuse(error):
    raise InputError(f"{error.filename} cannot be read: {error.strerror}; change its permissions.") from None


def is_simulated(name):
    """Whether what `parse_name` returned is the name of a practice slide's image."""
    return name["year"] == "00" and name["number"].isdigit() and int(name["number"]) >= FIRST_SIMULATED


def scan(folder, groups=None, positive=None):
    """Read a folder into fields.

    folder: BreakHis in its own layout, at any depth; or a folder with one sub-folder a class
    (`folder/<class>/*.png`, .jpg, .jpeg, .tif, .tiff). groups: for the second kind, a CSV with columns
    file (relative to the folder, or a bare name) and group (the patient or slide an image is from);
    without it every image is its own group. positive: of two classes the one that gets label 1; by default malignant,
    or else the last in the alphabet.
    Returns a data frame with the columns of COLUMNS, sorted by file. Raises InputError when there is no
    image, when all images are of one class, when a name occurs twice, or when folders or groups cannot be understood.
    """
    return survey(folder, groups, positive)[0]


def survey(folder, groups=None, positive=None):
    """What `scan` returns, and beside it the images that it leaves out: a data frame with columns file and reason.

    Arguments and errors as for `scan`. In BreakHis' layout images under other names are left out; in a folder of
    classes those outside all classes.
    """
    folder = Path(folder)
    paths = [path for path in walk(folder) if path.suffix.lower() in images.EXTENSIONS]
    rows = [{**name, "path": str(path)} for path in paths if (name := parse_name(path.name))]
    if rows and (groups is not None or positive not in (None, CLASSES[1])):
        raise InputError(
            f"{folder} is in BreakHis' layout, whose names give slides and classes; "
            "leave the groups file out, and the positive class, which is malignant."
        )
    if rows:
        why = "bears no name of BreakHis"
        left_out = [{"file": path.name, "reason": why} for path in paths if not parse_name(path.name)]
    else:
        rows, left_out = folders.scan_classes(folder, paths, groups and Path(groups), positive)
    if not rows:
        raise InputError(
            f"{folder} holds no image; expected BreakHis' layout (files such as SOB_B_TA-14-16184-40-001.png) "
            "or one sub-folder a class with PNG, JPEG or TIFF files."
        )
    fields = pd.DataFrame(rows, columns=COLUMNS).sort_values("file", ignore_index=True)
    if fields.label.nunique() < 2:
        only = fields.label_name[0]
        inside = f"; if its sub-folders are the classes, give {folder / only}" if (folder / only).is_dir() else ""
        raise InputError(f"{folder} holds images of one class only ({only}); a classifier needs two or more{inside}.")
    twice = fields[fields.file.str.rsplit(".", n=1).str[0].duplicated(keep=False) & fields.magnification.gt(0)]
    twice = fields[fields.file.duplicated(keep=False)] if twice.empty else twice
    if len(twice):
        first, second = twice.path.iloc[:2]
        raise InputError(f"{twice.file.iloc[0]} occurs twice, as {first} and {second}; give a folder with one copy.")
    return fields, pd.DataFrame(left_out, columns=["file", "reason"])


def class_names(fields):
    """The names of the classes in the order of their labels."""
    return fields.groupby("label").label_name.first().tolist()


def probability_columns(fields):
    """Names of the probability columns: one for every class but the first, whose share is what is left of 1."""
    return [f"p_{name}" for name in class_names(fields)[1:]]


def select(fields, magnification):
    """The fields of one magnification; InputError when there are none."""
    chosen = fields[fields.magnification == magnification].reset_index(drop=True)
    if chosen.empty:
        there = ", ".join(map(str, sorted(fields.magnification.unique())))
        raise InputError(f"no image has magnification {magnification}; these have some: {there}.")
    return chosen


def add_digests(fields):
    """Add the column sha256: the digest of every file's bytes; None where a file cannot be read."""

    def of_file(path):
        try:
            with open(path, "rb") as stream:  # piece by piece, whatever its size
                return hashlib.file_digest(stream, "sha256").hexdigest()
        except OSError:
            return None

    return fields.assign(sha256=[of_file(path) for path in fields.path])


def data_digest(fields):
    """One SHA-256 over the names and digests of all images, in order; `fields` as `add_digests` returns."""
    lines = fields.file + " " + fields.sha256.fillna("unreadable") + "\n"
    return hashlib.sha256("".join(lines).encode()).hexdigest()
