"""The door: `breakhis`, one command a station of the journey, and `run` for all of it.

Heavy modules are imported inside the commands, so that `breakhis --help` answers at once.
"""

import errno
import os
import shlex
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

from breakhis_lib import __version__, console
from breakhis_lib.console import errors, output
from breakhis_lib.errors import InputError
from breakhis_lib.files import write_page

app = typer.Typer(
    help="From Slide to Softmax: fine-tune the top of an ImageNet-trained Xception on breast tumour images.\n\n"
    "The journey: practice (or download), check, run, table, predict, demo. Not for clinical use.",
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
    count = sum(1 for _ in made.rglob("SOB_*-00-*.png"))
    where = f" --data {folder}" if folder else ""
    output.print(f"{count} simulated images (drawings, not tissue) in {made}\nNext: breakhis run{where}")


def _practice(folder=None, seed=2026, **numbers):
    from breakhis_lib import cache
    from breakhis_lib.practice import slides

    with console.progress() as progress:
        return slides.make(
            folder or cache.folder() / "practice", seed, progress=console.bar(progress, "simulated"), **numbers
        )


@app.command(epilog="Example:  breakhis download breakhis   (about 4 GB; stopped, it goes on where it was)")
def download(
    folder: Annotated[Path, typer.Argument(help="Where to put BreakHis.")] = Path("breakhis"),
    archive: Annotated[Path | None, typer.Option(help="An archive brought by hand, instead of a download.")] = None,
    url: Annotated[str | None, typer.Option(help="Another address of the archive.")] = None,
):
    """Fetch BreakHis from its authors' address and unpack it."""
    from breakhis_lib.data import download as module

    with console.progress(in_bytes=True) as progress:
        unpacked = console.bar(progress, "unpack")
        if archive:
            made = module.fetch(folder, archive=archive, unpacked=unpacked)
        else:
            made = module.fetch(
                folder, url or module.OFFICIAL_URL, console.bar(progress, "download"), unpacked=unpacked
            )
    output.print(f"BreakHis is in {made}. Next: breakhis check {made}")


@app.command(epilog="Example:  breakhis check breakhis   (exit code 0: nothing to report, 1: something is)")
def check(
    folder: Annotated[Path, typer.Argument(help="Folder of images.")],
    every: Annotated[bool, typer.Option("--all", help="List every finding, not the first five of each kind.")] = False,
):
    """Compare a folder with BreakHis' official list: missing, extra, damaged, odd, doubled images."""
    from breakhis_lib.data import inventory

    with console.progress() as progress:
        report = inventory.inspect(folder, progress=console.bar(progress, "images read"))
    counts = report.counts
    kinds = {"breakhis": "BreakHis' layout", "simulated": "simulated practice slides", "classes": "folders of classes"}
    output.print(f"{folder}: {counts['images']} images in {kinds[report.layout]}, {counts['readable']} can be read.")
    if report.layout == "breakhis":
        output.print(f"{counts['official_present']} of the {counts['official']:,} official images are there.")
        output.print(
            "Slide 13412 is filed both as ductal (DC) and as lobular (LC): of its "
            f"{counts['twin_pairs']} pairs of twins {counts['twin_pairs_present']} are there, "
            f"{counts['twin_pairs_identical']} with the same pixels."
        )
    console.findings(report.findings, inventory.KINDS, every)
    raise typer.Exit(1 if (report.findings.kind != "twin").any() else 0)  # BreakHis itself has the twins


@app.command()
def weights(path: Annotated[Path | None, typer.Argument(help="A file of your own to verify and use.")] = None):
    """Fetch and verify Xception's ImageNet weights (84 MB, once)."""
    from breakhis_lib.model import weights as module

    file, tensors = module.locate(path, console.say)
    numbers = sum(array.size for _, _, array in tensors)
    output.print(f"{file}: {len(tensors)} tensors, {numbers:,} numbers, digest verified.")


PROTOCOLS = "How to split: image, slide, number, official; default: all that differ but the last."
READINGS = (
    'Readings of "top four layers": block14, last4, sepconv4, block13, blocks4, probe; or a control: logistic '
    "(regression on the frozen features), colour (on the stain's colour alone)."
)
Results = Annotated[Path, typer.Option(help="Record of the run whose trained head answers.")]
Reading = Annotated[str | None, typer.Option(help="Which reading, or control; default: block14, if it was run.")]


def _parts(text, kind=str):
    parts = text.replace(",", " ").split()
    if kind is int and not all(part.isdecimal() for part in parts):
        raise InputError(f"{text!r} is not understood; list whole numbers, each by itself, such as 0,1,2.")
    return tuple(dict.fromkeys(map(kind, parts)))


def _size(text):
    parts = text.lower().split("x")
    if not all(part.isdecimal() for part in parts) or len(parts) > 2:
        raise InputError(f"size {text!r} is not understood; expected 299, or HEIGHTxWIDTH such as 299x455.")
    return int(parts[0]), int(parts[-1])


@app.command(
    epilog="Examples:\n\n"
    "breakhis run\n\n"
    "breakhis run --data breakhis --magnifications 40,200 --protocols image,slide --seeds 0,1,2 --workers 4\n\n"
    "breakhis run --data xrays --groups patients.csv --protocols slide --seeds 0"
)
def run(
    data: Annotated[Path | None, typer.Option(help="Folder of images; default: the practice slides.")] = None,
    results: Annotated[Path | None, typer.Option(help="Folder of the record; default: results/NAME of data.")] = None,
    magnifications: Annotated[str, typer.Option(help="For instance 40,100,200,400; default: all there are.")] = "",
    protocols: Annotated[str, typer.Option(help=PROTOCOLS)] = "",
    readings: Annotated[str, typer.Option(help=READINGS)] = "block14",
    seeds: Annotated[str, typer.Option(help="Whole numbers; 0 to 4 are the five folds of one shuffle.")] = "0,1,2,3,4",
    epochs: Annotated[int, typer.Option(help="Passes over the training images, at most.")] = 15,
    patience: Annotated[int, typer.Option(help="Epochs without better validation before stopping; 0: never.")] = 5,
    learning_rate: Annotated[float, typer.Option(help="Step size of the optimiser, Adam.")] = 1e-4,
    batch_size: Annotated[int, typer.Option(help="Images a training step.")] = 32,
    batch_norm: Annotated[str, typer.Option(help="inference (ImageNet's statistics) or batch.")] = "inference",
    dropout: Annotated[float, typer.Option(help="Share dropped before the softmax.")] = 0.2,
    class_weights: Annotated[bool, typer.Option("--class-weights", help="Classes weigh alike.")] = False,
    augment: Annotated[bool, typer.Option("--augment", help="Train on eight turned and mirrored views.")] = False,
    weight_decay: Annotated[float, typer.Option(help="Share of the step size by which weights shrink a step.")] = 0,
    size: Annotated[str, typer.Option(help="Image size in pixels: 299, or HEIGHTxWIDTH to keep an aspect.")] = "299",
    pooled: Annotated[bool, typer.Option("--pooled", help="One model for all magnifications, tested on each.")] = False,
    shuffle_labels: Annotated[str, typer.Option(help="A control: shuffle labels by image or by slide.")] = "",
    groups: Annotated[Path | None, typer.Option(help="CSV file,group: the patient or slide of each image.")] = None,
    positive: Annotated[str | None, typer.Option(help="Of two classes the one to find; default: malignant.")] = None,
    workers: Annotated[int, typer.Option(help="Processes that train, each with one thread; 1: this one.")] = 1,
    scheduler: Annotated[str | None, typer.Option(help="Instead, a Dask scheduler's address, tcp://HOST:8786.")] = None,
    weights: Weights = None,
):
    """Train and test: every magnification, protocol, reading and seed; stopped, it goes on where it was."""
    from breakhis_lib import experiment
    from breakhis_lib import workers as pool
    from breakhis_lib.model.readings import Settings

    plan = experiment.Plan(
        _parts(magnifications, int),
        _parts(protocols),
        _parts(readings),
        _parts(seeds, int),
        Settings(
            epochs, patience, learning_rate, batch_size, dropout, batch_norm, class_weights, augment, weight_decay
        ),
        _size(size),
        shuffle=shuffle_labels,
        pooled=pooled,
    )
    experiment.check(plan)
    command = shlex.join(["breakhis", *sys.argv[1:]])
    with pool.executor(workers, scheduler) as executor:
        data = data or _practice()
        results = results or Path("results") / data.resolve().name.lower().replace("_", "-") / ("pooled" * pooled)
        with console.progress() as progress:
            watcher = console.Bars(progress)
            record = experiment.run(data, results, plan, weights, groups, command, watcher, positive, executor)
    output.print(f"Recorded in {record.folder}.")
    for reading in plan.readings:
        console.table4(record, reading)


@app.command(epilog="Example:  breakhis table results/breakhis-subset")
def table(
    results: Annotated[list[Path] | None, typer.Argument(help="Records or folders of them; default: results.")] = None,
    reading: Reading = None,
    runs: Annotated[bool, typer.Option("--runs", help="Instead, a row for every kind of run, to compare.")] = False,
):
    """Print Table 4: the paper's accuracy, ours by each way to split, the majority class; or compare runs."""
    from breakhis_lib.evaluation import records

    folders = [at.parent for folder in results or [Path("results")] for at in sorted(folder.rglob("predictions.csv"))]
    if not folders:
        where = " or ".join(map(str, results or ["results"]))
        raise InputError(f"there is no record in or below {where}; make one with `breakhis run`, or name its folder.")
    if runs:
        console.runs(folders)
        return
    for record in map(records.Record, folders):
        console.table4(record, reading or record.main_reading())


@app.command(epilog="Example:  breakhis report results/breakhis-subset")
def report(
    results: Annotated[Path, typer.Argument(help="The record's folder.")],
    to: Annotated[Path | None, typer.Option(help="HTML file to write; default: NAME-report.html here.")] = None,
    reading: Reading = None,
):
    """Write one page about a record: tables, curves, calibration, thresholds, worst errors, leakage, provenance."""
    from breakhis_lib.evaluation import records
    from breakhis_lib.evaluation import report as page

    record = records.Record(results)
    with errors.status("Drawing slides again, for the intervals ..."):
        place = to or Path(f"{record.folder.resolve().name}-report.html")
        path = page.write(record, place, reading or record.main_reading())
    output.print(f"Written to {path}; it opens in any browser, without a network.")


@app.command(epilog="Example:  breakhis ledger chapters/redo/my_paper.toml")
def ledger(
    claims: Annotated[Path, typer.Argument(help="TOML file of a paper's claims; of any paper.")],
    to: Annotated[Path | None, typer.Option(help="HTML file to write; default: NAME.html here.")] = None,
):
    """Write the ledger of a paper that you re-do: its claims, your evidence, a verdict on each by rule."""
    from breakhis_lib import ledger as module

    path = write_page(to or f"{claims.stem}.html", module.as_html(module.read(claims)))
    output.print(f"Written to {path}; it opens in any browser, without a network.")


@app.command(epilog="Example:  breakhis predict slides/SOB_M_DC-14-2523-200-001.png --results results/breakhis-subset")
def predict(
    images: Annotated[list[Path], typer.Argument(help="PNG, JPEG or TIFF files.")],
    results: Results = Path("results/practice"),
    magnification: Annotated[int | None, typer.Option(help="Default: what a BreakHis file name says.")] = None,
    protocol: Annotated[str | None, typer.Option(help="Default: slide, if it was run.")] = None,
    reading: Reading = None,
    maps: Annotated[Path | None, typer.Option(help="Folder for a picture an image: what moved the answer.")] = None,
    weights: Weights = None,
):
    """Print the probability of each label for single images. Not for clinical use."""
    from breakhis_lib import experiment
    from breakhis_lib.evaluation import figures, records

    record = records.Record(results)
    with errors.status("Predicting ..."):
        found, failed = experiment.predict(images, record, magnification, protocol, reading, weights, console.say, maps)
        if maps and len(found):
            figures.write_answers(found, record, maps)
    console.predictions(found, failed, record.info()["classes"], record)


@app.command(epilog="Example:  breakhis demo --results results/practice")
def demo(
    results: Results = Path("results/practice"),
    browser: Annotated[bool, typer.Option(help="Open the page in a browser.")] = True,
):
    """Open a page on which one drops an image and sees the answer. Not for clinical use."""
    from breakhis_lib import demo as page
    from breakhis_lib.evaluation import records

    page.serve(records.Record(results), browser, output.print)


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
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:  # closed: what is opened next would take its place, and be written into
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115
            os.set_inheritable(getattr(sys, name).fileno(), True)
    try:
        app()
    except InputError as error:
        errors.print("Error: ", style="bold red", end="")
        errors.print(str(error))
        sys.exit(1)
    except _Stopped:
        errors.print("Stopped. What was finished is kept; the same command goes on from there.")
        sys.exit(130)
    except Exception as error:
        if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            if not error.filename:  # what is left of it is not tried again at the end
                with open(os.devnull, "w", encoding="utf-8") as nowhere:
                    os.dup2(nowhere.fileno(), sys.stdout.fileno())
            sys.exit(f"Error: {error.filename or 'standard output'} cannot be written ({error.strerror}); make room.")
        if os.environ.get("BREAKHIS_DEBUG"):
            raise
        errors.print(f"Unexpected error: {type(error).__name__}: {error}")
        errors.print("Please report it; BREAKHIS_DEBUG=1 shows where it happened.")
        sys.exit(3)


if __name__ == "__main__":
    main()
