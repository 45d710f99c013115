"""Drawings of how a network works: how its modules are wired."""

import matplotlib.pyplot as plt

from breakhis_lib.evaluation.figures import BENIGN, GREY, MALIGNANT

STYLE = {"boxstyle": "round,pad=0.35", "linewidth": 1.2}


def modules(drawn, width=9):
    """Modules side by side, each as branches between an input below and a join above.

    drawn: dictionary, title to (branches, join): branches is a list of lists of labels, from the input upwards (an
    empty list is a shortcut), join the label at the top. width: inches. Returns the matplotlib figure.
    """
    shares = [len(branches) + 0.5 for branches, _ in drawn.values()]
    figure, axes = plt.subplots(
        1, len(drawn), figsize=(width, 0.42 * width), width_ratios=shares, squeeze=False, layout="constrained"
    )
    for axis, (title, (branches, join)) in zip(axes.flat, drawn.items(), strict=True):
        _module(axis, branches, join)
        axis.set_title(title, fontsize=11)
    return figure


def _module(axis, branches, join):
    middle, top = (len(branches) - 1) / 2, max(map(len, branches)) + 1
    _box(axis, middle, 0, "input", GREY)
    _box(axis, middle, top, join, GREY)
    for place, labels in enumerate(branches):
        points = [(middle, 0), (place, 0.8), (place, top - 0.8), (middle, top)]  # beside the other branches' boxes
        axis.plot(*zip(*points, strict=True), color=GREY, linewidth=1.5, zorder=0)
        for height, label in enumerate(labels, 1):
            _box(axis, place, height, label, BENIGN if label.startswith("1×1") else MALIGNANT)
    axis.set(xlim=(-0.7, len(branches) - 0.3), ylim=(-0.5, top + 0.5))
    axis.axis("off")


def _box(axis, x, y, label, color):
    box = {**STYLE, "facecolor": "white", "edgecolor": color}
    axis.text(x, y, label, ha="center", va="center", fontsize=9, color=color, bbox=box)
