"""Simulated slides: practice data in BreakHis' own folder layout, made in about a minute.

What is simulated: haematoxylin and eosin stained breast tissue of eight subtypes, the microscope and
the camera. What is not: anything measured on a patient. The images teach how a classifier is trained
and judged; they are no model of disease and of no diagnostic value, and every file says so.

One tissue is laid out a slide, in micrometres (`practice.tissue`), and photographed at four
magnifications: a field's pixel is 20 / magnification micrometres wide, which is a choice made here,
not a property of BreakHis. Some patients have two slides, as there: every third slide of a subtype is
another piece of the tumour of the first, stained on another day, and bears its number and a B. Light
is absorbed stain by stain (Beer and Lambert's law; Ruifrok and Johnston 2001), so that each slide has
its own stains, as in a laboratory.
"""

import itertools
import math
import os
from pathlib import Path
from typing import NamedTuple

import joblib
import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from scipy import ndimage
from scipy.spatial import cKDTree
from skimage.color import combine_stains

from breakhis_lib.data import dataset, images
from breakhis_lib.data.dataset import BENIGN_SUBTYPES, FIRST_SIMULATED, MAGNIFICATIONS, SUBTYPES
from breakhis_lib.errors import InputError
from breakhis_lib.files import whole
from breakhis_lib.practice import tissue as tissue_model
from breakhis_lib.practice.tissue import EPITHELIAL, MOST_FIELDS, RED_CELL, STEP, interpolate, stream

FIELD_HEIGHT, FIELD_WIDTH = 460, 700  # pixels, as in BreakHis
MOST_SLIDES = 100
SISTERS = 3  # of so many slides of a subtype the first and the last are of one patient
GRAIN_SIZES = (2.6, 0.6, 45.0, 9.0)  # micrometres: outlines, chromatin, unevenness, waves of the fibres
HABITS = tissue_model.numbers_of("habits.csv")  # habit of a stain or a camera: (least, most), drawn in this order
BLOOD = (0.08, 0.85, 0.55)  # absorbance of red, green and blue
MODEL = "breakhis_lib.practice, model 1"
DESCRIPTION = (
    "Simulated image, made by a computer program from random numbers for teaching. "
    "Not tissue, not a photograph, not from BreakHis, of no diagnostic value."
)


class Stain(NamedTuple):
    """How one slide was stained, lit and photographed; drawn without regard to the class."""

    colours: np.ndarray  # (3, 3): absorbance of red, green, blue by haematoxylin, eosin and blood
    white: np.ndarray  # (3,): colour of empty glass, 0 to 1
    habits: dict  # strengths, texture, focus and camera: floats by name


class Slide(NamedTuple):
    """One simulated slide: `subtype` code, `label`, nuclear `traits`, `stain` and `tissue`."""

    seed: int
    number: int
    subtype: str
    label: str
    traits: dict
    stain: Stain
    tissue: tissue_model.Tissue
    grain: np.ndarray  # (4, 256, 256) random numbers behind its fine structure, at GRAIN_SIZES
    fibres: np.ndarray  # (2, 512, 512) the same behind its collagen, smooth

    def __repr__(self):
        """Name the slide; its arrays would fill pages."""
        return f"Slide(seed={self.seed}, number={self.number}, subtype={self.subtype!r}, label={self.label!r})"


def pixel_size(magnification):
    """Width of a pixel in micrometres: 20 / magnification, this simulation's choice."""
    _check_choice("magnification", magnification, MAGNIFICATIONS)
    return 20.0 / magnification


def slide(seed, number):
    """Make one slide.

    seed: integer, 0 or more. number: 90001 to 90800; the eight subtypes take turns, so that 90001 is
    always an adenosis; of each subtype every third is of the patient two before it. Returns a Slide. Raises InputError
    on a seed or number out of range.
    """
    _check_whole("seed", seed, 0, 2**63 - 1)
    _check_whole("number", number, FIRST_SIMULATED, FIRST_SIMULATED + MOST_SLIDES * len(SUBTYPES) - 1)
    subtype = _subtype(number)
    traits = tissue_model.draw_traits(seed, _patient(number), subtype)
    tissue = tissue_model.grow(seed, number, subtype, traits)
    grain = stream(seed, number, "grain").standard_normal((4, 256, 256)).astype(np.float32)
    fibres = stream(seed, number, "fibres").standard_normal((2, 512, 512))
    fibres = ndimage.gaussian_filter(fibres, (0, 2, 2), mode="wrap")
    fibres = (fibres / fibres.std(axis=(1, 2), keepdims=True)).astype(np.float32)
    stain = _draw_stain(seed, number)
    label = "benign" if subtype in BENIGN_SUBTYPES else "malignant"
    return Slide(seed, number, subtype, label, traits, stain, tissue, grain, fibres)


def _subtype(number):
    return list(SUBTYPES)[(number - FIRST_SIMULATED) % len(SUBTYPES)]


def _patient(number):
    """The number that the slide of a number bears: its own, or of every third of a subtype that of two before."""
    turn = (number - FIRST_SIMULATED) // len(SUBTYPES)
    return number - 2 * len(SUBTYPES) if turn % SISTERS == SISTERS - 1 else number


def _draw_stain(seed, number):
    random = stream(seed, number, "stain")
    habits = {name: least + (most - least) * random.random() for name, (least, most) in HABITS.items()}
    haematoxylin, eosin, glass = (
        np.array([habits[f"{what}_{colour}"] for colour in ("red", "green", "blue")])
        for what in ("haematoxylin", "eosin", "glass")
    )
    colours = np.array([haematoxylin, eosin, BLOOD])
    colours /= np.sqrt((colours**2).sum(axis=1, keepdims=True))
    return Stain(colours, habits["brightness"] * glass, habits)


def visible_nuclei(slide, magnification, sequence):
    """Nuclei whose centre lies in a field, with their place in pixels.

    Returns a structured array: the columns of the tissue's nuclei, x and y replaced by column and row
    in pixels; radius stays in micrometres. Red blood cells, which have no nucleus, are left out.
    """
    rows, columns = _places(slide, magnification, sequence)
    found = slide.tissue.nuclei[slide.tissue.nuclei["kind"] != RED_CELL].copy()
    found["x"] = (found["x"] - columns[0]) / pixel_size(magnification)
    found["y"] = (found["y"] - rows[0]) / pixel_size(magnification)
    width, height = FIELD_WIDTH - 0.5, FIELD_HEIGHT - 0.5
    return found[(found["x"] >= -0.5) & (found["x"] < width) & (found["y"] >= -0.5) & (found["y"] < height)]


def _places(slide, magnification, sequence):
    """Micrometres of the field's pixel rows and columns."""
    pixel = pixel_size(magnification)
    _check_whole("sequence", sequence, 1, MOST_FIELDS)
    x, y = slide.tissue.centres[sequence - 1]
    rows = y + (np.arange(FIELD_HEIGHT) - (FIELD_HEIGHT - 1) / 2) * pixel
    return rows, x + (np.arange(FIELD_WIDTH) - (FIELD_WIDTH - 1) / 2) * pixel


def render(slide, magnification, sequence):
    """Photograph one field of a slide.

    slide: a Slide. magnification: 40, 100, 200 or 400. sequence: 1 to 99; fields of equal sequence
    have one centre at all magnifications, so the x400 field lies inside the x40 field.
    Returns a uint8 array of shape (460, 700, 3). Raises InputError on a value out of range.
    """
    rows, columns = _places(slide, magnification, sequence)
    absorbance = _absorbance(slide, rows, columns)
    return _photograph(slide, absorbance, int(magnification), int(sequence))


def _edge(distance, softness):
    """Turn a signed distance into a soft mask of 0 to 1."""
    ramp = np.clip(0.5 + distance / (2 * softness), 0, 1)
    return ramp * ramp * (3 - 2 * ramp)


def _absorbance(slide, rows, columns):
    """Haematoxylin, eosin and blood at each pixel: an array (height, width, 3) of natural absorbances."""
    tissue, habits = slide.tissue, slide.stain.habits
    rough, fine, slow, crimp = (
        interpolate(table, rows / scale, columns / scale) / 0.479
        for table, scale in zip(slide.grain, GRAIN_SIZES, strict=True)
    )
    epithelium, lumen, mucin, space, across, along = (
        interpolate(field.astype(np.float32), rows / STEP, columns / STEP) for field in tissue[:6]
    )
    soft = max(0.5, 0.8 * float(rows[1] - rows[0]))
    in_lumen = _edge(lumen + 0.7 * rough, soft)
    in_epithelium = _edge(epithelium + 0.6 * rough, soft) * (1 - in_lumen)
    in_space = _edge(space + 0.3 * rough, soft) * (1 - in_epithelium)
    in_mucin = _edge(mucin + 1.2 * rough, 1.5) * (1 - in_epithelium)
    in_stroma = (1 - in_epithelium) * (1 - in_lumen) * (1 - in_space) * (1 - in_mucin)

    fibre, crack = _fibres(slide, across + habits["crimp"] * crimp + 0.25 * rough, along)
    gap = _edge(crack - 1.1 + habits["looseness"] * (0.6 + 0.5 * slow) + 0.15 * crimp, 0.18)
    halo = habits["retraction"] * _edge(1.6 - np.abs(epithelium + 1.8 + 0.8 * rough), 1.2)
    collagen = in_stroma * (1 - 0.85 * gap) * (1 - halo)
    clear = habits["vacuoles"] * _edge(rough + 0.4 * fine - 0.6, 0.7)
    cell = in_epithelium * (1 - clear) * (0.85 + 0.12 * fine + 0.35 * _cell_walls(tissue, rows, columns))
    secretion = habits["secretion"] * in_lumen * _edge(slow + 0.5 * rough, 0.8)
    wisps = in_mucin * np.clip(1 - np.abs(0.8 * crimp + 0.3 * rough + slow), 0, 1) * (0.5 + np.clip(crimp, -0.5, 1))
    myxoid = np.clip(habits["myxoid"] * (1 + slow), 0, 0.85)

    eosin = collagen * (1 - 0.7 * myxoid) * (0.8 + habits["fibre_contrast"] * fibre + 0.05 * fine)
    eosin += habits["cytoplasm"] * cell + 0.6 * secretion + 0.06 * in_mucin + 0.05 * wisps
    haematoxylin = habits["basophilia"] * (1.3 * cell + (0.25 + 0.6 * myxoid) * collagen * (1 + 0.3 * fibre))
    haematoxylin += 0.03 * in_mucin + 0.12 * wisps
    nuclei, cover, blood = _draw_nuclei(tissue.nuclei, rows, columns, rough, fine)
    haematoxylin = np.maximum(haematoxylin, nuclei)
    eosin *= 1 - 0.55 * cover
    layers = np.stack([habits["haematoxylin"] * haematoxylin, habits["eosin"] * eosin, 0.9 * blood], axis=-1)
    return np.maximum(layers, 0) * (1 + habits["thickness"] * slow)[..., None]


def _fibres(slide, across, along):
    """Texture along the collagen (variance near 1), and how close a crack between bundles is (0 to 1)."""
    width = slide.stain.habits["fibre_width"] / 5  # five cells of the table make a fibre
    length = width * slide.stain.habits["fibre_length"]

    def read(table, scale):
        places = [across / (width * scale), along / (length * scale)]
        return ndimage.map_coordinates(table, places, order=1, mode="grid-wrap")

    thin, thick = slide.fibres
    fibre = 0.7 * read(thin, 1.0) + 0.7 * read(thin, 3.7)
    return fibre, 1 - np.abs(read(thick, 3.1) + 0.3 * fibre)


def _cell_walls(tissue, rows, columns):
    """1 on the border between two epithelial cells, falling to 0; worked out on every fourth pixel."""
    cells = tissue.nuclei[tissue.nuclei["kind"] == EPITHELIAL]
    pixel = rows[1] - rows[0]
    points = np.column_stack([cells["x"], cells["y"]])
    y = rows[0] + 4 * pixel * np.arange(-2, FIELD_HEIGHT // 4 + 3)
    x = columns[0] + 4 * pixel * np.arange(-2, FIELD_WIDTH // 4 + 3)
    distance, _ = cKDTree(points).query(np.stack(np.meshgrid(x, y), axis=-1), k=2)
    border = np.clip(1 - (distance[..., 1] - distance[..., 0]) / 1.6, 0, 1)
    return interpolate(border.astype(np.float32), np.arange(FIELD_HEIGHT) / 4 + 2, np.arange(FIELD_WIDTH) / 4 + 2)


def _draw_nuclei(nuclei, rows, columns, rough, fine):
    """Haematoxylin of the nuclei, the share of each pixel they cover, and blood; three (height, width) arrays."""
    pixel = rows[1] - rows[0]
    density, cover, blood = np.zeros((3, len(rows), len(columns)), np.float32)
    reach = 1.4 * nuclei["radius"] * np.sqrt(nuclei["elongation"]) + 2 * pixel
    x_first = np.ceil((nuclei["x"] - reach - columns[0]) / pixel).astype(int).clip(0, len(columns))
    x_last = np.ceil((nuclei["x"] + reach - columns[0]) / pixel).astype(int).clip(0, len(columns))
    y_first = np.ceil((nuclei["y"] - reach - rows[0]) / pixel).astype(int).clip(0, len(rows))
    y_last = np.ceil((nuclei["y"] + reach - rows[0]) / pixel).astype(int).clip(0, len(rows))
    soft = 0.3 + 0.5 * pixel
    for i in np.flatnonzero((x_first < x_last) & (y_first < y_last)):
        nucleus = nuclei[i]
        patch = slice(y_first[i], y_last[i]), slice(x_first[i], x_last[i])
        x, y = columns[patch[1]] - nucleus["x"], (rows[patch[0]] - nucleus["y"])[:, None]
        cosine, sine = math.cos(nucleus["angle"]), math.sin(nucleus["angle"])
        stretch = math.sqrt(nucleus["elongation"])
        u = (x * cosine + y * sine) / (nucleus["radius"] * stretch)
        v = (y * cosine - x * sine) / (nucleus["radius"] / stretch)
        depth = 1 - np.sqrt(u * u + v * v) + nucleus["irregularity"] * rough[patch]  # in radii, positive inside
        inside = np.clip(0.5 + depth * nucleus["radius"] / (2 * soft), 0, 1)
        if nucleus["kind"] == RED_CELL:
            np.maximum(blood[patch], inside * (0.5 + 0.5 * np.clip(1 - depth, 0, 1)), out=blood[patch])
            continue
        rim = np.clip(1 - np.abs(depth - 0.1) / 0.16, 0, 1)
        clumps = fine[patch] + 0.5 * rough[patch]
        clumps = clumps / (1 + 0.5 * np.abs(clumps))  # no holes
        chromatin = 1 - 0.4 * nucleus["vesicular"] * (1 - rim) + nucleus["coarseness"] * clumps
        if nucleus["nucleolus"]:
            spot = np.hypot(u - 0.3 * cosine, v + 0.3 * sine) * nucleus["radius"]
            chromatin = np.maximum(chromatin, 1.6 * np.clip(1.7 - spot / 0.6, 0, 1))
        np.maximum(density[patch], inside * nucleus["density"] * np.maximum(chromatin, 0.4), out=density[patch])
        np.maximum(cover[patch], inside, out=cover[patch])
    return density, cover, blood


def _photograph(slide, absorbance, magnification, sequence):
    """Light through the stains, lens and camera: uint8 RGB."""
    stain, habits = slide.stain, slide.stain.habits
    random = stream(slide.seed, slide.number, f"photograph {magnification} {sequence}")
    light = combine_stains(absorbance / -math.log(1e-6), stain.colours)  # scikit-image counts in units of -ln(1e-6)
    focus = habits["blur"] * (0.75 + 0.3 * math.log10(magnification / 4)) * (0.85 + 0.5 * random.random() ** 2)
    light = ndimage.gaussian_filter(light, (focus, focus, 0), truncate=3)
    light += habits["sharpening"] * (light - ndimage.gaussian_filter(light, (2.0, 2.0, 0), truncate=2.5))
    y = np.linspace(-1, 1, FIELD_HEIGHT, dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, FIELD_WIDTH, dtype=np.float32)
    tilt_x, tilt_y = (0.03 * (random.random() - 0.5) for _ in "xy")
    lamp = 1 - habits["vignette"] * (x * x + y * y) / 2 + tilt_x * x + tilt_y * y
    grain = habits["grain"] * random.standard_normal((FIELD_HEIGHT, FIELD_WIDTH), dtype=np.float32)
    light = light * (lamp + grain)[..., None] * stain.white.astype(np.float32)
    return np.rint(255 * np.clip(light, 0, 1)).astype(np.uint8)


def make(
    folder,
    seed=2026,
    slides_per_subtype=3,
    images_per_magnification=4,
    magnifications=MAGNIFICATIONS,
    subtypes=tuple(SUBTYPES),
    workers=None,
    progress=lambda done, total: None,
):
    """Write simulated slides as PNG files of 700 x 460 pixels, in BreakHis' own layout.

    folder: where BreaKHis_v1/ goes; made if absent. seed: integer, 0 or more. slides_per_subtype: 1 to
    100. images_per_magnification: 1 to 99. magnifications: some of 40, 100, 200, 400. subtypes: some of
    A, F, PT, TA, DC, LC, MC, PC. workers: processes, 2 unless told (1 starts none). progress: called
    as progress(images done, images in all) after each slide.
    Images that are there already, complete and of the same seed, are kept; so an interrupted call can
    simply be repeated, and a smaller set is a part of a larger one. Slides under names that an earlier version
    gave and this one does not are removed.
    Returns the folder as a Path. Raises InputError on a value out of range, or a folder that cannot be written or holds
    other images.
    """
    _check_whole("seed", seed, 0, 2**63 - 1)
    _check_whole("slides_per_subtype", slides_per_subtype, 1, MOST_SLIDES)
    _check_whole("images_per_magnification", images_per_magnification, 1, MOST_FIELDS)
    magnifications, subtypes = _several(magnifications), _several(subtypes)
    for name, values, known in ("magnification", magnifications, MAGNIFICATIONS), ("subtype", subtypes, SUBTYPES):
        for value in values or (None,):
            _check_choice(name, value, known)
    workers = min(2, os.cpu_count() or 1) if workers is None else workers
    _check_whole("workers", workers, 1, 64)
    numbers = range(FIRST_SIMULATED, FIRST_SIMULATED + slides_per_subtype * len(SUBTYPES))
    numbers = [number for number in numbers if _subtype(number) in subtypes]
    folder, write = Path(folder), joblib.delayed(_make_slide)
    jobs = [write(folder, seed, number, magnifications, images_per_magnification) for number in numbers]
    each = len(magnifications) * images_per_magnification
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _refuse_other_images(folder)
        made = joblib.Parallel(min(workers, len(jobs)), return_as="generator")(jobs)
        for done, _ in enumerate(made, start=1):
            progress(done * each, len(jobs) * each)
    except OSError as error:
        raise InputError(f"{folder} cannot be written ({error.strerror or error}); name another.") from error
    return folder


def _refuse_other_images(folder):
    for path in dataset.walk(folder):
        name = dataset.parse_name(path.name)
        if path.suffix.lower() in images.EXTENSIONS and not (name and dataset.is_simulated(name)):
            raise InputError(f"{folder} holds {path.name}, which is no practice slide; name a folder of their own.")
        if name and name["slide"].isdigit() and _patient(int(name["slide"])) != int(name["slide"]):
            path.unlink()  # drawn by an earlier version, which knew no second slide of a patient


def _make_slide(folder, seed, number, magnifications, images):
    """Write the images of one slide that are not there yet."""
    made = None
    for magnification, sequence in itertools.product(magnifications, range(1, images + 1)):
        path = image_path(folder, number, magnification, sequence)
        if not _is_complete(path, seed):
            made = made or slide(seed, number)
            _write(path, render(made, magnification, sequence), seed)


def image_path(folder, number, magnification, sequence):
    """Path of one image below `folder`, in BreakHis' layout; the year of a simulated slide is 00."""
    subtype = _subtype(number)
    side, slide = "B" if subtype in BENIGN_SUBTYPES else "M", f"{_patient(number)}{'B' * (_patient(number) != number)}"
    return Path(folder) / dataset.official_path(f"SOB_{side}_{subtype}-00-{slide}-{magnification}-{sequence:03d}.png")


def _is_complete(path, seed):
    """Whether an image is there, whole, and made by this model from this seed."""
    try:
        with Image.open(path, formats=["PNG"]) as image:
            image.load()
            return image.text.get("Simulated") == MODEL and image.text.get("Seed") == str(seed)
    except (OSError, SyntaxError, ValueError):  # absent, truncated or damaged
        return False


def _write(path, pixels, seed):
    """Write an image with what it is said to be."""
    text = PngInfo()
    for key, value in (("Simulated", MODEL), ("Description", DESCRIPTION), ("Seed", str(seed))):
        text.add_text(key, value)
    with whole(path) as partial:
        Image.fromarray(pixels).save(partial, format="PNG", pnginfo=text, compress_level=1)


def _check_whole(name, value, least, most):
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or not least <= value <= most:
        raise InputError(f"{name} is {value!r}; a whole number from {least} to {most} was expected; choose one.")


def _check_choice(name, value, allowed):
    if value not in allowed:
        raise InputError(f"{name} is {value!r}; one of {', '.join(map(str, allowed))} was expected; choose one.")


def _several(values):
    """A tuple of values, also of a single one."""
    return (values,) if isinstance(values, str) or not np.iterable(values) else tuple(values)
