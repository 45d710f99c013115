"""The tissue behind a simulated slide: glands, stroma and nuclei, laid out in micrometres.

A toy of breast histology, made from random numbers and a textbook's vocabulary. It follows what a
student learns to look for (nuclear size, pleomorphism, crowding, gland architecture) and nothing
more: no tissue was measured for it, and nothing here is fit for a diagnosis. `practice` photographs
what this module lays out.

Every random number comes from a stream named by (seed, slide, purpose), so a slide does not depend
on which others are made, nor in which order.
"""

import csv
import math
from importlib import resources
from typing import NamedTuple

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from breakhis_lib.data.dataset import BENIGN_SUBTYPES


def numbers_of(file):
    """The numbers of a table of this folder by the name that begins their row; its last column says what is meant."""
    with resources.files(__package__).joinpath(file).open(encoding="utf-8") as stream:
        return {row[0]: tuple(map(float, row[1:-1])) for row in list(csv.reader(stream))[1:]}


WIDTH, HEIGHT, STEP = 960.0, 680.0, 2.0  # size of the tissue and spacing of its maps, micrometres
MOST_FIELDS = 99  # places photographed on one slide, at most

# --- How far the two classes lie apart: mean and spread between slides; tune the lesson here ---------
TRAITS = numbers_of("traits.csv")  # trait: (benign mean, malignant mean, spread between slides, least, most)
RADIUS_SHIFT = {"LC": -0.55, "MC": -0.2, "PT": 0.1}  # lobular nuclei are small and bland
BLAND = {"LC": 0.5, "MC": 0.3}  # share of the way back from the malignant mean to the benign one
STROMAL_NUCLEI = {"A": 2.0, "F": 3.2, "PT": 5.5, "TA": 2.4, "DC": 3.2, "LC": 2.6, "MC": 1.8, "PC": 2.4}

EPITHELIAL, MYOEPITHELIAL, STROMAL, LYMPHOCYTE, MITOSIS, RED_CELL = range(6)
NUCLEUS = np.dtype(
    [("x", float), ("y", float), ("radius", float), ("elongation", float), ("angle", float)]
    + [("irregularity", float), ("density", float), ("coarseness", float), ("vesicular", float)]
    + [("nucleolus", float), ("kind", int)]
)
ROWS, COLUMNS = np.arange(0.0, HEIGHT, STEP), np.arange(0.0, WIDTH, STEP)


class Tissue(NamedTuple):
    """One tissue: signed distances in micrometres (positive inside) on the grid, nuclei, and places to look at."""

    epithelium: np.ndarray
    lumen: np.ndarray
    mucin: np.ndarray
    space: np.ndarray  # fat cells and vessels
    across: np.ndarray  # coordinate across the collagen fibres
    along: np.ndarray  # coordinate along them
    nuclei: np.ndarray  # structured array, one row a nucleus (or red blood cell)
    centres: np.ndarray  # (MOST_FIELDS, 2): x and y of each field


def stream(seed, number, purpose):
    """Return the random generator of one purpose on one slide, whatever was drawn before it."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, number, *purpose.encode()])))


def interpolate(table, rows, columns):
    """Read a table, repeated endlessly, at rows x columns with cubic B-splines.

    table: (m, n) array. rows, columns: rising 1-D arrays of coordinates, in cells of the table.
    Returns an array (len(rows), len(columns)) of the table's type.
    """
    top = math.floor(rows[0]) - 1
    lines = np.arange(top, math.floor(rows[-1]) + 3) % table.shape[0]
    across = _spline(table[lines], columns, axis=1)
    return _spline(across, rows - top, axis=0)


def _spline(table, where, axis):
    first = np.floor(where).astype(int)
    t = (where - first).astype(table.dtype)
    weights = ((1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3)
    shape = (-1, 1) if axis == 0 else (1, -1)
    taken = (np.take(table, (first + k - 1) % table.shape[axis], axis=axis) for k in range(4))
    return sum(part * (weight / 6).reshape(shape) for part, weight in zip(taken, weights, strict=True))


def _noise(random, scale):
    """Smooth noise on the grid with mean 0, variance 1 and features of about `scale` micrometres."""
    table = random.standard_normal((int(HEIGHT / scale) + 5, int(WIDTH / scale) + 5))
    return interpolate(table, ROWS / scale + 1.5, COLUMNS / scale + 1.5) / 0.479


def _signed(mask):
    """Signed distance in micrometres to the edge of a mask, positive inside, slightly smoothed."""
    distance = ndimage.distance_transform_edt(mask) - ndimage.distance_transform_edt(~mask)
    return ndimage.gaussian_filter(distance * STEP, 1.2)


def _lines(random, scale):
    """Distance in micrometres to winding lines: the zero level of a noise."""
    return np.abs(_signed(_noise(random, scale) + 0.25 * _noise(random, scale / 3) > 0))


def _cells(random, spacing, warp):
    """Scattered centres: distances to the nearest and the second nearest, and the index of the nearest."""
    x, y = np.meshgrid(np.arange(-spacing, WIDTH + spacing, spacing), np.arange(-spacing, HEIGHT + spacing, spacing))
    x = x + spacing / 2 * (np.arange(len(x)) % 2)[:, None]
    points = np.column_stack([x.ravel(), y.ravel()]) + spacing * 0.7 * (random.random((x.size, 2)) - 0.5)
    column, row = np.meshgrid(COLUMNS, ROWS)
    places = [column + warp * _noise(random, spacing * 0.6), row + warp * _noise(random, spacing * 0.6)]
    distance, index = cKDTree(points).query(np.stack(places, axis=-1), k=2)
    return distance[..., 0], distance[..., 1], index[..., 0], len(points)


def _acini(random, spacing, fill, gap, lumen):
    """Round glands beside each other; `fill` and `lumen` are radii in spacings."""
    nearest, second, index, count = _cells(random, spacing, 0.09 * spacing)
    size = (0.8 + 0.4 * random.random(count))[index] * spacing
    hole = np.where(random.random(count) < 0.85, 0.5 + random.random(count), 0.0)[index] * spacing * lumen
    body = np.minimum(fill * size - nearest, (second - nearest) / 2 - gap)
    return body, np.minimum(hole - nearest - 1.0, body - 6.0)


def _adenosis(random, across):
    body, lumen = _acini(random, 33 + 8 * random.random(), 0.5, 1.5, 0.14)
    lobule = _signed(_noise(random, 120) + 0.2 * _noise(random, 30) > -0.35)
    return np.minimum(body, lobule), np.minimum(lumen, lobule - 8), None


def _tubular(random, across):
    body, lumen = _acini(random, 44 + 12 * random.random(), 0.6, 1.2 + 2 * random.random(), 0.2)
    return body, lumen, None


def _ducts(random, scale, slit, wall, share):
    """Branching slits lined by an epithelium `wall` micrometres high."""
    line = _lines(random, scale)
    present = _signed(_noise(random, scale * 0.7) > share)
    return np.minimum(slit + wall - line, present), np.minimum(slit - line, present - wall)


def _fibroadenoma(random, across):
    slit = np.clip(2.0 + 2.5 * _noise(random, 50), 0.3, 10)
    return *_ducts(random, 95, slit, 9 + 4 * random.random(), -0.1), None


def _phyllodes(random, across):
    slit = np.clip(9 + 9 * _noise(random, 70), 1, 40)
    return *_ducts(random, 150, slit, 9 + 5 * random.random(), -0.5), None


def _ductal(random, across):
    scale = 38 + 26 * random.random()
    nests = _signed(
        _noise(random, scale) + 0.45 * _noise(random, scale / 2.5) + 0.15 * _noise(random, 7)
        > -0.35 + 0.5 * random.random()
    )
    return nests, np.minimum(_signed(_noise(random, 24) > 1.5 + 0.8 * random.random()), nests - 9), None


def _lobular(random, across):
    period = 20 + 12 * random.random()
    row = np.abs((across / period + 0.35 * _noise(random, 35)) % 1 - 0.5) * period
    rows = np.minimum(4.6 - row, _signed(_noise(random, 28) > -0.15))
    return np.maximum(rows, _signed(_noise(random, 45) > 2.0)), np.full_like(rows, -50.0), None


def _mucinous(random, across):
    spacing = 90 + 50 * random.random()
    nearest, second, index, count = _cells(random, spacing, 0.13 * spacing)
    size = (0.15 + 0.4 * random.random(count))[index] * spacing
    clusters = _signed(size + 5 * _noise(random, 22) > nearest)
    lumen = np.minimum(_signed(_noise(random, 26) > 1.9), clusters - 10)
    near, far, _, _ = _cells(random, 210, 30)
    lakes = (far - near) / 2 - np.clip(9 + 7 * _noise(random, 90), 2, 40)
    return clusters, lumen, np.maximum(lakes, clusters + 4)


def _papillary(random, across):
    line = _lines(random, 40 + 18 * random.random())
    core = np.clip(4 + 3.5 * _noise(random, 45), 1.0, 16)
    wall = np.clip(16 + 6 * random.random() + 5 * _noise(random, 35), 8, 34)
    return line - core, line - core - wall, None


ARCHITECTURE = {
    "A": _adenosis,
    "F": _fibroadenoma,
    "PT": _phyllodes,
    "TA": _tubular,
    "DC": _ductal,
    "LC": _lobular,
    "MC": _mucinous,
    "PC": _papillary,
}


def draw_traits(seed, number, subtype):
    """Draw one slide's nuclear traits from its class, a dict of floats; the classes overlap."""
    random = stream(seed, number, "traits")
    malignant = subtype not in BENIGN_SUBTYPES
    traits = {}
    for name, (benign, other, spread, least, most) in TRAITS.items():
        mean = other + BLAND.get(subtype, 0.0) * (benign - other) if malignant else benign
        shift = RADIUS_SHIFT.get(subtype, 0.0) * (1 - BLAND.get(subtype, 0.0)) if name == "radius" else 0.0
        traits[name] = float(np.clip(mean + shift + spread * random.standard_normal(), least, most))
    traits["stromal"] = STROMAL_NUCLEI[subtype] * math.exp(0.35 * random.standard_normal())
    return traits


def grow(seed, number, subtype, traits):
    """Lay out one tissue of WIDTH x HEIGHT micrometres; returns a Tissue."""
    random = stream(seed, number, "architecture")
    across, along = _fibre_coordinates(random)
    epithelium, lumen, mucin = ARCHITECTURE[subtype](random, across)
    mucin = np.full_like(epithelium, -50.0) if mucin is None else mucin
    space, vessels = _spaces(random, epithelium)
    outside = np.minimum(np.maximum(epithelium, mucin), 0)
    across = across + 30 * np.exp(outside / 17)  # fibres run round the glands
    maps = (epithelium, np.maximum(lumen, -50.0), mucin, space, across, along)
    epithelial = _epithelial_nuclei(stream(seed, number, "epithelium"), traits, maps)
    others = _other_cells(stream(seed, number, "stroma"), traits, maps, vessels)
    outer = _myoepithelial_nuclei(stream(seed, number, "myoepithelium"), traits, maps)
    centres = _centres(stream(seed, number, "fields"), epithelial)
    return Tissue(*maps, np.concatenate([others, outer, epithelial]), centres)


def _fibre_coordinates(random):
    turn = math.pi * random.random()
    waviness = 15 + 45 * random.random()
    x, y = np.meshgrid(COLUMNS, ROWS)
    across = y * math.cos(turn) - x * math.sin(turn) + waviness * _noise(random, 130) + 4 * _noise(random, 35)
    return across, x * math.cos(turn) + y * math.sin(turn) + waviness * _noise(random, 130)


def _spaces(random, epithelium):
    """Fat cells in some corners and a few vessels, away from the epithelium; the second map is the vessels alone."""
    near, far, _, _ = _cells(random, 42 + 14 * random.random(), 4)
    fat = np.minimum((far - near) / 2 - 0.9, _signed(_noise(random, 150) > 1.2 + 0.9 * random.random()))
    nearest, _, index, count = _cells(random, 170, 14)
    radius = np.where(random.random(count) < 0.5, 6 + 12 * random.random(count) ** 2, -50.0)
    clear = -epithelium - 9
    vessels = np.minimum(radius[index] - nearest, clear)
    return np.maximum(np.minimum(fat, clear), vessels), vessels


def _read(field, points):
    """Values of a map at points (n, 2) given as x, y in micrometres."""
    return ndimage.map_coordinates(field, [points[:, 1] / STEP, points[:, 0] / STEP], order=1, mode="nearest")


def _settle(points, reach, priority):
    """Keep points of high priority such that no two lie closer than the sum of their reaches."""
    pairs = cKDTree(points).query_pairs(2 * reach.max(initial=1.0), output_type="ndarray")
    apart = np.hypot(*(points[pairs[:, 0]] - points[pairs[:, 1]]).T)
    pairs = pairs[apart < reach[pairs[:, 0]] + reach[pairs[:, 1]]]
    pairs = np.take_along_axis(pairs, np.argsort(-priority[pairs]), axis=1)  # the stronger, the weaker
    kept = [True] * len(points)
    for stronger, weaker in pairs[np.argsort(-priority[pairs[:, 0]])].tolist():  # all that beats one comes before it
        kept[weaker] &= not kept[stronger]
    return np.array(kept, bool)


def _slope(field, points):
    """Direction in radians in which a map rises at points."""
    rise_y, rise_x = np.gradient(ndimage.gaussian_filter(field, 2))
    return np.arctan2(_read(rise_y, points), _read(rise_x, points))


def _epithelial_nuclei(random, traits, maps):
    epithelium, lumen = maps[0], maps[1]
    step = traits["radius"]
    x, y = np.meshgrid(np.arange(0, WIDTH, step), np.arange(0, HEIGHT, step))
    points = np.column_stack([x.ravel(), y.ravel()]) + step * random.random((x.size, 2))
    radius = traits["radius"] * np.exp(np.clip(traits["pleomorphism"] * random.standard_normal(len(points)), -0.5, 0.6))
    depth, room = _read(epithelium, points), -_read(lumen, points)
    inside = (depth > 0.75 * radius) & (room > 0.9 * radius)
    points, radius, depth = points[inside], radius[inside], depth[inside]
    order = traits["polarity"] * np.abs(depth / radius - 1.3) / 2
    kept = _settle(points, traits["spacing"] * radius, random.random(len(points)) - order)
    points, radius = points[kept], radius[kept]
    nuclei = _nuclei(random, points, radius, EPITHELIAL, traits)
    tilt = (1 - traits["polarity"]) * 1.6 * random.standard_normal(len(points))
    nuclei["angle"] = _slope(epithelium, points) + tilt
    nuclei["elongation"] = 1.1 + 0.35 * random.random(len(points)) + traits["pleomorphism"] * random.random(len(points))
    nuclei["nucleolus"] = random.random(len(points)) < traits["nucleoli"]
    dividing = random.random(len(points)) < traits["mitoses"]
    for name, value in (("kind", MITOSIS), ("density", 1.8), ("elongation", 2.2), ("irregularity", 0.2)):
        nuclei[name][dividing] = value
    nuclei["radius"][dividing] *= 0.7
    nuclei["vesicular"][dividing] = 0.0
    return nuclei


def _myoepithelial_nuclei(random, traits, maps):
    """Flat nuclei along the outside of the glands, the second layer that invasive tumours lose."""
    points = random.random((int(WIDTH * HEIGHT / 12), 2)) * (WIDTH, HEIGHT)
    depth = _read(maps[0], points)
    points = points[(depth > 0.2) & (depth < 2.2) & (_read(maps[1], points) < -3)]
    kept = _settle(points, np.full(len(points), 4.2), random.random(len(points)))
    points = points[kept & (random.random(len(points)) < traits["myoepithelium"])]
    nuclei = _nuclei(random, points, 2.0 + 0.5 * random.random(len(points)), MYOEPITHELIAL, traits)
    nuclei["elongation"] = 1.8 + random.random(len(points))
    nuclei["angle"] = _slope(maps[0], points) + math.pi / 2 + 0.2 * random.standard_normal(len(points))
    return nuclei


def _nuclei(random, points, radius, kind, traits):
    """Rows for nuclei of one kind, with the slide's chromatin and a little chance."""
    nuclei = np.zeros(len(points), NUCLEUS)
    nuclei["x"], nuclei["y"], nuclei["radius"], nuclei["kind"] = points[:, 0], points[:, 1], radius, kind
    nuclei["elongation"], nuclei["angle"] = 1.15, 2 * math.pi * random.random(len(points))
    nuclei["irregularity"] = traits["irregularity"] * (0.6 + 0.8 * random.random(len(points)))
    spread = 0.12 + 0.6 * traits["pleomorphism"]
    nuclei["density"] = np.exp(np.clip(spread * random.standard_normal(len(points)), -0.5, 0.5))
    nuclei["coarseness"] = traits["coarseness"]
    nuclei["vesicular"] = np.clip(traits["vesicular"] + 0.2 * random.standard_normal(len(points)), 0, 1)
    return nuclei


def _other_cells(random, traits, maps, vessels):
    """Spindle cells along the fibres, lymphocytes in patches, and red blood cells in the vessels."""
    epithelium, lumen, mucin, space, across, _ = maps
    outside = -np.maximum.reduce([epithelium + 1.5, lumen, mucin - 4, space])
    groups = []
    for kind, share, size in ((STROMAL, traits["stromal"], 2.3), (LYMPHOCYTE, traits["lymphocytes"], 2.6)):
        points = random.random((int(3 * share * WIDTH * HEIGHT / 1000), 2)) * (WIDTH, HEIGHT)
        patch = np.exp((0.5 if kind == STROMAL else 1.6) * _noise(random, 60) - (0.1 if kind == STROMAL else 1.3))
        chosen = (_read(outside, points) > 1.5) & (3 * random.random(len(points)) < _read(patch, points))
        points = points[chosen]
        radius = size * (0.85 + 0.3 * random.random(len(points)))
        kept = _settle(points, 1.1 * radius, random.random(len(points)))
        cells = _nuclei(random, points[kept], radius[kept], kind, traits)
        if kind == STROMAL:
            cells["elongation"] = 1.6 + 2.4 * random.random(len(cells))
            cells["angle"] = _slope(across, points[kept]) + math.pi / 2 + 0.2 * random.standard_normal(len(cells))
        else:
            cells["density"], cells["vesicular"] = 1.35 * cells["density"], 0.0
        groups.append(cells)
    points = random.random((int(WIDTH * HEIGHT / 12), 2)) * (WIDTH, HEIGHT)
    points = points[_read(vessels, points) > 2.5]
    kept = _settle(points, np.full(len(points), 2.6), random.random(len(points)))
    return np.concatenate([*groups, _nuclei(random, points[kept], 2.9, RED_CELL, traits)])


def _centres(random, epithelial):
    """Places to photograph: where epithelial cells lie close, and apart from the places before."""
    points = np.column_stack([epithelial["x"], epithelial["y"]])
    inside = (np.abs(points - (WIDTH / 2, HEIGHT / 2)) < (WIDTH / 2 - 180, HEIGHT / 2 - 120)).all(axis=1)
    company = np.array([len(found) for found in cKDTree(points).query_ball_point(points, 13.0)])
    score = (np.minimum(company, 8) / 8 + 0.5 * random.random(len(points)))[inside]
    points, centres = points[inside], []
    for _ in range(MOST_FIELDS):
        best = points[np.argmax(score)]
        centres.append(best)
        score = score - 1.5 * np.exp(-(((points - best) / 110.0) ** 2).sum(axis=1))
    return np.array(centres)
