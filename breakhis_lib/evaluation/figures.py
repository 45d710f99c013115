"""What the reader sees as pictures: images of slides, and measurements beside the paper's."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import seaborn
from matplotlib.colors import LinearSegmentedColormap
from sklearn.metrics import precision_recall_curve, roc_curve

from breakhis_lib.data import images
from breakhis_lib.evaluation import calibration
from breakhis_lib.evaluation.metrics import positive_probability
from breakhis_lib.files import whole

# Taken from the two stains, and told apart by readers who are colour-blind (contrast on white above 3 to 1).
MALIGNANT = "#5b3a8c"  # haematoxylin violet
BENIGN = "#c2477f"  # eosin rose
NUMBER = "#8a5a2b"  # the brown of immunohistochemistry
GREY = "#6e6e73"
STYLES = {  # of ways to split: colour, marker, and how far below the middle of a row
    "image": (BENIGN, "o", -0.24), "slide": (MALIGNANT, "s", 0),
    "number": (NUMBER, "^", 0.24), "official": (GREY, "v", 0.36),
}  # fmt: skip


def style():
    """Set the look of all figures that follow: no frame at the top and the right, and nothing that overlaps.

    Colours come in the order of the classes (benign, malignant) and of the ways to split (image, slide, number).
    """
    bare = {"axes.spines.top": False, "axes.spines.right": False, "legend.frameon": False, "figure.autolayout": True}
    seaborn.set_theme(style="ticks", palette=[BENIGN, MALIGNANT, NUMBER, GREY], font="DejaVu Sans", rc=bare)


def fields(table, titles, columns=4, width=10):
    """Show images of slides in a grid.

    table: fields, one row an image to show. titles: a text for each. columns: images a row. width: inches.
    Returns the matplotlib figure. Raises InputError as `images.read_image`.
    """
    return pictures([images.read_image(path) for path in table.path], titles, columns, width)


def _grid(count, columns, width, height, layout="tight"):
    """A figure for so many pictures, each of that height in widths, and its axes without ticks."""
    rows = -(-count // columns)
    size = (width, rows * width / columns * height)
    figure, axes = plt.subplots(rows, columns, figsize=size, squeeze=False, layout=layout)
    for axis in axes.flat:
        axis.axis("off")
    return figure, axes


def pictures(arrays, titles, columns=None, width=9):
    """Show arrays in a grid: colour images as they are, single channels in grey, more being darker.

    arrays: uint8 (height, width, 3) or float (height, width) each. titles: a text for each. columns: images a row,
    all of them unless told. width: inches. Returns the matplotlib figure.
    """
    height, breadth = arrays[0].shape[:2]
    figure, axes = _grid(len(arrays), columns or len(arrays), width, height / breadth + 0.12)
    for axis, array, title in zip(axes.flat, arrays, titles, strict=False):
        axis.imshow(array, cmap="Greys")
        axis.set_title(title, fontsize=10)
    return figure


def lines(table, **look):
    """Columns of a table as lines over its index, each with its name at its right end.

    table: data frame of numbers, its index rising; nan is left out. look: what `seaborn.relplot` takes, such as
    height (inches), marker and palette. Returns the matplotlib axes.
    """
    axis = seaborn.relplot(table, kind="line", aspect=1.5, estimator=None, dashes=False, legend=False, **look).ax
    for name, line in zip(table, axis.lines, strict=True):
        axis.text(table.index[-1], table[name].iloc[-1], f"  {name}", color=line.get_color(), va="center")
    return axis


def table4(table, width=7):
    """The paper's Table 4 and ours as dots with intervals, in percent, one row a magnification.

    table: what `tables.table4` returns. width: inches. Returns the matplotlib figure.
    """
    magnifications = list(table.index.unique("magnification"))
    figure, axis = plt.subplots(figsize=(width, 0.9 * len(magnifications) + 1))
    for place, magnification in enumerate(magnifications):
        rows = table.loc[magnification]
        axis.plot(rows.paper.iloc[0], place, "D", color="black", label="paper")
        for protocol, row in rows.dropna(subset="accuracy").iterrows():
            color, marker, shift = STYLES[protocol]
            axis.hlines(place + shift, row.low, row.high, color=color, linewidth=2)
            axis.plot(row.accuracy, place + shift, marker, color=color, label=f"ours, by {protocol}")
            axis.plot(row.majority, place + shift, "|", color=GREY, markersize=12, label="majority class")
    axis.set_yticks(range(len(magnifications)), [f"x{magnification}" for magnification in magnifications])
    axis.set(xlabel="test accuracy in percent (line: 95 % interval over slides)", ylim=(place + 0.6, -0.5))
    told = dict(zip(*reversed(axis.get_legend_handles_labels()), strict=True))
    axis.legend(told.values(), told, loc="upper center", bbox_to_anchor=(0.5, 1.2), ncols=5, fontsize=8)
    return figure


def hundred_squares(shares, width=8):
    """Shares as a hundred squares each, violet for malignant and rose for the rest.

    shares: series, name to share of malignant in [0, 1]. width: inches. Returns the matplotlib figure.
    """
    figure, axes = plt.subplots(1, len(shares), figsize=(width, width / len(shares) + 0.3), squeeze=False)
    look = {"cmap": [BENIGN, MALIGNANT], "vmin": 0, "vmax": 1, "linewidths": 2, "cbar": False, "square": True}
    for axis, (name, share) in zip(axes.flat, shares.items(), strict=True):
        squares = np.arange(100).reshape(10, 10) < round(100 * share)
        seaborn.heatmap(squares, ax=axis, xticklabels=False, yticklabels=False, **look)
        axis.set_title(f"{name}\n{squares.sum()} malignant", fontsize=11)
    return figure


def confusion(matrix, names, width=6):
    """A confusion matrix as areas: a column a true class, as wide as it is frequent, divided by the answers.

    matrix: (2, 2) counts, rows the truth and columns the answer, benign before malignant. names: of the two
    classes. width: inches. Returns the matplotlib figure.
    """
    matrix = np.asarray(matrix)
    figure, axis = plt.subplots(figsize=(width, 0.62 * width))
    left = 0.0
    for truth, color in enumerate((BENIGN, MALIGNANT)):
        share = matrix[truth].sum() / matrix.sum()
        right = matrix[truth, truth] / matrix[truth].sum()
        for bottom, height, answer in ((0, right, truth), (right, 1 - right, 1 - truth)):
            shade = 1.0 if answer == truth else 0.25
            axis.bar(left, height, share, bottom, align="edge", color=(color, shade), edgecolor="white", linewidth=2)
            words = f"{matrix[truth, answer]} called{chr(10) if height > 0.1 else ' '}{names[answer]}"
            ink = "white" if answer == truth else "black"
            axis.text(left + share / 2, bottom + height / 2, words, ha="center", va="center", color=ink, fontsize=10)
        axis.text(left + share / 2, 1.03, f"{matrix[truth].sum()} {names[truth]}", ha="center", color=color)
        left += share
    axis.set(xlim=(0, 1), ylim=(0, 1.1), ylabel="share of the class", xticks=[])
    axis.spines["bottom"].set_visible(False)
    return figure


def slides_correct(shares, names, width=7):
    """The share of correct images of every slide, a stem each, benign slides before malignant ones.

    shares: data frame, one row a slide, with label (0 benign, 1 malignant) and correct in [0, 1]. names: of the two
    classes. width: inches. Returns the matplotlib figure.
    """
    shares = shares.sort_values(["label", "correct"]).reset_index(drop=True)
    figure, axis = plt.subplots(figsize=(width, 0.42 * width))
    look = {"x": shares.index, "y": "correct", "hue": "label", "palette": {0: BENIGN, 1: MALIGNANT}, "legend": False}
    seaborn.barplot(shares, native_scale=True, width=len(shares) / 150, saturation=1, linewidth=0, **look)
    seaborn.stripplot(shares, native_scale=True, size=7, jitter=False, **look)
    for label, group in shares.groupby("label"):
        axis.text(group.index[0], 1.07, f"{len(group)} {names[label]} slides", color=look["palette"][label])
    axis.set(xlabel="test slides", ylabel="share of images correct", xticks=[], ylim=(-0.05, 1.2), yticks=[0, 0.5, 1])
    return figure


def activation_maps(maps, paths, titles, columns=3, width=9, name="malignant", beside=False):
    """Class-activation maps over their images, on one scale: violet where a place speaks for a class, rose against.

    maps: float arrays (h, w) of `activation_maps.class_activation`. paths: of their images. titles: a text for each.
    columns: pictures a row. width: inches. name: of the class. beside: whether the image as it is comes before each
    map. Returns the matplotlib figure. Raises InputError as `images.read_image`.
    """
    figure, axes = _grid(len(maps) * (1 + beside), columns, width, 0.8, "none")
    cells = iter(axes.flat)
    limit = max(np.abs(heatmap).max() for heatmap in maps)
    tint = LinearSegmentedColormap.from_list("stains", [BENIGN, "#ffffff", MALIGNANT])
    look = {"cmap": tint, "vmin": -limit, "vmax": limit, "alpha": 0.55, "interpolation": "bicubic"}
    for heatmap, path, title in zip(maps, paths, titles, strict=True):
        pixels = images.read_image(path)
        if beside:
            next(cells).imshow(pixels)
        axis = next(cells)
        place = (0, pixels.shape[1], pixels.shape[0], 0)
        axis.imshow(pixels.mean(axis=2), cmap="gray", extent=place)
        shown = axis.imshow(heatmap, extent=place, **look)
        axis.set_title(title, fontsize=10)
    figure.colorbar(shown, ax=axes, fraction=0.03, label=f"log odds of {name}")
    return figure


def write_answers(found, record, folder):
    """Write every prediction as a PNG: the image, its map, the probabilities, and what they may not be used for.

    found: of `experiment.predict`, with maps. record: Record. folder: made where it is missing; the files are called
    NAME-map-1.png and so on. Returns their paths. Raises InputError where one cannot be written.
    """
    classes, caution = record.info()["classes"], record.caution()
    paths = [folder / f"{Path(file).stem}-map-{number}.png" for number, file in enumerate(found.file, 1)]
    for path, (_, row) in zip(paths, found.iterrows(), strict=True):
        shares = ", ".join(f"{name} {row[name]:.4f}" for name in classes)
        figure = activation_maps([row["map"]], [row["file"]], [shares], 2, name=row["map of"], beside=True)
        figure.supxlabel(caution, fontsize=8, wrap=True)
        with whole(path) as partial:
            figure.savefig(partial, dpi=120, bbox_inches="tight")
        plt.close(figure)
    return paths


def curves(predictions, width=10):
    """ROC, precision-recall and reliability of test images, by image and by slide, all seeds of a protocol pooled.

    predictions: test rows of one magnification and reading, two classes, with the column protocol. width: inches.
    Returns the matplotlib figure.
    """
    figure, axes = plt.subplots(1, 3, figsize=(width, 0.36 * width))
    for protocol, rows in predictions.groupby("protocol"):
        color = STYLES[protocol][0]
        p = positive_probability(rows)
        axes[0].plot(*roc_curve(rows.label, p)[:2], color=color, label=f"by {protocol}")
        axes[1].plot(*precision_recall_curve(rows.label, p)[1::-1], color=color)
        name = p.name.removeprefix("p_")
        axes[2].plot("p", "malignant", "o-", data=calibration.reliability(rows.label, p), color=color, markersize=4)
    axes[0].plot([0, 1], [0, 1], ":", color=GREY)
    axes[1].axhline(predictions.label.mean(), linestyle=":", color=GREY)
    axes[2].plot([0, 1], [0, 1], ":", color=GREY)
    axes[0].set(xlabel="false alarms (1 - specificity)", ylabel=f"sensitivity ({name} found)", title="ROC")
    axes[1].set(xlabel="sensitivity (recall)", ylabel="precision", title="precision and recall", ylim=(0, 1.05))
    axes[2].set(xlabel=f"probability of {name}", ylabel=f"share {name}", title="reliability")
    axes[0].legend(loc="lower right")
    return figure
