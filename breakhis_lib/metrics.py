"""How good, how sure: figures from predictions, with intervals that respect slides."""

import numpy as np
import pandas as pd

RESAMPLES = 2000


def predicted_label(predictions):
    """The class with the highest probability; of two equal ones the later (p_malignant of 0.5 is malignant).

    predictions: data frame with p_<class> for every class but the first, each in [0, 1].
    Returns an integer array.
    """
    rest = predictions.filter(regex="^p_").to_numpy()
    everything = np.column_stack([1 - rest.sum(axis=1), rest])
    return everything.shape[1] - 1 - everything[:, ::-1].argmax(axis=1)


def is_correct(predictions):
    """Whether each prediction is right; a boolean series."""
    return pd.Series(predicted_label(predictions) == predictions.label.to_numpy(), index=predictions.index)


def mean_accuracy(predictions, confidence=0.95, resamples=RESAMPLES):
    """Mean over seeds of the share of images classified correctly, with a bootstrap interval over slides.

    predictions: test rows of one or more seeds, with columns seed, slide, label and p_<class>.
    Slides are drawn with replacement, each with all its images under every seed, because images of one
    slide err together; the interval holds the percentiles of the accuracies so found. It says how the
    accuracy would vary with other slides, not with other training.
    Returns a dictionary: accuracy, low, high (shares), runs, images and slides (distinct). Raises
    ValueError on an empty frame.
    """
    if predictions.empty:
        raise ValueError("there is no prediction to measure")
    table = predictions.assign(correct=is_correct(predictions))
    counts = table.pivot_table(index="seed", columns="slide", values="correct", aggfunc=["sum", "count"], fill_value=0)
    correct, images = counts["sum"].to_numpy(float), counts["count"].to_numpy(float)

    def accuracy(weights):
        with np.errstate(invalid="ignore"):  # a seed may lose all its slides to a resample
            return np.nanmean((weights @ correct.T) / (weights @ images.T), axis=-1)

    slides = images.shape[1]
    draws = np.random.default_rng(0).multinomial(slides, np.full(slides, 1 / slides), size=resamples)
    tail = (1 - confidence) / 2
    low, high = np.quantile(accuracy(draws), [tail, 1 - tail])
    return {
        "accuracy": float(accuracy(np.ones(slides))),
        "low": float(low),
        "high": float(high),
        "runs": len(counts),
        "images": predictions.file.nunique(),
        "slides": slides,
    }


def majority_share(labels):
    """The accuracy of always answering the most frequent class."""
    return float(pd.Series(labels).value_counts(normalize=True).max())
