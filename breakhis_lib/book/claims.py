"""Evidence for or against each claim of the paper, computed from records, official names and the networks themselves.

`paper.toml` says which claim rests on what and in which words; `ledger` decides. Where numbers decide, the verdict
follows by a rule and changes when they do; elsewhere it is a judgement, and the words give its grounds.
"""

import functools
from importlib import resources

import pandas as pd

from breakhis_lib import ledger, paper
from breakhis_lib.data import dataset
from breakhis_lib.evaluation import calibration, metrics, records, tables
from breakhis_lib.ledger import by_checks
from breakhis_lib.model import complexity, readings

HIGH = 90  # percent: what the ledger takes "high accuracy" to mean; the paper gives no bound
SUBSET = "breakhis-subset"


def read():
    """The ledger of the paper that this course re-does: a `ledger.Ledger`. Raises InputError without the records."""
    with resources.as_file(resources.files("breakhis_lib").joinpath("paper.toml")) as path:
        return ledger.read(path, evidence())


def evidence():
    """What this course measured or found: a dict for each claim, or for several, by name, as `ledger.read` takes it."""
    return _names() | _accuracies() | _structure() | _record() | _others()


@functools.cache
def _predictions(name=SUBSET):
    return records.named(name).predictions()


def _tested(magnification, protocol, name=SUBSET, reading=readings.DEFAULT_READING):
    asked = "set == 'test' and magnification == @magnification and protocol == @protocol and reading == @reading"
    return _predictions(name).query(asked)


def _counts(rows):
    return {"images": rows.file.nunique(), "slides": rows.slide.nunique(), "seeds": rows.seed.nunique()}


def _told(words, way="by {}"):
    """Words for each protocol, in one line."""
    return "; ".join(f"{way.format(name)} {each}" for name, each in words.items())


def _in_words(table, column="accuracy", form="{:.1f}", way="by {}"):
    """Figures with their intervals, by protocol."""
    rows = zip(table.index, table[column], table.low, table.high, strict=True)
    return _told({name: f"{form.format(value)} ({tables.interval(*ends)})" for name, value, *ends in rows}, way)


def _less(name, change, default):
    """A change of a record less a reading of the subset: `tables.against_default`, and its test accuracy in words."""
    found = tables.against_default([records.named(name).folder], records.named(SUBSET), default).loc[change]
    return found, _in_words(found, "test", "{:+.1f}", "x{0[0]} by {0[1]}")


def _names():
    """Counts of the official names of all images."""
    official = dataset.official()
    found = sorted(official.magnification.unique().tolist())
    same = by_checks([tuple(found) == dataset.MAGNIFICATIONS])
    counts = {f"table2-{place}-{name}": {"value": n} for (place, name), n in dataset.count(official).stack().items()}
    return {"magnifications": {"told": ", ".join(f"x{name}" for name in found), "verdict": same}, **counts}


def _accuracies():
    """Table 4, and what follows from it."""
    ours = tables.table4(_predictions()).dropna(subset="accuracy")
    accuracy = ours.accuracy.unstack("protocol")
    found = {}
    for name, image in ours.xs("image", level="protocol").iterrows():
        found[f"table4-{name}"] = {**image, "value": image.accuracy, "told": _in_words(ours.loc[name])}
    few = _tested(400, "image", "x400").drop_duplicates("file")
    told = {way: ", ".join(f"x{name} {one:.1f}" for name, one in each.items()) for way, each in accuracy.items()}
    means = ", ".join(f"{mean:.1f} by {way}" for way, mean in accuracy.mean().items())
    printed = {"paper": paper.table4().mean(), "present": ours.paper.mean(), "magnifications": len(accuracy)}
    rows = _tested(200, "slide")
    measures = 100 * metrics.summary(rows, resamples=1).value
    errors = {"always": 100 * rows.drop_duplicates("file").label.mean(), "missed": 100 - measures["sensitivity"]}
    return {
        **found,
        "x400": {"images": len(few), "benign": (few.label == 0).sum()},
        "high": {"told": _told(told), "high": HIGH, "verdict": by_checks((accuracy >= HIGH).all())},
        "average": {**printed, "told": means},
        "cost": {**measures, **errors, **_counts(rows)},
    }


def _structure():
    """Counted in Keras' networks: joins of parallel branches are its Concatenate layers, ends of shortcuts its Add."""
    from breakhis_lib.model.backend import keras

    makers = {"Inception": keras.applications.InceptionV3, "Xception": keras.applications.Xception}
    layers = {name: complexity.layers(make(weights=None)) for name, make in makers.items()}
    kinds = pd.DataFrame({name: table.kind.value_counts() for name, table in layers.items()}).fillna(0).astype(int)
    add, plain, separable = kinds["Xception"][["Add", "Conv2D", "SeparableConv2D"]]
    joins = kinds.loc["Concatenate"]
    network = layers["Xception"].multiplications.sum() / layers["Inception"].multiplications.sum()
    every, layer = by_checks([separable > 0, plain == 0]), 1 / (1 / 728 + 1 / 9)
    # At one place of GoogLeNet's first module, without the reduction and with it.
    whole = 192 * 64 + 9 * 192 * 128 + 25 * 192 * 32 + 192 * 32
    reduced = 192 * 64 + 192 * 96 + 9 * 96 * 128 + 192 * 16 + 25 * 16 * 32 + 192 * 32
    return {
        "same-structure": {**joins, "verdict": by_checks([joins.nunique() == 1])},
        "residual": {"shortcuts": add, "verdict": by_checks([add > 0])},
        "separable": {"separable": separable, "all": plain + separable, "verdict": every},
        "cheaper": {"layer": layer, "network": network, "verdict": by_checks([layer > 1])},
        "reduction": {"times": whole / reduced, "verdict": by_checks([reduced < whole])},
    }


def _record():
    """What the record of the subset says beside Table 4, and of the machine."""
    record = records.named(SUBSET)
    session = record.info()["sessions"][0]
    machine = {"operating system": "system", "GPU": "device", "framework": "versions"}
    runs = pd.DataFrame(record.info()["runs"]).rename(columns={"best epoch": "epoch"})
    audits = pd.DataFrame(runs.audit[runs.protocol == "image"].tolist()).sum()
    kept = runs[runs.reading == readings.DEFAULT_READING].merge(record.history(), on=[*records.KEY, "epoch"])
    means = 100 * kept.groupby("protocol")[["accuracy", "val_accuracy"]].mean()
    both = {row.Index: f"{row.accuracy:.1f} and {row.val_accuracy:.1f}" for row in means.itertuples()}
    rows, off = {way: _tested(200, way) for way in ("image", "slide", "number")}, {}
    for way, group in rows.items():
        off[way] = "{:.3f}, where chance alone gives {:.3f}".format(*calibration.against_chance(group))
    return {
        **{f"table3-{name}": {"found": session[part]} for name, part in machine.items()},
        "both-sets": {"told": _told(both), "verdict": by_checks((means >= HIGH).all(axis=1))},
        "three-sets": {"share": 100 * audits["share a slide"] / audits["test images"]},
        "softmax": {"told": _told(off), **_counts(rows["number"])},
    }


def _others():
    """What other records say: of readings, cropped fields and sub-types."""
    tuned, more = _less(SUBSET, "reading block14", "logistic")  # the same images, splits and slides
    # The same fields cropped to their middle quarter show what twice the magnification would.
    cropped, fewer = _less("quarter/cropped", "cropped", "block14")
    rows = _predictions("sub-types").query("set == 'test' and reading == 'logistic'")
    told = _in_words(tables.table4(rows, "logistic").loc[0])
    subtypes = {"subtypes": rows.label.nunique(), "told": told, **_counts(rows)}
    return {
        "retrain": {"told": more, "verdict": by_checks(tuned.low > 0)},
        "x400-why": {"told": fewer, "verdict": by_checks(cropped.high < 0)},
        "sub-diseases": {**subtypes, "majority": 100 * metrics.majority_share(rows.drop_duplicates("file").label)},
        "top-four": _top_four(),
    }


def _top_four():
    """Readings that train layers of Xception, over the seeds that all have, one model for all magnifications."""
    rows = pd.concat([_predictions(f"{name}/pooled") for name in (SUBSET, "readings/inference")])
    trained = [name for name in readings.READINGS if name != "probe"]
    rows = rows.query("set == 'test' and protocol == 'number' and reading in @trained")
    shared = sorted(set.intersection(*(set(group.seed) for _, group in rows.groupby("reading"))))
    rows = rows[rows.seed.isin(shared)]
    right = 100 * metrics.is_correct(rows).groupby([rows.magnification, rows.reading, rows.seed]).mean()
    ends = right.groupby(["magnification", "reading"]).mean().groupby("magnification").agg(["min", "max"])
    told = _told({name: f"{low:.1f} to {high:.1f}" for name, low, high in ends.itertuples()}, "x{}")
    seeds = ", ".join(map(str, shared))
    return {"ways": len(trained), "tried": rows.reading.nunique(), "told": told, "shared": seeds}
