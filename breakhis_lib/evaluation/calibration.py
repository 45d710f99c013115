"""Does a probability of 0.9 come true nine times in ten?

Most functions take label (0 benign, 1 malignant) and p (probability of malignant, in [0, 1]), arrays of one length.
"""

import numpy as np
import pandas as pd
from scipy.optimize import minimize_scalar
from scipy.special import expit, logit
from sklearn.metrics import brier_score_loss

from breakhis_lib.data import frames
from breakhis_lib.evaluation.metrics import positive_probability

BINS = 10
NEAR = 1e-6  # probabilities are kept to six decimals; nearer to 0 or 1 they have no logarithm


def reliability(label, p, bins=BINS):
    """The reliability curve: how often images of each bin of probability were malignant.

    bins: how many of equal width. Returns a data frame, one row a bin that holds images: low and high (of the bin),
    images, p (mean), malignant (share).
    """
    place, edges = _bin(p, bins), np.linspace(0, 1, bins + 1)
    edged = {"low": edges[place], "high": edges[place + 1], "p": np.asarray(p), "malignant": np.asarray(label)}
    table = pd.DataFrame(edged).groupby(["low", "high"], as_index=False)
    return table.agg(images=("p", "size"), p=("p", "mean"), malignant=("malignant", "mean"))


def _bin(p, bins):
    """The number of the bin that each probability falls into, of `bins` of equal width."""
    return np.digitize(p, np.linspace(0, 1, bins + 1)[1:-1])


def expected_calibration_error(label, p, bins=BINS):
    """Expected calibration error: the mean distance of the curve from the diagonal, weighted by images.

    Source: Naeini et al. 2015, for the probability of malignant. It is never negative, and therefore too high for few
    images even when every probability is true: `ece_by_chance` says how high.
    """
    distances = np.asarray(p) - np.asarray(label)
    return float(np.abs(np.bincount(_bin(p, bins), distances)).sum() / len(distances))


def ece_by_chance(p, bins=BINS, repeats=500, seed=0):
    """The expected calibration error of a perfectly calibrated classifier, from as many images: its bias.

    p: as predicted; labels are drawn from it `repeats` times, each image on its own. Returns the mean.
    """
    p, random = np.asarray(p), np.random.default_rng(seed)
    return float(np.mean([expected_calibration_error(random.random(len(p)) < p, p, bins) for _ in range(repeats)]))


def against_chance(tested):
    """The expected calibration error of recorded test rows, and what chance alone would give, as a pair.

    tested: data frame with file, label and p_malignant. Seeds that test an image again are rounds of their own, of
    which the means are taken: two tests of one image are not two images, from which chance would give less.
    """
    rounds = [rows for _, rows in tested.groupby(tested.groupby("file").cumcount())]
    errors = [expected_calibration_error(rows.label, rows.p_malignant) for rows in rounds]
    return float(np.mean(errors)), float(np.mean([ece_by_chance(rows.p_malignant) for rows in rounds]))


def brier(label, p):
    """Brier's score: the mean squared distance of p from what came true; 0 is best."""
    return float(brier_score_loss(label, p))


def fit_temperature(label, p):
    """The temperature that makes p most likely on these labels; fit it on validation images.

    Source: Guo et al. 2017, for two classes. Above 1 the classifier was too sure.
    """
    label, score = np.asarray(label), logit(np.clip(p, NEAR, 1 - NEAR))

    def loss(log_temperature):
        scaled = score / np.exp(log_temperature)
        return np.mean(np.logaddexp(0, scaled) - label * scaled)

    return float(np.exp(minimize_scalar(loss, bounds=(-4, 4), method="bounded").x))


def apply_temperature(p, temperature):
    """The probabilities at a temperature; the order of the images, and each decision at 0.5, stay as they are."""
    return expit(logit(np.clip(p, NEAR, 1 - NEAR)) / temperature)


def summary(predictions):
    """Calibration on the test images of each seed, before and after a temperature fitted on its validation images.

    predictions: of two classes, with seed, set and label. Returns a data frame, one row a seed: temperature; Brier,
    expected error, and its value by chance, before and after.
    """
    frames.check_predictions(predictions, "seed", "set")
    rows = {}
    for seed, run in predictions.groupby("seed"):
        fitted_on, test = (run[run.set == name] for name in ("validation", "test"))
        found = fit_temperature(fitted_on.label, positive_probability(fitted_on))
        row = {"temperature": found}
        p_test = positive_probability(test)
        for name, p in (("", p_test), (" scaled", apply_temperature(p_test, found))):
            row[f"Brier{name}"] = brier(test.label, p)
            row[f"expected error{name}"] = expected_calibration_error(test.label, p)
            row[f"by chance{name}"] = ece_by_chance(p)
        rows[seed] = row
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("seed")
