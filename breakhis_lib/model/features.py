"""Frozen work, done once: the trunk's output for every image, kept on disk.

One store a recipe (weights, cut, image size, views, precision), in the user's cache. A store is two
files: `rows.bin`, the features one row an image, and `rows.txt`, the digest of the image behind each
row and the row's checksum. An image that a store already holds is never computed again, whatever
folder or name it has; a run that was killed goes on after its last whole row; a row that has lost its
checksum is computed again; and two processes that want the same features take turns. The array is
memory-mapped, so that its size is bounded by the disk and not by memory.
"""

import collections
import dataclasses
import hashlib
import itertools
import json
import math
import os
import shutil
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from breakhis_lib import cache
from breakhis_lib.data import frames, images
from breakhis_lib.errors import InputError
from breakhis_lib.files import alone, whole
from breakhis_lib.model import backend, network, readings
from breakhis_lib.model import weights as imagenet
from breakhis_lib.model.readings import DEFAULT_READING, SIZE

PREPARATION = 1  # raised by hand whenever `prepare` or `scale` would give other numbers: features are then made anew
BATCH = 64 if backend.has_gpu() else 16  # images a forward pass; more is not faster (benchmarks/gpu.json)
READERS = (os.cpu_count() or 2) if backend.has_gpu() else 2  # threads that decode and resize while the network computes
ROOM = "free some space, or set BREAKHIS_CACHE to a folder that can be written"
DIGITS = 64  # of a SHA-256 in hexadecimal
VIEWS = 8  # the dihedral group: four quarter turns, each with its mirror image


@dataclasses.dataclass(frozen=True)
class Features:
    """A memory-mapped array of shape (rows, views, ...) and the row of each field in it."""

    array: np.ndarray
    rows: np.ndarray

    def take(self, fields, views=0):
        """The features of some fields as float32: `fields` and `views` are whole numbers or arrays of them."""
        return np.asarray(self.array[self.rows[fields], views], dtype=np.float32)

    def __len__(self):
        """Number of fields."""
        return len(self.rows)


def view(pixels, number):
    """One of the eight views of a square image: `number` % 4 quarter turns, mirrored from 4 on."""
    turned = np.rot90(pixels, number % 4)
    return turned[:, ::-1] if number >= 4 else turned


def prepare(path, size=SIZE, views=1):
    """Read, resize and turn one image for the network.

    Returns a uint8 array of shape (views, height, width, 3). Raises InputError as `images.read_image`.
    """
    pixels = images.resize(images.read_image(path), size)
    return np.stack([view(pixels, number) for number in range(views)])


def scale(pixels):
    """Grey levels 0 to 255 to the range [-1, 1] that Xception was trained on, as float32."""
    return pixels.astype(np.float32) / 127.5 - 1


def recipe(reading=DEFAULT_READING, size=SIZE, views=1, precision="float16"):
    """What a store's features depend on besides the images; its digest names the store's folder."""
    return {
        "weights": imagenet.TENSORS_SHA256,
        "preparation": PREPARATION,
        "cut": readings.reading_named(reading).first or "global average",
        "size": list(size),
        "views": views,
        "precision": precision,
        "computed in": "float32",
    }


def extract(
    fields, reading=DEFAULT_READING, size=SIZE, views=1, precision="float16", tensors=None, report=None, progress=None
):
    """The trunk's features of every field, computed where the cache has none.

    fields: data frame of `dataset.scan` with the column sha256 of `dataset.add_digests`. reading: a name in
    `readings.READINGS`. size: (height, width) in pixels. views: 1, or 8 for the dihedral group (square
    sizes only). precision: float16 or float32, as stored. tensors: ImageNet weights, from the cache if
    left out. report: called with a line of text; progress: called with images done and images to do.
    Returns (features, unreadable): Features with one entry a field, and a dictionary from the index of
    each field that cannot be read to the reason; such a field's features are those of row 0 and must not be used.
    Raises InputError on a value out of range, a full disk, or when no image can be read.
    """
    report, progress = report or _nothing, progress or _nothing
    if views not in (1, VIEWS):
        raise InputError(f"views is {views}; expected 1 or {VIEWS}.")
    if views == VIEWS and size[0] != size[1]:
        raise InputError(f"{VIEWS} views need a square size, not {size[0]}x{size[1]}; quarter turns would not fit.")
    if precision not in ("float16", "float32"):
        raise InputError(f"precision {precision!r} is not known; choose float16 or float32.")
    frames.check_fields(fields, "path", "sha256")
    made_from = recipe(reading, size, views, precision)
    key = hashlib.sha256(json.dumps(made_from, sort_keys=True).encode()).hexdigest()[:16]
    folder = cache.folder() / "features" / key
    try:
        with alone(folder / "lock", ROOM, lambda: report("another process computes such features; waiting for it")):
            unreadable = _complete(folder, made_from, fields, reading, tensors, progress)
            shape, lines = _stored(folder, made_from)
            done = {line[:DIGITS]: row for row, line in enumerate(lines)}
    except OSError as error:
        raise InputError(f"{folder}: {error.strerror}; {ROOM}.") from None
    if not done:
        reasons = next(iter(unreadable.values()), "there is no image")
        raise InputError(f"none of the {len(fields)} images can be read; the first: {reasons}")
    array = np.memmap(folder / "rows.bin", dtype=precision, mode="r", shape=(len(lines), *shape))
    return Features(array, np.array([done.get(digest, 0) for digest in fields.sha256])), unreadable


def _nothing(*told):
    """Leave untold what happens."""


def _complete(folder, made_from, fields, reading, tensors, progress):
    """Compute and append the rows that the store lacks; returns the unreadable fields with their reasons."""
    shape, lines = _stored(folder, made_from, set(fields.sha256))
    done = {line[:DIGITS] for line in lines}
    readable = fields[fields.sha256.notna()]
    unreadable = {index: f"{path} cannot be read" for index, path in fields.path[fields.sha256.isna()].items()}
    todo = readable[~readable.sha256.isin(done)].drop_duplicates("sha256")
    if todo.empty:
        return unreadable
    trunk, _ = network.build(reading, size=tuple(made_from["size"]), tensors=tensors)
    shape = (made_from["views"], *trunk.output_shape[1:])
    row_bytes = _row_bytes(shape, made_from)
    texts = {"recipe.json": json.dumps({**made_from, "shape": shape}, indent=1), "rows.txt": "\n".join([*lines, ""])}
    for name, text in texts.items():
        with whole(folder / name, ROOM) as partial:
            partial.write_text(text, encoding="utf-8")
    free, needed = shutil.disk_usage(folder).free / 1e9, row_bytes * len(todo) / 1e9
    if free < needed:
        told = f"{folder} has {free:.1f} GB free, the features of {len(todo)} images need {needed:.1f} GB"
        raise InputError(f"{told}; {ROOM}.")
    with open(folder / "rows.bin", "ab") as row_file, open(folder / "rows.txt", "a", encoding="utf-8") as name_file:
        row_file.truncate(row_bytes * len(lines))
        finished = 0
        progress(finished, len(todo))
        for indices, pixels, problems in batches(todo, made_from):
            if len(indices):
                rows = embed(trunk, pixels).astype(made_from["precision"])
                row_file.write(rows.tobytes())
                row_file.flush()
                os.fsync(row_file.fileno())  # a row is on disk before its name is
                named = zip(todo.sha256.loc[indices], rows, strict=True)
                name_file.write("".join(f"{_line(digest, row)}\n" for digest, row in named))
                name_file.flush()
            for index, reason in problems.items():
                unreadable.update(dict.fromkeys(readable.index[readable.sha256 == todo.sha256.loc[index]], reason))
            finished += len(indices) + len(problems)
            progress(finished, len(todo))
    return unreadable


def _line(digest, row):
    return f"{digest} {zlib.crc32(np.ascontiguousarray(row)):08x}"


def _row_bytes(shape, made_from):
    return math.prod(shape) * np.dtype(made_from["precision"]).itemsize


def _stored(folder, made_from, looked_at=()):
    """The shape of a row and the lines of the whole rows that a store holds: None and none where it cannot be used.

    What a kill, a crash or a copy left torn is left out, and computed again: a recipe that is no JSON, half a line at
    the end of the names, and names beyond the rows. Of the images `looked_at`, a row without its checksum loses its
    name.
    """
    try:
        shape = tuple(json.loads((folder / "recipe.json").read_text(encoding="utf-8"))["shape"])
        lines = (folder / "rows.txt").read_text(encoding="utf-8", errors="replace").splitlines()
        held = (folder / "rows.bin").stat().st_size // _row_bytes(shape, made_from)
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None, []
    lines = list(itertools.takewhile(lambda line: len(line) == DIGITS + 9, lines))[:held]
    rows = np.memmap(folder / "rows.bin", made_from["precision"], "r", shape=(held, *shape)) if lines else []
    for place, line in enumerate(lines):
        if line[:DIGITS] in looked_at and line != _line(line[:DIGITS], rows[place]):
            lines[place] = _line("damaged".ljust(DIGITS), rows[place])
    return shape, lines


def batches(fields, made_from):
    """Yield (indices, pixels, problems) of whole batches, read ahead by a few images in threads."""

    def read(path):
        try:
            return prepare(path, tuple(made_from["size"]), made_from["views"])
        except InputError as error:
            return error

    with ThreadPoolExecutor(READERS) as pool:
        waiting = collections.deque()
        todo = iter(fields.path.items())
        per_batch = max(1, BATCH // made_from["views"])
        while True:
            while len(waiting) < 2 * per_batch and (item := next(todo, None)):
                waiting.append((item[0], pool.submit(read, item[1])))
            if not waiting:
                return
            batch = [waiting.popleft() for _ in range(min(per_batch, len(waiting)))]
            results = [(index, future.result()) for index, future in batch]
            good = [(index, pixels) for index, pixels in results if not isinstance(pixels, InputError)]
            problems = {index: str(error) for index, error in results if isinstance(error, InputError)}
            yield [index for index, _ in good], [pixels for _, pixels in good], problems


def embed(trunk, pixels):
    """The trunk's output for a list of uint8 arrays of shape (views, height, width, 3).

    Returns a float array of shape (images, views, ...).
    """
    views = len(pixels[0])
    stack = np.concatenate(pixels)
    # Always the same batch size, or TensorFlow would trace the network anew for the last, smaller one.
    empty = np.zeros((BATCH - len(stack) % BATCH, *stack.shape[1:]), np.uint8) if len(stack) % BATCH else stack[:0]
    full = np.concatenate([stack, empty])
    parts = [trunk.predict_on_batch(scale(full[start : start + BATCH])) for start in range(0, len(full), BATCH)]
    output = np.concatenate(parts)[: len(stack)]
    return output.reshape(-1, views, *output.shape[1:])
