"""The whole book in two files, made from its built pages: a PDF to print, and an ePub for readers.

    python -m teaching.printed _build/html _build/print

A Chromium prints the PDF and sets the formulas of both; it is given no network, and nothing is executed.
"""

import argparse
import copy
import html
import logging
from pathlib import Path

import yaml
from bs4 import BeautifulSoup
from pypdf import PdfReader, PdfWriter

import breakhis_lib
from teaching import epub, pages
from teaching.pages import ROOT
from tests import site

logging.getLogger("pypdf").setLevel(logging.ERROR)  # it counts a Chromium's objects otherwise than the Chromium
NAME = "from-slide-to-softmax"
STYLE = ROOT / "_assets" / "print.css"
ABOUT = """<section id="edition"><h1>About this edition</h1>
<p>This edition was made from the pages of the web book, version {version}, and the outputs stored in them. Code that
the web book folds, since it only draws or only makes a table of recorded runs, is left out; the notebooks have it. The
slider of chapter 7 and the split laboratory move in the web book; here their tables stand as they begin. Solutions of
the exercises and answers of the quizzes stand at the end of each chapter: where the text says that something unfolds,
or answers at a click, look there.</p>
<p>Practice slides are simulated wherever they are shown. No image of BreakHis is in this book. Nothing in it is for
clinical use.</p>
<p>Text and pictures: CC BY 4.0. Code: MIT licence. The Korean letters are cut from Noto Sans CJK, under the SIL Open
Font License 1.1.</p></section>"""
FRONT = """<section class="title-page"><p class="title">{title}</p>
<img src="{picture}" alt="A simulated slide becomes features, and features become two probabilities."/>
<p>A course that re-does one paper on breast tumours in microscope images, and asks what the paper did not</p>
<p>{author}</p></section>"""
# Wide tables and formulas are made as small as the page asks.
FIT = """() => {
    for (const box of document.querySelectorAll('article table, article div.math mjx-container')) {
        const room = box.parentElement.clientWidth, width = box.scrollWidth;
        if (width > room + 1) box.style.zoom = room / width;
    }
}"""
MATHML = """() => {
    const formulas = [...MathJax.startup.document.math];
    return [...document.querySelectorAll('.math')].map((box) =>
        MathJax.startup.toMML(formulas.find((formula) => box.contains(formula.typesetRoot)).root));
}"""
PAPER_WIDTH = 658  # CSS pixels: A4 less the margins of print.css


def metadata():
    """The book's title, author, language and version."""
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    language = config["sphinx"]["config"].get("language", "en")
    return {
        "title": config["title"],
        "author": config["author"],
        "language": language,
        "version": breakhis_lib.__version__,
    }


def anchor(name, place):
    """The id in the one long page of what is a place of a page of the book."""
    return f"{Path(name).name}--{place}" if place else Path(name).name


def contents(book):
    """The table of contents, with a place for each page number."""
    lines, part = [], ""
    for page in book:
        if page.part != part:
            part = page.part
            lines.append(f'<p class="part">{html.escape(part)}</p>')
        entries = [("chapter", "", page.title), *(("section", *section) for section in page.sections)]
        lines += [
            f'<p class="{kind}"><a href="#{anchor(page.name, place)}">{html.escape(title)}</a><span></span></p>'
            for kind, place, title in entries
        ]
    return f'<nav class="book-contents"><h1>Contents</h1>{"".join(lines)}</nav>'


def one_page(book, built, about):
    """All pages of the book below one another, as one page of HTML.

    book: pages of teaching.pages.read. built: folder of the built book, whose styles and formulas are used.
    about: metadata. Returns text.
    """
    head = BeautifulSoup((built / "intro.html").read_text(encoding="utf-8"), "html.parser").head
    kept = [link for link in head.select("link[rel=stylesheet]")]
    kept += [script for script in head.find_all("script") if "mathjax" in str(script).lower()]
    for tag in kept:
        for attribute in {"href", "src"} & tag.attrs.keys():
            tag[attribute] = (built / tag[attribute].partition("?")[0]).resolve().as_uri()
    running, articles = [], []
    for number, page in enumerate(book):
        running.append(f'@page p{number} {{ @top-right {{ content: "{page.title}" }} }}')
        article = copy.copy(page.article)
        for tag in article.find_all(id=True):
            tag["id"] = anchor(page.name, tag["id"])
        for link in article.select('a[href]:not([href^="http"])'):
            link["href"] = "#" + anchor(*link["href"].split("#"))
        for image in article.find_all("img"):
            image["src"] = (built / page.name).parent.joinpath(image["src"]).resolve().as_uri()
        article["id"], article["style"] = anchor(page.name, ""), f"page: p{number}"
        articles.append(str(article))
    front = FRONT.format(picture=(ROOT / "_assets" / "cover.jpg").as_uri(), **about)
    return f"""<!doctype html><html lang="{about["language"]}" data-theme="light"><head><meta charset="utf-8">
<title>{about["title"]}</title>{"".join(map(str, kept))}<link rel="stylesheet" href="{STYLE.as_uri()}">
<style>{"".join(running)}</style></head><body>{front}<article class="bd-article">{ABOUT.format(**about)}</article>
{contents(book)}{"".join(articles)}</body></html>"""


def printed(long_page, target, cover, about):
    """Print the one long page as PDF, twice: the first time tells on which page each heading stands.

    long_page: file of HTML. target: the PDF to write. cover: the JPEG to write, of its first page. about: metadata.
    Returns the MathML of each formula, in the order of the pages.
    """
    with site.opened(long_page, PAPER_WIDTH) as page:
        page.emulate_media(media="print", color_scheme="light")
        page.wait_for_function("() => window.MathJax && MathJax.startup && MathJax.startup.promise")
        page.evaluate("() => MathJax.startup.promise")
        page.evaluate("() => document.fonts.ready")
        page.evaluate(FIT)
        options = {
            "path": target,
            "prefer_css_page_size": True,
            "print_background": True,
            "outline": True,
            "tagged": True,
        }
        page.pdf(**options)
        reader = PdfReader(target)
        numbers = {
            name.removeprefix("/"): reader.get_destination_page_number(place) + 1
            for name, place in reader.named_destinations.items()
        }
        page.evaluate(
            """numbers => document.querySelectorAll('.book-contents a').forEach((link) => {
                link.nextElementSibling.textContent = numbers[decodeURIComponent(link.hash.slice(1))];
            })""",
            numbers,
        )
        page.pdf(**options)
        formulas = page.evaluate(MATHML)
        page.locator(".title-page").screenshot(path=cover)
    writer = PdfWriter(target, incremental=True)
    writer.add_metadata({"/Title": about["title"], "/Author": about["author"]})
    writer.write(target)
    return formulas


def write(built, folder, only=None):
    """Write the PDF and the ePub of a built book.

    built: folder of the book's pages. folder: where the two files go. only: names of the pages to take, or all.
    """
    folder.mkdir(parents=True, exist_ok=True)
    about, book = metadata(), pages.read(built, only)
    long_page = folder / "book.html"
    long_page.write_text(one_page(book, built, about), encoding="utf-8")
    cover = folder / "cover.jpg"
    formulas = printed(long_page.resolve(), folder / f"{NAME}.pdf", cover, about)
    front = FRONT.format(picture=epub.PICTURE, **about) + ABOUT.format(**about)
    epub.write(folder / f"{NAME}.epub", book, front, formulas, built, cover, about)
    long_page.unlink()
    cover.unlink()


def main():
    """Write both."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("built", type=Path, help="folder of the built book, such as _build/html")
    parser.add_argument("folder", type=Path, help="where to write them, such as _build/print")
    options = parser.parse_args()
    if not (options.built / "intro.html").exists():
        parser.error(f"{options.built} holds no built book; run: make html")
    if not site.browser():
        parser.error("no Chromium here, which prints the pages; install one, or name it in CHROMIUM")
    write(options.built, options.folder)
    print(f"The book, to print: {options.folder / NAME}.pdf, and for readers: {options.folder / NAME}.epub")


if __name__ == "__main__":
    main()
