import io
import os
import shutil
import subprocess
import sys
import zipfile

import h5py
import numpy as np
import pytest

from breakhis_lib.errors import InputError
from breakhis_lib.model import weights
from tests.data import test_download

server = test_download.server  # a fixture


def refuse(cached):
    raise InputError("no network in this test")


@pytest.fixture
def offline(own_cache, monkeypatch):
    monkeypatch.delenv("BREAKHIS_WEIGHTS", raising=False)
    monkeypatch.setattr(weights, "_from_keras", refuse)
    monkeypatch.setattr(weights, "_from_package_index", refuse)
    return own_cache


@pytest.mark.weights
def test_the_234_tensors_are_xceptions(weights_file):
    tensors = weights.read(weights_file)
    assert len(tensors) == 234
    assert sum(array.size for _, _, array in tensors) == 20_861_480
    assert tensors[0][0] == "block1_conv1"


@pytest.mark.weights
def test_the_cache_serves_without_a_network(weights_file, offline):
    offline.mkdir()
    shutil.copy(weights_file, offline / weights.FILE_NAME)
    assert weights.locate()[0] == offline / weights.FILE_NAME


@pytest.mark.weights
def test_the_environment_names_a_file(weights_file, offline, monkeypatch):
    monkeypatch.setenv("BREAKHIS_WEIGHTS", str(weights_file))
    assert weights.locate()[0] == weights_file


@pytest.mark.weights
def test_one_changed_number_is_refused_and_named(weights_file, offline, tmp_path):
    changed = tmp_path / "changed.h5"
    shutil.copy(weights_file, changed)
    with h5py.File(changed, "r+") as file:
        file["block1_conv1"]["block1_conv1/kernel:0"][0, 0, 0, 0] += np.float32(1e-3)
    with pytest.raises(InputError, match=r"changed\.h5 does not hold Xception's ImageNet weights: the digest"):
        weights.locate(changed)[0]


@pytest.mark.weights
def test_a_damaged_cache_is_replaced(weights_file, offline, monkeypatch):
    offline.mkdir()
    cached = offline / weights.FILE_NAME
    cached.write_bytes(weights_file.read_bytes()[:1000])
    monkeypatch.setattr(weights, "_from_keras", lambda path: shutil.copy(weights_file, path))
    assert weights.locate()[0] == cached
    weights.read(cached)


def test_when_all_fails_one_error_lists_what_was_tried(offline):
    with pytest.raises(InputError) as error:
        weights.locate()[0]
    for words in ("Keras' official file", "package index", "by hand", "BREAKHIS_WEIGHTS", weights.PACKAGE):
        assert words in str(error.value)


@pytest.mark.parametrize("content", [None, b"", b"not weights at all"])
def test_a_wrong_file_of_the_users_own_is_named(offline, tmp_path, content):
    path = tmp_path / "mine.h5"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=r"mine\.h5"):
        weights.locate(path)[0]


ANSWERS = {
    "a sign-in page": {"body": b"<!doctype html><title>Sign in</title>", "content_type": "text/html"},
    "another file of that length": {"body": bytes(1000)},
    "less than was said": {"cut_after": [400]},
    "a length that is not true": {"lengths": "400"},
    "no such file": {"status": 404},
    "silence": {"pause": 2.0},
}


@pytest.mark.parametrize("answer", ANSWERS)
def test_what_a_server_sends_instead_of_weights_is_not_kept(server, own_cache, monkeypatch, answer):
    monkeypatch.delenv("BREAKHIS_WEIGHTS", raising=False)
    monkeypatch.setattr(weights, "KERAS_URL", server.url)
    monkeypatch.setattr(weights, "_from_package_index", refuse)
    monkeypatch.setattr(weights, "CONNECT_SECONDS", 1)
    server.body = b"\x89HDF" * 1000
    for name, value in ANSWERS[answer].items():
        setattr(server, name, value)
    said = []
    with pytest.raises(
        InputError, match="could not be found.*\n.*Keras' official file: .*\n.*index: no network"
    ) as told:
        weights.locate(report=said.append)
    assert answer != "silence" or "does not answer in time" in str(told.value)
    assert any(line.startswith("ImageNet weights: not from Keras' official file (") for line in said)
    assert [path.suffix for path in own_cache.iterdir()] == [".lock"]


@pytest.mark.weights
def test_what_a_killed_fetch_left_goes_and_a_file_is_known_by_its_digest_before_it_has_its_name(
    weights_file, offline, monkeypatch
):
    left = offline / f"{weights.UNFINISHED}abc"
    left.mkdir(parents=True)
    (left / "half.whl").write_bytes(bytes(1000))

    def fetch(path):
        assert not left.exists() and not (offline / weights.FILE_NAME).exists()
        shutil.copy(weights_file, path)

    monkeypatch.setattr(weights, "_from_keras", fetch)
    assert weights.locate()[0] == offline / weights.FILE_NAME
    assert {path.name for path in offline.iterdir()} == {weights.FILE_NAME, f"{weights.FILE_NAME}.lock"}


def test_importing_the_library_imports_no_tensorflow():
    code = (
        "import sys, breakhis_lib.data.splits, breakhis_lib.model.weights, breakhis_lib.model.readings;"
        "sys.exit('tensorflow' in sys.modules or 'keras' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONSAFEPATH": "1"}).returncode == 0


def test_a_notebook_without_files_for_its_output_can_fetch_too(own_cache, monkeypatch):
    """A kernel's standard error has no file number; what pip says must still come through."""
    own_cache.mkdir()
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(InputError, match="No matching distribution"):
        weights._from_package_index(own_cache / weights.FILE_NAME)


def test_weights_in_a_cache_that_nobody_may_write_are_read(own_cache, weights_file, monkeypatch):
    monkeypatch.delenv("BREAKHIS_WEIGHTS", raising=False)
    own_cache.mkdir()
    (own_cache / weights.FILE_NAME).symlink_to(weights_file)

    def no_lock(path):
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(weights.filelock, "FileLock", no_lock)
    assert weights.locate()[0] == own_cache / weights.FILE_NAME
    (own_cache / weights.FILE_NAME).unlink()
    assert weights.locate(weights_file)[0] == weights_file
    with pytest.raises(InputError, match="set BREAKHIS_CACHE to a folder that can be written"):
        weights.locate()
    monkeypatch.setattr(weights.os, "access", lambda path, mode: False)
    (own_cache / weights.FILE_NAME).write_bytes(b"torn")
    with pytest.raises(InputError, match="is not a Keras weights file"):
        weights.locate()


@pytest.mark.weights
def test_a_full_disk_is_no_damaged_package_and_leaves_no_weights(weights_file, own_cache, full_disk, monkeypatch):
    wheel = own_cache.parent / "package.whl"
    with zipfile.ZipFile(wheel, "w") as outer:
        outer.writestr(weights.MEMBER, model_of_nothing())
    monkeypatch.setattr(weights, "_in_order", lambda config, file: weights.read(weights_file))
    with full_disk(40_000_000), pytest.raises(InputError, match=r"cannot be used \(File too large\)"):
        weights.locate(wheel)
    assert list(own_cache.glob("*.h5")) == []
    assert weights.locate(wheel)[0] == own_cache / weights.FILE_NAME


def model_of_nothing():
    """A zipped Keras model with an empty file of weights."""
    empty, held = io.BytesIO(), io.BytesIO()
    h5py.File(empty, "w").close()
    with zipfile.ZipFile(held, "w") as inner:
        inner.writestr("config.json", "{}")
        inner.writestr("model.weights.h5", empty.getvalue())
    return held.getvalue()


def test_a_package_that_is_damaged_within_is_named(own_cache, tmp_path):
    wheel = tmp_path / "package.whl"
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as outer:
        outer.writestr(weights.MEMBER, bytes(range(256)) * 1000)
        start = outer.getinfo(weights.MEMBER).header_offset + 30 + len(weights.MEMBER)
    damaged = bytearray(wheel.read_bytes())
    damaged[start : start + 40] = b"\xff" * 40
    wheel.write_bytes(damaged)
    with pytest.raises(InputError, match=r"package\.whl is not the package"):
        weights.locate(wheel)


@pytest.mark.parametrize("stream", [None, io.StringIO()])
def test_without_standard_error_there_is_no_progress_bar(monkeypatch, stream):
    if stream:
        stream.close()
    monkeypatch.setattr(sys, "stderr", stream)
    assert not weights._progress_bar()
