"""The self-checks of the exercises: they tell right from wrong, and not what is right."""

import json
import re
from importlib import resources

import numpy as np
import pytest

from breakhis_lib.book import self_check
from breakhis_lib.errors import InputError
from tests import page_rules
from tests.page_rules import ROOT
from tests.test_book import CHAPTERS

RATIO, WHOLE, NAMES, TRUTH = "ratio", "whole", "names", "truth"


@pytest.fixture(autouse=True)
def sealed(monkeypatch):
    answers = {
        RATIO: self_check.seal(RATIO, 4.53, "a number, to one decimal", 1),
        WHOLE: self_check.seal(WHOLE, 12, "a whole number", 0),
        NAMES: self_check.seal(NAMES, ["b", "A"], "a list of two letters"),
        TRUTH: self_check.seal(TRUTH, True, "True or False"),
    }
    monkeypatch.setattr(self_check, "_answers", lambda: answers)


@pytest.mark.parametrize(
    ("exercise", "value"),
    [(RATIO, 4.5), (RATIO, 4.6), (RATIO, np.float32(4.49)), (WHOLE, 12), (WHOLE, np.int64(12)), (NAMES, ("a", "B "))]
    + [(TRUTH, np.bool_(True))],
)
def test_a_right_answer_is_recognised(exercise, value, capsys):
    self_check.answer(exercise, value)
    assert capsys.readouterr().out.endswith(" is right.\n")


def test_a_right_answer_is_said_again_so_that_readers_of_the_page_see_it(capsys):
    for exercise, value in ((RATIO, 4.532), (NAMES, ["b", "A"])):
        self_check.answer(exercise, value)
    assert capsys.readouterr().out == "ratio: 4.5 is right.\nnames: a, b is right.\n"


@pytest.mark.parametrize(
    ("exercise", "value"),
    [(RATIO, 4.3), (RATIO, -4.5), (RATIO, "4.5"), (RATIO, float("nan")), (RATIO, True), (WHOLE, 11), (WHOLE, [12])]
    + [(NAMES, ["a"]), (NAMES, 3), (TRUTH, False), (TRUTH, 1)],
)
def test_a_wrong_answer_is_told_what_kind_is_expected_and_no_more(exercise, value, capsys):
    self_check.answer(exercise, value)
    said = capsys.readouterr().out
    assert "right" not in said
    assert f"Expected: {self_check._answers()[exercise]['expected']}." in said


def test_no_answer_yet(capsys):
    self_check.answer(RATIO, ...)
    assert capsys.readouterr().out == "ratio: no answer yet. Expected: a number, to one decimal.\n"


def test_an_unknown_exercise_is_named():
    with pytest.raises(InputError, match="'ratoi' has no check"):
        self_check.answer("ratoi", 1)


def test_every_sealed_answer_is_asked_for_in_a_chapter_and_found_by_its_solution():
    sealed = json.loads(resources.files("breakhis_lib.book").joinpath("answers.json").read_text(encoding="utf-8"))
    asked, found = set(), set()
    for path in [*CHAPTERS, ROOT / "tests" / "template" / "chapter.ipynb"]:
        for cell in page_rules.read(path).code:
            outputs = " ".join("".join(output.get("text", "")) for output in cell["outputs"])
            source = "".join(cell["source"])
            asked |= {name for name in sealed if f'self_check.answer("{name}", ...)' in source}
            found |= {name for name in sealed if re.search(f"{name}: .+ is right[.]", outputs)}
    assert asked == set(sealed)
    assert found == set(sealed)
