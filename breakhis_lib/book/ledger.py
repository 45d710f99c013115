"""The claim ledger: what the paper says, row by row, and what this course measured or found."""

from html import escape

import pandas as pd

from breakhis_lib import paper
from breakhis_lib.book.claims import EVIDENCE, NO_DATA, Finding

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
    """The ledger as a table for a page: each verdict is a link to where the book shows its evidence."""
    heads = ("Where", "The paper says", "Measured or found", "Verdict")
    head = "".join(f'<th scope="col">{words}</th>' for words in heads)
    lines = [f'<table class="ledger"><thead><tr>{head}</tr></thead><tbody>']
    for row in ledger.itertuples():
        measured = escape(row.measured)
        cells = [
            escape(row.place),
            escape(row.claim),
            measured if row.data == NO_DATA else f"{measured}. <em>{escape(row.data)}</em>",
            f'<a href="{escape(row.page)}">{row.verdict}</a>',
        ]
        lines.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    return "\n".join([*lines, "</tbody></table>"])
