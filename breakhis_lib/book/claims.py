"""Evidence for or against each claim of the paper, computed from records, official names and the networks themselves.

A function here answers one claim, or several alike. Where numbers decide, the verdict follows by a rule in the code and
changes when they do; elsewhere it is a judgement, and the words give its grounds. `ledger` puts them in a table.
"""

import functools
from importlib import resources
from typing import NamedTuple

import pandas as pd

from breakhis_lib import paper
from breakhis_lib.data import dataset
from breakhis_lib.evaluation import calibration, metrics, records, tables
from breakhis_lib.model import complexity, readings

VERDICTS = ("reproduced", "done alike", "partly", "undecided", "not reproduced", "cannot be tested here")
YES, ALIKE, PARTLY, OPEN, NO, UNTESTED = VERDICTS
MARGIN = 5  # percentage points within which two accuracies count as the same
HIGH = 90  # percent: what the ledger takes "high accuracy" to mean; the paper gives no bound
SUBSET, NAMES, REAL, NO_DATA = "breakhis-subset", "official names of all images", "real images, subset", "none"
KERAS = {"Inception V3": (0.779, 0.937), "Xception": (0.790, 0.945)}  # Keras' page of models, read in November 2026


class Finding(NamedTuple):
    """Evidence: what was measured or found, on what data, the verdict, and where in the book it is shown.

    measured: with its 95 % interval, where it has one. page: a page's file and a heading's anchor.
    """

    measured: str
    data: str
    verdict: str
    page: str


NETWORKS, TUNING, TWO = "03_xception.html", "04_fine_tuning.html", "03_xception.html#the-two-networks"
TABLE_2, NAME = "05_breakhis.html#table-2-counted", "05_breakhis.html#what-a-name-says"
MACHINE, RESULT = "06_experiment.html#from-names-to-table-4", "06_experiment.html#table-4-five-ways"
WHY_400 = "06_experiment.html#why-is-x400-lower"


def _judgements():
    """What no number decides: a function for each key, which returns what judgements.csv says."""
    with resources.files(__package__).joinpath("judgements.csv").open(encoding="utf-8") as stream:
        table = pd.read_csv(stream, index_col="key", keep_default_na=False)
    return {key: functools.partial(lambda found, key: found, Finding(*row)) for key, row in table.iterrows()}


EVIDENCE = _judgements()  # key of a claim, or the part of it before the first dash, to a function of the key


def _evidence(*keys):
    def keep(function):
        EVIDENCE.update(dict.fromkeys(keys, function))
        return function

    return keep


@functools.cache
def _predictions(name=SUBSET):
    return records.named(name).predictions()


def _tested(magnification, protocol, reading=readings.DEFAULT_READING, name=SUBSET):
    rows = _predictions(name)
    wanted = {"set": "test", "magnification": magnification, "protocol": protocol, "reading": reading}
    return rows[(rows[list(wanted)] == pd.Series(wanted)).all(axis=1)]


@functools.cache
def _table4():
    return tables.table4(_predictions()).dropna(subset="accuracy")


@functools.cache
def _layers():
    from breakhis_lib.model.backend import keras

    makers = {"Inception V3": keras.applications.InceptionV3, "Xception": keras.applications.Xception}
    return {name: complexity.layers(make(weights=None)) for name, make in makers.items()}


def _counts(rows):
    return f"{REAL}: {rows.file.nunique()} images of {rows.slide.nunique()} slides, {rows.seed.nunique()} seeds"


def _all_or_some(holds):
    return YES if all(holds) else PARTLY if any(holds) else NO


def _less(name, change, default):
    """A change of a record less a reading of the first, on the same splits: `tables.against_default`, and in words."""
    found = tables.against_default([records.named(name).folder], records.named(SUBSET), default).loc[change]
    rows = found.reset_index(["magnification", "protocol"]).itertuples()
    return found, "; ".join(
        f"x{row.magnification} by {row.protocol} {row.test:+.1f} ({tables.interval(row.low, row.high)})" for row in rows
    )


def _in_words(table):
    """Accuracies with their intervals, by protocol."""
    rows = table[["accuracy", "low", "high"]].itertuples()
    return "; ".join(f"by {name} {value:.1f} ({tables.interval(*ends)})" for name, value, *ends in rows)


@_evidence("table1")
def _imagenet(key):
    _, name, measure = key.split("-", 2)
    found = KERAS[name][measure.startswith("top-5")]
    words = f"Keras prints {found:.3f} for the weights that it distributes; ImageNet's images are not here"
    return Finding(words, "Keras' documentation", UNTESTED, f"{NETWORKS}#table-1-and-the-paper-s-sentences")


@_evidence("table2")
def _counted(key):
    _, magnification, name = key.split("-")
    found = dataset.count(dataset.official()).loc[int(magnification), name]
    return Finding(f"{found:,} names", NAMES, YES if found == paper.numbers().value[key] else NO, TABLE_2)


@_evidence("table3")
def _machine(key):
    session = records.named(SUBSET).info()["sessions"][0]
    if key == "table3-framework":
        words = ", ".join(f"{name} {session['versions'][name]}" for name in ("keras", "tensorflow"))
        return Finding(f"the same, {words}; the paper states no version", "provenance of the record", ALIKE, MACHINE)
    found = session["device" if key == "table3-GPU" else "system"]
    return Finding(f"another: {found}", "provenance of the record", UNTESTED, MACHINE)


@_evidence("table4")
def _accuracy(key):
    magnification = int(key.split("-")[1])
    if magnification not in _table4().index:
        rows = _tested(magnification, "image", name="x400").drop_duplicates("file")
        words = f"too few: {len(rows)} images, {(rows.label == 0).sum()} of them benign"
        return Finding(words, REAL, UNTESTED, RESULT)
    ours = _table4().loc[magnification]
    image = ours.loc["image"]
    farthest = max(image.high - image.paper, image.paper - image.low)
    nearest = max(image.low - image.paper, image.paper - image.high)
    return Finding(
        f"{_in_words(ours)}; the verdict goes by the first",
        f"{REAL}: {image.images:.0f} images of {image.slides:.0f} slides, {image.runs:.0f} runs each way",
        YES if farthest <= MARGIN else NO if nearest > MARGIN else OPEN,
        RESULT,
    )


@_evidence("abstract-high", "conclusion-high", "suits")
def _is_high(key):
    words, high = [], []
    for protocol, rows in _table4().groupby("protocol"):
        each = [f"x{name} {row.accuracy:.1f}" for (name, _), row in rows.iterrows()]
        words.append(f"by {protocol} {', '.join(each)}")
        high.append((rows.accuracy >= HIGH).all())
    data = f"{REAL}; high is taken as {HIGH} or more at every magnification with enough images"
    more = "; a high accuracy alone does not show that it suits medicine" if key == "suits" else ""
    return Finding(f"percent {'; '.join(words)}{more}", data, _all_or_some(high), RESULT)


@_evidence("errors-fatal", "cost")
def _cost(key):
    rows = _tested(200, "slide")
    found = 100 * metrics.summary(rows, resamples=1).value
    always = 100 * rows.drop_duplicates("file").label.mean()
    words = (
        f"accuracy does not say what is missed: at x200, always answering malignant has {always:.1f} % and misses "
        f"nothing; ours by slide has {found['accuracy']:.1f} % and misses {100 - found['sensitivity']:.1f} % "
        "of the malignant images"
    )
    return Finding(words, _counts(rows), PARTLY, "01_missed_cancer.html#an-accuracy-that-is-worth-nothing")


@_evidence("sub-diseases")
def _sub_diseases(key):
    rows = _predictions("sub-types")
    rows = rows[(rows.set == "test") & (rows.reading == "logistic")]
    majority, found = metrics.majority_share(rows.drop_duplicates("file").label), tables.table4(rows, "logistic").loc[0]
    measured = (
        f"a plan; a regression on frozen features tells {rows.label.nunique()} sub-types apart, percent "
        f"{_in_words(found)}; always the most frequent one has {100 * majority:.1f}"
    )
    return Finding(measured, _counts(rows), UNTESTED, "08_conclusions.html#eight-sub-types")


@_evidence("reduction")
def _reduction(key):
    plain = 192 * 64 + 9 * 192 * 128 + 25 * 192 * 32 + 192 * 32  # at one place of GoogLeNet's first module
    reduced = 192 * 64 + 192 * 96 + 9 * 96 * 128 + 192 * 16 + 25 * 16 * 32 + 192 * 32
    words = f"its first module needs {plain / reduced:.1f} times fewer multiplications with the reduction than without"
    return Finding(words, "counted", YES if reduced < plain else NO, f"{NETWORKS}#the-inception-module")


@_evidence("same-structure", "residual", "separable")
def _structure(key):
    """Joins of parallel branches are Keras' Concatenate layers, ends of shortcuts its Add layers."""
    count = pd.DataFrame({name: layers.kind.value_counts() for name, layers in _layers().items()}).fillna(0).astype(int)
    ours = count["Xception"]
    if key == "residual":
        verdict = YES if ours["Add"] else NO
        return Finding(f"{ours['Add']} shortcuts", "counted in Keras' Xception", verdict, TWO)
    if key == "separable":
        every = ours["Conv2D"] + ours["SeparableConv2D"]
        words = f"{ours['SeparableConv2D']} of its {every} convolutions are separable"
        return Finding(words, "counted in Keras' Xception", PARTLY if ours["Conv2D"] else YES, TWO)
    joins = count.loc["Concatenate"]
    words = f"joins of parallel branches: Inception V3 {joins['Inception V3']}, Xception {joins['Xception']}"
    return Finding(words, "counted in Keras' networks", YES if joins.nunique() == 1 else NO, TWO)


@_evidence("cheaper")
def _cheaper(key):
    totals = {name: layers.multiplications.sum() for name, layers in _layers().items()}
    layer = 1 / (1 / 728 + 1 / 9)
    words = (
        f"a layer of Xception's middle needs {layer:.1f} times fewer multiplications than an ordinary one; the whole "
        f"network needs {totals['Xception'] / totals['Inception V3']:.2f} times those of Inception V3"
    )
    return Finding(words, "counted", YES if layer > 1 else NO, f"{NETWORKS}#separating-space-from-channels")


@_evidence("retrain")
def _retrain(key):
    """Fine-tuned against a regression on the frozen features: the same images, splits and slides."""
    found, told = _less(SUBSET, "reading block14", "logistic")
    words = f"fine-tuned less a regression on the frozen features, points: {told}"
    return Finding(words, REAL, _all_or_some(found.low > 0), "07_beyond_accuracy.html#better-or-lucky")


@_evidence("both-sets")
def _both_sets(key):
    record = records.named(SUBSET)
    kept = pd.DataFrame(record.info()["runs"])[[*records.KEY, "best epoch"]].rename(columns={"best epoch": "epoch"})
    kept = kept[kept.reading == readings.DEFAULT_READING].merge(record.history(), on=[*records.KEY, "epoch"])
    means = 100 * kept.groupby("protocol")[["accuracy", "val_accuracy"]].mean()
    words = "; ".join(f"by {name} {row.accuracy:.1f} and {row.val_accuracy:.1f}" for name, row in means.iterrows())
    measured = f"training and validation accuracy of the kept epoch, mean over magnifications, percent {words}"
    return Finding(measured, REAL, _all_or_some((means >= HIGH).all(axis=1)), RESULT)


@_evidence("magnifications")
def _magnifications(key):
    found = sorted(dataset.official().magnification.unique().tolist())
    words = ", ".join(f"x{name}" for name in found)
    return Finding(words, NAMES, YES if tuple(found) == dataset.MAGNIFICATIONS else NO, NAME)


@_evidence("top-four")
def _top_four(key):
    """Readings that train layers of Xception, over the seeds that all have, one model for all magnifications."""
    rows = pd.concat([_predictions(f"{name}/pooled") for name in (SUBSET, "readings/inference")])
    rows = rows[(rows.set == "test") & (rows.protocol == "number")]
    rows = rows[rows.reading.isin([name for name in readings.READINGS if name != "probe"])]
    shared = set.intersection(*(set(group.seed) for _, group in rows.groupby("reading")))
    rows, words = rows[rows.seed.isin(shared)], []
    for magnification, group in rows.groupby("magnification"):
        right = 100 * metrics.is_correct(group).groupby([group.reading, group.seed]).mean().groupby("reading").mean()
        words.append(f"x{magnification} {right.min():.1f} to {right.max():.1f}")
    measured = (
        f"layers can be counted in {len(readings.READINGS) - 1} ways at least; accuracy of {rows.reading.nunique()} of "
        f"them by slide number, one model for all magnifications, percent {'; '.join(words)}"
    )
    data = f"{REAL}; seeds {', '.join(map(str, sorted(shared)))}, which all of them have"
    return Finding(measured, data, PARTLY, f"{TUNING}#the-top-four-layers")


@_evidence("three-sets")
def _three_sets(key):
    audits = [run["audit"] for run in records.named(SUBSET).info()["runs"] if run["protocol"] == "image"]
    share = sum(audit["share a slide"] for audit in audits) / sum(audit["test images"] for audit in audits)
    words = f"ours, by image, neither; {100 * share:.1f} % of their test images share a slide with the other two sets"
    return Finding(words, "splits of the record", ALIKE, "05_breakhis.html#three-ways-to-split-and-what-each-leaks")


@_evidence("average")
def _average(key):
    ours = _table4().accuracy.groupby("protocol").mean()
    ours = ", ".join(f"{accuracy:.1f} by {protocol}" for protocol, accuracy in ours.items())
    words = (
        f"the mean of Table 4 is {paper.table4().mean():.1f}; over the {_table4().index.unique(0).size} magnifications "
        f"that we have, it is {_table4().paper.mean():.1f}, ours {ours}"
    )
    return Finding(words, REAL, PARTLY, RESULT)


@_evidence("x400-lower")
def _x400_lower(key):
    images = _tested(400, "image", name="x400").file.nunique()
    return Finding(f"{images} images are too few to compare with", REAL, UNTESTED, WHY_400)


@_evidence("x400-why")
def _x400_why(key):
    """The same fields cropped to their middle quarter show what twice the magnification would."""
    found, told = _less("quarter/cropped", "cropped", "block14")
    words = f"a quarter of the field less the whole, points: {told}"
    return Finding(words, f"{REAL}, x100 and x200; not x400 itself", _all_or_some(found.high < 0), WHY_400)


@_evidence("softmax")
def _softmax(key):
    """Whether the probabilities are what they say: expected calibration error, beside that of a perfect classifier."""
    words = []
    for protocol in ("image", "slide", "number"):
        rows = _tested(200, protocol)
        found = calibration.expected_calibration_error(rows.label, rows.p_malignant)
        chance = calibration.ece_by_chance(rows.p_malignant)
        words.append(f"by {protocol} {found:.3f}, where chance alone gives {chance:.3f}")
    measured = f"done; expected calibration error at x200: {'; '.join(words)}"
    return Finding(measured, _counts(rows), PARTLY, "07_beyond_accuracy.html#does-0-9-come-true-nine-times-in-ten")
