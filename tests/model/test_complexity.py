"""What a network costs, counted from its shapes: against formulas and against Keras."""

import pytest

from breakhis_lib.model import complexity
from breakhis_lib.model.backend import keras


@pytest.mark.parametrize(
    ("layer", "multiplications"),
    [
        (keras.layers.Conv2D(4, 3), 8 * 8 * 3 * 3 * 5 * 4),
        (keras.layers.Conv2D(4, 3, strides=2), 4 * 4 * 3 * 3 * 5 * 4),
        (keras.layers.DepthwiseConv2D(3), 8 * 8 * 3 * 3 * 5),
        (keras.layers.SeparableConv2D(4, 3), 8 * 8 * (3 * 3 * 5 + 5 * 4)),
        (keras.layers.Dense(7), 10 * 10 * 5 * 7),
        (keras.layers.ReLU(), 0),
    ],
)
def test_a_layer_costs_what_the_formula_says(layer, multiplications):
    table = complexity.layers(keras.Sequential([keras.Input((10, 10, 5)), layer]))
    assert table.multiplications.sum() == multiplications
    assert table.parameters.sum() == layer.count_params()


def test_xception_costs_what_it_is_known_to():
    network = keras.applications.Xception(weights=None)
    table = complexity.layers(network)
    assert table.parameters.sum() == network.count_params() == 22_910_480
    assert 8.3e9 < table.multiplications.sum() < 8.5e9
