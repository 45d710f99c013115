"""The pages as they are stored: executed, described, cited, linked, and true to the records."""

import json
import re

import pandas as pd
import pytest

from breakhis_lib.evaluation import records, tables
from tests import page_rules, site
from tests.page_rules import ROOT

PAGES = [site.source(name) for name in site.table_of_contents()]
CHAPTERS = [path for path in PAGES if path.suffix == ".ipynb"]
# How all cells begin whose output another machine may not repeat; each asserts what the text says of it.
UNCOMPARED = {
    "00_whole_journey": ["for protocol, result in trained.items():"],
    "02_convolution": ["runs = {\n    (protocol, seed): from_scratch("],
    "03_xception": ["module, layer = (8, (28, 28, 192))", "taken = {name: seconds("],
    "04_fine_tuning": ['grouped = results.groupby("method", sort=False)'],
    "06_experiment": ["here = records.versions()", 'tested = answers[answers.set == "test"]'],
    "08_conclusions": [
        'once = [("image", seed) for seed in range(5)]',
        "measured = {name: metrics.mean_accuracy(rows) for name, rows in of_films",
    ],
    "own_images": ['breakhis(\n    *("run"', "for slide in KEPT_APART:"],
}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_a_page_keeps_the_rules(path):
    assert page_rules.problems(path) == []


def test_every_chapter_is_in_the_table_of_contents():
    assert set(CHAPTERS) == set((ROOT / "chapters").glob("*.ipynb"))
    assert {path for path in PAGES if path.suffix == ".md"} == {*(ROOT / "chapters").glob("*.md"), ROOT / "intro.md"}


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_only_listed_cells_go_uncompared(path):
    cells = [cell for cell in page_rules.read(path).code if "nbval-ignore-output" in cell["metadata"].get("tags", [])]
    listed = UNCOMPARED.get(path.stem, [])
    assert len(cells) == len(listed)
    for cell, begin in zip(cells, listed, strict=True):
        assert "".join(cell["source"]).startswith(begin)


def test_the_template_of_a_chapter_keeps_every_rule_but_lengths():
    page = page_rules.read(ROOT / "tests" / "template" / "chapter.ipynb")
    problems = [problem for check in [*page_rules.EVERY_PAGE, page_rules.shape] for problem in check(page)]
    assert not [problem for problem in problems if not re.match(r"has \d+ (words|code cells)", problem)]


def test_the_run_time_page_knows_every_chapter():
    recorded = (ROOT / "benchmarks" / "chapters.csv").read_text(encoding="utf-8")
    for path in CHAPTERS:
        assert f"\n{path.name}," in recorded


def test_the_library_page_shows_every_module():
    text = (ROOT / "chapters" / "api.md").read_text(encoding="utf-8")
    package = ROOT / "breakhis_lib"
    names = (path.relative_to(package).with_suffix("") for path in package.rglob("[!_]*.py"))
    modules = {".".join(name.parts) for name in names} - {"cli", "console"}
    assert {line.split("breakhis_lib.")[1] for line in text.splitlines() if ".. automodule::" in line} == modules


def test_the_committed_record_backs_the_chapters():
    record = ROOT / "results" / "breakhis-subset"
    lines = (record / "predictions.csv").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "magnification,protocol,reading,seed,set,file,slide,label,p_malignant"
    info = json.loads((record / "run.json").read_text(encoding="utf-8"))
    assert len({(run["magnification"], run["protocol"]) for run in info["runs"]}) == 9
    assert set(info["data"]) == {str(run["magnification"]) for run in info["runs"]}
    counts = pd.read_csv(record / "predictions.csv").value_counts([*records.KEY, "set"])
    for run in info["runs"]:
        key = tuple(run[name] for name in records.KEY)
        assert all(counts[(*key, name)] == run["images"][name] for name in ("validation", "test")), key
    assert len(counts) == 2 * len(info["runs"])


def readme_rows(name):
    """The lines of a table of results in the README, computed from its record."""
    table = tables.table4(records.Record(ROOT / "results" / name).predictions())
    rows = []
    for (magnification, protocol), row in table.dropna(subset="accuracy").iterrows():
        figures = f"{row.accuracy:.1f} ({tables.interval(row.low, row.high)})"
        counts = f"{row.images:.0f} ({row.slides:.0f})"
        cells = [
            f"x{magnification}",
            f"{row.paper:.2f}",
            protocol,
            figures,
            f"{row.majority:.1f}",
            f"{row.runs:.0f}",
            counts,
        ]
        rows.append("| " + " | ".join(cells) + " |")
    return rows


@pytest.mark.parametrize(("name", "count"), [("breakhis-subset", 9), ("breakhis-subset/pooled", 9)])
def test_the_readme_prints_what_the_record_holds(name, count):
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    rows = readme_rows(name)
    assert len(rows) == count
    for row in rows:
        assert row in text


def test_a_quizs_right_answer_is_told_by_neither_place_nor_length():
    places, longest = [], 0
    for path in sorted((ROOT / "chapters" / "quiz").glob("*.json")):
        for question in json.loads(path.read_text(encoding="utf-8")):
            right = [place for place, answer in enumerate(question["answers"]) if answer["correct"]]
            lengths = [len(answer["answer"]) for answer in question["answers"]]
            if question["type"] == "multiple_choice":
                places += right
                longest += lengths[right[0]] == max(lengths)
    assert len(places) > 20
    assert max(map(places.count, places)) < 0.45 * len(places)
    assert longest < 0.45 * len(places)
