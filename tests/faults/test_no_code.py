"""Data are data: nothing that the course reads may bring code along."""

import ast
import json
import pickle
import zipfile

import h5py
import pytest
from PIL import Image

from breakhis_lib.data import dataset, images
from breakhis_lib.errors import InputError
from breakhis_lib.model import weights
from tests.page_rules import ROOT

RUNS_CODE = {
    *("pickle", "cPickle", "dill", "cloudpickle", "shelve", "marshal", "runpy", "pickletools"),  # modules
    *("eval", "exec", "compile", "__import__", "allow_pickle", "load_model", "model_from_json", "extractall"),
    *("read_pickle", "to_pickle", "enable_unsafe_deserialization", "safe_mode", "unsafe_load", "full_load"),
}
NO_THREAT = {"re.compile", "head.compile"}  # a pattern; Keras' word for the choice of a loss


def words(path):
    """Every name, attribute, keyword and module that a file uses, with its line."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute):
            yield (ast.unparse(node) if ast.unparse(node) in NO_THREAT else node.attr), node.lineno
        elif isinstance(node, ast.Name):
            yield node.id, node.lineno
        elif isinstance(node, ast.keyword) and node.arg:
            yield node.arg, node.value.lineno
        elif isinstance(node, ast.Import | ast.ImportFrom):
            modules = [alias.name for alias in node.names] + [getattr(node, "module", None) or ""]
            yield from ((part, node.lineno) for module in modules for part in module.split("."))


def test_no_word_of_the_library_runs_what_it_reads():
    found = [
        f"{path.relative_to(ROOT)}:{line}: {word}"
        for path in sorted((ROOT / "breakhis_lib").rglob("*.py"))
        for word, line in words(path)
        if word in RUNS_CODE
    ]
    assert found == []


class Witness:
    """A pickle that makes a folder wherever it is loaded."""

    def __init__(self, folder):
        self.folder = str(folder)

    def __reduce__(self):
        from os import mkdir

        return mkdir, (self.folder,)


@pytest.fixture
def hostile(tmp_path):
    """The bytes of a pickle that tells when it is run, and the folder that it would make."""
    folder = tmp_path / "it ran"
    text = pickle.dumps(Witness(folder))
    pickle.loads(text)
    assert folder.exists()  # the witness is a good one
    folder.rmdir()
    return text, folder


@pytest.mark.parametrize("name", ["image.png", "image.npy", "image.pkl"])
def test_a_pickle_is_no_image(hostile, tmp_path, name):
    text, witness = hostile
    (tmp_path / name).write_bytes(text)
    with pytest.raises(InputError, match=name):
        images.read_image(tmp_path / name)
    assert not witness.exists()


def test_a_pickle_is_no_table_of_groups(hostile, tmp_path):
    text, witness = hostile
    for name in ("calm", "suspect"):
        (tmp_path / "images" / name).mkdir(parents=True)
        Image.new("RGB", (80, 80)).save(tmp_path / "images" / name / f"{name}.png")
    (tmp_path / "groups.csv").write_bytes(text)
    with pytest.raises(InputError, match=r"groups\.csv"):
        dataset.scan(tmp_path / "images", groups=tmp_path / "groups.csv")
    assert not witness.exists()


@pytest.mark.parametrize("kind", ["a pickle", "a pickle within HDF5", "a Keras file with a function"])
def test_weights_that_would_run_something_are_refused(hostile, tmp_path, own_cache, kind):
    text, witness = hostile
    path = tmp_path / "own.h5"
    if kind == "a pickle":
        path.write_bytes(text)
    elif kind == "a pickle within HDF5":
        with h5py.File(path, "w") as file:
            file.attrs["layer_names"] = [b"block1_conv1"]
            file.create_group("block1_conv1").attrs["weight_names"] = [b"kernel"]
            file["block1_conv1/kernel"] = list(text)
    else:
        layer = {"class_name": "Lambda", "config": {"name": "xception", "function": text.hex()}}
        with zipfile.ZipFile(path, "w") as file:
            file.writestr("config.json", json.dumps({"class_name": "Functional", "config": {"layers": [layer]}}))
    with pytest.raises(InputError, match=r"own\.h5"):
        weights.load(path)
    assert not witness.exists()
