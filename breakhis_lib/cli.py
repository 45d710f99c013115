"""The door: `breakhis`, one command a station of the journey, and `run` for all of it.

Heavy modules are imported inside the commands, so that `breakhis --help` answers at once.
"""

import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Table

from breakhis_lib import __version__
from breakhis_lib.errors import InputError

HEADS = 5  # trained before a process is replaced by a fresh one
CONTINUED = "BREAKHIS_CONTINUED"  # set for a process that goes on with another's work
FEW = 5  # findings of a kind that `check` prints unless told otherwise
output = Console(soft_wrap=True, highlight=False)
errors = Console(stderr=True, soft_wrap=True)
app = typer.Typer(
    help="From Slide to Softmax: fine-tune the top of an ImageNet-trained Xception on breast tumour images.\n\n"
    "The journey: practice (or download), check, run, table, predict. Not for clinical use.",
    epilog="Start with:  breakhis practice  then  breakhis run  then  breakhis table",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)

Weights = Annotated[
    Path | None,
    typer.Option(help="File with Xception's ImageNet weights; default: BREAKHIS_WEIGHTS, the cache, a download."),
]


def _progress(in_bytes=False):
    counts = [DownloadColumn(), TransferSpeedColumn()] if in_bytes else [MofNCompleteColumn()]
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        *counts,
        TextColumn("{task.fields[note]}"),
        TimeRemainingColumn(),
        console=errors,
        transient=True,
    )


def _bar(progress, description):
    """A callback (done, total) that moves one bar."""
    task = progress.add_task(description, total=None, note="")
    return lambda done, total: progress.update(task, completed=done, total=total)


@app.command(epilog="Example:  breakhis practice slides --seed 7")
def practice(
    folder: Annotated[
        Path | None, typer.Argument(help="Where to make them; default: the cache, where `run` finds them.")
    ] = None,
    seed: Annotated[int, typer.Option(help="The same seed makes the same pictures.")] = 2026,
    slides_per_subtype: Annotated[int, typer.Option(help="Slides of each of the eight sub-types.")] = 3,
    images: Annotated[int, typer.Option(help="Images a slide and magnification.")] = 4,
):
    """Make simulated slides, in BreakHis' layout and naming: 24 slides, 384 images."""
    made = _practice(folder, seed, slides_per_subtype=slides_per_subtype, images_per_magnification=images)
    count = sum(1 for _ in made.rglob("*.png"))
    where = f" --data {folder}" if folder else ""
    output.print(f"{count} simulated images (drawings, not tissue) in {made}\nNext: breakhis run{where}")


def _practice(folder=None, seed=2026, **numbers):
    from breakhis_lib import cache
    from breakhis_lib.practice import slides

    with _progress() as progress:
        return slides.make(folder or cache.folder() / "practice", seed, progress=_bar(progress, "simulated"), **numbers)


@app.command(epilog="Example:  breakhis download breakhis   (about 4 GB; stopped, it goes on where it was)")
def download(
    folder: Annotated[Path, typer.Argument(help="Where to put BreakHis.")] = Path("breakhis"),
    archive: Annotated[Path | None, typer.Option(help="An archive brought by hand, instead of a download.")] = None,
    url: Annotated[str | None, typer.Option(help="Another address of the archive.")] = None,
):
    """Fetch BreakHis from its authors' address and unpack it."""
    from breakhis_lib.data import download as module

    with _progress(in_bytes=True) as progress:
        unpacked = _bar(progress, "unpack")
        if archive:
            made = module.fetch(folder, archive=archive, unpacked=unpacked)
        else:
            made = module.fetch(folder, url or module.OFFICIAL_URL, _bar(progress, "download"), unpacked=unpacked)
    output.print(f"BreakHis is in {made}. Next: breakhis check {made}")


@app.command(epilog="Example:  breakhis check breakhis   (exit code 0: nothing to report, 1: something is)")
def check(
    folder: Annotated[Path, typer.Argument(help="Folder of images.")],
    every: Annotated[bool, typer.Option("--all", help="List every finding, not the first five of each kind.")] = False,
):
    """Compare a folder with BreakHis' official list: missing, extra, damaged, odd, doubled images."""
    from breakhis_lib.data import inventory

    with _progress() as progress:
        report = inventory.inspect(folder, progress=_bar(progress, "images read"))
    counts = report.counts
    layouts = {
        "breakhis": "BreakHis' layout", "simulated": "simulated practice slides", "classes": "one sub-folder a class"
    }  # fmt: skip
    output.print(f"{folder}: {counts['images']} images in {layouts[report.layout]}, {counts['readable']} can be read.")
    if report.layout == "breakhis":
        output.print(f"{counts['official_present']} of the {counts['official']:,} official images are there.")
        output.print(
            "Slide 13412 is filed both as ductal (DC) and as lobular (LC): of its "
            f"{counts['twin_pairs']} pairs of twins {counts['twin_pairs_present']} are there, "
            f"{counts['twin_pairs_identical']} with the same pixels."
        )
    _print_findings(report.findings, inventory.KINDS, every)
    raise typer.Exit(1 if (report.findings.kind != "twin").any() else 0)  # BreakHis itself has the twins


def _print_findings(findings, kinds, every):
    if findings.empty:
        output.print("Nothing to report.")
    for kind, rows in findings.groupby("kind", observed=True):
        output.print(f"\n[bold]{kind}[/bold] ({len(rows)}): {kinds[kind]}")
        shown = rows if every else rows[:FEW]
        for row in shown.itertuples():
            output.print(f"  {escape(row.file)}: {escape(row.detail)}")
        if len(rows) > len(shown):
            output.print(f"  ... and {len(rows) - len(shown)} more; --all lists them")


@app.command()
def weights(path: Annotated[Path | None, typer.Argument(help="A file of your own to verify and use.")] = None):
    """Fetch and verify Xception's ImageNet weights (84 MB, once)."""
    from breakhis_lib.model import weights as module

    file, tensors = module.locate(path, _say)
    numbers = sum(array.size for _, _, array in tensors)
    output.print(f"{file}: {len(tensors)} tensors, {numbers:,} numbers, digest verified.")


def _say(message):
    errors.print(message, highlight=False)


def _parts(text, kind=str):
    try:
        return tuple(dict.fromkeys(kind(part) for part in text.replace(",", " ").split()))
    except ValueError:
        raise InputError(f"{text!r} is not a list of whole numbers such as 40,100,200.") from None


def _size(text):
    parts = text.lower().split("x")
    if not all(part.isdigit() for part in parts) or len(parts) > 2:
        raise InputError(f"size {text!r} is not understood; expected 299, or HEIGHTxWIDTH such as 299x455.")
    return int(parts[0]), int(parts[-1])


@app.command(
    epilog="Examples:\n\n"
    "breakhis run\n\n"
    "breakhis run --data breakhis --magnifications 40,200 --protocols image,slide --seeds 0,1,2\n\n"
    "breakhis run --data xrays --groups patients.csv --protocols slide --seeds 0"
)
def run(
    data: Annotated[
        Path | None,
        typer.Option(
            help="Images: BreakHis' layout below any root, or one sub-folder a class; default: the practice slides."
        ),
    ] = None,
    results: Annotated[
        Path | None, typer.Option(help="Folder for the record; default: results/NAME, NAME being the data folder's.")
    ] = None,
    magnifications: Annotated[str, typer.Option(help="For instance 40,100,200,400; default: all there are.")] = "",
    protocols: Annotated[str, typer.Option(help="How to split: image, slide, number, official.")] = "image,slide",
    readings: Annotated[
        str,
        typer.Option(
            help='Readings of "top four layers": block14, last4, sepconv4, block13, blocks4, probe; '
            "or a control: logistic (regression on the frozen features), colour (on the stain's colour alone)."
        ),
    ] = "block14",
    seeds: Annotated[str, typer.Option(help="Whole numbers; 0 to 4 are the five folds of one shuffle.")] = "0,1,2,3,4",
    epochs: Annotated[int, typer.Option(help="Passes over the training images, at most.")] = 15,
    patience: Annotated[int, typer.Option(help="Epochs without better validation before stopping; 0: never.")] = 5,
    optimizer: Annotated[str, typer.Option(help="adam or sgd.")] = "adam",
    learning_rate: Annotated[float, typer.Option(help="Step size of the optimiser.")] = 1e-4,
    batch_size: Annotated[int, typer.Option(help="Images a training step.")] = 32,
    batch_norm: Annotated[str, typer.Option(help="inference (ImageNet's statistics) or batch.")] = "inference",
    dropout: Annotated[float, typer.Option(help="Share dropped before the softmax.")] = 0.2,
    class_weights: Annotated[bool, typer.Option("--class-weights", help="Classes weigh alike.")] = False,
    augment: Annotated[bool, typer.Option("--augment", help="Train on eight turned and mirrored views.")] = False,
    size: Annotated[str, typer.Option(help="Image size in pixels: 299, or HEIGHTxWIDTH to keep an aspect.")] = "299",
    shuffle_labels: Annotated[
        str, typer.Option(help="A control: give the images (image) or the slides (slide) each other's labels.")
    ] = "",
    groups: Annotated[Path | None, typer.Option(help="CSV file,group for a folder of classes.")] = None,
    weights: Weights = None,
):
    """Train and test: every magnification, protocol, reading and seed; stopped, it goes on where it was."""
    with errors.status("Loading Keras ..."):
        from breakhis_lib import experiment
        from breakhis_lib.model.readings import Settings

    plan = experiment.Plan(
        _parts(magnifications, int),
        _parts(protocols),
        _parts(readings),
        _parts(seeds, int),
        Settings(epochs, patience, optimizer, learning_rate, batch_size, dropout, batch_norm, class_weights, augment),
        _size(size),
        shuffle=shuffle_labels,
    )
    data = data or _practice()
    results = results or Path("results") / data.resolve().name.lower().replace("_", "-")
    continued = os.environ.pop(CONTINUED, None)
    with _progress() as progress:
        record, left = experiment.run(
            data, results, plan, weights, groups, None if continued else _command(), _watcher(progress), HEADS
        )
    if left:
        _continue_afresh()
    output.print(f"Recorded in {record.folder}.")
    for reading in plan.readings:
        _print_table4(record, reading)


def _continue_afresh():
    """Start the same command anew; TensorFlow frees a trained head's memory only when its process ends.

    Some 80 MB a head are kept whatever Keras is told (keras-team/keras, issue 20552).
    """
    command = [sys.executable, "-m", "breakhis_lib.cli", *sys.argv[1:]]
    os.environ[CONTINUED] = "1"
    if os.name == "nt":  # Windows would return to the shell at once
        sys.exit(subprocess.call(command))
    os.execv(command[0], command)


def _command():
    return shlex.join(["breakhis", *sys.argv[1:]])


def _watcher(progress):
    from breakhis_lib import experiment

    class Bars(experiment.Watcher):
        def __init__(self):
            self.name = self.task = None

        def _bar(self, name, total):
            """The bar of what is being done; the one before it goes."""
            if name != self.name:
                if self.task is not None:
                    progress.remove_task(self.task)
                self.name, self.task = name, progress.add_task(name, total=total, note="")

        def say(self, message):
            progress.console.print(message, highlight=False)

        def features(self, magnification, done, total):
            self._bar(f"x{magnification}: frozen trunk, images", total)
            speed = progress.tasks[-1].speed
            progress.update(self.task, completed=done, note=f"{speed:.1f} images/s" if speed else "")
            if done == total:
                self.say(f"x{magnification}: features of {total} images computed")

        def epoch(self, name, epoch, epochs, logs):
            self._bar(f"{name}, epochs", epochs)
            if logs:
                note = f"validation loss {logs['val_loss']:.3f}, accuracy {logs['val_accuracy']:.3f}"
                progress.update(self.task, completed=epoch, note=note)

        def trained(self, name, trained):
            best = trained.history.loc[trained.best_epoch]
            self.say(
                f"{name}: {trained.seconds:.0f} s, best epoch {trained.best_epoch} of {len(trained.history)}, "
                f"validation accuracy {best.val_accuracy:.3f}"
            )

    return Bars()


@app.command(epilog="Example:  breakhis table results/breakhis-subset")
def table(
    results: Annotated[list[Path] | None, typer.Argument(help="Records; default: all below results/.")] = None,
    reading: Annotated[str, typer.Option(help='Which reading of "top four layers", or which control.')] = "block14",
    runs: Annotated[bool, typer.Option("--runs", help="Instead, a row for every kind of run, to compare.")] = False,
):
    """Print the paper's Table 4 four ways: the paper's, ours by image, ours by slide, the majority class."""
    from breakhis_lib.evaluation import records

    folders = results or sorted(path.parent for path in Path("results").glob("*/run.json"))
    if not folders:
        raise InputError("there is no record below results/; make one with `breakhis run`, or name its folder.")
    if runs:
        _print_runs(folders)
        return
    for folder in folders:
        _print_table4(records.Record(folder), reading)


@app.command(epilog="Example:  breakhis report results/breakhis-subset")
def report(
    results: Annotated[Path, typer.Argument(help="The record's folder.")],
    to: Annotated[Path | None, typer.Option(help="HTML file to write; default: NAME-report.html here.")] = None,
    reading: Annotated[str, typer.Option(help='Which reading of "top four layers", or which control.')] = "block14",
):
    """Write one page about a record: tables, curves, calibration, thresholds, worst errors, leakage, provenance."""
    from breakhis_lib.evaluation import records
    from breakhis_lib.evaluation import report as page

    record = records.Record(results)
    with errors.status("Drawing slides again, for the intervals ..."):
        path = page.write(record, to or Path(f"{record.folder.resolve().name}-report.html"), reading)
    output.print(f"Written to {path}; it opens in any browser, without a network.")


def _print_runs(folders):
    from breakhis_lib.evaluation import tables

    shown = Table(title="Every kind of run: accuracy in percent")
    names = (
        "record",
        "magnification",
        "split by",
        "reading",
        "validation",
        "test",
        "95 % interval",
        "majority",
        "runs",
    )
    for name in names:
        shown.add_column(
            name, justify="left" if name in ("record", "split by", "reading") else "right", overflow="fold"
        )
    for (folder, magnification, protocol, reading), row in tables.runs(folders).iterrows():
        figures = [f"{row.validation:.1f}", f"{row.accuracy:.1f}", f"{row.low:.1f} to {row.high:.1f}"]
        counts = [f"{row.majority:.1f}", f"{row.runs:.0f}"]
        shown.add_row(folder, f"x{magnification}", protocol, reading, *figures, *counts)
    shown.caption = "Mean over runs; interval: bootstrap over slides. Choose by validation, not by test."
    Console(width=None if sys.stdout.isatty() else 110).print(shown)


def _print_table4(record, reading="block14"):
    from breakhis_lib.evaluation import tables

    found = tables.four_ways(record.predictions(), reading)
    kind = "SIMULATED slides, " if record.is_simulated() else ""
    shown = Table(title=f"Table 4 four ways, test accuracy in percent: {kind}{record.folder} ({reading})")
    for name in ("magnification", "way", "accuracy", "95 % interval", "runs", "images", "slides"):
        shown.add_column(name, justify="left" if name == "way" else "right")
    for magnification, rows in found.groupby(level="magnification", sort=False):
        for number, (way, row) in enumerate(rows.droplevel("magnification").iterrows()):
            cells = ["" if number else f"x{magnification}" if magnification else "all", way, f"{row.accuracy:.2f}"]
            if row.low == row.low:
                cells += [
                    f"{row.low:.1f} to {row.high:.1f}",
                    *(f"{row[name]}" for name in ("runs", "images", "slides")),
                ]
            shown.add_row(*cells, end_section=number == len(rows) - 1)
    shown.caption = (
        "Ours: mean over runs; interval: bootstrap over slides; images, slides: distinct ones tested.\n"
        "The paper splits by image and prints neither intervals nor counts."
    )
    Console(width=None if sys.stdout.isatty() else 110).print(shown)


@app.command(epilog="Example:  breakhis predict slides/SOB_M_DC-14-2523-200-001.png --results results/breakhis-subset")
def predict(
    images: Annotated[list[Path], typer.Argument(help="PNG, JPEG or TIFF files.")],
    results: Annotated[Path, typer.Option(help="Record of the run whose trained head answers.")] = Path(
        "results/practice"
    ),
    magnification: Annotated[int | None, typer.Option(help="Default: what a BreakHis file name says.")] = None,
    protocol: Annotated[str | None, typer.Option(help="Default: slide, if it was run.")] = None,
    reading: Annotated[str | None, typer.Option(help="Default: block14, if it was run.")] = None,
    weights: Weights = None,
):
    """Print the probability of each label for single images. Not for clinical use."""
    with errors.status("Loading Keras ..."):
        from breakhis_lib import experiment
        from breakhis_lib.evaluation import records

    record = records.Record(results)
    with errors.status("Predicting ..."):
        found = experiment.predict(images, record, magnification, protocol, reading, weights, _say)
    classes = record.info()["classes"]
    shown = Table(title=f"Probability of each label (record {results}; not for clinical use)")
    for name in ("image", *classes, "head", "the image was in"):
        shown.add_column(name, overflow="fold")
    for _, row in found.iterrows():
        head = f"x{row.magnification} by {row.protocol}, {row.reading}, seed {row.seed}"
        where = f"its {row.set} set" if isinstance(row.set, str) else "none of its sets"
        shown.add_row(Path(row.file).name, *(f"{row[name]:.4f}" for name in classes), head, where)
    Console(width=None if sys.stdout.isatty() else 140).print(shown)


def _version(wanted: bool):
    if wanted:
        output.print(__version__)
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")] = False,
):
    pass


class _Stopped(BaseException):
    """Ctrl-C, kept apart from KeyboardInterrupt, which the command-line library turns into exit code 1."""


def _stop(signal_number, frame):
    raise _Stopped


def main():
    """Run the command line: foreseen errors print one message and exit with 1, a stop with 130."""
    signal.signal(signal.SIGINT, _stop)
    try:
        app()
    except InputError as error:
        errors.print("[bold red]Error:[/] ", end="")
        errors.print(str(error), markup=False, highlight=False)
        sys.exit(1)
    except _Stopped:
        errors.print("Stopped. What was finished is kept; the same command goes on from there.")
        sys.exit(130)
    except Exception as error:
        if os.environ.get("BREAKHIS_DEBUG"):
            raise
        errors.print(f"Unexpected error: {type(error).__name__}: {error}", markup=False, highlight=False)
        errors.print("Please report it; BREAKHIS_DEBUG=1 shows where it happened.")
        sys.exit(3)


if __name__ == "__main__":
    main()
