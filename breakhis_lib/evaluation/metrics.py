"""How good, how sure: figures from predictions, with intervals that respect slides.

Images of one slide resemble each other and are right or wrong together, so a thousand images of thirty
slides say little more than thirty slides do. Every interval here therefore draws *slides* again (or slide
numbers), each with all its images; `wilson`, which takes images as independent, is there to be compared.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import binomtest, norm
from scipy.stats import t as student

from breakhis_lib.data import dataset, frames
from breakhis_lib.errors import InputError

RESAMPLES = 2000


def positive_probability(predictions):
    """The probability of the positive class, which has label 1: a series, the values of the one column p_<class>.

    predictions: of two classes. Raises InputError, naming the columns, where there are more.
    """
    columns = list(predictions.filter(regex="^p_"))
    if len(columns) != 1:
        raise InputError(
            f"the predictions have {', '.join(columns) or 'no probability'}; expected those of two classes."
        )
    return predictions[columns[0]]


def every_probability(predictions):
    """The probability of every class, the first one's too: an array of shape (images, classes).

    predictions: data frame with p_<class> for every class but the first, each in [0, 1].
    """
    rest = predictions.filter(regex="^p_").to_numpy()
    return np.column_stack([1 - rest.sum(axis=1), rest])


def predicted_label(predictions):
    """The class with the highest probability; of two equal ones the later (p_malignant of 0.5 is malignant).

    predictions: as for `every_probability`. Returns an integer array.
    """
    everything = every_probability(predictions)
    return everything.shape[1] - 1 - everything[:, ::-1].argmax(axis=1)


def is_correct(predictions):
    """Whether each prediction is right; a boolean series."""
    return pd.Series(predicted_label(predictions) == predictions.label.to_numpy(), index=predictions.index)


def majority_share(labels):
    """The accuracy of always answering the most frequent class."""
    return float(pd.Series(labels).value_counts(normalize=True).max())


def wilson(correct, images, confidence=0.95):
    """Wilson's interval of a share, as if every image were independent of every other: (low, high).

    correct: how many are right, of images. Source: Wilson 1927, through scipy.stats.binomtest.
    """
    found = binomtest(int(correct), int(images)).proportion_ci(confidence, method="wilson")
    return float(found.low), float(found.high)


class _SeedRows:
    """The test rows of one seed, ready to be weighted: what every measure below is computed from."""

    def __init__(self, rows, units):
        self.correct = is_correct(rows).to_numpy(float)
        self.label = rows.label.to_numpy()
        probabilities = rows.filter(regex="^p_")
        self.p = probabilities.iloc[:, 0].to_numpy()  # read by measures of two classes alone
        self.called = predicted_label(rows)
        self.unit = units.loc[rows.index].to_numpy()
        slides = rows.assign(correct=self.correct, unit=self.unit).groupby("slide", sort=False)
        means = slides[[*probabilities, "label"]].mean()
        self.slide_share = slides.correct.mean().to_numpy()
        self.slide_correct = (predicted_label(means) == slides.label.first()).to_numpy(float)
        self.slide_unit = slides.unit.first().to_numpy()


def _share(right, weights):
    """Weighted share of `right` for each row of weights; nan where nothing weighs."""
    return (weights @ right) / weights.sum(axis=1)


def _ranked(run, weights):
    """Weights of malignant and benign images by distinct probability, highest first: (resamples, thresholds) each."""
    order = np.argsort(-run.p, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(run.p[order]) != 0])
    label = run.label[order]
    return tuple(np.add.reduceat(weights[:, order] * (label == name), starts, axis=1) for name in (1, 0))


def _auc(run, weights):
    malignant, benign = _ranked(run, weights)
    above = malignant.cumsum(axis=1) - malignant / 2  # a tie counts half
    return (above * benign).sum(axis=1) / (malignant.sum(axis=1) * benign.sum(axis=1))


def _average_precision(run, weights):
    malignant, benign = _ranked(run, weights)
    precision = malignant.cumsum(axis=1) / (malignant + benign).cumsum(axis=1)
    return np.nansum(malignant * precision, axis=1) / malignant.sum(axis=1)


def _among(run, weights, chosen):
    return _share(run.correct[chosen], weights[:, chosen])


def _f1(run, weights):
    return 2 * (weights @ (run.correct * run.label)) / (weights @ (run.called + run.label))


MEASURES = {  # each from (a _SeedRows, weights of its images, weights of its slides) to one number a row of weights
    "accuracy": lambda run, images, slides: _share(run.correct, images),
    "balanced accuracy": lambda run, images, slides: np.mean(
        [_among(run, images, run.label == name) for name in np.unique(run.label)], axis=0
    ),
    "sensitivity": lambda run, images, slides: _among(run, images, run.label == 1),
    "specificity": lambda run, images, slides: _among(run, images, run.label == 0),
    "precision": lambda run, images, slides: _among(run, images, run.called == 1),
    "F1": lambda run, images, slides: _f1(run, images),
    "AUC": lambda run, images, slides: _auc(run, images),
    "average precision": lambda run, images, slides: _average_precision(run, images),
    "patient recognition rate": lambda run, images, slides: _share(run.slide_share, slides),
    "slides decided correctly": lambda run, images, slides: _share(run.slide_correct, slides),
}
FOR_ANY_CLASSES = ("accuracy", "balanced accuracy", "patient recognition rate", "slides decided correctly")
OF_BOTH_CLASSES = ("balanced accuracy", "AUC", "average precision")
SPEAKS_OF = {  # the images that a measure of single answers speaks of, where these are not all
    "sensitivity": lambda run: run.label == 1,
    "specificity": lambda run: run.label == 0,
    "precision": lambda run: run.called == 1,
    "F1": lambda run: (run.label == 1) | (run.called == 1),
}
FEWEST_UNITS, FEWEST_APART = 10, 4  # chosen by simulation: benchmarks/coverage.py
NOTHING = 1e-9  # shares that differ by less do so by rounding


class Estimate(NamedTuple):
    """A measure, its values on resamples, and its values with one unit (slide) left out at a time.

    units: how many units the measure speaks of; of the rarer class where it needs both. apart: how many of them are
    not wholly right, or not wholly wrong, whichever are fewer; of a difference, how many differ.
    """

    value: float
    resampled: np.ndarray
    left_out: np.ndarray
    units: int
    apart: int

    def interval(self, confidence=0.95):
        """The bias-corrected and accelerated bootstrap interval, its tails widened for few units: (low, high).

        The plain percentiles are too near to each other for few slides, and off-centre where shares are near 1.
        Sources: Efron 1987, "Better Bootstrap Confidence Intervals"; for the tails Hesterberg 2015, "What Teachers
        Should Know About the Bootstrap", but a little wider, as the simulations of benchmarks/coverage.py ask for.
        (nan, nan), in words "too few slides", where the measure has no value, speaks of fewer than ten units, or fewer
        than four of them are partly wrong (or partly right): resamples of so few do not show how much others would
        vary, and an interval of slides that are all right has no width.
        """
        if np.isnan(self.value) or self.units < FEWEST_UNITS or self.apart < FEWEST_APART:
            return np.nan, np.nan
        resampled, left_out = (values[~np.isnan(values)] for values in (self.resampled, self.left_out))
        if not len(resampled) or np.ptp(resampled) < NOTHING:
            return np.nan, np.nan
        widened = np.sqrt((self.units + 1) / (self.units - 1)) * student.ppf((1 - confidence) / 2, self.units - 1)
        below = np.mean(resampled < self.value) + np.mean(resampled == self.value) / 2
        bias = norm.ppf(np.clip(below, 1 / len(resampled), 1 - 1 / len(resampled)))
        apart = left_out.mean() - left_out
        acceleration = (apart**3).sum() / (6 * (apart**2).sum() ** 1.5) if np.ptp(left_out) > NOTHING else 0.0
        tails = [bias + (bias + z) / (1 - acceleration * (bias + z)) for z in (widened, -widened)]
        low, high = np.quantile(resampled, norm.cdf(tails)).tolist()
        return (low, high) if high > low else (np.nan, np.nan)


class _Drawn:
    """Predictions of some seeds, and the weights of their units: as they are, one left out, and drawn again."""

    def __init__(self, predictions, unit, resamples):
        if unit == "number" and "slide" in predictions:
            predictions = predictions.assign(number=predictions.slide.map(dataset.slide_number, na_action="ignore"))
        frames.check_predictions(predictions, "seed", "slide", unit)
        predictions = predictions.reset_index(drop=True)
        self.classes = predictions.filter(regex="^p_").shape[1] + 1
        codes, names = pd.factorize(predictions[unit], sort=True)
        units, self.names, self.count = pd.Series(codes, index=predictions.index), list(names), len(names)
        chances = np.full(self.count, 1 / self.count)
        draws = np.random.default_rng(0).multinomial(self.count, chances, size=resamples)
        self.weights = np.vstack([np.ones(self.count), 1 - np.eye(self.count), draws])
        self.runs = [_SeedRows(rows, units) for _, rows in predictions.groupby("seed")]

    def measure(self, name):
        """The Estimate of a measure, and the share that is right of each unit which it speaks of."""
        if name not in MEASURES or (self.classes > 2 and name not in FOR_ANY_CLASSES):
            there = MEASURES if self.classes == 2 else FOR_ANY_CLASSES
            raise InputError(f"{name!r} is no measure for {self.classes} classes; choose one of {', '.join(there)}.")
        measured = MEASURES[name]
        with np.errstate(invalid="ignore"):  # a resample may lack a class; its mean is of the other seeds, or nan
            found = [measured(run, self.weights[:, run.unit], self.weights[:, run.slide_unit]) for run in self.runs]
        means = pd.DataFrame(found).mean().to_numpy()
        told = pd.concat([_told(name, run) for run in self.runs])
        shares = told.groupby("unit").right.mean()
        units = len(shares)
        if name in OF_BOTH_CLASSES:
            units = int(told.groupby("label").unit.nunique().min()) if told.label.nunique() > 1 else 0
        apart = min(int((shares < 1).sum()), int((shares > 0).sum()))
        return Estimate(float(means[0]), means[self.count + 1 :], means[1 : self.count + 1], units, apart), shares


def _told(name, run):
    """Whether each answer is right that a measure speaks of: a data frame with columns unit, label and right."""
    if name == "slides decided correctly":
        return pd.DataFrame({"unit": run.slide_unit, "label": 0, "right": run.slide_correct})
    right = run.correct
    if name in ("AUC", "average precision"):  # here an image is right if it lies beyond all of the other class
        positive = run.label == 1
        other = run.p[~positive].max(initial=-np.inf), run.p[positive].min(initial=np.inf)
        right = np.where(positive, run.p > other[0], run.p < other[1]).astype(float)
    told = pd.DataFrame({"unit": run.unit, "label": run.label, "right": right})
    return told[SPEAKS_OF[name](run)] if name in SPEAKS_OF else told


def estimate(predictions, measure="accuracy", unit="slide", resamples=RESAMPLES):
    """A measure, averaged over seeds, of the predictions and of resamples of their slides.

    predictions: test rows of one or more seeds, with columns seed, slide, label and p_<class>. measure: a name in
    MEASURES; with more than two classes, in FOR_ANY_CLASSES. unit: what is drawn again, slide or another column; number
    is that of the slide.
    Each resample draws as many units as there are, with replacement, each with all its images under every seed.
    Returns an Estimate. Raises InputError on predictions that are none, as `frames.check_predictions`, or on a measure
    that is not known for so many classes.
    """
    return _Drawn(predictions, unit, resamples).measure(measure)[0]


def mean_accuracy(predictions, unit="slide", confidence=0.95, resamples=RESAMPLES):
    """Mean over seeds of the share of images classified correctly, with a bootstrap interval over slides.

    predictions, unit: as for `estimate`. The interval says how the accuracy would vary with other slides, not with
    other training.
    Returns a dictionary: accuracy, low, high (shares), runs, images and slides (distinct). Raises
    InputError as `estimate`.
    """
    found = estimate(predictions, unit=unit, resamples=resamples)
    low, high = found.interval(confidence)
    counts = {"runs": predictions.seed.nunique(), "images": predictions.file.nunique()}
    return {"accuracy": found.value, "low": low, "high": high, **counts, "slides": predictions.slide.nunique()}


def summary(predictions, unit="slide", confidence=0.95, resamples=RESAMPLES, positive=None):
    """All measures with their intervals, one row each.

    Arguments as for `estimate`. positive: the class with label 1, as a record names it; malignant where that is the one
    with a probability. The patient recognition rate is the mean over slides of the share of a
    slide's images classified correctly (Spanhol et al. 2016; the data set's "patients" are its slides), and not the
    share of slides decided correctly, which asks the mean probability of a slide's images once.
    Returns a data frame, index measure, columns value, low and high. Where there are more than two classes, or none is
    the positive one, only those measures that make sense without it.
    """
    columns = list(predictions.filter(regex="^p_"))
    named = columns == [f"p_{positive or 'malignant'}"]
    drawn, rows = _Drawn(predictions, unit, resamples), {}
    for measure in MEASURES if named else FOR_ANY_CLASSES:
        found, _ = drawn.measure(measure)
        rows[measure] = [found.value, *found.interval(confidence)]
    return pd.DataFrame.from_dict(rows, orient="index", columns=["value", "low", "high"]).rename_axis("measure")


def paired(first, second, by=("seed", "file")):
    """The rows of both runs that show the same image, in the same order.

    first, second: predictions with seed, file, label and p_<class>. by: what makes two rows a pair; (file,) where
    each image is tested once in both but not under the same seed. Returns (first, second), indexed alike.
    Raises InputError when a run tests an image twice, when labels differ, or when no image is shared.
    """
    by = list(by)
    one, other = (rows.set_index(by, drop=False).sort_index() for rows in (first, second))
    for rows in (one, other):
        if rows.index.has_duplicates:
            twice = rows.index[rows.index.duplicated()][0]
            raise InputError(f"{twice} is tested twice in one of the runs; choose the rows of one test of each image")
    shared = one.index.intersection(other.index)
    if shared.empty:
        raise InputError("the runs share no test image; compare runs of the same data and splits")
    one, other = one.loc[shared].reset_index(drop=True), other.loc[shared].reset_index(drop=True)
    if not (one.label == other.label).all():
        raise InputError("the runs give the same image different labels; compare runs with the same classes")
    return one, other


def mcnemar(first, second, by=("file",)):
    """McNemar's exact test of two runs that each test an image once.

    Arguments as for `paired`. It counts the images that only one of the runs gets right and asks whether a fair
    coin would be as one-sided. It takes images as independent, which images of one slide are not: read it beside
    `paired_difference`. Source: McNemar 1947; the exact, two-sided binomial form.
    Returns a series: both right, only first, only second, neither (counts), p (the probability).
    """
    one, other = (is_correct(rows) for rows in paired(first, second, by))
    only_first, only_second = int((one & ~other).sum()), int((other & ~one).sum())
    p = binomtest(only_first, only_first + only_second).pvalue if only_first + only_second else 1.0
    counts = [int((one & other).sum()), only_first, only_second, int((~one & ~other).sum())]
    return pd.Series([*counts, p], index=["both right", "only first", "only second", "neither", "p"])


def paired_difference(first, second, measure="accuracy", unit="slide", confidence=0.95, resamples=RESAMPLES):
    """First minus second in a measure, with the bootstrap over slides of that difference.

    first, second: test rows as for `estimate`, of the same slides; each resample draws the same slides for
    both, so that what makes a slide hard for both cancels out.
    Returns a series: difference, low, high; the interval is nan where fewer than ten slides differ, which is too few
    to say how others would. Raises InputError when the runs test different slides.
    """
    drawn = [_Drawn(rows, unit, resamples) for rows in (first, second)]
    if drawn[0].names != drawn[1].names:
        raise InputError(f"the runs test different {unit}s; compare runs of the same data.")
    (one, of_one), (other, of_other) = (rows.measure(measure) for rows in drawn)
    differ = int((of_one.subtract(of_other, fill_value=0).abs() > NOTHING).sum())
    apart = Estimate(
        one.value - other.value,
        one.resampled - other.resampled,
        one.left_out - other.left_out,
        differ if min(one.units, other.units) >= FEWEST_UNITS else 0,
        differ,
    )
    return pd.Series([apart.value, *apart.interval(confidence)], ["difference", "low", "high"])


def predictive_values(sensitivity, specificity, prevalence):
    """What an answer is worth where a share `prevalence` of the images is malignant: (PPV, NPV), by Bayes' rule.

    All in [0, 1]; arrays are taken element by element. A value is nan where no such answer is ever given.
    """
    found, alarms = sensitivity * prevalence, (1 - specificity) * (1 - prevalence)
    cleared, missed = specificity * (1 - prevalence), (1 - sensitivity) * prevalence
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.divide(found, found + alarms), np.divide(cleared, cleared + missed)
