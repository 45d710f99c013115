"""The validator itself: a good chapter passes, and each way of breaking one turns a check red."""

import configparser
import copy
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from tests import page_rules
from tests.page_rules import ROOT

SANITISE = ROOT / "tests" / "sanitise.cfg"
PLOT = """import matplotlib.pyplot as plt

heights = [1, 3, 2]
figure, axis = plt.subplots(figsize=(2, 2))
bars = axis.bar([0, 1, 2], heights)
print(heights)"""
ALT = "Three bars, of which the middle one is the highest, the left one the lowest."
PROSE = """# A chapter

See {numref}`fig-bars` {cite}`kim_yoon`. A {term}`slide` and {glue:text}`share`; slides again; $0.5$ and `0.25`."""


@pytest.fixture(scope="module")
def good():
    """A small notebook, executed, in which nothing is wrong."""
    figure = {"figure": {"caption": "Bars.", "name": "fig-bars"}, "image": {"alt": ALT}}
    glued = 'from myst_nb import glue\n\nglue("share", f"{2 / 3:.2f}", display=False)'
    notebook = new_notebook(
        cells=[
            new_markdown_cell(PROSE),
            new_code_cell('print(f"{2 / 3:.3f}")'),
            new_code_cell("object()"),
            new_code_cell(PLOT, metadata={"mystnb": figure}),
            new_code_cell(glued, metadata={"tags": ["remove-cell"]}),
        ]
    )
    return NotebookClient(notebook, timeout=60, record_timing=False).execute()


def plain(notebook):
    return page_rules.Page("chapter.ipynb", nbformat.from_dict(copy.deepcopy(notebook))["cells"])


def nbval(folder, sanitise=SANITISE):
    """Validate the notebooks of a folder as `make test` does; returns which of them failed."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", folder, "--nbval"]
    options = ["--nbval-current-env", "--nbval-sanitize-with", sanitise, "--junitxml", folder / "report.xml", folder]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    subprocess.run([*map(str, [*command, *options])], cwd=folder, env=environment, capture_output=True)
    cases = list(ElementTree.parse(folder / "report.xml").iter("testcase"))
    assert cases
    return {
        case.get("classname").removesuffix(".ipynb").split(".")[-1]
        for case in cases
        if case.find("failure") is not None
    }


def test_nbval_passes_a_good_chapter_and_fails_broken_ones(good, tmp_path):
    broken = {name: copy.deepcopy(good) for name in ("good", "number", "output", "plot", "glued")}
    broken["number"].cells[1].outputs[0].text = "0.668\n"
    broken["output"].cells[1].outputs = []
    broken["plot"].cells[3].source = PLOT.replace("[1, 3, 2]", "[3, 1, 2]")
    broken["glued"].cells[4].outputs[0].data["application/papermill.record/text/plain"] = "'0.68'"
    for name, notebook in broken.items():
        nbformat.write(notebook, tmp_path / f"{name}.ipynb")
    assert nbval(tmp_path) == {"number", "output", "plot", "glued"}


def test_nbval_fails_when_the_sanitise_rule_is_broken(good, tmp_path):
    nbformat.write(good, tmp_path / "good.ipynb")
    rules = tmp_path / "broken.cfg"
    rules.write_text(SANITISE.read_text(encoding="utf-8").replace("replace: MEMORY-ADDRESS", "replace:"))
    assert nbval(tmp_path, rules) == {"good"}


def test_every_sanitise_rule_is_used_and_rewrites_its_example():
    rules = configparser.ConfigParser()
    rules.read(SANITISE)
    examples = {"memory address": "<object at 0x7f30a1b2c3d0>"}
    assert set(rules.sections()) == set(examples)
    for name, example in examples.items():
        assert rules[name]["replace"]
        assert re.sub(rules[name]["regex"], rules[name]["replace"], example) != example


def test_a_good_chapter_has_no_problem(good):
    page = plain(good)
    assert [problem for check in page_rules.EVERY_PAGE for problem in check(page)] == []


def edit(change):
    """A breakage: a function that changes the cells of a copy of the good notebook."""

    def broken(notebook):
        page = plain(notebook)
        change(page.cells)
        return page

    return broken


def prose(old, new):
    def change(cells):
        assert old in cells[0]["source"]
        cells[0]["source"] = cells[0]["source"].replace(old, new)

    return edit(change)


def metadata(number, **values):
    return edit(lambda cells: cells[number]["metadata"].update(values))


FIGURE = {"caption": "Bars.", "name": "fig-bars"}
BREAKAGES = {
    "blank execution count": (edit(lambda cells: cells[1].update(execution_count=None)), "execution count None"),
    "unexecuted cell": (edit(lambda cells: cells[2].update(execution_count=None, outputs=[])), "execution count None"),
    "out of order": (edit(lambda cells: cells[1].update(execution_count=7)), "execution count 7"),
    "error": (
        edit(lambda cells: cells[1].update(outputs=[{"output_type": "error", "ename": "E", "evalue": ""}])),
        "ends in an error",
    ),
    "standard error": (
        edit(lambda cells: cells[1]["outputs"].append({"output_type": "stream", "name": "stderr", "text": "!"})),
        "standard error",
    ),
    "long cell": (edit(lambda cells: cells[1].update(source="1\n" * 26)), "26 lines"),
    "unknown tag": (metadata(1, tags=["hide-inptu"]), "unknown tag hide-inptu"),
    "unknown key": (metadata(3, mystnb={"figure": FIGURE, "image": {"alt": ALT, "atl": ""}}), "unknown image key atl"),
    "too many uncompared": (
        edit(lambda cells: [cell["metadata"].update(tags=["nbval-ignore-output"]) for cell in cells[1:]]),
        "4 cells go uncompared",
    ),
    "nothing asserted": (metadata(1, tags=["nbval-ignore-output"]), "asserts nothing"),
    "no caption": (metadata(3, mystnb={"figure": {"name": "fig-bars"}, "image": {"alt": ALT}}), "has no caption"),
    "no label": (metadata(3, mystnb={"figure": {"caption": "B"}, "image": {"alt": ALT}}), "has no label"),
    "no alt text": (metadata(3, mystnb={"figure": FIGURE}), "has no alt text"),
    "two outputs, one label": (
        edit(lambda cells: cells[3]["outputs"].append(cells[3]["outputs"][-1])),
        "shows something beside its figure",
    ),
    "no mention": (prose("See {numref}`fig-bars`", "See"), "nowhere referred to"),
    "numbers not shown": (
        edit(lambda cells: (cells[3].update(outputs=cells[3]["outputs"][1:]), cells[2].update(outputs=[]))),
        "neither printed nor asserted",
    ),
    "image without words": (prose("slides again", "![](a.png)"), "image a.png has no alt text"),
    "figure without words": (prose("slides again", "\n```{figure} a.png\nCaption\n```\n"), "no alt text"),
    "second first-level heading": (prose("See", "\n# Another\n\nSee"), "2 first-level headings"),
    "skipped level": (prose("See", "\n### Deep\n\nSee"), "skips a level"),
    "local path": (
        edit(lambda cells: cells[1]["outputs"][0].update(text="/home/someone/data\n")),
        "path of one machine",
    ),
    "citation without entry": (prose("kim_yoon", "kim_yoom"), "cites kim_yoom"),
    "typed decimal": (prose("slides again", "it is 0.97"), "types the number 0.97"),
    "typed percentage": (prose("slides again", "it is 97 %"), "types the number 97 %"),
    "term before its link": (prose("A {term}`slide`", "A slide, {term}`slide`"), "uses slide before"),
    "term without link": (prose("A {term}`slide`", "A slide"), "uses slide before"),
    "term without entry": (prose("{term}`slide`", "{term}`slyde`"), "slyde is not in the glossary"),
}


@pytest.mark.parametrize("name", BREAKAGES)
def test_a_broken_chapter_is_reported(good, name):
    broken, expected = BREAKAGES[name]
    page = broken(good)
    found = [problem for check in page_rules.EVERY_PAGE for problem in check(page)]
    assert any(expected in problem for problem in found), found


def test_a_chapter_out_of_shape_is_reported(good):
    found = "\n".join(page_rules.shape(plain(good)))
    for expected in ("sections", "objectives", "exercises", "quiz", "words", "code cells"):
        assert expected in found


def test_exercises_without_levels_or_self_checks_are_reported(good):
    page = plain(good)
    titles = [
        f"```{{exercise}} Count · {level}\n:label: ex-{name}\nHow many?\n```"
        for name, level in zip("abc", page_rules.LEVELS, strict=True)
    ]
    page.cells[0]["source"] += "\n\n" + "\n\n".join(titles)
    page.cells[1]["source"] = 'self_check.answer("ex-a", ...)'
    page.cells[2]["source"] = 'self_check.answer("ex-b", ...)'
    assert not any("one each of" in problem or "self-check" in problem for problem in page_rules.shape(page))
    page.cells[2]["source"] = "object()"
    assert "exercise ex-b has no self-check; expected a cell with self_check.answer" in page_rules.shape(page)
    page.cells[0]["source"] = page.cells[0]["source"].replace(" · easy", "")
    assert any("one each of easy" in problem for problem in page_rules.shape(page))
