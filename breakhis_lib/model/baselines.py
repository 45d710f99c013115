"""Controls: what is left when something is taken away.

A *method* here predicts like a fine-tuned head, so that `experiment.run` can put it in the same record: `colour`
knows of an image only how it is stained, `logistic` is a regression on Xception's frozen features, which trains no
layer of it. `shuffled` takes the labels' meaning away and leaves everything else.
"""

import time

import numpy as np
import pandas as pd

from breakhis_lib.data import dataset, frames, images
from breakhis_lib.errors import InputError
from breakhis_lib.model import readings

STRENGTHS = np.geomspace(1e-5, 1e2, 15)  # inverse regularisation, of which the validation set chooses


def colour(fields):
    """How each image is stained: mean and deviation of red, green and blue over its pixels, in grey levels.

    fields: data frame of `dataset.scan`. Returns an array of shape (fields, 6). Raises InputError as
    `images.read_image`.
    """
    pixels = (images.read_image(path).reshape(-1, 3) for path in fields.path)
    return np.array([np.r_[image.mean(axis=0), image.std(axis=0)] for image in pixels])


def colours(fields):
    """What `colour` returns, with zeros for an image that cannot be read, and the reasons by the fields' index."""
    found, unreadable = np.zeros((len(fields), 6)), {}
    for place, index in enumerate(fields.index):
        try:
            found[place] = colour(fields.loc[[index]])[0]
        except InputError as error:
            unreadable[index] = str(error)
    return found, unreadable


def fit_logistic(inputs, fields, sets):
    """Fit a logistic regression on the training images, its strength chosen by the loss on the validation images.

    inputs: array of shape (fields, numbers). fields, sets: as for `finetune.train`.
    Returns readings.Trained without a head; its history has a row for each strength tried, weakest fit first.
    """
    from sklearn.linear_model import LogisticRegression  # late: the second they take is too long to refuse a word
    from sklearn.metrics import accuracy_score, log_loss
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from threadpoolctl import threadpool_limits

    frames.check_training(inputs, fields, sets)
    started = time.monotonic()
    labels, classes = fields.label.to_numpy(), dataset.class_names(fields)
    rows = {name: np.flatnonzero(sets == name) for name in ("train", "validation")}
    fits, history = [], []
    for strength in STRENGTHS:
        fits.append(make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=2000)))
        with threadpool_limits(1):  # threads that wait for each other over matrices this small cost more than they save
            fits[-1].fit(inputs[rows["train"]], labels[rows["train"]])
        row = {}
        for prefix, name in (("", "train"), ("val_", "validation")):
            probabilities = fits[-1].predict_proba(inputs[rows[name]])
            row[f"{prefix}accuracy"] = accuracy_score(labels[rows[name]], probabilities.argmax(axis=1))
            row[f"{prefix}loss"] = log_loss(labels[rows[name]], probabilities, labels=range(len(classes)))
        history.append(row)
    history = pd.DataFrame(history, index=pd.RangeIndex(1, len(STRENGTHS) + 1, name="epoch"))
    best = int(history.val_loss.argmin())
    predictions = fields[["file", "slide", "label"]].assign(set=sets.to_numpy())
    predictions[dataset.probability_columns(fields)] = fits[best].predict_proba(inputs)[:, 1:]
    return readings.Trained(None, history, predictions, best + 1, time.monotonic() - started)


def shuffled(fields, unit, seed=0):
    """Give the images each other's labels: what is learned from these is not about tumours.

    fields: data frame of `dataset.scan`. unit: file (every image draws a label) or slide (every slide does, and its
    images share it). seed: fixes the shuffle. Returns the fields with label and label_name changed.
    """
    frames.check_fields(fields, "label_name", unit)
    units = fields.drop_duplicates(unit).set_index(unit)[["label", "label_name"]]
    drawn = units.iloc[np.random.default_rng(seed).permutation(len(units))].set_axis(units.index)
    return fields.assign(**{name: fields[unit].map(drawn[name]) for name in drawn})
