"""The split laboratory: its features are Xception's, and the page's script finds what Python finds."""

import runpy

import nbformat
import pandas as pd
import pytest

from breakhis_lib import cache, practice
from breakhis_lib.data import dataset
from tests import site
from tests.page_rules import ROOT
from tests.site import needs_book, needs_browser

CHAPTERS = ROOT / "chapters"
PAGE = site.BUILT / "chapters" / "split_laboratory.html"


@pytest.mark.weights
def test_the_features_that_are_shipped_are_those_of_the_practice_slides(weights_file, monkeypatch, tmp_path):
    fields = dataset.scan(practice.make(cache.folder() / "practice"))
    monkeypatch.setenv("BREAKHIS_WEIGHTS", str(weights_file))
    monkeypatch.setenv("BREAKHIS_CACHE", str(tmp_path))
    some = fields.iloc[5::70].reset_index(drop=True)
    found = runpy.run_path(str(CHAPTERS / "laboratory" / "make.py"))["table"](some)
    shipped = pd.read_csv(CHAPTERS / "laboratory" / "features.csv", index_col="file")
    assert set(shipped.index) == set(fields.file)
    assert abs(shipped.loc[found.index].to_numpy() - found.to_numpy()).max() <= 2  # hundredths


@pytest.fixture(scope="module")
def python():
    """What the page's Python finds: its names, after its cells were run."""
    names = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(CHAPTERS)
        for cell in nbformat.read("split_laboratory.ipynb", 4).cells[:4]:
            if cell.cell_type == "code":
                exec(cell.source, names)
    return names


@needs_browser
@needs_book
def test_the_page_finds_what_python_finds(python):
    with site.opened(PAGE) as page:
        for training in python["trainings"]:
            page.get_by_label("Train on").select_option(training)
            for draw in range(python["DRAWS"]):
                for protocol in python["PROTOCOLS"]:
                    shown = page.locator(f"[data-row={protocol}] td").all_inner_texts()
                    one = python["found"][training, protocol][draw]
                    share, mean = 100 * (one["right"] / one["tested"]), python["means"][training, protocol]
                    expected = [one["tested"], *one["seen"], int(share + 0.5), int(mean + 0.5)]
                    assert shown == [str(value) for value in expected], (training, draw, protocol)
                page.get_by_role("button").get_by_text("Draw another split").click()


@needs_browser
@needs_book
def test_keys_choose_a_split_and_draw_it_and_marks_are_its_images(python):
    with site.opened(PAGE) as page:
        page.get_by_label("by image").focus()
        page.keyboard.press("ArrowDown")
        page.get_by_text("Draw another split").focus()
        page.keyboard.press("Enter")
        one = python["found"]["x200", "slide"][1]
        assert (
            f"By slide, x200, draw 2: {one['right']} of {one['tested']}"
            in page.locator("#laboratory output").inner_text()
        )
        counts = {
            name: page.locator(f"[data-map] .{name}").count() for name in ("train", "validation", "test", "wrong")
        }
        sets = one["sets"].value_counts()
        assert counts == {**sets[["train", "validation"]], "test": one["right"], "wrong": one["tested"] - one["right"]}
