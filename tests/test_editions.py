"""The editions for a class: nothing of a solution in the one, every solution in the other, and both run."""

import json
import re

import nbformat
import pytest
from nbclient import NotebookClient

from teaching import editions
from tests.page_rules import ROOT

CHAPTERS = sorted((ROOT / "chapters").glob("0[1-8]_*.ipynb"))


def edition(name, path):
    notebook = nbformat.read(path, as_version=4)
    quiz = ROOT / "chapters" / "quiz" / f"{path.stem[:2]}.json"
    return getattr(editions, name)(notebook, quiz)


def solved(path):
    """What stands between the borders of solutions, by a count of lines instead of a split of cells."""
    inside, lines = False, []
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        for line in "".join(cell["source"]).splitlines():
            if "{solution-" in line:
                inside = "{solution-start}" in line
            elif inside and len(line) > 30 and not line.startswith(("```", ":class:")):
                lines.append(line)
    return lines


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_students_get_all_but_the_solutions_and_teachers_get_these(path):
    own = "\n".join(cell.source for cell in edition("student", path))
    theirs = "\n".join(cell.source for cell in edition("solutions", path))
    lines = solved(path)
    assert len(lines) > 5
    assert not [line for line in lines if line in own]
    assert all(line in theirs for line in lines)
    assert own.count("{exercise}") == 3 == theirs.count("**Solution**")
    assert own.count("self_check.answer(") == 2 == own.count(editions.ASKED) and own.count("...)") >= 2
    assert "display_quiz" not in own
    for item in json.loads((ROOT / "chapters" / "quiz" / f"{path.stem[:2]}.json").read_text(encoding="utf-8")):
        assert item["question"] in own and all(choice["answer"] in own for choice in item["answers"])
        assert not any(choice["feedback"] in own for choice in item["answers"])
        for choice in item["answers"]:
            assert (f"   - {choice['answer']}\n" in f"{theirs}\n") == choice["correct"], choice


@pytest.mark.parametrize("name", ["student", "solutions"])
def test_an_edition_runs(name):
    path = ROOT / "chapters" / "01_missed_cancer.ipynb"
    notebook = nbformat.v4.new_notebook(cells=edition(name, path))
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(path.parent)}}).execute()
    printed = "".join(output.get("text", "") for cell in notebook.cells for output in cell.get("outputs", []))
    assert ("is right" in printed) == (name == "solutions")
    assert len(re.findall("no answer yet", printed)) == 2


def test_what_the_notebooks_read_lies_beside_them(tmp_path):
    editions.write("student", tmp_path / "student")
    paths = sorted((tmp_path / "student" / "chapters").glob("*.ipynb"))
    assert len(paths) == 9
    read = {name for path in paths for name in re.findall(r"\.\./[\w/]+\.\w+", path.read_text(encoding="utf-8"))}
    assert read and all((paths[0].parent / name).exists() for name in read if "_assets" not in name), read
