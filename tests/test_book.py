"""The chapters as they are stored: executed, in order, without errors, with words for every picture."""

import configparser
import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CHAPTERS = sorted((ROOT / "chapters").glob("*.ipynb"))
BUDGET = 2  # cells of a chapter whose output may go unchecked


def code_cells(path):
    cells = json.loads(path.read_text())["cells"]
    return [cell for cell in cells if cell["cell_type"] == "code" and "".join(cell["source"]).strip()]


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
def test_chapter_is_executed_in_order_without_errors(chapter):
    cells = code_cells(chapter)
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    kinds = {output["output_type"] for cell in cells for output in cell["outputs"]}
    assert "error" not in kinds
    streams = [output for cell in cells for output in cell["outputs"] if output.get("name") == "stderr"]
    assert not streams, "a chapter prints nothing to standard error"


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
def test_every_picture_has_caption_label_and_words(chapter):
    for cell in code_cells(chapter):
        if any("image/png" in output.get("data", {}) for output in cell["outputs"]):
            shown = cell["metadata"]["mystnb"]
            assert shown["figure"]["caption"]
            assert shown["figure"]["name"].startswith("fig-")
            assert len(shown["image"]["alt"]) > 40


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
def test_cells_are_short_and_few_go_unchecked(chapter):
    cells = code_cells(chapter)
    assert max(len("".join(cell["source"]).splitlines()) for cell in cells) <= 25
    assert sum("nbval-ignore-output" in cell["metadata"].get("tags", []) for cell in cells) <= BUDGET


def test_every_sanitise_rule_applies():
    rules = configparser.ConfigParser()
    rules.read(ROOT / "tests" / "sanitise.cfg")
    examples = {"memory address": "<object at 0x7f30a1b2c3d0>"}
    assert set(rules.sections()) == set(examples)
    for name, example in examples.items():
        assert re.sub(rules[name]["regex"], rules[name]["replace"], example) != example


def test_the_committed_record_backs_the_chapters():
    record = ROOT / "results" / "breakhis-subset"
    lines = (record / "predictions.csv").read_text().splitlines()
    assert lines[0] == "magnification,protocol,reading,seed,set,file,slide,label,p_malignant"
    info = json.loads((record / "run.json").read_text())
    assert len({(run["magnification"], run["protocol"]) for run in info["runs"]}) == 6


def readme_rows():
    """The lines of the README's table of results, computed from the record."""
    from breakhis_lib import records, tables

    table = tables.table4(records.Record(ROOT / "results" / "breakhis-subset").predictions())
    rows = []
    for (magnification, protocol), row in table.dropna(subset="accuracy").iterrows():
        figures = f"{row.accuracy:.1f} ({row.low:.1f} to {row.high:.1f})"
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


def test_the_readme_prints_what_the_record_holds():
    text = (ROOT / "README.md").read_text()
    rows = readme_rows()
    assert len(rows) == 6
    for row in rows:
        assert row in text
