"""The book on paper and on electronic readers: whole, nothing left that only a browser shows, solutions at the end."""

import json
import posixpath
import re
import zipfile
from xml.etree import ElementTree

import pytest
from pypdf import PdfReader

from teaching import pages, printed
from tests import site
from tests.page_rules import ROOT
from tests.site import BUILT, needs_book, needs_browser

pytestmark = needs_book
FEW = ["chapters/set_up", "chapters/07_beyond_accuracy", "chapters/glossary"]
XHTML = "{http://www.w3.org/1999/xhtml}"
SVG = "{http://www.w3.org/2000/svg}"
ITEM = "{http://www.idpf.org/2007/opf}item"


@pytest.fixture(scope="module")
def book():
    return pages.read(BUILT)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A PDF and an ePub of a few chapters: tabs, formulas, quizzes, the slider, Korean."""
    folder = tmp_path_factory.mktemp("print")
    printed.write(BUILT, folder, FEW)
    return PdfReader(folder / f"{printed.NAME}.pdf"), folder / f"{printed.NAME}.epub"


@pytest.fixture(scope="module")
def text(files):
    """The text of each page of the PDF."""
    return [page.extract_text() for page in files[0].pages]


def test_every_page_is_there_and_nothing_that_only_a_browser_shows(book):
    assert [page.name for page in book] == site.table_of_contents()
    for page in book:
        left = page.article.select("script, style, button, input, select, form, details, iframe, .headerlink, [hidden]")
        assert left == [], page.name
        assert len(page.article.get_text().split()) > site.EMPTY_WORDS
        for word in ("{glue", "Show code cell", "display_quiz", "한국어"):  # the last leads to a translation
            told = word == "{glue" and page.name == "chapters/how_to_read"  # which says what notebooks show
            assert page.article.get_text().count(word) == told, page.name


def test_what_a_click_would_show_is_there(book):
    text = {page.name: page.article.get_text() for page in book}
    for name in ("chapters/07_beyond_accuracy", "chapters/split_laboratory"):
        assert pages.MOVES in text[name]
    for path in sorted((ROOT / "chapters" / "quiz").glob("*.json")):
        prose = next(text for name, text in text.items() if name.startswith(f"chapters/{path.stem}_"))
        before, after = prose.rsplit("Answers of the quiz", 1)
        for item in json.loads(path.read_text(encoding="utf-8")):
            assert item["question"] in before
            for choice in item["answers"]:
                assert choice["answer"] in before
                assert (choice["feedback"] in after) >= choice["correct"]
                assert choice["feedback"] not in before


def test_solutions_stand_at_the_end_of_their_chapter_and_exercises_lead_to_them(book):
    found = 0
    for page in book:
        for exercise in page.article.select(".exercise"):
            place = exercise.select_one(".to-solution a")["href"].split("#")[1]
            solution = page.article.find(id=place)
            end = solution.find_parent("section", id="solutions")
            assert "solution" in solution["class"]
            assert end.find_next_sibling() is None
            assert end.find_previous_sibling("section").h2.get_text().endswith("What comes next")
            found += 1
        assert len(page.article.select(".solution")) == len(page.article.select(".exercise"))
    assert found == 24


def test_links_lead_to_places_of_the_book(book):
    places = {page.name: {tag["id"] for tag in page.article.find_all(id=True)} for page in book}
    links = [link["href"] for page in book for link in page.article.select('a:not([href^="http"])')]
    assert len(links) > 500
    for link in links:
        name, place = link.split("#")
        assert place in places[name] | {""}, link


@needs_browser
def test_the_pdf_has_an_outline_and_page_numbers_that_are_true(files, text, book):
    pdf = files[0]
    chapters = [entry for entry in pdf.outline if not isinstance(entry, list)]
    titles = [page.title for page in book if page.name in FEW]
    assert [entry.title for entry in chapters] == ["About this edition", "Contents", *titles]
    numbers = [pdf.get_destination_page_number(entry) + 1 for entry in chapters]
    listed = "".join(text[numbers[1] - 1 : numbers[2] - 1])
    for title, number in zip(titles, numbers[2:], strict=True):
        assert re.search(rf"^{re.escape(title)}\s+{number}$", listed, re.MULTILINE)
        assert title in text[number - 1]
        assert re.search(rf"^{number}$", text[number - 1], re.MULTILINE)
    assert (pdf.metadata.title, pdf.metadata.author) == (
        "From Slide to Softmax",
        "The authors of From Slide to Softmax",
    )
    assert pdf.trailer["/Root"]["/Lang"].startswith("en")


@needs_browser
def test_the_pdf_shows_formulas_korean_and_all_tabs_and_its_links_stay_within(files, text):
    assert "\\(" not in "".join(text)
    for shown in ("민감도", "conda activate", "rocket at the top", pages.MOVES, "Answers of the quiz"):
        assert shown in "".join(text)
    links = [link.get_object() for page in files[0].pages for link in page.get("/Annots", [])]
    assert len([link for link in links if "/Dest" in link]) > 50
    assert not [link["/A"] for link in links if "/A" in link and not link["/A"]["/URI"].startswith("http")]


@needs_browser
def test_the_epub_is_whole_and_its_formulas_need_no_script(files, book):
    with zipfile.ZipFile(files[1]) as archive:
        assert archive.namelist()[0] == "mimetype"
        assert archive.read("mimetype") == b"application/epub+zip"
        package = ElementTree.fromstring(archive.read("book.opf"))
        listed = {item.get("href") for item in package.iter(ITEM)}
        assert listed == set(archive.namelist()) - {"mimetype", "META-INF/container.xml", "book.opf"}
        documents = {name: ElementTree.fromstring(archive.read(name)) for name in listed if name.endswith(".xhtml")}
    assert {f"{name}.xhtml" for name in FEW} < documents.keys()
    places = {name: [tag.get("id") for tag in page.iter() if tag.get("id")] for name, page in documents.items()}
    formulas = drawn = 0
    for name, page in documents.items():
        assert len(places[name]) == len(set(places[name]))
        assert not list(page.iter(f"{XHTML}script"))
        assert "\\(" not in "".join(page.itertext())
        for image in page.iter(f"{XHTML}img"):
            assert posixpath.normpath(posixpath.join(posixpath.dirname(name), image.get("src"))) in listed
        for link in page.iter(f"{XHTML}a"):
            path, _, place = link.get("href").partition("#")
            target = posixpath.normpath(posixpath.join(posixpath.dirname(name), path)) if path else name
            if not path.startswith("http"):
                assert not place or place in places[target], link.get("href")
        formulas += len(list(page.iter("{http://www.w3.org/1998/Math/MathML}math")))
        properties = next(item.get("properties") or "" for item in package.iter(ITEM) if item.get("href") == name)
        drawings = list(page.iter(f"{SVG}svg"))
        assert ("svg" in properties.split()) == bool(drawings)
        assert all(drawing.get("viewBox") and drawing.get("aria-label") for drawing in drawings)
        drawn += len([path for drawing in drawings for path in drawing if path.tag == f"{SVG}path" and path.get("d")])
    assert drawn == 20  # chapter 7's dots: two splits, two labels, five parts
    assert formulas == sum(len(page.article.select(".math")) for page in book if page.name in FEW) > 30
