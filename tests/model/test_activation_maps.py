import numpy as np
import pytest

from breakhis_lib.errors import InputError
from breakhis_lib.model import activation_maps, features, network, weights
from breakhis_lib.model.backend import keras
from tests.conftest import SMALL

pytestmark = pytest.mark.weights


@pytest.fixture(scope="module")
def tensors(weights_file):
    return weights.read(weights_file)


@pytest.fixture(scope="module")
def pixels():
    return features.scale(np.random.default_rng(0).integers(0, 256, (6, *SMALL, 3), np.uint8))


@pytest.mark.parametrize(("reading", "batch_norm", "classes"), [("block14", "inference", 2), ("last4", "batch", 3)])
def test_a_map_adds_up_to_the_log_odds(tensors, pixels, reading, batch_norm, classes):
    trunk, head = network.build(reading, classes, batch_norm, size=SMALL, tensors=tensors)
    found = trunk.predict_on_batch(pixels)
    maps, bias = activation_maps.class_activation(head, found)
    logits = np.log(head.predict_on_batch(found))
    expected = logits[:, 1] - np.delete(logits, 1, axis=1).mean(axis=1)
    np.testing.assert_allclose(maps.mean(axis=(1, 2)) + bias, expected, atol=1e-4)
    assert maps.shape == (6, 3, 3)
    assert maps.std() > 0


def test_a_randomised_head_destroys_the_map(tensors, pixels):
    keras.utils.set_random_seed(0)
    trunk, head = network.build("block14", size=SMALL, tensors=tensors)
    found = trunk.predict_on_batch(pixels)
    maps, _ = activation_maps.class_activation(head, found)
    again, _ = activation_maps.class_activation(head, found)
    assert activation_maps.resemblance(maps, again) == pytest.approx(1)
    resembles = []
    for seed in range(5):  # maps of nine places resemble each other by chance, for or against
        activation_maps.randomise(head, seed)
        resembles.append(activation_maps.resemblance(maps, activation_maps.class_activation(head, found)[0]).mean())
    assert abs(np.mean(resembles)) < 0.6


def test_a_linear_probe_has_no_map(tensors, pixels):
    _, head = network.build("probe", size=SMALL, tensors=tensors)
    with pytest.raises(InputError, match="choose another reading"):
        activation_maps.class_activation(head, np.zeros((1, 2048), "float32"))
