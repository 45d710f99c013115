"""Fine-tuning: train a head on cached features, keep its best epoch, predict every image.

The validation set alone decides when to stop and which epoch is kept; the test set is looked at once,
by the head that is returned. Only Keras 3's own interface is used, so that TensorFlow, JAX and
PyTorch train alike.
"""

import time
from typing import NamedTuple

import numpy as np
import pandas as pd

from breakhis_lib import backend, network
from breakhis_lib.backend import keras
from breakhis_lib.errors import InputError

OPTIMIZERS = {
    "adam": lambda rate: keras.optimizers.Adam(rate),
    "sgd": lambda rate: keras.optimizers.SGD(rate, momentum=0.9),
}


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
    """A trained head, its history (a data frame, one row an epoch), its predictions and what it took."""

    head: keras.Model
    history: pd.DataFrame
    predictions: pd.DataFrame
    best_epoch: int
    seconds: float


class _Batches(keras.utils.PyDataset):
    """Features in batches, read from disk as they are needed; shuffled anew every epoch if seeded."""

    def __init__(self, features, rows, labels, batch_size, seed=None, views=1):
        super().__init__()
        self.features, self.rows, self.labels, self.batch_size = features, rows, labels, batch_size
        self.generator = None if seed is None else np.random.default_rng(seed)
        self.views = views
        self.on_epoch_end()

    def __len__(self):
        return -(-len(self.rows) // self.batch_size)

    def on_epoch_end(self):
        count = len(self.rows)
        self.order = np.arange(count) if self.generator is None else self.generator.permutation(count)
        self.view = np.zeros(count, int) if self.generator is None else self.generator.integers(0, self.views, count)

    def __getitem__(self, index):
        chosen = self.order[index * self.batch_size : (index + 1) * self.batch_size]
        return self.features.take(self.rows[chosen], self.view[chosen]), self.labels[chosen]


class _Progress(keras.callbacks.Callback):
    def __init__(self, report):
        super().__init__()
        self.report = report

    def on_epoch_end(self, epoch, logs=None):
        self.report(epoch + 1, dict(logs))


def check(settings):
    """Raise InputError, naming the value, when a setting is out of range."""
    for name, least in (("epochs", 1), ("patience", 0), ("batch_size", 1)):
        if getattr(settings, name) < least:
            raise InputError(f"{name} is {getattr(settings, name)}; expected {least} or more.")
    if settings.optimizer not in OPTIMIZERS:
        raise InputError(f"optimizer {settings.optimizer!r} is not known; choose one of {', '.join(OPTIMIZERS)}.")
    if not 0 < settings.learning_rate < 1:
        raise InputError(f"learning_rate is {settings.learning_rate}; expected more than 0 and less than 1.")


def train(
    features,
    fields,
    sets,
    reading=network.DEFAULT_READING,
    seed=0,
    settings=None,
    size=network.SIZE,
    tensors=None,
    progress=lambda epoch, logs: None,
):
    """Train one head and predict every image with its best epoch.

    features: `features.Features`, one entry a field (eight views for settings.augment). fields: data
    frame of `dataset.scan`. sets: series of train, validation and test, as `splits.draw` returns. reading: a
    name in `network.READINGS`. seed: fixes initial weights, dropout, order and views. settings: Settings.
    size: (height, width) the features were made with. tensors: ImageNet weights, from the cache if left
    out. progress: called after each epoch with its number and Keras' logs.
    Returns Trained. Its predictions have the columns file, slide, label, set and p_<class> for every class but the
    first: p_malignant. Raises InputError on a value out of range, or when the loss is no longer a number.
    """
    settings = settings or Settings()
    check(settings)
    views = features.array.shape[1]
    if settings.augment and views == 1:
        raise InputError("augment needs features of eight views; extract them with views=8.")
    classes = class_names(fields)
    started = time.monotonic()
    keras.utils.set_random_seed(seed)
    _, head = network.build(reading, len(classes), settings.batch_norm, settings.dropout, size, tensors)
    head.compile(
        OPTIMIZERS[settings.optimizer](settings.learning_rate),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
        jit_compile="auto" if backend.has_gpu() else False,  # XLA is slow on a CPU
    )
    labels = fields.label.to_numpy()
    rows = {name: np.flatnonzero(sets == name) for name in ("train", "validation")}
    batches = {
        "train": _Batches(
            features, rows["train"], labels[rows["train"]], settings.batch_size, seed, views if settings.augment else 1
        ),
        "validation": _Batches(features, rows["validation"], labels[rows["validation"]], settings.batch_size),
    }
    stop = keras.callbacks.EarlyStopping(
        "val_loss", patience=settings.patience or settings.epochs, restore_best_weights=True
    )
    callbacks = [stop, keras.callbacks.TerminateOnNaN(), _Progress(progress)]
    weights = _class_weights(labels[rows["train"]], len(classes)) if settings.class_weights else None
    history = head.fit(
        batches["train"],
        validation_data=batches["validation"],
        epochs=settings.epochs,
        class_weight=weights,
        callbacks=callbacks,
        verbose=0,
    ).history
    history = pd.DataFrame(history, index=pd.RangeIndex(1, len(history["loss"]) + 1, name="epoch"))
    if history.isna().any(axis=None):
        raise InputError(f"the loss is no longer a number after {len(history)} epochs; lower the learning rate.")
    predictions = fields[["file", "slide", "label"]].assign(set=sets.to_numpy())
    predictions[probability_columns(fields)] = predict(head, features, settings.batch_size)[:, 1:]
    return Trained(head, history, predictions, stop.best_epoch + 1, time.monotonic() - started)


def predict(head, features, batch_size=32):
    """The head's probabilities for all features (their first view): an array of shape (fields, classes)."""
    everything = np.arange(len(features))
    return head.predict(_Batches(features, everything, everything, batch_size), verbose=0)


def class_names(fields):
    """The names of the classes in the order of their labels."""
    return fields.groupby("label").label_name.first().tolist()


def probability_columns(fields):
    """Names of the probability columns: one for every class but the first, whose share is what is left of 1."""
    return [f"p_{name}" for name in class_names(fields)[1:]]


def _class_weights(labels, classes):
    counts = np.bincount(labels, minlength=classes)
    return {label: len(labels) / (classes * count) for label, count in enumerate(counts)}
