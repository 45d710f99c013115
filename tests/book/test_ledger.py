"""The claim ledger leaves nothing of the paper out, and its verdicts follow the evidence."""

import re
from pathlib import Path

import pandas as pd
import pytest

from breakhis_lib import paper
from breakhis_lib.book import claims, ledger
from tests.page_rules import ROOT

TEXT = ROOT.parent / "shared" / "paper" / "000_3c11a3c0f3aa89ec.txt"


def numbers_without_a_row(numbers, claims):
    """Which of these numbers, as words, no claim mentions."""
    said = {word.replace(",", "") for claim in claims for word in re.findall(r"\d[\d,.]*\d|\d", claim)}
    said |= {str(float(word)) for word in said if re.fullmatch(r"\d+\.?\d*", word)}
    return [number for number in numbers if number.replace(",", "") not in said and str(float(number)) not in said]


def printed_numbers():
    """Every cell of the paper's tables that is a number, written out."""
    cells = [*paper.table1().stack(), *paper.table2().stack(), *paper.table4()]
    return [str(cell) for cell in cells] + re.findall(r"\d+(?:\.\d+)?", " ".join(paper.table3()))


def test_every_number_of_the_papers_tables_has_a_row():
    assert numbers_without_a_row(printed_numbers(), ledger.claims().claim) == []


def test_a_number_without_a_row_is_noticed():
    claims = ledger.claims().drop("table4-40").claim
    assert numbers_without_a_row(printed_numbers(), claims) == ["96.47"]


@pytest.mark.skipif(not TEXT.exists(), reason="the paper's text is not beside the project")
def test_every_number_of_the_papers_text_has_a_row():
    body = TEXT.read_text().split("1. 서론")[1].split("참 고 문 헌")[0]
    body = re.sub(r"\[\d\]|^\d\. |표 \d|그림 \d|\d 절|[Vv]3", " ", body, flags=re.MULTILINE)
    numbers = re.findall(r"\d[\d,]*(?:\.\d+)?", body)
    assert len(numbers) > 30
    assert numbers_without_a_row(numbers, ledger.claims().claim) == []


def test_every_claim_has_evidence_and_no_evidence_is_without_a_claim():
    used = {key if key in claims.EVIDENCE else key.split("-")[0] for key in ledger.claims().index}
    assert used == set(claims.EVIDENCE)


def test_the_verdict_on_table_4_follows_the_interval(monkeypatch):
    index = pd.MultiIndex.from_product([[40], ["image", "slide"]], names=["magnification", "protocol"])
    row = {"paper": 96.47, "accuracy": 95.0, "majority": 50.0, "runs": 1, "images": 9, "slides": 3}
    within, across, beyond = (92.0, 97.0), (90.0, 97.0), (80.0, 91.0)
    for (low, high), verdict in ((within, "reproduced"), (across, "undecided"), (beyond, "not reproduced")):
        table = pd.DataFrame([{**row, "low": low, "high": high}] * 2, index=index)
        monkeypatch.setattr(claims, "_table4", lambda table=table: table)
        assert claims.EVIDENCE["table4"]("table4-40").verdict == verdict


def test_the_page_shows_every_claim_with_its_verdict_as_a_link():
    rows = (
        ledger.claims()
        .head(2)
        .assign(
            measured="1 < 2", data="names", verdict="partly", page="05_breakhis.html#names", interval=["0 to 3", ""]
        )
    )
    text = ledger.as_html(rows)
    assert text.count('<a href="05_breakhis.html#names">partly</a>') == 2
    assert "1 &lt; 2. <em>names</em>" in text


@pytest.mark.skipif(not Path(ROOT / "results" / "sub-types").exists(), reason="the records are not all here")
def test_all_evidence_can_be_computed_from_what_is_committed():
    found = ledger.table()
    assert set(found.verdict) <= set(claims.VERDICTS)
    assert (found.measured.str.len() > 0).all()
    pages = {page.split("#")[0].removesuffix(".html") for page in found.page}
    assert all(any((ROOT / "chapters").glob(f"{page}.*")) for page in pages)
