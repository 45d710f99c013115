"""Which images there are: a folder becomes *fields*, a data frame with one row an image.

Two kinds of folder are understood. BreakHis' own layout, whatever the root above it, where the file
name says everything; and any folder with one sub-folder a class, the way to other images.

Source of the grammar: BreakHis' official names (Spanhol et al. 2016, doi 10.1109/TBME.2015.2496264).
"""

import functools
import hashlib
import lzma
import os
import re
from importlib import resources
from pathlib import Path

import pandas as pd

from breakhis_lib.data import images
from breakhis_lib.errors import InputError

COLUMNS = [
    "file", "path", "magnification", "label", "label_name", "subtype", "year", "slide", "number", "sequence",
]  # fmt: skip
MAGNIFICATIONS = (40, 100, 200, 400)
CLASSES = ("benign", "malignant")
SUBTYPES = {
    "A": "adenosis",
    "F": "fibroadenoma",
    "PT": "phyllodes_tumor",
    "TA": "tubular_adenoma",
    "DC": "ductal_carcinoma",
    "LC": "lobular_carcinoma",
    "MC": "mucinous_carcinoma",
    "PC": "papillary_carcinoma",
}
BENIGN_SUBTYPES = ("A", "F", "PT", "TA")
NAME = re.compile(
    r"SOB_(?:(?P<B>B)_(?P<benign>A|F|PT|TA)|M_(?P<malignant>DC|LC|MC|PC))"
    r"-(?P<year>\d\d)-(?P<slide>\w+)-(?P<magnification>40|100|200|400)-(?P<sequence>\d+)\.png",
    re.ASCII,
)
FIRST_SIMULATED = 90001  # slide numbers of practice slides; BreakHis' own end at 29960
TWIN_SLIDE = "13412"  # filed both as ductal (DC) and as lobular (LC), the same pictures under two names
NO_MAGNIFICATION = 0  # images of a plain folder, which states none


def parse_name(file):
    """What a BreakHis file name says of its image.

    file: a name such as SOB_B_TA-14-16184-40-001.png, without folders.
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
    side = "B" if field["label"] == 0 else "M"
    slide = f"SOB_{side}_{field['subtype']}_{field['year']}-{field['slide']}"
    top = Path("BreaKHis_v1/histology_slides/breast") / field["label_name"] / "SOB"
    return top / SUBTYPES[field["subtype"]] / slide / f"{field['magnification']}X" / name


@functools.cache
def _official_names():
    packed = resources.files(__package__).joinpath("official_names.txt.xz").read_bytes()
    return tuple(lzma.decompress(packed).decode().split())


def official():
    """All 7,909 official BreakHis images, by name alone.

    Returns fields without the column path. Source: two independent public lists that agree.
    """
    return pd.DataFrame([parse_name(name) for name in _official_names()])


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
        for name in sorted(name for name in subfolders if not name.startswith(".")):
            real = Path(os.path.realpath(os.path.join(current, name)))
            if real not in seen:
                seen.add(real)
                new.append(name)
        subfolders[:] = new
        yield from (Path(current, name) for name in sorted(files) if not name.startswith("."))


def _refuse(error):
    raise InputError(f"{error.filename} cannot be read: {error.strerror}; change its permissions.") from None


def scan(folder, groups=None):
    """Read a folder into fields.

    folder: BreakHis in its own layout, at any depth; or a folder with one sub-folder a class
    (`folder/<class>/*.png`, .jpg, .jpeg, .tif, .tiff). groups: for the second kind, a CSV with columns
    file (relative to the folder, or a bare name) and group (the patient or slide an image is from);
    without it every image is its own group.
    Returns a data frame with the columns of COLUMNS, sorted by file. Raises InputError when there is no
    image, when all images are of one class, or when a name occurs twice.
    """
    folder = Path(folder)
    paths = [path for path in walk(folder) if path.suffix.lower() in images.EXTENSIONS]
    rows = [{**name, "path": str(path)} for path in paths if (name := parse_name(path.name))]
    if rows and groups is not None:
        raise InputError(f"{folder} is in BreakHis' layout, whose names give the slides; leave the groups file out.")
    if not rows:
        rows = _scan_classes(folder, paths, groups)
    if not rows:
        raise InputError(
            f"{folder} holds no image; expected BreakHis' layout (files such as SOB_B_TA-14-16184-40-001.png) "
            "or one sub-folder a class with PNG, JPEG or TIFF files."
        )
    fields = pd.DataFrame(rows, columns=COLUMNS).sort_values("file", ignore_index=True)
    if fields.label.nunique() < 2:
        raise InputError(
            f"{folder} holds images of one class only ({fields.label_name[0]}); a classifier needs two or more."
        )
    twice = fields.file[fields.file.duplicated()]
    if len(twice):
        first, second = fields.path[fields.file == twice.iloc[0]].iloc[:2]
        raise InputError(f"{twice.iloc[0]} occurs twice, as {first} and {second}; give a folder with one copy.")
    return fields


def _scan_classes(folder, paths, groups):
    table = [(path.relative_to(folder), path) for path in paths]
    table = [(relative, path) for relative, path in table if len(relative.parts) > 1]
    names = sorted({relative.parts[0] for relative, _ in table})
    group_of = _read_groups(groups) if groups is not None else None
    rows = []
    for relative, path in table:
        file, class_name = relative.as_posix(), relative.parts[0]
        group = file
        if group_of is not None:
            group = group_of.get(file, group_of.get(relative.name))
            if not group:
                raise InputError(f"{groups} has no row for {file}; add one, with its group.")
        rows.append(
            {
                "file": file, "path": str(path), "magnification": NO_MAGNIFICATION, "label": names.index(class_name),
                "label_name": class_name, "subtype": class_name, "year": "", "slide": group, "number": group,
                "sequence": len(rows),
            }
        )  # fmt: skip
    return rows


def _read_groups(path):
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read as CSV ({error}); expected columns file,group.") from None
    if not {"file", "group"} <= set(table.columns):
        raise InputError(f"{path} has columns {', '.join(table.columns)}; expected file,group.")
    return dict(zip(table.file, table.group, strict=True))


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
            with open(path, "rb") as stream:
                return hashlib.file_digest(stream, "sha256").hexdigest()
        except OSError:
            return None

    return fields.assign(sha256=[of_file(path) for path in fields.path])


def data_digest(fields):
    """One SHA-256 over the names and digests of all images, in order; `fields` as `add_digests` returns."""
    lines = fields.file + " " + fields.sha256.fillna("unreadable") + "\n"
    return hashlib.sha256("".join(lines).encode()).hexdigest()
