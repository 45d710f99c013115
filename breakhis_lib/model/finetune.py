"""Fine-tuning: train a head on cached features, keep its best epoch, predict every image.

The validation set alone decides when to stop and which epoch is kept; the test set is looked at once,
by the head that is returned. Only Keras 3's own interface is used, so that TensorFlow, JAX and
PyTorch train alike.
"""

import time

import numpy as np
import pandas as pd
from sklearn.utils.class_weight import compute_class_weight

from breakhis_lib.data import dataset, frames, splits
from breakhis_lib.errors import InputError
from breakhis_lib.model import network, readings
from breakhis_lib.model.backend import keras


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


def train(
    features,
    fields,
    sets,
    reading=readings.DEFAULT_READING,
    seed=0,
    settings=None,
    size=readings.SIZE,
    tensors=None,
    progress=lambda epoch, logs: None,
    head=None,
):
    """Train one head and predict every image with its best epoch.

    features: `features.Features`, one entry a field (eight views for settings.augment). fields: data
    frame of `dataset.scan`. sets: series of train, validation and test, as `splits.draw` returns. reading: a
    name in `readings.READINGS`. seed: fixes initial weights, dropout, order and views. settings: `readings.Settings`.
    size: (height, width) the features were made with. tensors: ImageNet weights, from the cache if left
    out. progress: called after each epoch with its number and Keras' logs. head: of an earlier call with the same
    reading, settings and size, which is then trained anew: it saves the seconds and the memory of another one, its
    earlier state is lost, and what comes out is the same to the last bit.
    Returns `readings.Trained`. Its predictions have the columns file, slide, label, set and p_<class> for every class
    but the first: p_malignant. Raises InputError on a value out of range, or when the loss is no longer a number.
    """
    settings = settings or readings.Settings()
    readings.validate(settings, size, (reading,))
    frames.check_training(features, fields, sets)
    views = features.array.shape[1]
    if settings.augment and views == 1:
        raise InputError("augment needs features of eight views; extract them with views=8.")
    classes = dataset.class_names(fields)
    splits.check("image", seed)
    started = time.monotonic()
    if head is None:
        _, head = network.build(reading, len(classes), settings.batch_norm, settings.dropout, size, tensors)
        optimizer = keras.optimizers.Adam(settings.learning_rate, weight_decay=settings.weight_decay or None)
        head.compile(optimizer, loss="sparse_categorical_crossentropy", metrics=["accuracy"])
        head.optimizer.build(head.trainable_variables)
        head.untrained = head.get_weights(), [np.array(value) for value in head.optimizer.variables]
    if features.array.shape[2:] != head.input_shape[1:]:
        raise InputError(f"these features are not of reading {reading} at size {size[0]}x{size[1]}; extract them anew.")
    _begin(head, seed)
    labels = fields.label.to_numpy()
    trained, held_out = (np.flatnonzero(sets == name) for name in ("train", "validation"))
    known, views = labels[trained], views if settings.augment else 1
    batches = _Batches(features, trained, known, settings.batch_size, seed, views)
    validation = _Batches(features, held_out, labels[held_out], settings.batch_size)
    stop = keras.callbacks.EarlyStopping(
        "val_loss", patience=settings.patience or settings.epochs, restore_best_weights=True
    )
    told = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: progress(epoch + 1, dict(logs)))
    weights = compute_class_weight("balanced", classes=np.unique(known), y=known) if settings.class_weights else None
    history = head.fit(
        batches,
        validation_data=validation,
        epochs=settings.epochs,
        class_weight=weights if weights is None else dict(enumerate(weights)),
        callbacks=[stop, keras.callbacks.TerminateOnNaN(), told],
        shuffle=False,  # _Batches does, from its own seed; Keras would draw from Python's global one
        verbose=0,
    ).history
    history = pd.DataFrame(history, index=pd.RangeIndex(1, len(history["loss"]) + 1, name="epoch"))
    if history.isna().any(axis=None):
        raise InputError(f"the loss is no longer a number after {len(history)} epochs; lower the learning rate.")
    predictions = fields[["file", "slide", "label"]].assign(set=sets.to_numpy())
    predictions[dataset.probability_columns(fields)] = predict(head, features, settings.batch_size)[:, 1:]
    return readings.Trained(head, history, predictions, stop.best_epoch + 1, time.monotonic() - started)


def _begin(head, seed):
    """Put a head where a new one of that seed begins: ImageNet's weights, a new softmax, an optimiser at rest."""
    weights, optimizer = head.untrained
    head.set_weights(weights)
    for variable, value in zip(head.optimizer.variables, optimizer, strict=True):
        variable.assign(value)
    softmax = head.get_layer("softmax")
    most = np.sqrt(6 / sum(softmax.kernel.shape))  # Glorot and Bengio 2010, as Keras draws a dense layer
    softmax.kernel.assign(np.random.default_rng(seed).uniform(-most, most, softmax.kernel.shape))
    if head.get_layer("dropout").rate:  # without, Keras keeps no random state there
        head.get_layer("dropout").seed_generator.state.assign(np.array([seed, 0], "uint32"))


def predict(head, features, batch_size=32):
    """The head's probabilities for all features (their first view): an array of shape (fields, classes)."""
    everything = np.arange(len(features))
    return head.predict(_Batches(features, everything, everything, batch_size), verbose=0)
