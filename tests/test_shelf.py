"""What the built book offers to take along, from its first page."""

import re
import shutil
from zipfile import ZipFile

import pytest

from teaching import printed, shelf
from tests import site
from tests.page_rules import ROOT


@pytest.fixture
def built(tmp_path):
    """The first page of the built book, in a folder of its own."""
    if not (site.BUILT / "intro.html").exists():
        pytest.skip("the book is not built; run: make html")
    (tmp_path / "book").mkdir()
    shutil.copy(site.BUILT / "intro.html", tmp_path / "book")
    return tmp_path / "book"


def links(built):
    page = (built / "intro.html").read_text(encoding="utf-8")
    return re.findall(r'href="([^"]+)"', re.search(shelf.PLACE, page)[0])


def test_the_first_page_links_to_all_that_was_made_and_to_nothing_else(built, monkeypatch):
    monkeypatch.setattr(site, "browser", lambda: None)
    for _ in range(2):  # again, over what is there
        assert shelf.fill(built) == [shelf.SLIDES, shelf.STUDENT, shelf.SOLUTIONS]
    assert len(links(built)) == 3
    assert all((built / link).is_file() for link in links(built))
    for name in (shelf.STUDENT, shelf.SOLUTIONS):
        chapters = [path for path in ZipFile(built / "take" / name).namelist() if path.endswith(".ipynb")]
        assert len(chapters) == len(list((ROOT / "chapters").glob("0?_*.ipynb")))
        assert {path.split("/")[0] for path in chapters} == {name.removesuffix(".zip")}


def test_with_a_browser_the_book_is_there_to_print_and_for_readers(built, monkeypatch):
    def write(_, folder):  # what it makes is tested in test_print.py
        for end in ("pdf", "epub"):
            (folder / f"{printed.NAME}.{end}").touch()

    monkeypatch.setattr(site, "browser", lambda: "chromium")
    monkeypatch.setattr(printed, "write", write)
    assert len(shelf.fill(built)) == len(links(built)) == 5


def test_both_the_readme_command_and_the_published_book_offer_it():
    for path, after in (
        ("Makefile", "jupyter-book build $(BUILD)/source"),
        (".github/workflows/book.yml", "make html-ko"),
    ):
        text = (ROOT / path).read_text(encoding="utf-8")
        assert text.index(after) < text.index("python -m teaching.shelf"), path
