"""The page for instructors: every objective, section, exercise and question of every chapter has its place there."""

import json
import re

import pytest

from tests import page_rules
from tests.page_rules import ROOT

GUIDE = (ROOT / "chapters" / "instructors.md").read_text(encoding="utf-8")
CHAPTERS = sorted((ROOT / "chapters").glob("0[1-8]_*.ipynb"))


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_the_guide_covers_a_chapter_whole(path):
    number = int(path.stem[:2])
    part = re.split(r"^### Chapter \d+:", GUIDE, flags=re.MULTILINE)[number].split("\n## ")[0]
    rows = [[cell.strip() for cell in row.split("|")[1:-1]] for row in re.findall(r"^\|.*\|$", part, re.MULTILINE)][2:]
    prose = page_rules.read(path).markdown
    box = prose.split("```{admonition}")[1].split("*You need*")[0]
    verbs = [re.search(r"\*\*(\w+)", line)[1] for line in re.findall(r"^- .*$", box, re.MULTILINE)]
    assert [row[0].split()[0] for row in rows] == verbs
    titles = re.findall(r"^## (.+)$", prose, re.MULTILINE)
    sections = {f"§{number}.{place}" for place in range(1, titles.index("What the paper leaves open") + 1)}
    assert sections == set(re.findall(r"§[\d.]+\d", " ".join(row[1] for row in rows)))
    assert set(re.findall(r"\d", " ".join(row[2] for row in rows))) == {"1", "2", "3"}
    quiz = json.loads((ROOT / "chapters" / "quiz" / f"{number:02}.json").read_text(encoding="utf-8"))
    asked = set(re.findall(r"\d", " ".join(row[3] for row in rows)))
    assert asked == {str(place) for place in range(1, len(quiz) + 1)}
    for word in ("*Aim*", "*If time is short*", "*Begin*", "*Goes wrong*", "*Discuss*", "*Listen for*"):
        assert word in part
