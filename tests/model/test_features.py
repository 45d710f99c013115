import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from breakhis_lib import cache
from breakhis_lib.data import dataset
from breakhis_lib.errors import InputError
from breakhis_lib.model import features, network
from tests.conftest import SMALL

pytestmark = pytest.mark.weights


@pytest.fixture(scope="module")
def fields(slides):
    return dataset.add_digests(dataset.select(dataset.scan(slides), 40))


def extract(fields, **arguments):
    return features.extract(fields, size=SMALL, **arguments)


def computed(fields, **arguments):
    """How many images a call has to compute."""
    totals = [0]
    extract(fields, progress=lambda done, total: totals.append(total), **arguments)
    return max(totals)


def test_features_are_the_trunks_own_output(fields, ready):
    found, unreadable = extract(fields, precision="float32")
    trunk, _ = network.build(size=SMALL)
    pixels = features.scale(np.concatenate([features.prepare(path, SMALL) for path in fields.path[:3]]))
    assert not unreadable
    assert len(found) == len(fields)
    np.testing.assert_allclose(found.take(np.arange(3)), trunk.predict_on_batch(pixels), atol=1e-4)


def test_nothing_is_computed_twice_and_a_new_image_is_computed_alone(fields, ready):
    assert computed(fields[:5]) == 5
    assert computed(fields[:5]) == 0
    assert computed(fields[:6]) == 1
    assert computed(fields[:5].assign(path="gone")) == 0, "the images' digests count, not their places"


def test_other_pixels_size_or_precision_are_other_features(fields, ready, tmp_path):
    changed = np.asarray(Image.open(fields.path[0])).copy()
    changed[0, 0] ^= 1
    Image.fromarray(changed).save(tmp_path / fields.file[0])
    other = dataset.add_digests(fields[:1].assign(path=str(tmp_path / fields.file[0])))
    assert computed(fields[:1]) == 1
    assert computed(other) == 1
    assert computed(fields[:1], precision="float32") == 1
    assert computed(fields[:1], reading="last4") == 1


def test_features_follow_the_order_of_the_fields(fields, ready):
    forward, _ = extract(fields[:6].reset_index(drop=True))
    backward, _ = extract(fields[:6][::-1].reset_index(drop=True))
    np.testing.assert_array_equal(forward.take(np.arange(6)), backward.take(np.arange(6)[::-1]))


def test_an_unreadable_image_is_named_and_the_others_are_kept(fields, ready, tmp_path):
    broken = tmp_path / "broken.png"
    broken.write_bytes(Path(fields.path[1]).read_bytes()[:2000])
    some = fields[:4].copy()
    some.loc[1, "path"] = str(broken)
    some = dataset.add_digests(some)
    found, unreadable = extract(some)
    assert list(unreadable) == [1]
    assert "broken.png" in unreadable[1]
    assert computed(fields[:4]) == 1, "only the image that was broken is left to do"


def test_all_unreadable_is_an_error(fields, ready, tmp_path):
    (tmp_path / "empty.png").touch()
    with pytest.raises(InputError, match=r"none of the 2 images can be read.*empty\.png is empty"):
        extract(dataset.add_digests(fields[:2].assign(path=str(tmp_path / "empty.png"))))


def test_eight_views_are_the_dihedral_group(fields, ready):
    found, _ = extract(fields[:1], views=8, precision="float32")
    assert found.array.shape[1] == 8
    pixels = features.prepare(fields.path[0], SMALL, views=8)
    assert len({image.tobytes() for image in pixels}) == 8
    np.testing.assert_array_equal(pixels[6], np.rot90(pixels[0], 2)[:, ::-1])
    trunk, _ = network.build(size=SMALL)
    one = trunk.predict_on_batch(features.scale(pixels[5:6]))[0]
    np.testing.assert_allclose(found.take(np.array([0]), np.array([5]))[0], one, atol=1e-4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"views": 3}, "views is 3"), ({"precision": "int8"}, "int8"), ({"reading": "all"}, "all.*block14")],
)
def test_bad_values_are_named(fields, ready, arguments, message):
    with pytest.raises(InputError, match=message):
        extract(fields, **arguments)


def test_eight_views_of_an_oblong_size_are_refused(fields, ready):
    with pytest.raises(InputError, match="96x128"):
        features.extract(fields, size=(96, 128), views=8)


SCRIPT = """
import sys, time
from breakhis_lib.data import dataset
from breakhis_lib.model import features
fields = dataset.add_digests(dataset.select(dataset.scan(sys.argv[1]), 40))
def progress(done, total):
    print(done, total, flush=True)
    if len(sys.argv) > 2:
        time.sleep(float(sys.argv[2]))
features.BATCH = 2
features.extract(fields, size=(96, 96), progress=progress, report=lambda message: print(message, flush=True))
"""


def start(slides, *arguments):
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(slides), *arguments],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ.copy(),
    )


def rows_on_disk():
    stores = list((cache.folder() / "features").glob("*/rows.txt"))
    return len(stores[0].read_text().splitlines()) if stores else 0


def test_a_killed_run_goes_on_where_it_was(slides, fields, ready):
    process = start(slides, "0.2")
    for line in process.stdout:
        if line.split()[0].isdigit() and int(line.split()[0]) >= 4:
            break
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    before = rows_on_disk()
    assert 4 <= before < len(fields)
    assert computed(fields) == len(fields) - before
    whole, _ = extract(fields)
    (cache.folder() / "moved").mkdir()
    next((cache.folder() / "features").iterdir()).rename(cache.folder() / "moved" / "store")
    again, _ = extract(fields)
    everything = np.arange(len(fields))
    np.testing.assert_allclose(whole.take(everything), again.take(everything), atol=1e-2)


def test_a_half_written_row_is_dropped(fields, ready):
    extract(fields[:3])
    store = next((cache.folder() / "features").iterdir())
    with open(store / "rows.bin", "ab") as file:
        file.write(b"half a row")
    with open(store / "rows.txt", "a") as file:
        file.write("0123")
    assert computed(fields[:4]) == 1
    found, _ = extract(fields[:4])
    shape = json.loads((store / "recipe.json").read_text())["shape"]
    assert (store / "rows.bin").stat().st_size == 4 * int(np.prod(shape)) * 2
    assert len(found) == 4


def test_half_a_name_is_left_out_also_when_nothing_is_to_do(fields, ready):
    before, _ = extract(fields[:3])
    store = next((cache.folder() / "features").iterdir())
    with open(store / "rows.txt", "a") as file:
        file.write("0123")
    after, _ = extract(fields[:3])
    np.testing.assert_array_equal(before.take(np.arange(3)), after.take(np.arange(3)))


def test_two_processes_take_turns_and_compute_each_image_once(slides, fields, ready):
    both = [start(slides, "0.5"), start(slides, "0.5")]
    texts = [process.communicate()[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert sum("waiting for it" in text for text in texts) == 1
    assert sum(f"{len(fields)} {len(fields)}" in text for text in texts) == 1, "one computed, the other found it done"
    assert rows_on_disk() == len(fields)


def store():
    return next((cache.folder() / "features").iterdir())


def test_an_index_with_repeats_is_refused_and_the_store_left_alone(fields, ready):
    extract(fields[:2])
    before = (store() / "rows.txt").read_text()
    with pytest.raises(InputError, match="index holds 0 twice"):
        extract(pd.concat([fields[:4], fields[:4].assign(sha256="f" * 64)]))
    assert (store() / "rows.txt").read_text() == before


def test_fields_whose_index_is_not_a_count_get_their_own_features(fields, ready):
    forward, _ = extract(fields[:4])
    shutil.rmtree(cache.folder() / "features")
    some = fields[:4].set_axis([7, 3, 1, 0])
    found, _ = extract(some)
    np.testing.assert_allclose(found.take(np.arange(4)), forward.take(np.arange(4)), atol=1e-2)


def torn_recipe(folder):
    (folder / "recipe.json").write_text('{"weights": "')


def short_rows(folder):
    with open(folder / "rows.bin", "r+b") as file:
        file.truncate((folder / "rows.bin").stat().st_size - 10)


def zero_rows(folder):
    whole = (folder / "rows.bin").stat().st_size
    with open(folder / "rows.bin", "r+b") as file:
        file.truncate(whole * 2 // 3)
        file.truncate(whole)


def one_bit(folder):
    with open(folder / "rows.bin", "r+b") as file:
        file.seek(101)
        [byte] = file.read(1)
        file.seek(101)
        file.write(bytes([byte ^ 4]))


def no_rows(folder):
    (folder / "rows.bin").unlink()


@pytest.mark.parametrize(
    ("tear", "again"), [(torn_recipe, 3), (short_rows, 1), (zero_rows, 1), (one_bit, 1), (no_rows, 3)]
)
def test_a_torn_store_heals_itself(fields, ready, tear, again):
    before = extract(fields[:3])[0].take(np.arange(3))
    tear(store())
    assert computed(fields[:3]) == again
    np.testing.assert_allclose(extract(fields[:3])[0].take(np.arange(3)), before, atol=1e-2)


def test_features_of_another_preparation_are_made_anew(fields, ready, monkeypatch):
    extract(fields[:1])
    monkeypatch.setattr(features, "PREPARATION", features.PREPARATION + 1)
    assert computed(fields[:1]) == 1


def test_a_cache_that_cannot_be_written_is_named(fields, ready, monkeypatch):
    ready.mkdir(exist_ok=True)
    (ready / "features").touch()
    with pytest.raises(InputError, match="set BREAKHIS_CACHE to a folder that can be written"):
        extract(fields)


def test_a_disk_that_fills_up_loses_nothing_that_was_computed(fields, ready, full_disk, monkeypatch):
    monkeypatch.setattr(features, "BATCH", 2)
    extract(fields[:2])
    two_rows = (store() / "rows.bin").stat().st_size
    with full_disk(int(2.6 * two_rows)), pytest.raises(InputError, match=r"File too large; free some space"):
        extract(fields)
    assert rows_on_disk() == 4
    assert computed(fields) == len(fields) - 4


def test_a_disk_that_is_full_from_the_start_loses_no_names_of_rows(fields, ready, monkeypatch):
    extract(fields[:4])
    write = type(ready).write_text

    def full(path, text, encoding):
        write(path, text[: len(text) // 2], encoding)
        if path.name.endswith("rows.txt"):
            raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(type(ready), "write_text", full)
        with pytest.raises(InputError, match=r"rows\.txt cannot be written \(No space.*set BREAKHIS_CACHE"):
            extract(fields)
    assert rows_on_disk() == 4


def test_a_name_is_written_only_once_its_row_is_on_disk(fields, ready, monkeypatch):
    def lost(number):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(features.os, "fsync", lost)
    with pytest.raises(InputError, match="Input/output error"):
        extract(fields[:2])
    assert rows_on_disk() == 0
