"""The claim ledger: what the paper says, row by row, and what this course measured or found."""

from html import escape
from importlib import resources

import pandas as pd

from breakhis_lib import paper
from breakhis_lib.book.claims import EVIDENCE, NO_DATA, VERDICTS, Finding

PLACES = (
    *("abstract", "section 1", "section 2", "Table 1", "section 3", "section 4", "Figure 1"),
    *("Table 2", "section 5", "Table 3", "Table 4", "section 6"),
)


def claims():
    """Everything that the paper says, in its order: a data frame, index key, columns place and claim."""
    rows = pd.concat([paper.sentences(), paper.numbers()])[["place", "claim"]]
    return rows.sort_values("place", key=lambda column: column.map(PLACES.index), kind="stable")


def table():
    """The ledger: one row a claim, in the paper's order.

    Returns a data frame, index key, columns place, claim, measured, data, verdict (of `claims.VERDICTS`) and page.
    Raises InputError where a record that a claim needs is missing, KeyError for a claim without evidence.
    """
    rows = claims()
    found = [EVIDENCE[key if key in EVIDENCE else key.split("-")[0]](key) for key in rows.index]
    return rows.join(pd.DataFrame(found, index=rows.index, columns=Finding._fields))


def as_html(ledger):
    """The ledger as a table for a page, with a choice of verdicts; each links to where the book shows its evidence."""
    data = ledger.data.map(lambda data: "" if data == NO_DATA else f". <em>{escape(data)}</em>")
    shown = {
        "Where": ledger.place.map(escape),
        "The paper says": ledger.claim.map(escape),
        "Measured or found": ledger.measured.map(escape) + data,
        "Verdict": [f'<a href="{escape(row.page)}">{row.verdict}</a>' for row in ledger.itertuples()],
    }
    with pd.option_context("display.max_colwidth", None):
        table = pd.DataFrame(shown).to_html(index=False, escape=False, border=0, justify="left", classes="ledger")
    names = "".join(f"<option>{name}</option>" for name in VERDICTS)
    choice = resources.files(__package__).joinpath("ledger.html").read_text(encoding="utf-8")
    return choice.replace("OPTIONS", names) + table
