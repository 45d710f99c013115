"""Everything that results/ holds about real images, run again: python experiments/reproduce.py FOLDER_OF_BREAKHIS.

Each experiment is a question, and makes one record or table. What is recorded is not repeated, so that the whole may
be stopped and spread over days. `--list` says what is done, what is still to do and about how long that takes;
`--check` ends with 1 unless everything is recorded; `--only NAME` runs some of it; `--jobs 8` runs as many experiments
at a time, for a card that one of them leaves idle.
"""

import argparse
import concurrent.futures
import os
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import amounts
import copies
import depth
import depth_heads
import fewer
import jitter
import pandas as pd
import public_splits
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import StandardScaler

from breakhis_lib import cli, workers
from breakhis_lib.data import dataset
from breakhis_lib.errors import InputError
from breakhis_lib.evaluation import records
from breakhis_lib.model import baselines

ROOT = Path(__file__).parents[1]
RESULTS = Path("results")
TEN, FIVE, THREE = (",".join(map(str, range(count))) for count in (10, 5, 3))
ALL = "--magnifications 40,100,200"
THREE_WAYS = "--protocols image,slide,number"
X200 = f"--magnifications 200 --protocols number --seeds {THREE}"
POOLED = f"{ALL} --pooled --protocols number --seeds {THREE}"
CONTROLS = "logistic,colour"


class Experiment(NamedTuple):
    """A question, and what answers it: options of `breakhis run`, or a module of its own."""

    question: str
    options: tuple = ()
    images: Callable | None = None  # from BreakHis' folder to that of the copies which are run on
    module: object = None  # with run(data, results, command) and missing(results)


def _both(name, question, options):
    """One thing changed, at x200 and in a model for all magnifications, by number."""
    runs = {name: f"{X200} {options}", f"{name}/pooled": f"{POOLED} {options}"}
    return {record: Experiment(question, (line,)) for record, line in runs.items()}


SIX = "last4,sepconv4,block13,blocks4,probe"  # block14 is in the first record
EXPERIMENTS = {
    "breakhis-subset": Experiment(
        "Does it hold by image, by slide, by slide number?",
        (f"{ALL} {THREE_WAYS} --seeds {TEN} --readings {CONTROLS}", f"{ALL} {THREE_WAYS} --seeds {TEN}"),
    ),
    "breakhis-subset/pooled": Experiment(
        "And with one model for all magnifications?",
        (
            f"{ALL} --pooled {THREE_WAYS} --seeds {TEN} --readings {CONTROLS}",
            f"{ALL} --pooled {THREE_WAYS} --seeds {TEN}",
        ),
    ),
    "depth": Experiment("Where in Xception is the tumour?", module=depth),
    "depth-heads": Experiment("And if it is cut there, and fine-tuned?", module=depth_heads),
    "amounts": Experiment("Is it leakage, or less to learn from?", module=amounts),
    "fewer": Experiment("Is x100 low because its slides are few?", module=fewer),
    "public-splits": Experiment("What do public splits without leakage share?", module=public_splits),
    "x400": Experiment(
        "What do the subset's 40 images at x400 allow?",
        (f"--magnifications 400 --protocols image,slide --seeds {FIVE} --readings block14,{CONTROLS}",),
    ),
    "steps": Experiment(
        "By image, was training too short?",
        (f"--magnifications 40,100 --protocols image --seeds {FIVE} --epochs 100 --patience 15",),
    ),
    **_both("readings/inference", "Which layers are the top four?", f"--readings {SIX}"),
    "readings/inference": Experiment(
        "Which layers are the top four, for images, slides and numbers?",
        (
            f"{X200} --readings {SIX}",
            f"--magnifications 200 --protocols image,slide --seeds {THREE} --readings probe,last4,sepconv4,block13",
            f"--magnifications 200 --protocols image,slide --seeds {THREE} --readings blocks4",  # the longest: last
        ),
    ),
    **_both("readings/batch", "Whose statistics normalise?", "--readings block14,block13,blocks4 --batch-norm batch"),
    **_both("factors/epochs-5", "Does a third of the epochs do?", "--epochs 5"),
    **_both("factors/class-weights", "Should classes weigh alike?", "--class-weights"),
    **_both("factors/augment", "Do turned and mirrored views help?", "--augment"),
    **_both("factors/size-224", "Is a smaller image as good?", "--size 224"),
    **_both("factors/aspect-kept", "Should the aspect be kept?", "--size 243x369"),
    **_both("factors/rate-1e-5", "Is a gentler step better?", "--learning-rate 1e-5"),
    **_both("factors/weight-decay", "Does weight decay help?", "--weight-decay 0.05"),
    **_both("factors/dropout-half", "Does more dropout help?", "--dropout 0.5"),
    "controls/labels-shuffled-by-image": Experiment(
        "What is learned when an image's label means nothing?",
        (f"--magnifications 200 {THREE_WAYS} --seeds {THREE} --readings logistic,block14 --shuffle-labels image",),
    ),
    "controls/labels-shuffled-by-slide": Experiment(
        "And when a slide's does?",
        (f"--magnifications 200 {THREE_WAYS} --seeds {THREE} --readings logistic,block14 --shuffle-labels slide",),
    ),
    "quarter/cropped": Experiment(
        "Is a quarter of a field harder?",
        (f"--magnifications 100,200 {THREE_WAYS} --seeds {THREE} --readings logistic,block14",),
        copies.quarters,
    ),
    "sub-types": Experiment(
        "Which tumour is it?",
        (
            f"--groups {copies.COPIES}/sub-types/groups.csv --protocols image,slide --seeds {FIVE} --readings logistic",
            f"--groups {copies.COPIES}/sub-types/groups.csv --protocols image,slide --seeds {THREE}",
        ),
        copies.sub_types,
    ),
    **{
        f"remedies/{make.__name__.replace('_', '-')}": Experiment(
            f"Does it help unseen patients: {make.__doc__.splitlines()[0]}",
            (
                f"{ALL} --protocols number --seeds {TEN} --readings logistic",
                f"--magnifications 100,200 --protocols number --seeds {THREE}",
            ),
            make,
        )
        for make in (
            *(copies.grey, copies.macenko_by_image, copies.macenko_by_slide),
            *(copies.reinhard_by_image, copies.reinhard_by_slide),
        )
    },
    "remedies/jitter": Experiment("Does stain jitter help unseen patients?", module=jitter),
}


def neighbours(data):
    """neighbours.csv: of every image, the other image of its magnification that is nearest in colour."""
    rows = []
    for _, fields in dataset.scan(data).groupby("magnification"):
        numbers = StandardScaler().fit_transform(baselines.colour(fields))
        nearest = NearestNeighbors().fit(numbers).kneighbors(n_neighbors=1, return_distance=False)[:, 0]
        kept = fields[["magnification", "file", "slide", "label"]].reset_index(drop=True)
        other = kept.loc[nearest, ["file", "slide", "label"]].reset_index(drop=True)
        rows.append(kept.join(other.add_prefix("nearest_")))
    pd.concat(rows).to_csv(ROOT / "results" / "neighbours.csv", index=False, lineterminator="\n")


def asked(options):
    """The runs that options of `breakhis run` ask for: keys of `records.KEY`; 0 stands for plain images."""
    parser = argparse.ArgumentParser()
    for name, default in (("magnifications", "0"), ("protocols", ""), ("readings", "block14"), ("seeds", "")):
        parser.add_argument(f"--{name}", default=default, type=lambda text: text.split(","))
    found, _ = parser.parse_known_args(shlex.split(options))
    return [
        {"magnification": int(magnification), "protocol": protocol, "reading": reading, "seed": int(seed)}
        for magnification in found.magnifications
        for protocol in found.protocols
        for reading in found.readings
        for seed in found.seeds
    ]


def missing(name):
    """The runs that an experiment still lacks, as keys; of one with a module of its own, only how many."""
    experiment = EXPERIMENTS[name]
    if experiment.module:
        return [{}] * experiment.module.missing(RESULTS)
    done = {tuple(run[key] for key in records.KEY) for run in records.Record(RESULTS / name).info().get("runs", [])}
    return [run for line in experiment.options for run in asked(line) if tuple(run.values()) not in done]


def seconds():
    """What a run took on such a machine, by magnification and reading: the mean over everything that is recorded."""
    runs, here = [], records.machine()["processor"]
    for path in sorted(RESULTS.rglob("run.json")):
        info = records.Record(path.parent).info()
        there = [session.get("processor") for session in info["sessions"]]
        runs += [
            {**run, "took": run["seconds"]["fine-tuning"]} for run in info["runs"] if there[run["session"]] == here
        ]
    return pd.DataFrame(runs).groupby(["magnification", "reading"]).took.mean() if runs else pd.Series(dtype=float)


def told():
    """One line an experiment: what is done and what is to do."""
    known, total = seconds(), 0
    for name, experiment in EXPERIMENTS.items():
        lacking = missing(name)
        times = [known.get((run["magnification"], run["reading"])) for run in lacking if run]
        times = [took for took in times if took is not None]
        guess = sum(times) / len(times) * len(lacking) if times else None
        total += guess or 0
        left = f"{len(lacking)} to do" if lacking else "done"
        if lacking:
            left += f", about {guess / 60:.0f} min" if guess is not None else ", unknown how long"
        print(f"{name}: {experiment.question} {left}")
    print(f"In all about {total / 3600:.1f} hours where it is known, from the runs recorded so far.")


def run(name, data):
    """Make what an experiment lacks."""
    experiment = EXPERIMENTS[name]
    if not missing(name):
        return
    if experiment.module:
        experiment.module.run(data, RESULTS, f"python experiments/reproduce.py {data} --only {name}")
        return
    folder = experiment.images(data) if experiment.images else data
    for options in experiment.options:
        sys.argv = ["breakhis", "run", "--data", str(folder), "--results", str(RESULTS / name), *shlex.split(options)]
        print(shlex.join(sys.argv), flush=True)
        cli.app(standalone_mode=False)


def main():
    """Run what is asked for, in order."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, nargs="?", help="folder with BreakHis' images, or a subset of them")
    parser.add_argument("--only", nargs="+", choices=EXPERIMENTS, metavar="NAME", help=", ".join(EXPERIMENTS))
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="experiments at a time (default: 1)")
    parser.add_argument("--list", action="store_true", help="say what is done and to do, and run nothing")
    parser.add_argument("--check", action="store_true", help="end with 1 unless everything is recorded")
    options = parser.parse_args()
    if options.data:
        options.data = Path(os.path.relpath(options.data, ROOT))
    os.chdir(ROOT)  # so that the commands in the records name no folder above it
    if options.list or options.check:
        told()
        sys.exit(int(options.check and any(map(missing, EXPERIMENTS))))
    if not options.data:
        parser.error("name the folder of BreakHis' images")
    names, failed = options.only or list(EXPERIMENTS), False
    with workers.executor(options.jobs) as pool:
        if pool is None:
            for name in names:
                run(name, options.data)
        else:
            started = {pool.submit(run, name, options.data): name for name in names}
            for done in concurrent.futures.as_completed(started):
                if error := done.exception():  # the others go on
                    failed = True
                    print(f"{started[done]} failed: {type(error).__name__}: {error}", flush=True)
    if not options.only:
        neighbours(options.data)
    sys.exit(int(failed))


if __name__ == "__main__":
    try:
        main()
    except InputError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit("\nStopped. What is recorded stays; the same command goes on from there.")
