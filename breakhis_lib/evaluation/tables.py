"""What the reader sees as tables: the paper's numbers beside ours."""

import os
from pathlib import Path

import numpy as np
import pandas as pd

from breakhis_lib import paper
from breakhis_lib.data.dataset import MAGNIFICATIONS
from breakhis_lib.errors import InputError
from breakhis_lib.evaluation import decisions, metrics, records
from breakhis_lib.model import readings

BESIDE = {"balanced": "balanced accuracy", "AUC": "AUC", "whole slides": "slides decided correctly"}  # accuracy
COUNTS = {"runs": "seed", "images": "file", "slides": "slide"}  # what is counted, by the column that tells it apart
SETTINGS = {**readings.Settings()._asdict(), "pooled": False}  # of records made before there was a choice


def interval(low, high, decimals=1):
    """An interval in words: "41.6 to 94.9", or "too few slides" where it is nan."""
    return "too few slides" if pd.isna(low) else f"{low:.{decimals}f} to {high:.{decimals}f}"


def of_reading(predictions, reading):
    """The predictions of one reading; InputError, naming those that are there, where there are none."""
    chosen = predictions[predictions.reading == reading]
    if chosen.empty:
        raise InputError(f"there is no run of reading {reading}; there is {', '.join(predictions.reading.unique())}.")
    return chosen


def _accuracy(tested):
    """Accuracy with its interval, in percent, over what was kept apart: slides, or numbers; and the counts."""
    found = metrics.mean_accuracy(tested, unit_of(tested))
    return {**{name: 100 * found.pop(name) for name in ("accuracy", "low", "high")}, **found}


def unit_of(predictions):
    """What an interval of these predictions draws again: slides; or numbers, where these were kept apart."""
    return "number" if (predictions.protocol == "number").all() else "slide"


def _majority(tested):
    return 100 * metrics.majority_share(tested.drop_duplicates("file").label)


def table4(predictions, reading=readings.DEFAULT_READING):
    """The paper's Table 4 beside a record's test accuracy, by protocol.

    predictions: of a record, any magnifications, protocols and seeds.
    Returns a data frame, one row a magnification and protocol: paper, accuracy, low, high (percent; the interval is the
    95 % bootstrap over slides, by number over slide numbers), majority (percent), runs, images, slides. The paper's row
    of a magnification that was not run has no other figure; for images that are not BreakHis' there is none. Raises
    InputError where there is no run of that reading.
    """
    tested = of_reading(predictions[predictions.set == "test"], reading)
    like_breakhis, rows = set(tested.magnification) <= set(MAGNIFICATIONS), []  # its images, or practice slides
    printed = paper.table4() if like_breakhis else pd.Series(dtype=float)
    for magnification in sorted({*printed.index, *tested.magnification}):
        row = {"magnification": magnification, "paper": printed.get(magnification)}
        there = tested[tested.magnification == magnification]
        for protocol, group in sorted(there.groupby("protocol"), key=lambda pair: len(pair[0])):  # image, slide, number
            rows.append({**row, "protocol": protocol, **_accuracy(group), "majority": _majority(group)})
        if there.empty:
            rows.append({**row, "protocol": None})
    columns = ["paper", "accuracy", "low", "high", "majority", *COUNTS]
    table = pd.DataFrame(rows).set_index(["magnification", "protocol"])
    return table.reindex(columns=columns).astype(dict.fromkeys(COUNTS, "Int64"))


def _beside(rows):
    """What accuracy leaves out, of two classes, in percent: BESIDE, and accuracy at the threshold of validation."""
    if len(rows.filter(regex="^p_").columns) > 1 or set(rows.set) < {"validation", "test"}:
        return {}
    at = decisions.apply_chosen(rows, lambda label, p: decisions.cheapest_threshold(label, p, 1))
    tested, found = rows[rows.set == "test"], {"threshold": 1 - (at.missed + at.alarms) / (at.malignant + at.benign)}
    found |= {name: metrics.estimate(tested, measure, resamples=1).value for name, measure in BESIDE.items()}
    return {name: 100 * value for name, value in found.items()}


def ways(predictions, reading=readings.DEFAULT_READING):
    """Table 4, way by way: what the paper prints, ours by each protocol, and the majority class, one row each.

    predictions, reading: as for `table4`. The majority class is that of the images tested; where protocols tested other
    images, there is a row for each. Returns a data frame, index magnification and way; columns accuracy, low and
    high as in `table4`, threshold (accuracy at the threshold that does best on each seed's validation images), what
    stands in BESIDE (all in percent), runs, images, slides. The paper prints an accuracy alone, and the majority class
    needs no run. Raises InputError as `table4`.
    """
    rows, chosen = {}, of_reading(predictions, reading)
    for magnification, there in table4(predictions, reading).groupby(level="magnification"):
        if there.paper.notna().all():
            rows[(magnification, "paper")] = {"accuracy": there.paper.iloc[0]}
        there = there.droplevel("magnification").dropna(subset="accuracy")
        for name, row in there.iterrows():
            kept = chosen[(chosen.magnification == magnification) & (chosen.protocol == name)]
            rows[(magnification, f"ours, by {name}")] = {**row, **_beside(kept)}
        answers = there.assign(accuracy=there.majority)[["accuracy", "images", "slides"]]
        alike = len(answers.drop_duplicates()) == 1
        for name, row in answers[: 1 if alike else None].iterrows():
            rows[(magnification, "majority class" + ("" if alike else f", by {name}"))] = row
    columns = ["accuracy", "low", "high", "threshold", *BESIDE, *COUNTS]
    table = pd.DataFrame.from_dict(rows, orient="index").reindex(columns=columns)
    return table.rename_axis(["magnification", "way"]).astype(dict.fromkeys(COUNTS, "Int64"))


def runs(folders):
    """Every kind of run in some records, one row each: what was varied, and what came of it.

    folders: of records. Returns a data frame, index record (its path below the folder that all share), magnification,
    protocol and reading; columns validation (accuracy of the kept epoch, mean over seeds, percent: choose by this one),
    accuracy, low, high, majority (percent, as in `table4`), runs, images, slides. Raises InputError for a folder
    without a record.
    """
    rows = {}
    for folder, record in zip(folders, _names(folders), strict=True):
        predictions = records.Record(folder).predictions()
        for key, group in predictions.groupby(["magnification", "protocol", "reading"], sort=False):
            held_out, tested = (group[group.set == name] for name in ("validation", "test"))
            right = metrics.is_correct(held_out).groupby(held_out.seed).mean()
            found = {**_accuracy(tested), "majority": _majority(tested)}
            rows[(record, *key)] = {"validation": 100 * right.mean(), **found}
    names = ["record", "magnification", "protocol", "reading"]
    columns = ["validation", "accuracy", "low", "high", "majority", *COUNTS]
    return pd.DataFrame.from_dict(rows, orient="index")[columns].rename_axis(names)


def _names(folders):
    """What some paths do not share: their ends, which tell them apart."""
    whole = [Path(folder).resolve() for folder in folders]
    shared = os.path.commonpath([path.parent for path in whole])
    return [path.relative_to(shared).as_posix() for path in whole]


def against_default(folders, default, reading=readings.DEFAULT_READING):
    """What each change did: every kind of run in some records, less the default's runs on the same splits.

    folders: of records. default: the Record that holds the default's runs; reading: their name there. Only the seeds
    and images that both have are compared.
    Returns a data frame, index change (the settings and the reading that differ, or else the record's name),
    magnification and protocol; columns validation and test (differences of accuracy in percentage points; choose by
    the first), low and high (of test, 95 % bootstrap over slides, by number over slide numbers), runs, images, slides
    (tested). A kind of run of which the default has no seed is left out. Raises InputError for a folder that is no
    record.
    """
    usual, settings = default.predictions(), {**SETTINGS, **default.info()["settings"]}
    usual = usual[usual.reading == reading]
    rows = []
    for record in map(records.Record, folders):
        everything, own = record.predictions(), record.info()["settings"]
        changed = [f"{name} {_plain(own[name])}" for name in own if own[name] != settings.get(name)]
        for key, group in everything.groupby(["magnification", "protocol", "reading"], sort=False):
            same = usual[(usual.magnification == key[0]) & (usual.protocol == key[1]) & usual.seed.isin(group.seed)]
            if same.empty:
                continue
            change = ", ".join([*changed, *([f"reading {key[2]}"] if key[2] != reading else [])])
            row = {"change": change or record.folder.name, "magnification": key[0], "protocol": key[1]}
            rows.append({**row, **_apart(group, same)})
    index = ["change", "magnification", "protocol"]
    columns = ["validation", "test", "low", "high", *COUNTS]
    return pd.DataFrame(rows, columns=[*index, *columns]).set_index(index)


def less(first, second):
    """First less second in test accuracy, whatever images their seeds test.

    first, second: predictions of two trainings that test the same slides.
    Returns a data frame, index reading, magnification and protocol, of what both have; columns difference, low and high
    in percentage points, the interval over slides, by number over slide numbers. Raises InputError where the slides
    differ.
    """
    by = ["reading", "magnification", "protocol"]
    one, other = (dict(iter(rows[rows.set == "test"].groupby(by))) for rows in (first, second))
    found = {
        key: 100 * metrics.paired_difference(rows, other[key], unit=unit_of(rows))
        for key, rows in one.items()
        if key in other
    }
    return pd.DataFrame(found).T.rename_axis(by)


def _apart(first, second):
    """First less second in accuracy: percentage points, with the interval and the counts of the test."""
    held_out, tested = (
        metrics.paired(*(rows[rows.set == name] for rows in (first, second))) for name in ("validation", "test")
    )
    right = [metrics.is_correct(rows).groupby(rows.seed).mean().mean() for rows in held_out]
    apart = 100 * metrics.paired_difference(*tested, unit=unit_of(tested[0]))
    counts = {name: tested[0][column].nunique() for name, column in COUNTS.items()}
    return {"validation": 100 * (right[0] - right[1]), **apart.rename({"difference": "test"}), **counts}


def _plain(value):
    """A setting as a reader writes it: 224x224 for [224, 224], on for True."""
    if isinstance(value, list):
        return "x".join(map(str, value))
    return {True: "on", False: "off"}[value] if isinstance(value, bool) else str(value)


def prevalences(found, shares=(0.01, 0.1, 0.3)):
    """What an answer is worth at stated prevalences.

    found: what `metrics.summary` returns. shares: of malignant images, in (0, 1). Returns a data frame, index
    prevalence, columns PPV and NPV.
    """
    ppv, npv = metrics.predictive_values(*found.value[["sensitivity", "specificity"]], np.array(shares))
    return pd.DataFrame({"PPV": ppv, "NPV": npv}, index=pd.Index(shares, name="prevalence"))


def errors(predictions, most=20):
    """The wrong answers that were given with most confidence, worst first.

    predictions: test rows. Returns a data frame: file, slide, label, seed and the probability of the true class.
    """
    wrong = predictions[~metrics.is_correct(predictions)]
    of_truth = metrics.every_probability(wrong)[np.arange(len(wrong)), wrong.label]
    table = wrong[["file", "slide", "label", "seed"]].assign(**{"probability of the truth": of_truth})
    return table.sort_values("probability of the truth", kind="stable").head(most).reset_index(drop=True)


def slide_by_slide(predictions):
    """Every tested slide: its class, its images, how often they were right, and the mean probability of the positive.

    predictions: test rows of two classes. Returns a data frame, index slide, worst first.
    """
    table = predictions.assign(correct=metrics.is_correct(predictions)).groupby("slide")
    column = metrics.positive_probability(predictions).name
    found = table.agg(
        label=("label", "first"), images=("file", "nunique"), correct=("correct", "mean"), **{column: (column, "mean")}
    )
    return found.sort_values(["correct", "images"], ascending=[True, False])
