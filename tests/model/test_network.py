import contextlib
import json
import os
import subprocess
import sys

import h5py
import numpy as np
import pytest

from breakhis_lib.errors import InputError
from breakhis_lib.model import backend, network, readings, weights
from breakhis_lib.model.backend import keras
from tests.conftest import SMALL

pytestmark = pytest.mark.weights


@pytest.fixture(scope="module")
def tensors(weights_file):
    return weights.read(weights_file)


@pytest.fixture(scope="module")
def pixels():
    return np.random.default_rng(0).uniform(-1, 1, (4, *SMALL, 3)).astype("float32")


@pytest.mark.parametrize("reading", readings.READINGS)
def test_trunk_and_top_together_equal_the_uncut_network(tensors, pixels, reading):
    base = network.xception(SMALL, tensors)
    expected = np.asarray(base.predict_on_batch(pixels)).mean(axis=(1, 2))
    trunk, top = network.cut(base, reading)
    found = top.predict_on_batch(trunk.predict_on_batch(pixels))
    found = found if reading == "probe" else found.mean(axis=(1, 2))
    assert expected.max() > 0.5
    np.testing.assert_allclose(found, expected, atol=1e-5)


# Reading, layers' own parameters that train, statistics and frozen parameters above the cut: counted by
# hand from the shapes of Xception's layers (reference: Chollet 2017, figure 5).
COUNTS = {
    "block14": (4_748_800, 7_168),
    "last4": (3_163_648, 4_096),
    "sepconv4": (6_030_192, None),
    "block13": (6_788_384, 12_720),
    "blocks4": (10_016_336, None),
    "probe": (0, 0),
}


@pytest.mark.parametrize("reading", COUNTS)
def test_each_reading_trains_the_parameters_it_says(tensors, reading):
    _, head = network.build(reading, size=SMALL, tensors=tensors)
    count = network.count_parameters(head)
    trained, fixed = COUNTS[reading]
    assert count["softmax"] == 2 * 2048 + 2
    assert count["trainable"] - count["softmax"] == trained
    assert fixed is None or count["fixed"] == fixed


@pytest.mark.parametrize("reading", ["block14", "block13"])
def test_a_step_on_features_moves_the_weights_as_in_the_uncut_network(tensors, pixels, reading):
    labels = np.array([0, 1, 1, 0])
    trunk, head = network.build(reading, dropout=0, size=SMALL, tensors=tensors, dtype="float32")
    softmax = head.get_layer("softmax").get_weights()
    features = trunk.predict_on_batch(pixels)

    # The uncut network, put together anew from Keras' own model, with the same layers frozen.
    base = network.xception(SMALL, tensors)
    first = [layer.name for layer in base.layers].index(readings.READINGS[reading].first)
    for layer in base.layers[:first]:
        layer.trainable = False
    dense = keras.layers.Dense(2, activation="softmax")
    dense.build((None, 2048))
    dense.set_weights(softmax)

    class Uncut(keras.Model):
        def __init__(self):
            super().__init__()
            self.base, self.dense = base, dense

        def call(self, inputs):
            return self.dense(keras.ops.mean(self.base(inputs, training=False), axis=(1, 2)))

    def step(model, inputs):
        before = [np.array(weight) for weight in model.trainable_weights]
        model.compile(keras.optimizers.SGD(1.0), "sparse_categorical_crossentropy")
        model.train_on_batch(inputs, labels)
        changes = [np.array(new) - old for new, old in zip(model.trainable_weights, before, strict=True)]
        return sorted(changes, key=lambda change: (change.shape, float(np.abs(change).sum())))

    ours, theirs = step(head, features), step(Uncut(), pixels)
    assert [change.shape for change in ours] == [change.shape for change in theirs]
    assert max(np.abs(change).max() for change in ours) > 1e-3
    for mine, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(mine, other, atol=2e-4 * max(np.abs(other).max(), 1e-3))


def test_batch_norm_keeps_imagenets_statistics_unless_asked(tensors, pixels):
    for mode, moves in (("inference", False), ("batch", True)):
        trunk, head = network.build(batch_norm=mode, size=SMALL, tensors=tensors)
        before = [np.array(weight) for weight in head.non_trainable_weights if "moving" in weight.path]
        head.compile("sgd", "sparse_categorical_crossentropy")
        head.train_on_batch(trunk.predict_on_batch(pixels), np.array([0, 1, 1, 0]))
        after = [np.array(weight) for weight in head.non_trainable_weights if "moving" in weight.path]
        assert len(before) == 4
        assert any(not np.array_equal(old, new) for old, new in zip(before, after, strict=True)) is moves


def test_softmax_over_more_classes(tensors, pixels):
    trunk, head = network.build("probe", classes=8, size=SMALL, tensors=tensors)
    shares = np.asarray(head.predict_on_batch(trunk.predict_on_batch(pixels)))
    assert shares.shape == (4, 8)
    np.testing.assert_allclose(shares.sum(axis=1), 1, atol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"reading": "top4"}, "top4.*block14"),
        ({"classes": 1}, "1 class"),
        ({"batch_norm": "frozen"}, "frozen"),
        ({"dropout": 1.0}, "dropout is 1.0"),
        ({"size": (64, 299)}, "64x299"),
    ],
)
def test_bad_values_are_named(tensors, arguments, message):
    with pytest.raises(InputError, match=message):
        network.build(**arguments, tensors=tensors)


def test_the_device_is_one_line():
    assert backend.device().startswith(("CPU", "GPU"))
    assert "\n" not in backend.device()


def test_a_head_can_be_saved_whole_and_loaded_again(tensors, pixels, tmp_path):
    trunk, head = network.build(size=SMALL, tensors=tensors)
    found = trunk.predict_on_batch(pixels)
    head.save(tmp_path / "head.keras")
    again = keras.saving.load_model(tmp_path / "head.keras")
    np.testing.assert_array_equal(head.predict_on_batch(found), again.predict_on_batch(found))


def stepped(head):
    """The head after one step of Adam, whose state is twice the weights, with an input for it."""
    found = np.random.default_rng(0).normal(size=(4, *head.input_shape[1:])).astype("float32")
    head.compile("adam", "sparse_categorical_crossentropy")
    head.train_on_batch(found, np.array([0, 1, 1, 0]))
    return head, found


def test_weights_of_a_head_are_written_whole_or_not_at_all(tensors, tmp_path, full_disk):
    head, _ = stepped(network.build("last4", size=SMALL, tensors=tensors)[1])
    path = tmp_path / "heads" / "a.weights.h5"
    network.save_head(head, path)
    before = path.read_bytes()
    for share in (0.01, 0.5, 1):
        with (
            full_disk(int(share * len(before))),
            pytest.raises(InputError, match=r"a\.weights\.h5 cannot be written \(File too large\); free some space"),
        ):
            network.save_head(head, path)
        assert path.read_bytes() == before
        assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (
            lambda file: file["layers/dense/vars/1"].write_direct(np.array([1, 0], "float32")),
            "not those that were written",
        ),
        (lambda file: file.pop("layers/dense"), "no head of this kind, or damaged"),
        (lambda file: file.attrs.pop("sha256"), None),
    ],
)
def test_a_damaged_head_is_refused_and_one_of_an_earlier_version_read(tensors, tmp_path, damage, told):
    head = network.build("last4", size=SMALL, tensors=tensors)[1]
    network.save_head(head, tmp_path / "a.weights.h5")
    with h5py.File(tmp_path / "a.weights.h5", "a") as file:
        damage(file)
    with pytest.raises(InputError, match=told) if told else contextlib.nullcontext():
        network.load_head(head, tmp_path / "a.weights.h5")


def test_a_head_of_no_format_at_all_is_refused(tensors, tmp_path):
    head = network.build("last4", size=SMALL, tensors=tensors)[1]
    (tmp_path / "a.weights.h5").write_bytes(b"a pickle or anything else")
    with pytest.raises(InputError, match=r"a\.weights\.h5 is no head of this kind"):
        network.load_head(head, tmp_path / "a.weights.h5")


def numbers(path):
    """The names of all arrays of numbers in a weights file."""
    names = []
    with h5py.File(path) as file:
        file.visititems(lambda name, held: names.append(name) if isinstance(held, h5py.Dataset) else None)
    return names


def test_heads_of_earlier_versions_are_read_and_new_ones_lie_as_theirs_did(tensors, tmp_path):
    """Earlier versions wrote Keras' file as it is, with the optimiser's state."""
    head, found = stepped(network.build(size=SMALL, tensors=tensors)[1])
    head.save_weights(tmp_path / "earlier.weights.h5")
    network.save_head(head, tmp_path / "new.weights.h5")
    again = network.build(size=SMALL, tensors=tensors)[1]
    for name in ("earlier", "new"):
        again.set_weights([np.zeros_like(weight) for weight in again.get_weights()])
        again.load_weights(tmp_path / f"{name}.weights.h5")
        np.testing.assert_array_equal(head.predict_on_batch(found), again.predict_on_batch(found))
    within = "layers/in_inference_mode/model/layers"
    assert numbers(tmp_path / "new.weights.h5") == [
        *(f"layers/dense/vars/{number}" for number in range(2)),
        *(f"{within}/batch_normalization/vars/{number}" for number in range(4)),
        *(f"{within}/batch_normalization_1/vars/{number}" for number in range(4)),
        *(f"{within}/separable_conv2d/vars/{number}" for number in range(2)),
        *(f"{within}/separable_conv2d_1/vars/{number}" for number in range(2)),
    ]


def test_every_reading_is_counted_here():
    assert set(COUNTS) == set(readings.READINGS)


def imports_keras(tmp_path, settings=None, **environment):
    """Import the backend in a process of its own whose home has such a keras.json."""
    if settings is not None:
        (tmp_path / ".keras").mkdir()
        (tmp_path / ".keras" / "keras.json").write_text(json.dumps(settings))
    code = (
        "from breakhis_lib.errors import InputError\ntry:\n    from breakhis_lib.model import backend\n"
        "except InputError as error:\n    print(error)\nelse:\n"
        "    config = backend.keras.config\n"
        "    print(config.image_data_format(), config.floatx(), config.epsilon())\n"
        "    import os\n    print('oneDNN:', os.environ['TF_ENABLE_ONEDNN_OPTS'])"
    )
    home = {"HOME": str(tmp_path), "KERAS_HOME": str(tmp_path / ".keras")}
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **home, **environment}, capture_output=True, text=True
    )
    return done.stdout + done.stderr


def test_a_personal_keras_json_changes_nothing(tmp_path):
    settings = {"image_data_format": "channels_first", "floatx": "float16", "epsilon": 1e-3, "backend": "tensorflow"}
    assert "channels_last float32 1e-07" in imports_keras(tmp_path, settings)


def test_fast_kernels_are_asked_for_unless_the_user_decided(tmp_path, monkeypatch):
    monkeypatch.delenv("TF_ENABLE_ONEDNN_OPTS", raising=False)  # this process has imported the backend, and set it
    assert "oneDNN: 1" in imports_keras(tmp_path)
    assert "oneDNN: 0" in imports_keras(tmp_path, TF_ENABLE_ONEDNN_OPTS="0")


@pytest.mark.parametrize("settings", [[], {"floatx": "float8"}])
def test_a_keras_json_that_keras_cannot_use_is_named(tmp_path, settings):
    said = imports_keras(tmp_path, settings)
    assert "keras.json in the folder .keras of your home may be at fault" in said
    assert "Traceback" not in said


@pytest.mark.parametrize("backend_name", ["theano", "numpy_of_old"])
def test_a_backend_that_is_not_there_is_named(tmp_path, backend_name):
    said = imports_keras(tmp_path, KERAS_BACKEND=backend_name)
    assert f"backend {backend_name} cannot be loaded" in said
    assert "set KERAS_BACKEND=tensorflow" in said


@pytest.mark.parametrize("close", ["os.close(2); sys.stderr = None", "sys.stderr.close()"])
def test_keras_loads_with_standard_error_closed(close):
    code = f"import os, sys; {close}\n"
    code += "from breakhis_lib.model import backend; print(backend.device())"
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert done.returncode == 0
    assert done.stdout.startswith(("CPU", "GPU"))


def test_the_card_that_the_process_may_use_is_named(tmp_path, monkeypatch):
    tool = tmp_path / "nvidia-smi"
    tool.write_text('#!/bin/sh\ncase "$*" in *--id=2*) echo NVIDIA L4;; *) echo NVIDIA T4;; esac\n')
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,0")
    monkeypatch.setattr(backend, "has_gpu", lambda: True)
    assert backend.device().startswith("GPU NVIDIA L4, float32")
