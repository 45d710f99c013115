"""Where it looked: how much every place of an image speaks for malignant.

Xception ends in a global average and one softmax layer, so what the softmax weighs up can be taken apart exactly, place
by place, without any gradient: the class-activation map of Zhou et al. 2016. It shows what this
network used, and nothing of what a pathologist would see there.
"""

import numpy as np

from breakhis_lib.errors import InputError


def class_activation(head, found, label=1):
    """How much each place of each image speaks for a class.

    head: a trained head of two or more classes, see `network.build`. found: the trunk's features, float array
    of shape (images, height, width, channels). label: of the class.
    Returns (maps, bias): a float array (images, h, w) in units of log odds, and a number. The mean of a map plus the
    bias is the log odds of the class against the others taken together (with two classes; with more, against their
    mean logit). Raises InputError for the reading `probe`, which has no map.
    """
    top = head.get_layer("top")
    top = getattr(top, "model", top)  # in inference mode the model lies within a layer
    if len(top.output_shape) < 4:
        raise InputError("a linear probe is trained after the average and has no map; choose another reading.")
    activations = np.asarray(top.predict(found, verbose=0), np.float64)
    kernel, bias = (np.asarray(weight, np.float64) for weight in head.get_layer("softmax").get_weights())
    others = [other for other in range(kernel.shape[1]) if other != label]
    weight = kernel[:, label] - kernel[:, others].mean(axis=1)
    return activations @ weight, float(bias[label] - bias[others].mean())


def randomise(head, seed=0):
    """Permute the numbers within every weight of a head, in place: its maps must not resemble the trained ones.

    Source of the check: Adebayo et al. 2018, "Sanity Checks for Saliency Maps".
    """
    random = np.random.default_rng(seed)
    head.set_weights([random.permutation(weight.ravel()).reshape(weight.shape) for weight in head.get_weights()])


def resemblance(maps, others):
    """Correlation of two sets of maps, image by image: an array of numbers in [-1, 1]."""
    return np.array([np.corrcoef(one.ravel(), other.ravel())[0, 1] for one, other in zip(maps, others, strict=True)])
