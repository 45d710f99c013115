"""What can be asked of a training, told without loading Keras: readings of "the top four layers", and settings.

The paper fine-tunes "the top four layers" and does not say what a layer is. Each reading of that
phrase says where the network is cut and which layers above the cut are trained. Layers are named,
never counted: their numbers, and Keras' automatic names, differ between versions.
"""

from importlib import resources
from typing import NamedTuple

import pandas as pd

from breakhis_lib.errors import InputError

BATCH_NORMS = ("inference", "batch")
MIN_SIZE = 71  # pixels a side
SIZE = (299, 299)  # height and width in pixels that Xception was trained on


class Reading(NamedTuple):
    """One way to understand "the top four layers".

    first: the first layer above the cut (None: the cut is after the global average). trained: names of
    the layers whose weights move (None: all above the cut).
    """

    first: str | None
    trained: tuple | None
    meaning: str


def _readings():
    """The rows of readings.csv: the layers that are trained stand between blanks; all is every one above the cut."""
    table = pd.read_csv(resources.files(__package__) / "readings.csv", index_col="name", keep_default_na=False)
    table["trained"] = [None if layers == "all" else tuple(layers.split()) for layers in table.trained]
    return {name: Reading(first or None, *others) for name, first, *others in table.itertuples()}


READINGS = _readings()
DEFAULT_READING = "block14"
METHODS = {"logistic": "logistic regression on the frozen features", "colour": "logistic regression on six colours"}


def reading_named(name):
    """The reading of that name; InputError that lists the names when there is none."""
    if name not in READINGS:
        there = ", ".join([*READINGS, *METHODS])
        raise InputError(f"reading {name!r} is not known; choose one of {there}.")
    return READINGS[name]


class Settings(NamedTuple):
    """What a training run may vary, with the course's defaults.

    epochs: passes over the training images, at most. patience: epochs without a lower validation loss
    before training stops (0: never early). learning_rate: step size of Adam. batch_size: images
    a step. dropout: share in [0, 1). batch_norm: inference or batch, see `network.build`. class_weights:
    whether classes weigh alike whatever their number of images. augment: whether each epoch sees each image
    in one of its eight dihedral views, drawn at random. weight_decay: share of the step size by which each step shrinks
    the weights, apart from the gradient (Loshchilov and Hutter 2019).
    """

    epochs: int = 15
    patience: int = 5
    learning_rate: float = 1e-4
    batch_size: int = 32
    dropout: float = 0.2
    batch_norm: str = "inference"
    class_weights: bool = False
    augment: bool = False
    weight_decay: float = 0


class Trained(NamedTuple):
    """A trained head (a keras.Model; None for a baseline), its history, its predictions and what it took.

    history: data frame, one row an epoch. predictions: data frame, one row an image.
    """

    head: object
    history: pd.DataFrame
    predictions: pd.DataFrame
    best_epoch: int
    seconds: float


def validate(settings, size=SIZE, names=()):
    """Raise InputError, naming the value, when a setting is out of range or does not fit the others.

    settings: Settings. size: (height, width) in pixels. names: of READINGS or METHODS, what will be trained.
    """
    for name, least in (("epochs", 1), ("patience", 0), ("batch_size", 1)):
        if getattr(settings, name) < least:
            raise InputError(f"{name} is {getattr(settings, name)}; expected {least} or more.")
    if not 0 < settings.learning_rate < 1:
        raise InputError(f"learning_rate is {settings.learning_rate}; expected more than 0 and less than 1.")
    for name in ("dropout", "weight_decay"):
        if not 0 <= getattr(settings, name) < 1:
            raise InputError(f"{name} is {getattr(settings, name)}; expected 0 or more and less than 1.")
    if settings.batch_norm not in BATCH_NORMS:
        raise InputError(f"batch_norm {settings.batch_norm!r} is not known; choose {' or '.join(BATCH_NORMS)}.")
    if min(size) < MIN_SIZE:
        raise InputError(f"size {size[0]}x{size[1]} is too small; Xception needs at least {MIN_SIZE} pixels a side.")
    if settings.augment and size[0] != size[1]:
        raise InputError(f"augment needs a square size, not {size[0]}x{size[1]}; quarter turns would not fit.")
    for name in names:
        if name not in METHODS and reading_named(name).trained is not None and settings.batch_norm == "batch":
            raise InputError(
                f"reading {name} trains no BatchNorm layer, so that batch_norm batch would change nothing; "
                "choose batch_norm inference, or another reading."
            )
