"""What can be asked of a training, told without loading Keras: readings of "the top four layers", and settings.

The paper fine-tunes "the top four layers" and does not say what a layer is. Each reading of that
phrase says where the network is cut and which layers above the cut are trained. Layers are named,
never counted: their numbers, and Keras' automatic names, differ between versions.
"""

from typing import NamedTuple

import pandas as pd

from breakhis_lib.errors import InputError

OPTIMIZERS = ("adam", "sgd")
SIZE = (299, 299)  # height and width in pixels that Xception was trained on


class Reading(NamedTuple):
    """One way to understand "the top four layers".

    first: the first layer above the cut (None: the cut is after the global average). trained: names of
    the layers whose weights move (None: all above the cut).
    """

    first: str | None
    trained: tuple | None
    meaning: str


READINGS = {
    "block14": Reading(
        "block14_sepconv1",
        None,
        "the four layers of block 14 that hold weights: two separable convolutions, each with its BatchNorm",
    ),
    "last4": Reading(
        "block14_sepconv2",
        None,
        "the last four entries of Keras' layer list: an activation, the last separable convolution, its "
        "BatchNorm, an activation",
    ),
    "sepconv4": Reading(
        "block13_sepconv1_act",
        ("block13_sepconv1", "block13_sepconv2", "block14_sepconv1", "block14_sepconv2"),
        "the last four separable convolutions and nothing else",
    ),
    "block13": Reading(
        "block13_sepconv1_act",
        None,
        "blocks 13 and 14 whole, with their BatchNorm and the shortcut convolution",
    ),
    "blocks4": Reading(
        "block11_sepconv1_act",
        None,
        "the last four blocks, 11 to 14",
    ),
    "probe": Reading(None, (), "no layer of Xception: only the new softmax layer (a linear probe)"),
}
DEFAULT_READING = "block14"


def reading_named(name):
    """The reading of that name; InputError that lists the names when there is none."""
    if name not in READINGS:
        raise InputError(f"reading {name!r} is not known; choose one of {', '.join(READINGS)}.")
    return READINGS[name]


class Settings(NamedTuple):
    """What a training run may vary, with the course's defaults.

    epochs: passes over the training images, at most. patience: epochs without a lower validation loss
    before training stops (0: never early). learning_rate: step size of the optimiser. batch_size: images
    a step. dropout: share in [0, 1). batch_norm: inference or batch, see `network.build`. class_weights:
    whether classes weigh alike whatever their number of images. augment: whether each epoch sees each image
    in one of its eight dihedral views, drawn at random.
    """

    epochs: int = 15
    patience: int = 5
    optimizer: str = "adam"
    learning_rate: float = 1e-4
    batch_size: int = 32
    dropout: float = 0.2
    batch_norm: str = "inference"
    class_weights: bool = False
    augment: bool = False


class Trained(NamedTuple):
    """A trained head (a keras.Model; None for a baseline), its history, its predictions and what it took.

    history: data frame, one row an epoch. predictions: data frame, one row an image.
    """

    head: object
    history: pd.DataFrame
    predictions: pd.DataFrame
    best_epoch: int
    seconds: float


def validate(settings):
    """Raise InputError, naming the value, when a setting is out of range."""
    for name, least in (("epochs", 1), ("patience", 0), ("batch_size", 1)):
        if getattr(settings, name) < least:
            raise InputError(f"{name} is {getattr(settings, name)}; expected {least} or more.")
    if settings.optimizer not in OPTIMIZERS:
        raise InputError(f"optimizer {settings.optimizer!r} is not known; choose one of {', '.join(OPTIMIZERS)}.")
    if not 0 < settings.learning_rate < 1:
        raise InputError(f"learning_rate is {settings.learning_rate}; expected more than 0 and less than 1.")
