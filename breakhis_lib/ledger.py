"""A ledger of a paper's claims: what it says, what was measured or found, and a verdict by rule. For any paper.

One text file in TOML holds the claims; `chapters/redo/my_paper.toml` is one to start from. At its top stand `title` and
`source` of the paper and, if wanted, `evidence`: the name of a CSV file beside it. `[summary]` has the words under each
heading of the summary that the Machine Learning Reproducibility Challenge asks for (`SUMMARY`), `[kinds.NAME]` what all
claims of a kind share, and each `[[claims]]` one claim:

- `key`, `place`, `claim`, `kind`, `weight`: its name, where the paper says it, what it says in your words, a kind that
  you name, and one of `WEIGHTS`;
- `value` and `margin`: the paper's number, and how far off still counts as the same, stated before you measure;
- `evidence`: the name of its evidence, where that is not its key;
- `finding`, `data`, `page`: what was measured or found, on what, and a link; `{value:.1f}` fills in evidence;
- `verdict`: one of `VERDICTS` where you judge, and then the finding gives the grounds.
"""

import tomllib
from importlib import resources
from pathlib import Path
from typing import NamedTuple

import jinja2
import pandas as pd

from breakhis_lib.errors import InputError

VERDICTS = ("reproduced", "done alike", "partly", "undecided", "not reproduced", "cannot be tested here")
YES, ALIKE, PARTLY, OPEN, NO, UNTESTED = VERDICTS
WEIGHTS = ("central", "supporting", "detail")
SUMMARY = (
    *("scope of reproducibility", "methodology", "results", "what was easy", "what was difficult"),
    "communication with original authors",
)
NEEDED = ("key", "place", "claim", "kind", "weight", "finding")
FIELDS = (*NEEDED, "value", "margin", "evidence", "data", "page", "verdict")
COLUMNS = ["key", "place", "claim", "kind", "weight", "value", "margin", "measured", "data", "verdict", "page"]


class Ledger(NamedTuple):
    """A paper's ledger.

    title, source: of the paper. summary: words, by headings of `SUMMARY`. rows: a data frame, one row a claim in the
    file's order, index key, columns place, claim, kind, weight, value, margin, measured, data, verdict and page.
    """

    title: str
    source: str
    summary: dict
    rows: pd.DataFrame

    def counts(self):
        """How many claims of each weight (rows) have each verdict (columns)."""
        table = pd.crosstab(self.rows.weight, self.rows.verdict)
        return table.reindex(index=WEIGHTS, columns=VERDICTS, fill_value=0)


def by_margin(paper, margin, low, high):
    """The verdict on a number: reproduced where the whole interval lies within the margin of the paper's figure.

    All in the paper's unit; low and high are both the measured value where it has no interval. Returns "not reproduced"
    where the interval lies wholly beyond the margin, "undecided" where it reaches both within and beyond, or is nan.
    """
    margin += 1e-9  # to a computer, 95.4 is more than 0.1 away from 95.3
    farthest, nearest = max(high - paper, paper - low), max(low - paper, paper - high)
    return YES if farthest <= margin else NO if nearest > margin else OPEN


def by_checks(checks):
    """The verdict on yes-or-no checks: reproduced where all hold, partly where some do, else not reproduced."""
    return YES if all(checks) else PARTLY if any(checks) else NO


def read(path, evidence=None):
    """Read a file of claims and decide on each.

    path: of a TOML file, written as this module describes. evidence: a dict, name to a dict of what was measured:
    value, with low and high where it has an interval; or a verdict, from `by_checks`; and what else a finding fills in.
    It goes before the file's own table, which has the names in its column key, and the same in its other columns.
    Returns a Ledger. Raises InputError, with file and claim, for what is missing, doubled, unknown or contradictory.
    """
    path = Path(path)
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as problem:
        raise InputError(f"{path} cannot be read: {problem}. Expected a text file in TOML, in UTF-8.") from None
    if missing := [name for name in ("title", "source", "claims") if not content.get(name)]:
        raise InputError(f"{path}: {missing[0]} is missing; expected title and source of the paper, and [[claims]].")
    if unknown := set(content.get("summary", {})) - set(SUMMARY):
        raise InputError(f"{path}, summary: {min(unknown)!r} is not known; expected {', '.join(SUMMARY)}.")
    evidence = {**(_table(path.parent / content["evidence"]) if "evidence" in content else {}), **(evidence or {})}
    rows = {}
    for given in content["claims"]:
        claim = {**content.get("kinds", {}).get(given.get("kind"), {}), **given}
        key = claim.get("key")
        for problem in _problems(claim, evidence, rows):
            raise InputError(f"{path}, claim {key!r}: {problem}")
        rows[key] = _decided(claim, evidence.get(claim.get("evidence", key), {}))
    rows = pd.DataFrame(rows.values(), columns=COLUMNS).set_index("key")
    return Ledger(content["title"], content["source"], content.get("summary", {}), rows)


def _table(path):
    """The rows of a CSV file of evidence, by key, each without its empty cells."""
    try:
        rows = pd.read_csv(path, index_col="key")
    except (OSError, ValueError) as problem:
        raise InputError(f"{path} cannot be read: {problem}. Expected a CSV file with a column key.") from None
    if rows.index.has_duplicates:
        doubled = rows.index[rows.index.duplicated()][0]
        raise InputError(f"{path}: the key {doubled!r} is there twice; expected one row for each.")
    return {key: row.dropna().to_dict() for key, row in rows.astype(object).iterrows()}


def _problems(claim, evidence, before):
    """What is wrong with a claim, in words. Each looks further only because what is asked earlier is in order."""
    yield from (f"{name} is missing; expected {', '.join(NEEDED)}." for name in NEEDED if not claim.get(name))
    yield from (f"{name!r} is not known; expected {', '.join(FIELDS)}." for name in claim if name not in FIELDS)
    if claim["key"] in before:
        yield "the key is there twice; give every claim a key of its own."
    name = claim.get("evidence", claim["key"])
    if "evidence" in claim and name not in evidence:
        yield f"there is no evidence {name!r}; expected one of {', '.join(evidence) or 'none'}."
    found = evidence.get(name, {})
    words = [(claim["weight"], WEIGHTS), *((part["verdict"], VERDICTS) for part in (claim, found) if "verdict" in part)]
    yield from (f"{word!r} is none of those expected: {', '.join(ones)}." for word, ones in words if word not in ones)
    if "margin" in claim:
        value = found.get("value")
        numbers = {"the paper's value": claim.get("value"), "margin": claim["margin"], "the evidence's value": value}
        numbers |= {end: found.get(end, value) for end in ("low", "high")}
        for what, number in numbers.items():
            if number is None or isinstance(number, str | bool):
                yield f"beside a margin {what} is {'missing' if number is None else number}; expected a number."
        if numbers["low"] > numbers["high"] or claim["margin"] < 0:
            yield f"it compares {numbers}; expected low not above high, and a margin not below 0."
    if (grounds := len(words) - 1 + ("margin" in claim)) != 1:
        yield (
            f"it has {grounds} grounds for a verdict; expected one: a margin and evidence with a value, or evidence "
            "with a verdict, or a verdict of your own whose grounds are the finding."
        )
    try:
        _decided(claim, found)
    except (LookupError, ValueError) as problem:
        yield f"{problem} cannot be filled in; the evidence has {', '.join(found) or 'nothing'}."


def _decided(claim, found):
    """The row of a claim in which nothing is wrong."""
    measured, data = (claim.get(name, "none").format(**found) for name in ("finding", "data"))
    ends = [found.get(end, found.get("value")) for end in ("low", "high")]
    verdict = by_margin(claim["value"], claim["margin"], *ends) if "margin" in claim else {**claim, **found}["verdict"]
    return {"page": "", **claim, "measured": measured, "data": data, "verdict": verdict}


def as_html(ledger, part="page"):
    """A ledger for a browser: a page of its own, or for a notebook its "summary" or its "rows" alone."""
    source = resources.files(__package__).joinpath("ledger.html").read_text(encoding="utf-8")
    template = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(source)
    return template.render(ledger=ledger, part=part, headings=SUMMARY, verdicts=VERDICTS)
