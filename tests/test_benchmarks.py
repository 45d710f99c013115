"""What benchmarks/README.md prints is what its scripts measured."""

import json
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parents[1] / "benchmarks"
WRITTEN = sorted(path.stem for path in HERE.glob("*.py") if "report.write(" in path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", WRITTEN)
def test_the_figures_of_the_readme_are_those_that_a_script_wrote(name, monkeypatch):
    monkeypatch.syspath_prepend(str(HERE))
    report = __import__("report")
    found = json.loads((HERE / f"{name}.json").read_text(encoding="utf-8"))
    assert report.section_of(name, found) in (HERE / "README.md").read_text(encoding="utf-8")
    del sys.modules["report"]
