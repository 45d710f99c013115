"""Other images than BreakHis': a folder with one sub-folder a class, and the table that says whom each is from."""

import csv
import io
import unicodedata

import pandas as pd

from breakhis_lib.errors import InputError

NO_MAGNIFICATION = 0  # images of a plain folder, which states none


def plain(name):
    """A name in one spelling of its letters (Unicode NFC), which systems write in two."""
    return unicodedata.normalize("NFC", str(name))


def scan_classes(folder, paths, groups, positive):
    """The rows of fields, and the images left out, as lists of dictionaries; see `dataset.survey`."""
    names = {path: plain(path.relative_to(folder).as_posix()) for path in paths}
    used = {path: name for path, name in names.items() if "/" in name}
    why = "lies in no class sub-folder"
    left_out = [{"file": name, "reason": why} for path, name in names.items() if path not in used]
    _refuse_sets(folder, used.values())
    classes = _classes(folder, sorted({name.split("/")[0] for name in used.values()}), positive)
    group_of = _groups(folder, groups, list(used.values())) if groups is not None and used else {}
    rows = []
    for path, file in used.items():
        name, group = file.split("/")[0], group_of.get(file, file)
        rows.append(
            {
                "file": file, "path": str(path), "magnification": NO_MAGNIFICATION, "label": classes.index(name),
                "label_name": name, "subtype": name, "year": "", "slide": group, "number": group, "sequence": len(rows),
            }
        )  # fmt: skip
    return rows, left_out


def _refuse_sets(folder, files):
    """Refuse train, test and the like above the classes: each sub-folder then divides into the same two or more."""
    inside = {}
    for file in files:
        name, *rest = file.split("/")[:-1]
        inside.setdefault(name, set()).add(rest[0] if rest else "")
    alike = set(map(frozenset, inside.values()))
    if len(inside) > 1 and len(alike) == 1 and len(names := next(iter(alike))) > 1 and "" not in names:
        raise InputError(
            f"{folder} holds {', '.join(sorted(inside))}, and each of these {', '.join(sorted(names))}: they look like "
            "sets, not classes, and the course draws sets of its own. Put the images of each class into one folder, or "
            f"give one of them, for instance {folder / min(inside)}."
        )


def _classes(folder, names, positive):
    """The classes in the order of their labels: alphabetical, but of two the positive one last."""
    seen = {}
    for name in names:
        other = seen.setdefault(" ".join(name.casefold().split()), name)
        if other != name:
            raise InputError(
                f"{folder} holds the classes {other!r} and {name!r}, which differ in blanks or capital letters alone; "
                "put their images into one folder."
            )
    if positive is None:
        positive = "malignant" if len(names) == 2 and "malignant" in names else None
    elif plain(positive) not in names:
        raise InputError(f"{positive!r} is no class of {folder}; choose one of {', '.join(names)}.")
    elif len(names) != 2:
        raise InputError(f"{folder} has {len(names)} classes; one of them can be the positive one only of two.")
    return sorted(names, key=lambda name: (positive is not None and name == plain(positive), name))


def _groups(folder, path, files):
    """The group of each file, from a CSV with columns file and group."""
    text = _text(path)
    lines = io.StringIO(text, newline=None)  # old Macs end a line otherwise
    try:
        rows = [row for row in csv.reader(lines, delimiter=max(",;\t", key=text.count)) if row]
    except csv.Error as error:
        raise InputError(f"{path} cannot be read: {error}; expected lines of text: file,group") from None
    head = [name.strip().casefold() for name in rows[0]] if rows else []
    if not {"file", "group"} <= set(head):
        raise InputError(f"{path} has columns {', '.join(head) or '(none)'}; expected file,group in its first line.")
    uneven = next((line for line, row in enumerate(rows, start=1) if len(row) != len(head)), None)
    if uneven:
        there = f"{path}, line {uneven} has {len(rows[uneven - 1])} columns, the first line {len(head)}"
        raise InputError(f"{there}; put names that hold the separator between double quotes.")
    table = pd.DataFrame(rows[1:], columns=head, dtype=str)[["file", "group"]]
    table = table.map(lambda text: " ".join(plain(text).split()))
    bare = pd.Series(files).str.split("/").str[-1]
    known = {**dict.fromkeys(files), **{name: files[place] for place, name in bare[~bare.duplicated(False)].items()}}
    known = {" ".join(name.split()): file or name for name, file in known.items()}
    group_of = {}
    for line, row in enumerate(table.itertuples(), start=2):
        file = row.file.replace("\\", "/").removeprefix("./")
        file = file if file in known else file.removeprefix(f"{plain(folder.resolve().name)}/")
        if not row.group:
            raise InputError(f"{path}, line {line}: {row.file} has no group; write whom it is from.")
        if "/" not in file and file in set(bare[bare.duplicated()]):
            raise InputError(f"{path}, line {line}: {file} is there in several classes; write it as CLASS/{file}.")
        file = known.get(file)
        if file and group_of.setdefault(file, row.group) != row.group:
            raise InputError(f"{path}, line {line}: {row.file} is in two groups, {group_of[file]} and {row.group}.")
    missing = next((file for file in files if file not in group_of), None)
    if missing:
        first = table.file.iat[0] if len(table) else "no image"
        there = f"{path} has no row for {missing} (its first row is for {first})"
        raise InputError(f"{there}; add one, with the file as it lies below {folder}, and its group.")
    return group_of


def _text(path):
    """The text of a CSV: UTF-8, or UTF-16 with its mark, as spreadsheets write them; a line sep=, is left out."""
    try:
        data = path.read_bytes()
        text = data.decode("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except OSError as error:
        raise InputError(f"{path} cannot be read as CSV ({error.strerror}); expected columns file,group.") from None
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path} is not in UTF-8 (byte {error.start + 1}); save it anew, in a spreadsheet as 'CSV UTF-8'."
        ) from None
    first, _, rest = text.partition("\n")
    return rest if first.strip().lower().startswith("sep=") else text
