"""What the reader sees as pictures: images of slides, and measurements beside the paper's."""

import matplotlib.pyplot as plt

from breakhis_lib import images

# Taken from the two stains, and told apart by readers who are colour-blind (contrast on white above 3 to 1).
MALIGNANT = "#5b3a8c"  # haematoxylin violet
BENIGN = "#c2477f"  # eosin rose
GREY = "#6e6e73"


def fields(table, titles, columns=4, width=10):
    """Show images of slides in a grid.

    table: fields, one row an image to show. titles: a text for each. columns: images a row. width: inches.
    Returns the matplotlib figure. Raises InputError as `images.read_image`.
    """
    rows = -(-len(table) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(width, rows * width / columns * 0.78), squeeze=False)
    for axis in axes.flat:
        axis.axis("off")
    for axis, path, title in zip(axes.flat, table.path, titles, strict=False):
        axis.imshow(images.read_image(path))
        axis.set_title(title, fontsize=9)
    figure.tight_layout()
    return figure


def table4(table, width=7):
    """The paper's Table 4 and ours as dots with intervals, in percent, one row a magnification.

    table: what `tables.table4` returns. width: inches. Returns the matplotlib figure.
    """
    magnifications = list(table.index.unique("magnification"))
    figure, axis = plt.subplots(figsize=(width, 0.9 * len(magnifications) + 1))
    styles = {"image": (BENIGN, "o", -0.18), "slide": (MALIGNANT, "s", 0.18)}
    for place, magnification in enumerate(magnifications):
        rows = table.loc[magnification]
        axis.plot(rows.paper.iloc[0], place, "D", color="black", label="paper, by image" if place == 0 else None)
        for protocol, (color, marker, shift) in styles.items():
            if protocol not in rows.index:
                continue
            row = rows.loc[protocol]
            axis.hlines(place + shift, row.low, row.high, color=color, linewidth=2)
            axis.plot(row.accuracy, place + shift, marker, color=color, label=_once(axis, f"ours, by {protocol}"))
            axis.plot(row.majority, place + shift, "|", color=GREY, markersize=12, label=_once(axis, "majority class"))
    axis.set_yticks(range(len(magnifications)), [f"x{magnification}" for magnification in magnifications])
    axis.invert_yaxis()
    axis.set_xlabel("test accuracy in percent (line: 95 % interval over slides)")
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(loc="upper center", bbox_to_anchor=(0.5, 1.2), ncols=4, frameon=False, fontsize=8)
    figure.tight_layout()
    return figure


def _once(axis, label):
    """A label for the legend the first time, None after that."""
    return None if label in axis.get_legend_handles_labels()[1] else label
