"""What the command line shows: progress, findings, tables. Names of files are printed as they are, never as markup."""

import os
import sys

from rich import progress as bars
from rich.console import Console
from rich.table import Table

from breakhis_lib.errors import InputError

FEW = 5  # findings of a kind that are shown unless all are asked for
output, errors = (Console(stderr=err, soft_wrap=True, highlight=False, markup=False, emoji=False) for err in (0, 1))


def say(message):
    """One line about what happens, on standard error."""
    errors.print(message)


def progress(in_bytes=False):
    """A rich.progress.Progress on standard error, gone when it ends."""
    counts = [bars.DownloadColumn(), bars.TransferSpeedColumn()] if in_bytes else [bars.MofNCompleteColumn()]
    texts = [bars.TextColumn(f"{{task.{name}}}", markup=False) for name in ("description", "fields[note]")]
    columns = (texts[0], bars.BarColumn(), *counts, texts[1], bars.TimeRemainingColumn())
    return bars.Progress(*columns, console=errors, transient=True)


def bar(shown, description):
    """A callback (done, total) that moves one bar of a Progress."""
    task = shown.add_task(description, total=None, note="")
    return lambda done, total: shown.update(task, completed=done, total=total)


class Bars:
    """An `experiment.Watcher`: one bar for what is being done, one line for what is done."""

    def __init__(self, shown):
        """Draw into a rich.progress.Progress."""
        self.shown, self.name, self.task = shown, None, None

    def say(self, message):
        """One line of text."""
        say(message)

    def progress(self, name, done, total, note=""):
        """The bar of what is being done; the one before it goes."""
        if name != self.name:
            if self.task is not None:
                self.shown.remove_task(self.task)
            self.name, self.task = name, self.shown.add_task(name, total=total, note="")
        self.shown.update(self.task, completed=done, note=note)


def findings(found, kinds, every):
    """What `inventory.inspect` found, by kind, the first FEW of each unless `every` is asked for."""
    if found.empty:
        output.print("Nothing to report.")
    for kind, rows in found.groupby("kind", observed=True):
        output.print(f"\n{kind} ({len(rows)}): {kinds[kind]}", style="bold")
        shown = rows if every else rows[:FEW]
        for row in shown.itertuples():
            output.print(f"  {row.file}: {row.detail}")
        if len(rows) > len(shown):
            output.print(f"  ... and {len(rows) - len(shown)} more; --all lists them")


def _table(title, names, left):
    table = Table(title=title)
    for name in names:
        table.add_column(name, justify="left" if name in left else "right", overflow="fold")
    return table


def _show(table, width):
    """Print a table; where neither a terminal nor COLUMNS says how wide it is, so many columns wide."""
    Console(width=None if _told() else width, markup=False, emoji=False).print(table)


def _told():
    return sys.stdout.isatty() or "COLUMNS" in os.environ


def _at(magnification):
    return f"x{magnification}" if magnification else "all"


def runs(folders):
    """A row for every kind of run in some records."""
    from breakhis_lib.evaluation import tables

    names = "record,magnification,split by,reading,validation,test,95 % interval,majority,runs"
    shown = _table("Every kind of run: accuracy in percent", names.split(","), ("record", "split by", "reading"))
    for (folder, magnification, protocol, reading), row in tables.runs(folders).iterrows():
        figures = [f"{row.validation:.1f}", f"{row.accuracy:.1f}", tables.interval(row.low, row.high)]
        shown.add_row(folder, _at(magnification), protocol, reading, *figures, f"{row.majority:.1f}", f"{row.runs:.0f}")
    shown.caption = "Mean over runs; interval: bootstrap over slides. Choose by validation, not by test."
    _show(shown, 160)


def table4(record, reading):
    """A record's test accuracy beside the majority class, and for BreakHis beside what the paper prints."""
    from breakhis_lib.evaluation import tables

    found = tables.ways(record.predictions(), reading)
    kind = "SIMULATED slides, " * record.is_simulated() + "one model for all magnifications, " * record.is_pooled()
    title = f"Table 4, test accuracy in percent: {kind}{record.folder} ({reading})"
    roomy = not _told() or output.width > 120  # a narrower terminal would fold every cell
    beside = [name for name in ("threshold", *tables.BESIDE) if roomy and found[name].notna().any()]
    shown = _table(title, ("at", "way", "accuracy", "95 % interval", *beside, *tables.COUNTS), ("way",))
    for magnification, rows in found.groupby(level="magnification", sort=False):
        for number, (way, row) in enumerate(rows.droplevel("magnification").iterrows()):
            cells = ["" if number else _at(magnification), way, f"{row.accuracy:.2f}"]
            if way.startswith("ours"):
                cells += [tables.interval(row.low, row.high), *(f"{row[name]:.1f}" for name in beside)]
                cells += [f"{row[name]}" for name in tables.COUNTS]
            shown.add_row(*cells, end_section=number == len(rows) - 1)
    notes = ["Ours: mean over runs; interval: over slides, or by number over slide numbers."]
    notes += ["Threshold: accuracy where validation does best. Whole slides: by mean probability."] * roomy
    if found.index.get_level_values("way").str.startswith("paper").any():
        notes.append("The paper's sets share no image; it prints neither intervals nor counts.")
    shown.caption = "\n".join(notes)
    _show(shown, 140)


def origin(row):
    """Of a row of `experiment.predict` in words: the head that answered, and which set the image was in."""
    where = {"none": "none of its sets", None: "nobody knows (an older record)"}
    head = f"{_at(row.magnification)} by {row.protocol}, {row.reading}, seed {row.seed}"
    return head, where.get(row.set, f"its {row.set} set")


def predictions(found, unreadable, classes, record):
    """The probability of each label for single images, and then what could not be read, as an InputError."""
    names = ("image", *classes, "head", "the image was in")
    shown = _table(f"Probability of each label (record {record.folder}; not for clinical use)", names, names)
    shown.caption = record.caution()
    for _, row in found.iterrows():
        image = row.file.replace("\\", "/").rsplit("/", 1)[-1]
        shown.add_row(image, *(f"{row[name]:.4f}" for name in classes), *origin(row))
    if len(found):
        _show(shown, 140)
    if unreadable:
        raise InputError("\n".join(["not predicted:", *unreadable]))
