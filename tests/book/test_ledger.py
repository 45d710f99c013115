"""A ledger decides by its rule and refuses what is unsound; the course's own leaves nothing of the paper out."""

import re
from pathlib import Path

import pytest

from breakhis_lib import ledger, paper
from breakhis_lib.book import claims
from breakhis_lib.errors import InputError
from tests.page_rules import ROOT
from tests.test_cli import breakhis

TEXT = ROOT.parent / "shared" / "paper" / "000_3c11a3c0f3aa89ec.txt"
REDO = ROOT / "chapters" / "redo"
TOP = 'title = "On pears"\nsource = "Nobody"\n'
PEARS = {"key": "pears", "place": "page 1", "kind": "count", "weight": "central", "claim": "Ten.", "finding": "{value}"}
JUDGED = {**PEARS, "finding": "seen", "verdict": "partly"}


@pytest.fixture
def read(tmp_path):
    """Read a file of these claims, with this evidence."""

    def function(*rows, evidence=None, top=TOP):
        lines = [["[[claims]]", *(f"{name} = {value!r}" for name, value in row.items())] for row in rows]
        (tmp_path / "pears.toml").write_text(top + "\n".join(sum(lines, [])), encoding="utf-8")
        return ledger.read(tmp_path / "pears.toml", evidence)

    return function


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (92, 97, "reproduced"),
        (91.47, 96, "reproduced"),  # the margin itself
        (90, 97, "undecided"),
        (90, 103, "undecided"),
        (80, 91, "not reproduced"),
        (float("nan"), float("nan"), "undecided"),
    ],
)
def test_the_verdict_on_a_number_follows_the_whole_interval(read, low, high, verdict):
    found = read({**PEARS, "value": 96.47, "margin": 5}, evidence={"pears": {"value": 95.0, "low": low, "high": high}})
    assert found.rows.verdict["pears"] == verdict


def test_without_an_interval_the_value_decides(read):
    claim = {**PEARS, "value": 10, "margin": 0}
    assert read(claim, evidence={"pears": {"value": 10}}).rows.verdict["pears"] == "reproduced"
    assert read(claim, evidence={"pears": {"value": 11}}).rows.verdict["pears"] == "not reproduced"
    close = {**claim, "value": 95.3, "margin": 0.1}
    assert read(close, evidence={"pears": {"value": 95.4}}).rows.verdict["pears"] == "reproduced"


def test_checks_hold_all_or_some_or_none():
    found = [ledger.by_checks(checks) for checks in ([True, True], [True, False], [False, False])]
    assert found == ["reproduced", "partly", "not reproduced"]


def test_a_claim_may_point_to_evidence_and_shares_what_its_kind_says(read):
    top = TOP + '[kinds.count]\nmargin = 1\nweight = "detail"\n'
    first = {name: value for name, value in PEARS.items() if name != "weight"} | {"value": 10, "evidence": "fruit"}
    found = read(first, {**first, "key": "more", "margin": 0}, evidence={"fruit": {"value": 11}}, top=top).rows
    assert list(found.verdict) == ["reproduced", "not reproduced"]
    assert list(found.weight) == ["detail", "detail"]
    assert list(found.measured) == ["11", "11"]


WITH_VALUE = {**PEARS, "value": 10, "margin": 1}
BROKEN = {
    "unknown verdict": ([{**JUDGED, "verdict": "proven"}], {}, "'proven' is none of those expected: reproduced"),
    "unknown verdict in the evidence": ([PEARS], {"pears": {"value": 1, "verdict": "proven"}}, "'proven' is none of"),
    "unknown weight": ([{**JUDGED, "weight": "heavy"}], {}, "'heavy' is none of those expected: central"),
    "missing place": ([{**JUDGED, "place": ""}], {}, "place is missing; expected key, place"),
    "unknown field": ([{**JUDGED, "plaec": "x"}], {}, "'plaec' is not known; expected key, place"),
    "no evidence": ([PEARS], {}, "it has 0 grounds for a verdict; expected one"),
    "evidence that is not there": ([{**PEARS, "evidence": "fruit"}], {"nuts": {}}, "there is no evidence 'fruit'; exp"),
    "two grounds": ([{**WITH_VALUE, "verdict": "partly"}], {"pears": {"value": 9}}, "it has 2 grounds for a verdict"),
    "margin without the paper's value": ([{**PEARS, "margin": 1}], {"pears": {"value": 9}}, "paper's value is missing"),
    "margin without evidence": ([WITH_VALUE], {}, "evidence's value is missing; expected a number"),
    "a word for a number": ([WITH_VALUE], {"pears": {"value": "nine"}}, "value is nine; expected a number"),
    "swapped ends": ([WITH_VALUE], {"pears": {"value": 9, "low": 10, "high": 8}}, "expected low not above high"),
    "margin below 0": ([{**WITH_VALUE, "margin": -1}], {"pears": {"value": 9}}, "a margin not below 0"),
    "doubled key": ([JUDGED, JUDGED], {}, "the key is there twice"),
    "nothing to fill in": ([{**JUDGED, "finding": "{value}"}], {"pears": {"n": 1}}, "'value' cannot be filled in; the"),
    "a number's form for a word": ([{**JUDGED, "finding": "{n:.1f}"}], {"pears": {"n": "x"}}, "cannot be filled in"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_an_unsound_claim_is_refused_with_its_file_and_key(read, name):
    rows, evidence, message = BROKEN[name]
    with pytest.raises(InputError) as error:
        read(*rows, evidence=evidence)
    assert re.search(r"pears\.toml, claim 'pears': ", str(error.value))
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("top", "message"),
    [
        ('source = "x"\n', "title is missing"),
        ("title = \n", "cannot be read"),
        (TOP + '[summary]\neasy = "x"\n', "'easy' is not known; expected scope of reproducibility"),
        (TOP + 'evidence = "none.csv"\n', "none.csv cannot be read"),
    ],
)
def test_an_unsound_file_is_refused(read, top, message):
    with pytest.raises(InputError, match=re.escape(message)):
        read(JUDGED, top=top)
    with pytest.raises(InputError, match="cannot be read"):
        ledger.read("absent.toml")


def test_a_doubled_key_of_the_evidence_is_refused(read, tmp_path):
    (tmp_path / "m.csv").write_text("key,value\npears,9\npears,10\n", encoding="utf-8")
    with pytest.raises(InputError, match="m.csv: the key 'pears' is there twice"):
        read(WITH_VALUE, top=TOP + 'evidence = "m.csv"\n')


def test_the_template_becomes_a_page(tmp_path):
    done = breakhis("ledger", REDO / "my_paper.toml", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "my_paper.html").read_text(encoding="utf-8")
    assert [re.search(f"<dt>({heading})</dt>", page, re.I)[1] for heading in ledger.SUMMARY]
    assert "90.6 percent (89.7 to 91.4), 5 runs" in page
    assert "central: 2 reproduced, 1 undecided" in page
    assert re.sub(r"\s+", " ", page).count('<a href="https://example.org/my-notes">cannot be tested here</a>') == 1


def test_the_command_line_refuses_without_a_traceback(tmp_path):
    (tmp_path / "bad.toml").write_text((REDO / "my_paper.toml").read_text(encoding="utf-8"), encoding="utf-8")
    done = breakhis("ledger", "bad.toml", cwd=tmp_path)  # its table is not beside it
    assert done.returncode == 1
    assert "measured.csv cannot be read" in " ".join(done.stderr.split())


def test_the_page_escapes_and_links(read):
    page = {"finding": "1 < 2", "data": "names", "page": "05_breakhis.html#names"}
    text = ledger.as_html(read({**JUDGED, **page}), "rows")
    assert '<a href="05_breakhis.html#names">partly</a>' in text
    assert "1 &lt; 2. <em>names</em>" in text
    assert "<dl" not in text


def numbers_without_a_row(numbers, claims):
    """Which of these numbers, as words, no claim mentions."""
    said = {word.replace(",", "") for claim in claims for word in re.findall(r"\d[\d,.]*\d|\d", claim)}
    said |= {str(float(word)) for word in said if re.fullmatch(r"\d+\.?\d*", word)}
    return [number for number in numbers if number.replace(",", "") not in said and str(float(number)) not in said]


def printed_numbers():
    """Every cell of the paper's tables that is a number, written out."""
    cells = [*paper.table1().stack(), *paper.table2().stack(), *paper.table4()]
    return [str(cell) for cell in cells] + re.findall(r"\d+(?:\.\d+)?", " ".join(paper.table3()))


@pytest.fixture(scope="module")
def found():
    """The course's own ledger."""
    if not Path(ROOT / "results" / "sub-types").exists():
        pytest.skip("the records are not all here")
    return claims.read().rows


def test_every_number_of_the_papers_tables_has_a_row(found):
    assert len(printed_numbers()) == 22
    assert numbers_without_a_row(printed_numbers(), found.claim) == []


def test_a_number_without_a_row_is_noticed(found):
    assert numbers_without_a_row(printed_numbers(), found.claim.drop("table4-40")) == ["96.47"]


@pytest.mark.skipif(not TEXT.exists(), reason="the paper's text is not beside the project")
def test_every_number_of_the_papers_text_has_a_row(found):
    body = TEXT.read_text().split("1. 서론")[1].split("참 고 문 헌")[0]
    body = re.sub(r"\[\d\]|^\d\. |표 \d|그림 \d|\d 절|[Vv]3", " ", body, flags=re.MULTILINE)
    numbers = re.findall(r"\d[\d,]*(?:\.\d+)?", body)
    assert len(numbers) > 30
    assert numbers_without_a_row(numbers, found.claim) == []


def test_what_a_claim_says_is_the_cell_that_it_compares(found):
    cells = found[found.place.isin(["Table 1", "Table 2", "Table 4"])]
    for key, row in cells.iterrows():
        said = re.search(r"[\d,.]+(?= images| %|$)", row.claim)[0].replace(",", "")
        assert float(said) == row.value, key


def test_no_evidence_is_without_a_claim(found):
    words = (ROOT / "breakhis_lib" / "paper.toml").read_text(encoding="utf-8")
    for name in claims.evidence():
        assert re.search(rf'^(key|evidence) = "{re.escape(name)}"$', words, re.MULTILINE), name


def test_all_evidence_can_be_computed_from_what_is_committed(found):
    assert len(found) == 58
    assert found.index.is_unique
    assert (found.measured.str.len() > 0).all()
    assert list(found.verdict[["table4-40", "table4-200", "same-structure"]]) == [
        "undecided",
        "reproduced",
        "not reproduced",
    ]
    pages = {page.split("#")[0].removesuffix(".html") for page in found.page}
    assert all(any((ROOT / "chapters").glob(f"{page}.*")) for page in pages)
