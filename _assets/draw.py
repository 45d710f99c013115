"""Draw the book's own pictures anew, from simulated slides: `.venv/bin/python _assets/draw.py`.

cover.jpg: a simulated field that dissolves into feature maps and two probabilities. journey.svg and
journey-narrow.svg: the way of an image, for wide and for narrow windows. found.svg and found-narrow.svg: Table 4 of the
recorded runs beside the paper's. folds.svg: who is tested when.
"""

from pathlib import Path

import numpy as np
from PIL import Image
from skimage.color import rgb2hed

from breakhis_lib import practice
from breakhis_lib.evaluation import records, tables

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


def hexadecimal(color):
    """A colour as SVG writes it."""
    return "#{:02x}{:02x}{:02x}".format(*color)


def svg(width, height, look, title, parts, before=""):
    """A picture on pale ground as text. look: attributes of its text. before: what stands before the ground."""
    size = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="system-ui, sans-serif" {look}>'
    ground = f'<rect width="{width}" height="{height}" rx="12" fill="#faf6fb"/>'
    return "\n".join([head, f"<title>{title}</title>", *([before] if before else []), ground, *parts, "</svg>", ""])


def journey(columns, box=(150, 64), gap=34):
    """The stations in rows of `columns`, row after row, joined by arrows; an SVG as text."""
    step_x, step_y = box[0] + gap, box[1] + gap
    rows = -(-len(STATIONS) // columns)
    width, height = columns * step_x - gap + 20, rows * step_y - gap + 20
    tip = (
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0L8 4L0 8z" fill="#6e6e73"/></marker></defs>'
    )
    parts = []
    places = [(10 + number % columns * step_x, 10 + number // columns * step_y) for number in range(len(STATIONS))]
    for (x, y), (next_x, next_y) in zip(places, places[1:], strict=False):
        path = f"M{x + box[0]} {y + box[1] / 2}H{next_x}"
        if next_y != y:
            middle = y + box[1] + gap / 2
            path = f"M{x + box[0] / 2} {y + box[1]}V{middle}H{next_x + box[0] / 2}V{next_y}"
        parts.append(f'<path d="{path}" fill="none" stroke="#6e6e73" stroke-width="2" marker-end="url(#tip)"/>')
    for (x, y), (title, words, color) in zip(places, STATIONS, strict=True):
        ink, middle = hexadecimal(color), x + box[0] / 2
        parts.append(f'<rect x="{x}" y="{y}" width="{box[0]}" height="{box[1]}" rx="9" fill="#fff" stroke="{ink}"/>')
        parts.append(f'<text x="{middle}" y="{y + 28}" font-size="17" font-weight="600" fill="{ink}">{title}</text>')
        parts.append(f'<text x="{middle}" y="{y + 48}" font-size="13.5" fill="#333">{words}</text>')
    return svg(width, height, 'text-anchor="middle"', "The way of an image through the course", parts, tip)


def folds(count=5, cell=(84, 36), left=76, top=64):
    """Which fold of the slides each seed trains on, validates on and tests, as `splits.draw` has it; an SVG as text."""
    ink, (wide, high) = "#333333", cell
    width, height = left + count * wide + 20, top + count * high + 100
    violet, rose = hexadecimal(VIOLET), hexadecimal(ROSE)
    middle = left + count * wide / 2
    parts = [f'<text x="{middle}" y="24" fill="{ink}">the slides, shuffled into five folds</text>']
    for seed in range(count):
        x = left + seed * wide
        parts.append(f'<text x="{x + wide / 2}" y="{top - 14}" font-weight="600" fill="{ink}">seed {seed}</text>')
        for fold in range(count):
            y = top + fold * high
            fill, words, color = "#e9e0f2", "train", ink
            if fold == seed:
                fill, words, color = violet, "test", "#ffffff"
            elif fold == (seed + 1) % count:
                fill, words, color = "#ffffff", "validate", rose
            box = f'x="{x + 2}" y="{y + 2}" width="{wide - 4}" height="{high - 4}" rx="6"'
            parts.append(f'<rect {box} fill="{fill}" stroke="{rose if words == "validate" else fill}"/>')
            parts.append(f'<text x="{x + wide / 2}" y="{y + high / 2 + 5}" fill="{color}">{words}</text>')
        parts.append(f'<text x="{x + wide / 2}" y="{top + count * high + 22}" fill="{ink}">one run</text>')
    for fold in range(count):
        y = top + fold * high + high / 2 + 5
        parts.append(f'<text x="{left / 2}" y="{y}" fill="{ink}">fold {fold + 1}</text>')
    lines = (
        "a column: one split, one training, one run",
        "the five violet fields together: every slide is tested once",
        "all runs: the record",
    )
    for number, words in enumerate(lines):
        y = top + count * high + 46 + 20 * number
        parts.append(f'<text x="{middle}" y="{y}" fill="{ink}">{words}</text>')
    return svg(width, height, 'font-size="14" text-anchor="middle"', "Five folds: who is tested when", parts)


def found(width, left=126, right=58, step=25):
    """The accuracies by image, by slide and by number beside the paper's; an SVG as text.

    width: pixels. From results/breakhis-subset, the default reading.
    """
    table = tables.table4(records.named("breakhis-subset").predictions()).dropna(subset="accuracy")
    ink = "#333333"

    def across(percent):
        return round(left + (width - left - right) * (percent - 30) / 70, 1)

    parts, y = [], 40
    for magnification, rows in table.groupby(level="magnification"):
        parts.append(f'<text x="14" y="{y}" font-size="16" font-weight="600" fill="{ink}">x{magnification}</text>')
        paper, share = rows.paper.iloc[0], rows.majority.iloc[0]
        parts.append(f'<path d="M{across(share)} {y + 4}v{3 * step}" stroke="#6e6e73" stroke-dasharray="4 3"/>')
        diamond = f"M{across(paper)} {y - 13}l7 7l-7 7l-7-7z"
        parts.append(f'<path d="{diamond}" fill="{ink}"/>')
        parts.append(f'<text x="{width - 12}" y="{y}" text-anchor="end" fill="{ink}">{paper:.1f}</text>')
        parts.append(f'<text x="{left - 8}" y="{y}" text-anchor="end" fill="{ink}">paper</text>')
        for protocol, row in rows.droplevel("magnification").iterrows():
            y += step
            color = hexadecimal(ROSE if protocol == "image" else VIOLET)
            line = f"M{across(row.low)} {y - 5}H{across(row.high)}"
            parts.append(f'<path d="{line}" stroke="{color}" stroke-width="3"/>')
            parts.append(f'<circle cx="{across(row.accuracy)}" cy="{y - 5}" r="6" fill="{color}"/>')
            parts.append(f'<text x="{left - 8}" y="{y}" text-anchor="end" fill="{ink}">by {protocol}</text>')
            accuracy = f'font-weight="600" fill="{color}">{row.accuracy:.1f}'
            parts.append(f'<text x="{width - 12}" y="{y}" text-anchor="end" {accuracy}</text>')
        y += step + 20
    marks = []
    for percent in (40, 60, 80, 100):
        marks.append(f'<path d="M{across(percent)} 20V{y - 20}" stroke="#e2d8e8"/>')
        marks.append(f'<text x="{across(percent)}" y="{y}" text-anchor="middle" fill="{ink}">{percent}</text>')
    title = "Accuracy in percent: the paper's, and ours by image, by slide and by slide number"
    return svg(width, y + 16, 'font-size="14"', title, [*marks, *parts])


if __name__ == "__main__":
    cover().save(FOLDER / "cover.jpg", quality=82, optimize=True, progressive=True)
    (FOLDER / "journey.svg").write_text(journey(4))
    (FOLDER / "journey-narrow.svg").write_text(journey(2))
    (FOLDER / "folds.svg").write_text(folds())
    (FOLDER / "found.svg").write_text(found(760))
    (FOLDER / "found-narrow.svg").write_text(found(380))
    print("cover.jpg, journey.svg, folds.svg, found.svg and narrow ones drawn")
