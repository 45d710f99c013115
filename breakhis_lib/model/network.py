"""The network, cut in two: Xception's frozen *trunk* and its trainable *head*.

The paper fine-tunes "the top four layers" and does not say what a layer is. Each reading of that
phrase says where the network is cut and which layers above the cut are trained. Layers are named,
never counted: their numbers, and Keras' automatic names, differ between versions.

Source of the network: Chollet 2017, "Xception: Deep Learning with Depthwise Separable Convolutions".
"""

import math

import h5py

from breakhis_lib.errors import InputError
from breakhis_lib.files import whole
from breakhis_lib.model import readings
from breakhis_lib.model import weights as imagenet
from breakhis_lib.model.backend import keras
from breakhis_lib.model.readings import DEFAULT_READING, SIZE

BRING_ANEW = "bring the file from a copy, or train another with `breakhis run --results` and a new folder"


def xception(size=SIZE, tensors=None):
    """Xception without its top, with ImageNet's weights.

    size: (height, width) of the input in pixels, at least 71 each. tensors: what `weights.load`
    returns, loaded from the cache if left out.
    Returns a keras.Model from (batch, height, width, 3) in [-1, 1] to (batch, h, w, 2048).
    """
    readings.validate(readings.Settings(), size)
    base = keras.applications.Xception(weights=None, include_top=False, input_shape=(*size, 3))
    base.set_weights([array for _, _, array in (tensors or imagenet.load())])
    return base


def cut(base, reading=DEFAULT_READING):
    """Cut Xception by a reading of "the top four layers".

    base: what `xception` returns. reading: a name in READINGS.
    Returns (trunk, top): two keras.Model that share base's layers and, one after the other, equal base: the trunk maps
    images to features, the top features to maps of 2,048 channels. Where the cut is after the global average, the
    trunk includes it, and the top changes nothing.
    """
    reading = readings.reading_named(reading)
    if reading.first is None:
        average = keras.layers.GlobalAveragePooling2D(name="global_average")
        trunk = keras.Model(base.input, average(base.output), name="trunk")
        identity = keras.Input(trunk.output_shape[1:])
        return trunk, keras.Model(identity, identity, name="top")
    features = base.get_layer(reading.first).input
    trunk = keras.Model(base.input, features, name="trunk")
    return trunk, keras.Model(features, base.output, name="top")


def build(
    reading=DEFAULT_READING, classes=2, batch_norm="inference", dropout=0.2, size=SIZE, tensors=None, dtype="float32"
):
    """The frozen trunk and the trainable head of one reading.

    reading: a name in READINGS. classes: two or more. batch_norm: "inference" normalises with
    ImageNet's moving statistics (its scale and shift are trained all the same), "batch" with those of
    each training batch. dropout: share in [0, 1) dropped before the softmax. size: (height, width) in
    pixels. tensors: ImageNet weights, from the cache if left out. dtype: Keras' dtype policy; half
    precision gains little on the frozen trunk and nothing on a head (benchmarks/LOG.md).
    Returns (trunk, head): keras.Model from images in [-1, 1], (batch, height, width, 3), to features, and
    from features to (batch, classes) probabilities. Raises InputError on a value out of range.
    """
    if classes < 2:
        raise InputError(f"{classes} class is too few; a classifier needs two or more.")
    readings.validate(readings.Settings(dropout=dropout, batch_norm=batch_norm), size, (reading,))
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(dtype)
    try:
        trunk, top = cut(xception(size, tensors), reading)
        trunk.trainable = False
        trained = readings.READINGS[reading].trained
        for layer in top.layers:
            layer.trainable = trained is None or layer.name in trained
        features = keras.Input(trunk.output_shape[1:], name="features", dtype="float32")
        maps = (InInferenceMode(top) if batch_norm == "inference" else top)(features)
        averages = maps if len(maps.shape) == 2 else keras.layers.GlobalAveragePooling2D(name="global_average")(maps)
        dropped = keras.layers.Dropout(dropout, name="dropout")(averages)
        softmax = keras.layers.Dense(classes, activation="softmax", dtype="float32", name="softmax")
        return trunk, keras.Model(features, softmax(dropped), name="head")
    finally:
        keras.config.set_dtype_policy(before)


class InInferenceMode(keras.layers.Layer):
    """A model that normalises as at prediction time while it is trained.

    Keras 3 gives `training` of the outer call to every layer of a functional model, so that writing
    top(features, training=False) into the graph has no effect under fit (keras-team/keras, issue 20285).
    """

    def __init__(self, model):
        """Hold a keras.Model; the layer takes its name, and its weights are the model's."""
        super().__init__(name=model.name)
        self.model = model

    def get_config(self):
        """What makes the layer again."""
        return {"model": keras.saving.serialize_keras_object(self.model)}

    @classmethod
    def from_config(cls, config):
        """The layer again, with new weights."""
        return cls(keras.saving.deserialize_keras_object(config["model"]))

    def call(self, inputs):
        """The model's output, whatever `training` the caller asks for."""
        return self.model(inputs, training=False)


keras.saving.register_keras_serializable("breakhis_lib")(InInferenceMode)  # so that a saved head can be loaded


def save_head(head, path):
    """Write a head's weights whole or not at all; InputError where there is no room or no permission.

    path: of a .weights.h5 file; its folder is made.
    """
    with whole(path) as partial:
        imagenet.take_room(partial, 4 * head.count_params())
        keras.Model(head.inputs, head.outputs).save_weights(partial)  # a model without the optimiser's state
        with h5py.File(partial, "a") as file:
            file.attrs["sha256"] = imagenet.digest(head.get_weights())


def load_head(head, path):
    """Give a head the weights of a file that `save_head` wrote; InputError where they are not as they were written."""
    try:
        head.load_weights(path)
        with h5py.File(path) as file:
            written = file.attrs.get("sha256")
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{path} is no head of this kind, or damaged ({error}); {BRING_ANEW}.") from None
    if written not in (None, imagenet.digest(head.get_weights())):  # earlier versions wrote none
        raise InputError(f"{path} is damaged: its numbers are not those that were written; {BRING_ANEW}.")


def count_parameters(head):
    """How many numbers a head trains and how many of its own stay as they are.

    Returns a dictionary with trainable (the softmax layer's included), softmax, and fixed.
    """
    return {
        "trainable": sum(math.prod(weight.shape) for weight in head.trainable_weights),
        "softmax": head.get_layer("softmax").count_params(),
        "fixed": sum(math.prod(weight.shape) for weight in head.non_trainable_weights),
    }
