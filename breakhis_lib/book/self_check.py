"""Is my answer right? Self-checks of the exercises, which know an answer without showing it.

data/answers.json holds, for each exercise, what kind of answer is expected and the SHA-256 of the right one. A number
is compared at a stated number of decimals, and one step of the last of them is forgiven.
"""

import functools
import hashlib
import json
import math
import numbers
from decimal import ROUND_HALF_EVEN, Decimal
from importlib import resources

from breakhis_lib.errors import InputError


def answer(exercise, value=...):
    """Print whether an answer is right.

    exercise: the label of an exercise, such as ch1-ex-ratio. value: a number, a truth value, a word, or a list of words
    in any order; an ellipsis, as the chapters have it, stands for no answer yet. Raises InputError for an exercise
    that has no check.
    """
    known = _answers()
    if exercise not in known:
        raise InputError(f"exercise {exercise!r} has no check; those that have one: {', '.join(sorted(known))}.")
    expected = known[exercise]
    if value is ...:
        print(f"{exercise}: no answer yet. Expected: {expected['expected']}.")
        return
    tries = _forms(value, expected["decimals"])
    if not tries:
        print(f"{exercise}: that is {type(value).__name__} {value!r}. Expected: {expected['expected']}.")
    elif any(_sealed(exercise, form) == expected["sha256"] for form in tries):
        print(f"{exercise}: {tries[0]} is right.")
    else:
        print(f"{exercise}: not yet. Expected: {expected['expected']}.")


def seal(exercise, value, expected, decimals=None):
    """The entry of an exercise in data/answers.json, for authors.

    value: the right answer. expected: what kind of answer that is, in words, shown to the student. decimals: how many
    are compared, for a number; None for anything else.
    """
    return {"expected": expected, "decimals": decimals, "sha256": _sealed(exercise, _forms(value, decimals)[0])}


@functools.cache
def _answers():
    return json.loads(resources.files(__package__).joinpath("answers.json").read_text(encoding="utf-8"))


def _forms(value, decimals):
    """How an answer may be written so that it still counts, the plainest first; none where its kind is wrong."""
    if hasattr(value, "item") and getattr(value, "size", 1) == 1:  # a NumPy or pandas scalar
        value = value.item()
    is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if decimals is not None:
        if not is_number or not math.isfinite(value):
            return []
        step = Decimal(1).scaleb(-decimals)
        rounded = Decimal(repr(float(value))).quantize(step, ROUND_HALF_EVEN)
        near = [rounded] if decimals == 0 else [rounded, rounded - step, rounded + step]
        return [str(form + 0) for form in near]  # + 0: no negative zero
    if is_number:
        return []
    if isinstance(value, bool | str):
        return [str(value).strip().lower()]
    try:
        return [", ".join(sorted(str(part).strip().lower() for part in value))]
    except TypeError:
        return []


def _sealed(exercise, form):
    return hashlib.sha256(f"{exercise}: {form}".encode()).hexdigest()
