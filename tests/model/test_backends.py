"""Other backends of Keras train for real: TensorFlow's features, steps and probabilities, but for rounding."""

import importlib.util
import json
import os
import subprocess
import sys

import numpy as np
import pytest

SCRIPT = """
import json, sys
from breakhis_lib.data import dataset, splits
from breakhis_lib.model import features, finetune
from breakhis_lib.model.readings import Settings

fields = dataset.add_digests(dataset.select(dataset.scan(sys.argv[1]), 200))
found, _ = features.extract(fields, size=(96, 96), precision="float32")
# without dropout, whose random numbers every backend draws in its own way
settings = Settings(epochs=3, batch_size=4, learning_rate=1e-4, dropout=0.0, patience=0)
trained = finetune.train(found, fields, splits.draw(fields, "image", 0), settings=settings, size=(96, 96))
backend = finetune.keras.backend.backend()
features_of_one = found.take([0]).reshape(-1)[:1000].tolist()
print(json.dumps({"backend": backend, "p": trained.predictions.p_malignant.tolist(), "features": features_of_one,
                  "loss": trained.history.loss.tolist()}))
"""
TOLERANCE = 1e-3  # of a probability; the float32 sums of two libraries differ in their last digits


def trained_with(backend, slides, folder, weights_file):
    own = {"KERAS_BACKEND": backend, "BREAKHIS_CACHE": str(folder), "BREAKHIS_WEIGHTS": str(weights_file)}
    command = [sys.executable, "-c", SCRIPT, str(slides)]
    done = subprocess.run(command, env={**os.environ, **own}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def tensorflow(slides, weights_file, tmp_path_factory):
    return trained_with("tensorflow", slides, tmp_path_factory.mktemp("tensorflow"), weights_file)


@pytest.mark.weights
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_another_backend_trains_as_tensorflow_does(backend, tensorflow, slides, weights_file, tmp_path):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed: pip install {backend}")
    found = trained_with(backend, slides, tmp_path, weights_file)
    assert found["backend"] == backend
    np.testing.assert_allclose(found["features"], tensorflow["features"], atol=1e-3, rtol=1e-3)
    np.testing.assert_allclose(found["loss"], tensorflow["loss"], atol=TOLERANCE)
    np.testing.assert_allclose(found["p"], tensorflow["p"], atol=TOLERANCE)
    assert np.ptp(found["p"]) > 0.01
