"""Splits of BreakHis that others publish as free of leakage: what their test sets share with training.

public_splits.csv lists their test slides. A slide number that stands on both sides is counted; then a regression on
frozen features is trained as published, and again without the training slides that share a number with a tested one.
"""

from pathlib import Path

import pandas as pd
from depth import fields_of

from breakhis_lib.data import dataset, leakage, splits
from breakhis_lib.evaluation import metrics
from breakhis_lib.model import baselines, features

LIST = Path(__file__).with_name("public_splits.csv")


def tests():
    """The test slides of every split: a dictionary, name to (source, magnifications, sub-types, {(subtype, slide)})."""
    listed, found = pd.read_csv(LIST, dtype=str, keep_default_na=False), {}
    for name, rows in listed.groupby("split", sort=False):
        first = rows.iloc[0]
        of = tuple(map(int, first.magnifications.split()))
        found[name] = (first.source, of, set(first.subtypes.split()), set(zip(rows.subtype, rows.slide, strict=True)))
    folds = splits.official_folds()
    for fold, rows in folds[folds.set == "test"].groupby("fold"):
        slides = set(zip(rows.subtype, rows.slide, strict=True))
        source = "the data set's authors: Spanhol et al. 2016"
        found[f"official, fold {fold}"] = (source, dataset.MAGNIFICATIONS, set(dataset.SUBTYPES), slides)
    return found


def sets_of(fields, tested):
    """The split of these fields: test where a slide is listed, train elsewhere."""
    listed = [pair in tested for pair in zip(fields.subtype, fields.slide, strict=True)]
    return pd.Series("train", fields.index, name="set").mask(pd.Series(listed, fields.index), "test")


def shared(fields, tested):
    """What a test set shares with the rest: a dictionary of slides and images."""
    sets = sets_of(fields, tested)
    audit, numbers = leakage.audit(fields, sets), leakage.both_sides(fields, sets, "number").index
    slides = fields.slide[sets == "test"]
    which = sorted(fields.slide[(sets == "test") & fields.number.isin(numbers)].unique())
    return {
        "test slides": slides.nunique(),
        "share a number": len(which),
        "test images": audit["test images"],
        "images that share a number": audit["share a slide number"],
        "which": " ".join(which),
    }


def effect(fields, inputs, tested):
    """Accuracy on the tested slides that the subset has, as published and without what shares a number with them."""
    is_test = sets_of(fields, tested) == "test"
    kin = ~is_test & fields.number.isin(fields.number[is_test])
    found = {"subset's test images": int(is_test.sum()), "subset's test slides": fields.slide[is_test].nunique()}
    if fields.label[is_test].nunique() < 2 or not kin.any():
        return found
    for name, used in (("as published", kin | ~kin), ("without shared numbers", ~kin)):
        part, own = fields[used].reset_index(drop=True), inputs[used.to_numpy()]
        sets = sets_of(part, tested)
        known = part[sets == "train"]
        sets[known.index[splits.draw(known.reset_index(drop=True), "number", 0) == "validation"]] = "validation"
        trained = baselines.fit_logistic(own, part, sets)
        right = metrics.is_correct(trained.predictions)[sets == "test"]
        found[name] = round(100 * right.mean(), 1)
    return found


def run(data, results, command):
    """The table, in seconds."""
    official, fields = dataset.official(), fields_of(data)
    found, _ = features.extract(fields, "probe")
    inputs, rows = found.take(range(len(fields))), []
    for name, (source, magnifications, subtypes, tested) in tests().items():
        of = official[official.magnification.isin(magnifications) & official.subtype.isin(subtypes)]
        row = {
            "split": name,
            "source": source,
            "magnifications": " ".join(map(str, magnifications)),
            **shared(of, tested),
        }
        part = fields.magnification.isin(magnifications) & fields.subtype.isin(subtypes)
        rows.append({**row, **effect(fields[part].reset_index(drop=True), inputs[part.to_numpy()], tested)})
    results.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(rows).to_csv(results / "public-splits.csv", index=False, lineterminator="\n")


def missing(results):
    """1 until the table is there."""
    return int(not (results / "public-splits.csv").exists())
