"""From a probability to an answer: thresholds, what they miss, and what that costs.

A threshold is chosen on validation images and applied to test images of the same seed; nothing here looks at a
test label to choose. Functions take label (0 benign, 1 malignant) and p (probability of malignant), arrays alike; or
predictions of two classes, of which the positive one, with label 1, stands for malignant.
"""

import numpy as np
import pandas as pd
from sklearn.metrics import roc_curve

from breakhis_lib.data import frames
from breakhis_lib.evaluation.metrics import positive_probability

ROUNDING = 1e-9  # shares are quotients: nine of ten may come out a little under 0.9


def candidate_thresholds(p):
    """All thresholds that decide these images differently, highest first; an image at its threshold is malignant.

    The last is 0, which calls every image malignant, also those to come.
    """
    return np.unique([np.inf, 0.0, *p])[::-1]


def at_sensitivity(label, p, wanted):
    """The highest threshold whose sensitivity is `wanted` or more, so that specificity is as high as it can be."""
    _, sensitivity, thresholds = roc_curve(label, p, drop_intermediate=False)
    return float(thresholds[np.argmax(sensitivity >= wanted - ROUNDING)])


def at_specificity(label, p, wanted):
    """The lowest threshold whose specificity is `wanted` or more, so that sensitivity is as high as it can be."""
    alarms, _, thresholds = roc_curve(label, p, drop_intermediate=False)
    return float(thresholds[np.flatnonzero(1 - alarms >= wanted - ROUNDING)[-1]])


def confusion_counts(label, p, thresholds):
    """What each threshold does: a data frame, one row a threshold.

    Columns: threshold, missed (malignant images called benign), alarms (benign ones called malignant), malignant,
    benign (how many there are).
    """
    label, p = np.asarray(label), np.asarray(p)
    called = p >= np.asarray(thresholds)[:, None]
    table = {"missed": (~called & (label == 1)).sum(axis=1), "alarms": (called & (label == 0)).sum(axis=1)}
    totals = {"malignant": int((label == 1).sum()), "benign": int((label == 0).sum())}
    return pd.DataFrame({"threshold": thresholds, **table, **totals})


def cheapest_threshold(label, p, ratio):
    """The threshold with the least cost where a missed cancer costs as much as `ratio` false alarms.

    Of equally cheap ones the lowest: in doubt, the answer is malignant.
    """
    table = confusion_counts(label, p, candidate_thresholds(p))
    cost = ratio * table.missed + table.alarms
    return float(table.threshold[cost == cost.min()].min())


def apply_chosen(predictions, choose):
    """Choose a threshold on each seed's validation images, apply it to its test images, add up.

    predictions: of two classes, with seed, set and label. choose: a function of (label, p) that returns a threshold.
    Returns a series: threshold (median), missed, malignant, alarms, benign, sensitivity, specificity.
    """
    frames.check_predictions(predictions, "seed", "set")
    rows = []
    for _, run in predictions.groupby("seed"):
        chosen_on, test = (run[run.set == name] for name in ("validation", "test"))
        threshold = choose(chosen_on.label, positive_probability(chosen_on))
        rows.append(confusion_counts(test.label, positive_probability(test), [threshold]))
    table = pd.concat(rows)
    total = table[["missed", "malignant", "alarms", "benign"]].sum()
    shares = {"sensitivity": 1 - total.missed / total.malignant, "specificity": 1 - total.alarms / total.benign}
    return pd.Series({"threshold": table.threshold.median(), **total, **shares})


def expected_costs(predictions, ratios=(1, 2, 5, 10, 20, 50, 100)):
    """Expected cost of an image, in false alarms, over a grid of what a missed cancer costs.

    predictions: as for `apply_chosen`. Returns a data frame, one row a ratio: the columns of `apply_chosen`, cost
    (thresholds from validation), cost at 0.5, all malignant and all benign (costs of the answers that look at nothing).
    """
    test = predictions[predictions.set == "test"]
    plain = confusion_counts(test.label, positive_probability(test), [0.5]).iloc[0]
    images = len(test)
    rows = {}
    for ratio in ratios:
        found = apply_chosen(predictions, lambda label, p, ratio=ratio: cheapest_threshold(label, p, ratio))
        rows[ratio] = {
            **found,
            "cost": (ratio * found.missed + found.alarms) / images,
            "cost at 0.5": (ratio * plain.missed + plain.alarms) / images,
            "all malignant": plain.benign / images,
            "all benign": ratio * plain.malignant / images,
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("ratio")


def net_benefit(label, p, thresholds=None, prevalence=None):
    """The decision curve: true alarms less false ones, each weighted as its threshold says, an image.

    thresholds: probabilities above which one would act, in (0, 1); prevalence: of malignant, by default the images'
    own. Source: Vickers and Elkin 2006. Returns a data frame, one row a threshold: threshold, model, all (act on
    every image), none (on no image).
    """
    thresholds = np.linspace(0.01, 0.99, 99) if thresholds is None else np.asarray(thresholds)
    table = confusion_counts(label, p, thresholds)
    share = table.malignant / (table.malignant + table.benign) if prevalence is None else prevalence
    odds = table.threshold / (1 - table.threshold)
    found = (1 - table.missed / table.malignant) * share
    alarms = table.alarms / table.benign * (1 - share)
    return pd.DataFrame(
        {"threshold": table.threshold, "model": found - odds * alarms, "all": share - odds * (1 - share), "none": 0.0}
    )
