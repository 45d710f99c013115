"""What happened, kept: a *record* is a folder of text files about the runs on one data set.

    predictions.csv   p_malignant of every validation and test image of every run
    splits.csv        which set each image was in, one column a split
    history.csv       loss and accuracy, one row an epoch
    run.json          commands, versions, device, digests, settings, counts, seconds
    heads/            trained heads for `breakhis predict`, and their images' digests (not for version control)

Every file is written whole under another name and then moved into place; a run is in all files or,
where the process was killed between two of them, is trained again. A run is known by its magnification,
protocol, reading and seed. A file that cannot be read, or is not as it was written by the digest that
run.json keeps of it, is never overwritten. (Records of earlier versions keep no digests of their tables.)
"""

import contextlib
import hashlib
import importlib.metadata
import io
import json
import os
import platform
import re
from pathlib import Path

import numpy as np
import pandas as pd
import psutil

from breakhis_lib.data import splits
from breakhis_lib.errors import InputError
from breakhis_lib.files import alone, whole
from breakhis_lib.model.readings import DEFAULT_READING

KEY = ["magnification", "protocol", "reading", "seed"]
COLUMNS = [*KEY, "set", "file", "slide", "label"]
KINDS = dict.fromkeys(["file", "slide", "protocol", "reading", "set"], str)  # of the columns of all files
KINDS |= dict.fromkeys(["magnification", "seed", "label", "epoch"], int)
DECIMALS = 6
RESTORE = "restore it from version control or a copy, or delete the record (or choose another folder) and run again"
CAUTION = "For learning only: an answer is no diagnosis, and may not be used for, or near, a decision about a patient."


class Record:
    """A record's folder, read and added to.

    folder: for instance results/practice; made when something is first added.
    """

    def __init__(self, folder):
        """Name the folder; nothing is read or made yet."""
        self.folder = Path(folder)

    def exists(self):
        """Whether a run was ever recorded here."""
        return (self.folder / "run.json").exists()

    def predictions(self):
        """All predictions, a data frame: COLUMNS, then p_<class> for every class but the first.

        Raises InputError when there are none.
        """
        return self._table("predictions.csv")

    def is_simulated(self):
        """Whether all its slides are practice slides, whose names bear the year 00."""
        return bool(self.predictions().file.str.match(r"SOB_._[A-Z]+-00-").all())

    def caution(self):
        """What an answer of its heads may not be used for, and that its slides are simulated where they are."""
        return CAUTION + " The head was trained on simulated slides, which are drawings." * self.is_simulated()

    def history(self):
        """The epochs of every run: the columns of KEY, epoch, accuracy, loss, val_accuracy, val_loss."""
        return self._table("history.csv")

    def split(self, magnifications, protocol, seed):
        """A stored split of one or several magnifications, a series from file name to set; None where none is."""
        name, table = f"{protocol}-{seed}", self._table_or_none("splits.csv")
        if table is None or name not in table:
            return None
        sets = table[np.isin(table.magnification, magnifications)].set_index("file")[name].dropna()
        return sets if len(sets) else None

    def is_pooled(self):
        """Whether one model was trained on all magnifications together."""
        return bool(self.info().get("settings", {}).get("pooled"))

    def positive(self):
        """The class that a positive answer names, which has label 1; None where the user named none."""
        info = self.info()
        return info.get("positive") or ("malignant" if info.get("classes", [])[1:] == ["malignant"] else None)

    def info(self):
        """What run.json holds, as a dictionary; empty for a new record."""
        path = self.folder / "run.json"
        if not path.exists():
            return {}
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise InputError(f"{path} cannot be read ({error}); {RESTORE}.") from None

    def has(self, **key):
        """Whether the run of that magnification, protocol, reading and seed is recorded."""
        return any(all(run[name] == key[name] for name in KEY) for run in self.info().get("runs", []))

    def begin(self, session, **same):
        """Note a new session; refuse one that does not fit what is recorded.

        session: dictionary with the command, date and versions. same: what
        all runs of a record share (settings, data digests, the rule of the splits), merged key by key; a record without
        a run takes whatever comes. Raises InputError on a difference.
        """
        with alone(self.folder / ".lock"):
            info = self.info()
            if not info.get("runs"):
                info = {"sessions": info.get("sessions", [])}
            elif "split rule" in same:
                info.setdefault("split rule", splits.FIRST_RULE)
            for name, value in same.items():
                info[name] = _merged(f"{self.folder / 'run.json'}: {name}", info.get(name), value)
            info["sessions"] = [*info.get("sessions", []), session]
            info.setdefault("runs", [])
            self._write_json(info)

    def add(self, key, predictions, history, about):
        """Add one run; one that another process added meanwhile stays as it is.

        key: dictionary of KEY. predictions: what `finetune.train` predicts. history: its history. about:
        dictionary of what else to keep in run.json.
        """
        kept = predictions[predictions.set != "train"]
        probabilities = [name for name in kept if name.startswith("p_")]
        kept = kept.assign(**key)[[*COLUMNS, *probabilities]]
        kept[probabilities] = kept[probabilities].round(DECIMALS)
        split = predictions[["file", "slide", "label"]].assign(
            magnification=key["magnification"], **{f"{key['protocol']}-{key['seed']}": predictions.set}
        )
        with alone(self.folder / ".lock"):
            if self.has(**key):
                return
            added = {"predictions.csv": kept, "history.csv": history.reset_index().assign(**key).round(DECIMALS)}
            tables = {name: self._with(name, rows, key) for name, rows in added.items()}
            self._store({**tables, "splits.csv": self._with_split(split)}, {**key, **about})

    def head_path(self, key):
        """Where the trained head of a run is kept."""
        return self.folder / "heads" / ("-".join(str(key[name]) for name in KEY) + ".weights.h5")

    def main_reading(self):
        """The course's reading where it was run, or else the first that was."""
        runs = [run["reading"] for run in self.info().get("runs", [])]
        return DEFAULT_READING if DEFAULT_READING in runs or not runs else runs[0]

    def keep_digests(self, fields):
        """Note the digests of the images behind the heads; `fields` of any magnifications, with file and sha256."""
        table, names = fields[["magnification", "file", "sha256"]], ["magnification", "file"]
        with alone(self.folder / ".lock"):
            old = self._table_or_none("heads/images.csv")
            table = pd.concat([old, table]).drop_duplicates(names, keep="last").sort_values(names)
            self._store({"heads/images.csv": table.to_csv(index=False, lineterminator="\n")})

    def set_of(self, key, digest):
        """The set that an image was in when a head was trained; "none" for a new image, None where nobody knows.

        key: dictionary of KEY. digest: SHA-256 of the image file.
        """
        known = self._table_or_none("heads/images.csv")
        of = {run["magnification"] for run in self.info()["runs"] if self.is_pooled() or run == {**run, **key}}
        sets = self.split(list(of), key["protocol"], key["seed"])
        if known is None or sets is None:
            return None
        files = known.file[known.magnification.isin(of) & (known.sha256 == digest)]
        return next((sets[file] for file in files if file in sets), "none")

    def _table(self, name):
        table = self._table_or_none(name)
        if table is None:
            raise InputError(f"{self.folder / name} does not exist; make it with `breakhis run`.")
        return table

    def _table_or_none(self, name):
        path = self.folder / name
        while path.exists():
            info = self.info()
            try:  # a group may be called NA: only an empty cell is one that is missing
                content = path.read_bytes()
                table = pd.read_csv(io.BytesIO(content), dtype=KINDS, keep_default_na=False, na_values=[""])
            except (OSError, ValueError) as error:
                raise InputError(f"{path} cannot be read ({str(error).strip()}); {RESTORE}.") from None
            written = info.get("digests", {}).get(name)
            if written is None or _digest(content) in written:
                return table
            if self.info() == info:  # or else another process adds a run just now
                raise InputError(f"{path} does not hold what was written: it is damaged, or was edited; {RESTORE}.")
        return None

    def _with(self, name, rows, key):
        front = [column for column in COLUMNS if column in rows]
        rows = rows[front + [column for column in rows if column not in front]]
        old = self._table_or_none(name)
        if old is not None:
            same = (old[KEY] == pd.Series(key)[KEY]).all(axis=1)  # left by a process killed between two files
            rows = pd.concat([old[~same], rows])
        rows = rows.sort_values(KEY, kind="stable")
        return rows.to_csv(index=False, float_format=f"%.{DECIMALS}f", lineterminator="\n")

    def _with_split(self, split):
        columns = ["magnification", "file", "slide", "label"]
        old = self._table_or_none("splits.csv")
        if old is not None:
            split = split.set_index(columns).combine_first(old.set_index(columns)).reset_index()
        names = sorted((name for name in split if name not in columns), key=_split_order)
        split = split[columns + names].sort_values(columns, kind="stable")
        return split.to_csv(index=False, lineterminator="\n")

    def _store(self, tables, *runs):
        """Replace tables and add runs; a process that is killed in between leaves nothing that looks damaged.

        Until all is written, run.json holds two digests of a table: of what it was, and of what it will be.
        """
        info, new = self.info(), {name: _digest(text.encode()) for name, text in tables.items()}
        old = info.get("digests", {})
        self._write_json({**info, "digests": old | {name: f"{old[name]} {new[name]}" for name in new if name in old}})
        for name, text in tables.items():
            self._write(name, text)
        self._write_json({**info, "runs": [*info.get("runs", []), *runs], "digests": {**old, **new}})

    def _write_json(self, info):
        self._write("run.json", json.dumps(info, indent=1, ensure_ascii=False) + "\n")

    def _write(self, name, text):
        with whole(self.folder / name) as partial:
            partial.write_text(text, encoding="utf-8")

    def session(self, say=lambda message: None):
        """A context in which no other process adds runs; `say` is called with a line of text where one must wait."""
        waits = f"another process adds runs to {self.folder}; waiting for it"
        return alone(self.folder / ".session", waiting=lambda: say(waits))


def _digest(content):
    """SHA-256 of a table's bytes; git may have given it the line ends of Windows."""
    return hashlib.sha256(content.replace(b"\r\n", b"\n")).hexdigest()


def _split_order(name):
    protocol, seed = name.rsplit("-", 1)
    return protocol, int(seed)


def _merged(what, old, new):
    if old is None:
        return new
    if isinstance(old, dict) and isinstance(new, dict):
        return {key: _merged(f"{what}.{key}", old.get(key), new.get(key, old.get(key))) for key in {**old, **new}}
    if old != new:
        raise InputError(
            f"{what} is {old!r} in this record, this run has {new!r}; choose another folder with --results, "
            "or delete the record to start anew."
        )
    return old


def named(name, start="."):
    """The record of that name in the nearest folder `results`, from `start` upwards.

    name: for instance breakhis-subset. Returns a Record. Raises InputError when no folder above has one.
    """
    start = Path(start).resolve()
    for folder in (start, *start.parents):
        record = Record(folder / "results" / name)
        if record.exists():
            return record
    raise InputError(f"no results/{name} in {start} or above it; make it with `breakhis run`.")


def versions():
    """Versions of what the results depend on, as a dictionary."""
    packages = ("breakhis-lib", "keras", "tensorflow", "jax", "torch", "numpy", "pillow", "scikit-learn")
    found = {"python": platform.python_version()}
    for package in packages:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[package] = importlib.metadata.version(package)
    return found


def machine():
    """What the results were computed on: operating system, processor, memory in GiB, and threads at hand."""
    listed, memory = Path("/proc/cpuinfo"), psutil.virtual_memory().total / 2**30
    named = re.search(r"model name\s*: (.+)", listed.read_text(encoding="utf-8") if listed.exists() else "")
    processor = named[1] if named else platform.processor() or platform.machine()
    return {"system": platform.platform(), "processor": processor, "memory": round(memory), "threads": os.cpu_count()}
