"""The self-checks of the exercises: they tell right from wrong, and not what is right."""

import json
from importlib import resources

import numpy as np
import pytest

from breakhis_lib import check
from breakhis_lib.errors import InputError
from tests import checks
from tests.test_book import CHAPTERS

RATIO, WHOLE, NAMES, TRUTH = "ratio", "whole", "names", "truth"


@pytest.fixture(autouse=True)
def sealed(monkeypatch):
    answers = {
        RATIO: check.seal(RATIO, 4.53, "a number, to one decimal", 1),
        WHOLE: check.seal(WHOLE, 12, "a whole number", 0),
        NAMES: check.seal(NAMES, ["b", "A"], "a list of two letters"),
        TRUTH: check.seal(TRUTH, True, "True or False"),
    }
    monkeypatch.setattr(check, "_answers", lambda: answers)


@pytest.mark.parametrize(
    ("exercise", "value"),
    [(RATIO, 4.5), (RATIO, 4.6), (RATIO, np.float32(4.49)), (WHOLE, 12), (WHOLE, np.int64(12)), (NAMES, ("a", "B "))]
    + [(TRUTH, np.bool_(True))],
)
def test_a_right_answer_is_recognised(exercise, value, capsys):
    check.answer(exercise, value)
    assert capsys.readouterr().out == f"{exercise}: right.\n"


@pytest.mark.parametrize(
    ("exercise", "value"),
    [(RATIO, 4.3), (RATIO, -4.5), (RATIO, "4.5"), (RATIO, float("nan")), (RATIO, True), (WHOLE, 11), (WHOLE, [12])]
    + [(NAMES, ["a"]), (NAMES, 3), (TRUTH, False), (TRUTH, 1)],
)
def test_a_wrong_answer_is_told_what_kind_is_expected_and_no_more(exercise, value, capsys):
    check.answer(exercise, value)
    said = capsys.readouterr().out
    assert "right." not in said
    assert f"Expected: {check._answers()[exercise]['expected']}." in said


def test_no_answer_yet(capsys):
    check.answer(RATIO, ...)
    assert capsys.readouterr().out == "ratio: no answer yet. Expected: a number, to one decimal.\n"


def test_an_unknown_exercise_is_named():
    with pytest.raises(InputError, match="'ratoi' has no check"):
        check.answer("ratoi", 1)


def test_every_sealed_answer_is_asked_for_in_a_chapter_and_found_by_its_solution():
    sealed = json.loads(resources.files("breakhis_lib").joinpath("data/answers.json").read_text())
    asked, found = set(), set()
    for path in CHAPTERS:
        for cell in checks.read(path).code:
            outputs = " ".join("".join(output.get("text", "")) for output in cell["outputs"])
            source = "".join(cell["source"])
            asked |= {name for name in sealed if f'check.answer("{name}", ...)' in source}
            found |= {name for name in sealed if f"{name}: right." in outputs}
    assert asked == set(sealed)
    assert found == set(sealed)
