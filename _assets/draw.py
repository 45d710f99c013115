"""Draw the book's own pictures anew, from simulated slides: `.venv/bin/python _assets/draw.py`.

cover.jpg: a simulated field that dissolves into feature maps and two probabilities. journey.svg and
journey-narrow.svg: the way of an image, for wide and for narrow windows.
"""

from pathlib import Path

import numpy as np
from PIL import Image
from skimage.color import rgb2hed

from breakhis_lib import practice

FOLDER = Path(__file__).parent
WIDTH, HEIGHT = 1600, 440  # pixels of the cover
VIOLET, ROSE, PAPER = (91, 58, 140), (194, 71, 127), (250, 246, 251)
STATIONS = [
    ("Names", "what files are called", ROSE),
    ("Fields", "images of slides", ROSE),
    ("Split", "by image, by slide", ROSE),
    ("Trunk", "frozen", VIOLET),
    ("Features", "kept on disk", VIOLET),
    ("Head", "trained", VIOLET),
    ("Softmax", "two probabilities", VIOLET),
    ("Predictions", "one row an image", VIOLET),
    ("Interval", "slides drawn again", ROSE),
    ("A patient", "never seen?", ROSE),
]


def cover():
    """The picture at the top of the first page, as a Pillow image."""
    field = Image.fromarray(practice.render(practice.slide(2026, 90005), 100, 1))
    field = field.resize((WIDTH, WIDTH * field.height // field.width), Image.Resampling.LANCZOS)
    field = np.asarray(field)[120 : 120 + HEIGHT]
    stain = np.clip(rgb2hed(field)[..., 0] / 0.12, 0, 1)[..., None]
    picture = field.astype(float)
    for start, block in ((640, 10), (860, 20), (1060, 44)):  # each band is coarser than the one before
        rows, columns = np.arange(HEIGHT) // block * block, np.arange(WIDTH - start) // block * block + start
        coarse = np.add.reduceat(np.add.reduceat(stain, np.unique(rows), 0), np.unique(columns), 1)
        coarse = coarse[rows // block][:, (columns - start) // block] / block**2
        picture[:, start:] = np.array(PAPER) * (1 - coarse) + np.array(VIOLET) * coarse
    picture[:, 1280:] = PAPER
    for left, height, color in ((1340, 60, ROSE), (1460, 330, VIOLET)):
        picture[HEIGHT - 50 - height : HEIGHT - 50, left : left + 80] = color
    return Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8))


def journey(columns, box=(150, 64), gap=34):
    """The stations in rows of `columns`, row after row, joined by arrows; an SVG as text."""
    step_x, step_y = box[0] + gap, box[1] + gap
    rows = -(-len(STATIONS) // columns)
    width, height = columns * step_x - gap + 20, rows * step_y - gap + 20
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        'font-family="system-ui, sans-serif" text-anchor="middle">',
        "<title>The way of an image through the course</title>",
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0L8 4L0 8z" fill="#6e6e73"/></marker></defs>',
        f'<rect width="{width}" height="{height}" rx="12" fill="#faf6fb"/>',
    ]
    places = [(10 + number % columns * step_x, 10 + number // columns * step_y) for number in range(len(STATIONS))]
    for (x, y), (next_x, next_y) in zip(places, places[1:], strict=False):
        path = f"M{x + box[0]} {y + box[1] / 2}H{next_x}"
        if next_y != y:
            middle = y + box[1] + gap / 2
            path = f"M{x + box[0] / 2} {y + box[1]}V{middle}H{next_x + box[0] / 2}V{next_y}"
        parts.append(f'<path d="{path}" fill="none" stroke="#6e6e73" stroke-width="2" marker-end="url(#tip)"/>')
    for (x, y), (title, words, color) in zip(places, STATIONS, strict=True):
        ink, middle = "#{:02x}{:02x}{:02x}".format(*color), x + box[0] / 2
        parts.append(f'<rect x="{x}" y="{y}" width="{box[0]}" height="{box[1]}" rx="9" fill="#fff" stroke="{ink}"/>')
        parts.append(f'<text x="{middle}" y="{y + 28}" font-size="17" font-weight="600" fill="{ink}">{title}</text>')
        parts.append(f'<text x="{middle}" y="{y + 48}" font-size="13.5" fill="#333">{words}</text>')
    return "\n".join([*parts, "</svg>", ""])


if __name__ == "__main__":
    cover().save(FOLDER / "cover.jpg", quality=82, optimize=True, progressive=True)
    (FOLDER / "journey.svg").write_text(journey(4))
    (FOLDER / "journey-narrow.svg").write_text(journey(2))
    print("cover.jpg, journey.svg and journey-narrow.svg drawn")
