"""The built book as a reader meets it: whole, offline, legible, without barriers; and the guard that says so."""

import runpy
import shutil

import pytest
from fontTools import ttLib

from teaching.translation import translations
from tests import site
from tests.page_rules import ROOT
from tests.site import BUILT, needs_book, needs_browser

pytestmark = needs_book
LANGUAGES = sorted(path.name for path in (ROOT / "locale").iterdir())
TRANSLATED = [f"{language}/{name}" for language in LANGUAGES for name in translations(language)]
SEEN = [*site.table_of_contents(), *(name for name in TRANSLATED if (BUILT / f"{name}.html").exists())]


def test_no_page_is_missing_or_empty():
    assert site.missing(BUILT) == []


def test_no_page_names_anything_on_the_network():
    assert site.loads_from_network(BUILT) == []


def test_no_link_leads_nowhere():
    assert site.dead_links(BUILT) == []


def test_no_korean_letter_is_a_box():
    korean = runpy.run_path(str(ROOT / "_assets" / "korean.py"))
    pages = "".join(path.read_text(encoding="utf-8") for path in BUILT.rglob("*.html"))  # translated ones, too
    letters = sorted({*korean["letters"](), *korean["KOREAN"].findall(pages)})
    shipped = ttLib.TTFont(BUILT / "_static" / "korean.woff").getBestCmap()
    assert len(letters) > 200
    assert [letter for letter in letters if ord(letter) not in shipped] == [], "_assets/korean.py cuts the font anew"


@needs_browser
@pytest.mark.parametrize("name", SEEN)
def test_a_page_looks_right_without_network(name):
    assert site.seen(BUILT, [name]) == []


@needs_browser
def test_the_ledger_leaves_the_rows_of_one_verdict():
    with site.opened(BUILT / "chapters" / "claim_ledger.html", width=390) as page:
        verdicts = page.locator("table.ledger tbody tr td:last-child").all_inner_texts()
        for chosen in ("undecided", ""):
            page.get_by_label("Show").select_option(chosen)
            shown = [cell for cell in page.locator("table.ledger tbody tr td:last-child").all() if cell.is_visible()]
            assert len(shown) == sum(chosen in ("", verdict.strip()) for verdict in verdicts) > 0


@needs_browser
def test_a_tap_on_a_solutions_title_unfolds_it():
    with site.opened(BUILT / "chapters" / "01_missed_cancer.html", width=390) as page:
        title = page.locator(".solution > .admonition-title").first
        assert title.locator("a").count() == 0
        hidden = page.locator(".solution p:not(.admonition-title)").first
        assert not hidden.is_visible()
        title.click(position={"x": 200, "y": 15})  # where the link to the exercise was
        assert hidden.is_visible()
        assert "#" not in page.url


def broken(tmp_path, old, new, name="chapters/about"):
    """A copy of the built book with one change in one page."""
    shutil.copytree(BUILT, tmp_path / "html", ignore=shutil.ignore_patterns("mathjax"))
    page = tmp_path / "html" / f"{name}.html"
    text = page.read_text(encoding="utf-8")
    assert old in text
    page.write_text(text.replace(old, new, 1), encoding="utf-8")
    return tmp_path / "html"


def test_the_guard_sees_a_missing_page_and_missing_words(tmp_path):
    folder = broken(tmp_path, "<h1>", "<h1>Another ")
    (folder / "chapters" / "glossary.html").unlink()
    (folder / "chapters" / "set_up.html").write_text("<article><h1>Set-up</h1></article>", encoding="utf-8")
    found = "\n".join(site.missing(folder))
    assert "chapters/glossary: the page is missing" in found
    assert "chapters/set_up: the heading" in found
    assert "chapters/set_up: the page is nearly empty" in found


@pytest.mark.parametrize(
    "insert",
    [
        '<script src="https://example.org/a.js"></script>',
        '<link rel="stylesheet" href="//example.org/a.css">',
        '<img src="http://example.org/a.png" alt="A picture">',
        "<style>p { background: url(https://example.org/a.png) }</style>",
    ],
)
def test_the_guard_sees_what_comes_from_the_network(tmp_path, insert):
    found = site.loads_from_network(broken(tmp_path, "</article>", insert + "</article>"))
    assert len(found) == 1
    assert "example.org" in found[0]


@pytest.mark.parametrize("target", ["nowhere.html", "glossary.html#no-such-place", "#no-such-place"])
def test_the_guard_sees_a_dead_link(tmp_path, target):
    found = site.dead_links(broken(tmp_path, "</article>", f'<a href="{target}">there</a></article>'))
    assert len(found) == 1
    assert target in found[0]


@needs_browser
def test_the_guard_sees_what_a_reader_would(tmp_path):
    insert = (
        '<img src="gone.png"><p style="width: 3000px">wide</p><span class="math">x</span>'
        '<div class="math" style="width: 5px"><mjx-math style="display: block; min-width: 90px">y</mjx-math></div>'
        f"<pre>{'z' * 200}</pre>"
        '<table class="table" style="white-space: nowrap"><tr><td style="overflow-wrap: normal">'
        f"{'w' * 200}</td></tr></table>"
        '<p style="color: #999; background: #aaa">pale</p>'
        "<script>fetch('https://example.org/data'); undefinedFunction()</script>"
    )
    folder = broken(tmp_path, "</article>", insert + "</article>")
    found = "\n".join(site.seen(folder, ["chapters/about"]))
    for expected in (
        "asks the network for https://example.org/data",
        "cannot load",
        "a script fails",
        "a formula is not set: x",
        "a formula is cut off: y",
        "a line of code is cut off: zz",
        "a table of words hides a column: ww",
        "a picture is missing",
        "wider than its window",
        "barrier image-alt",
        "barrier color-contrast",
    ):
        assert expected in found
