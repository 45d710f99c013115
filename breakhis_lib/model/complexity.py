"""What a network costs: its parameters and multiplications, counted layer by layer from its shapes.

Counted are the multiplications of convolutions and dense layers for one image; normalisation, activation
and pooling, which add little beside them, count as none.
"""

import math

import pandas as pd


def layers(model):
    """The cost of every layer of a built Keras model.

    model: a keras.Model with one input of known size.
    Returns a data frame, one row a layer in the model's order, with kind (the class's name), output (the shape
    without the batch), parameters, and multiplications (for one image).
    """
    rows = {}
    for layer in model.layers:
        output = layer.output.shape[1:]
        kind = type(layer).__name__
        rows[layer.name] = [kind, tuple(output), layer.count_params(), _multiplications(layer, kind, output)]
    return pd.DataFrame.from_dict(rows, orient="index", columns=["kind", "output", "parameters", "multiplications"])


def _multiplications(layer, kind, output):
    """Every weight of a kernel is multiplied once a place of the output; of a dense layer, once."""
    if kind not in ("Dense", "Conv2D", "DepthwiseConv2D", "SeparableConv2D"):
        return 0
    kernels = [weight for weight in layer.weights if weight.name.endswith("kernel")]  # a separable one has two
    return math.prod(output[:-1]) * sum(math.prod(kernel.shape) for kernel in kernels)
