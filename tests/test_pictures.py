"""The pictures say what they are given: counts, shares and names stand in them."""

import runpy

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from breakhis_lib.book import diagrams
from breakhis_lib.evaluation import figures
from tests.page_rules import ROOT


@pytest.fixture(autouse=True)
def closed_afterwards():
    yield
    plt.close("all")


def words(figure):
    return "\n".join(text.get_text() for axis in figure.axes for text in [*axis.texts, axis.title])


def test_a_confusion_matrix_shows_all_four_counts_in_proportion():
    figure = figures.confusion([[153, 38], [34, 478]], ["benign", "malignant"])
    shown = words(figure)
    for expected in ("153", "38", "34", "478", "191 benign", "512 malignant"):
        assert expected in shown
    areas = [bar.get_width() * bar.get_height() for bar in figure.axes[0].patches]
    assert np.allclose(np.array(areas) * 703, [153, 38, 478, 34])


def test_a_hundred_squares_are_a_hundred_and_as_many_violet_as_malignant():
    figure = figures.hundred_squares(pd.Series({"x40": 0.687}))
    figure.canvas.draw()
    colors = figure.axes[0].collections[0].get_facecolors()
    assert len(colors) == 100
    assert (colors == plt.matplotlib.colors.to_rgba(figures.MALIGNANT)).all(axis=1).sum() == 69
    assert "69 malignant" in words(figure)


def test_every_slide_has_its_stem():
    shares = pd.DataFrame({"label": [1, 0, 1], "correct": [1.0, 0.5, 0.0]})
    figure = figures.slides_correct(shares, ["benign", "malignant"])
    stems = [[bar.get_height() for bar in bars] for bars in figure.axes[0].containers]
    dots = [height for points in figure.axes[0].collections for _, height in points.get_offsets().tolist()]
    assert stems == [[0.5], [0.0, 1.0]] and dots == [0.5, 0.0, 1.0]
    assert "1 benign slides" in words(figure)


def test_pictures_keep_their_titles():
    assert words(figures.pictures([np.zeros((4, 6)), np.zeros((4, 6, 3), np.uint8)], ["one", "two"])) == "one\ntwo"


def test_a_module_shows_its_branches_and_its_shortcut():
    figure = diagrams.modules({"block": ([["3×3", "1×1"], []], "add")})
    assert words(figure).split("\n") == ["input", "add", "3×3", "1×1", "block"]
    assert len(figure.axes[0].lines) == 2


@pytest.mark.parametrize(
    ("file", "name", "given"), [("found", "found", [760]), ("found-narrow", "found", [380]), ("folds", "folds", [])]
)
def test_drawn_pictures_say_what_records_and_rules_say(file, name, given):
    drawn = runpy.run_path(str(ROOT / "_assets" / "draw.py"))[name](*given)
    assert (ROOT / "_assets" / f"{file}.svg").read_text() == drawn, "python _assets/draw.py draws it anew"
