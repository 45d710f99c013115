"""Two runs on the same images: is one better, or do they differ by chance?"""

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from breakhis_lib import metrics


def paired(first, second, by=("seed", "file")):
    """The rows of both runs that show the same image, in the same order.

    first, second: predictions with seed, file, label and p_<class>. by: what makes two rows a pair; (file,) where
    each image is tested once in both but not under the same seed. Returns (first, second), indexed alike.
    Raises ValueError when a run tests an image twice, when labels differ, or when no image is shared.
    """
    by = list(by)
    one, other = (rows.set_index(by, drop=False).sort_index() for rows in (first, second))
    for rows in (one, other):
        if rows.index.has_duplicates:
            twice = rows.index[rows.index.duplicated()][0]
            raise ValueError(f"{twice} is tested twice in one of the runs; choose the rows of one test of each image")
    shared = one.index.intersection(other.index)
    if shared.empty:
        raise ValueError("the runs share no test image; compare runs of the same data and splits")
    one, other = one.loc[shared].reset_index(drop=True), other.loc[shared].reset_index(drop=True)
    if not (one.label == other.label).all():
        raise ValueError("the runs give the same image different labels; compare runs with the same classes")
    return one, other


def mcnemar(first, second, by=("file",)):
    """McNemar's exact test of two runs that each test an image once.

    Arguments as for `paired`. It counts the images that only one of the runs gets right and asks whether a fair
    coin would be as one-sided. It takes images as independent, which images of one slide are not: read it beside
    `difference`. Source: McNemar 1947; the exact, two-sided binomial form.
    Returns a series: both right, only first, only second, neither (counts), p (the probability).
    """
    one, other = (metrics.is_correct(rows) for rows in paired(first, second, by))
    only_first, only_second = int((one & ~other).sum()), int((other & ~one).sum())
    p = binomtest(only_first, only_first + only_second).pvalue if only_first + only_second else 1.0
    counts = [int((one & other).sum()), only_first, only_second, int((~one & ~other).sum())]
    return pd.Series([*counts, p], index=["both right", "only first", "only second", "neither", "p"])


def difference(first, second, measure="accuracy", unit="slide", confidence=0.95, resamples=metrics.RESAMPLES):
    """First minus second in a measure, with the bootstrap over slides of that difference.

    first, second: test rows as for `metrics.estimate`, of the same slides; each resample draws the same slides for
    both, so that what makes a slide hard for both cancels out.
    Returns a series: difference, low, high. Raises ValueError when the runs test different slides.
    """
    if set(first[unit]) != set(second[unit]):
        raise ValueError(f"the runs test different {unit}s; compare runs of the same data")
    one, other = (metrics.estimate(rows, measure, unit, resamples) for rows in (first, second))
    apart = metrics.Estimate(*(np.subtract(*pair) for pair in zip(one, other, strict=True)))
    return pd.Series([apart.value, *apart.interval(confidence)], ["difference", "low", "high"])
