"""What must hold for the built book; each check takes its folder and returns its problems as lines of text.

`python -m tests.site _build/html` prints them and fails if there are any: the guard before a book is published.
"""

import contextlib
import os
import re
import shutil
import sys
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from bs4 import BeautifulSoup
from playwright.sync_api import sync_playwright

from teaching.pages import listed
from teaching.translation import source
from tests import page_rules
from tests.page_rules import ROOT

BUILT = ROOT / "_build" / "html"
VIEWS = {"wide, light": (1280, "light"), "phone, dark": (390, "dark")}  # pixels; a colour scheme
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
LOADS = {
    "script": "src",
    "img": "src",
    "source": "src",
    "iframe": "src",
    "video": "src",
    "audio": "src",
    "object": "data",
}
EMPTY_WORDS = 40  # a page with fewer holds nothing


def table_of_contents():
    """The book's pages in reading order, as paths without a suffix."""
    return [name for name, _ in listed()]


def _parsed(path):
    return BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")


def missing(site):
    """Every page of the table of contents is there, with its headings and its words."""
    problems = []
    for name in table_of_contents():
        path = site / f"{name}.html"
        if not path.exists():
            problems.append(f"{name}: the page is missing")
            continue
        article = _parsed(path).find("article")
        shown = {_words(heading.get_text()) for heading in article.find_all(re.compile("h[1-6]"))} if article else set()
        markdown = page_rules.FENCE.sub("", page_rules.read(source(name)).markdown)
        for title in re.findall(r"^#+ (.+)$", markdown, re.MULTILINE):
            if not any(heading.endswith(_words(title)) for heading in shown):
                problems.append(f"{name}: the heading {title!r} is missing")
        if article and len(article.get_text().split()) < EMPTY_WORDS:
            problems.append(f"{name}: the page is nearly empty")
    return problems


def _words(text):
    return re.sub(r"[^\w]", "", text).lower()


def loads_from_network(site):
    """No page names a script, style sheet, picture or font that is not a file of the book."""
    problems = []
    for path in sorted(site.rglob("*.html")):
        page = _parsed(path)
        targets = [tag.get(attribute) for kind, attribute in LOADS.items() for tag in page.find_all(kind)]
        targets += [tag.get("href") for tag in page.find_all("link") if "canonical" not in (tag.get("rel") or [])]
        targets += re.findall(r"url\(['\"]?([^'\")]+)", " ".join(tag.get_text() for tag in page.find_all("style")))
        problems += [
            f"{path.name} loads {target}" for target in targets if target and re.match(r"(https?:)?//", target)
        ]
    for path in sorted(site.rglob("*.css")):
        targets = re.findall(r"(?:url\(|@import )['\"]?((?:https?:)?//[^'\")]+)", path.read_text(encoding="utf-8"))
        problems += [f"{path.name} loads {target}" for target in targets]
    return problems


def dead_links(site):
    """Every link inside the book leads to a file, and to a place in it."""
    pages = {path.resolve(): _parsed(path) for path in sorted(site.rglob("*.html"))}
    places = {path: {tag["id"] for tag in page.find_all(id=True)} for path, page in pages.items()}
    problems = []
    for path, page in pages.items():
        for link in page.find_all("a", href=True):
            parts = urlsplit(link["href"])
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if not target.exists():
                problems.append(f"{path.name} links to {link['href']}, which is not there")
            elif parts.fragment and unquote(parts.fragment) not in places.get(target, {unquote(parts.fragment)}):
                problems.append(f"{path.name} links to {link['href']}, a place that is not there")
    return problems


def browser():
    """A Chromium on this machine: what CHROMIUM names, or one on the path; None when there is none."""
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)), None)


needs_browser = pytest.mark.skipif(
    browser() is None and not os.environ.get("CI"), reason="no Chromium here; install it, or name it in CHROMIUM"
)
needs_book = pytest.mark.skipif(not (BUILT / "intro.html").exists(), reason="the book is not built; run: make html")


def launched(playwright):
    """That browser, started; root's has no sandbox."""
    sandbox = [] if not hasattr(os, "geteuid") or os.geteuid() else ["--no-sandbox"]
    return playwright.chromium.launch(executable_path=browser(), args=sandbox)


@contextlib.contextmanager
def opened(path, width=1280):
    """A page of that browser, without a network, at a file."""
    with sync_playwright() as playwright:
        chromium = launched(playwright)
        page = chromium.new_context(viewport={"width": width, "height": 800}, offline=True).new_page()
        page.goto(path.as_uri())
        yield page
        chromium.close()


def seen(site, names, views=VIEWS):
    """Pages as a browser without a network shows them: nothing asked for outside, nothing broken, no barrier.

    Barriers are what axe-core calls serious or critical. Formulas must be set and whole, pictures must have come,
    no page may be wider than its window, and on a wide one no code may hide beyond the edge of its box.
    """
    problems = []
    with sync_playwright() as playwright:
        chromium = launched(playwright)
        for view, (width, scheme) in views.items():
            context = chromium.new_context(
                viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True, reduced_motion="reduce"
            )
            for name in names:
                page = context.new_page()
                problems += [
                    f"{name} ({view}): {problem}" for problem in _look(page, (site / f"{name}.html").resolve())
                ]
                page.close()
            context.close()
        chromium.close()
    return problems


def _look(page, path):
    outside, failed, errors = [], [], []
    page.on("request", lambda request: outside.append(request.url) if request.url.startswith("http") else None)
    page.on("requestfailed", lambda request: failed.append(request.url))
    # sphinx-thebe 0.3.1 declares its constants twice; nothing on the page uses them.
    page.on("pageerror", lambda error: None if "THEBE_JS_URL" in str(error) else errors.append(str(error)))
    page.goto(path.as_uri())
    page.wait_for_function("() => !window.MathJax || (MathJax.startup && MathJax.startup.promise)", timeout=20_000)
    page.evaluate("() => window.MathJax && MathJax.startup.promise")
    problems = [f"asks the network for {url}" for url in outside]
    problems += [f"cannot load {url}" for url in failed]
    problems += [f"a script fails: {error}" for error in errors]
    problems += [f"a formula is not set: {text}" for text in page.evaluate(UNSET_FORMULAS)]
    problems += [f"a picture is missing: {source}" for source in page.evaluate(MISSING_PICTURES)]
    problems += [f"a formula is cut off: {text}" for text in page.evaluate(CUT_FORMULAS)]
    problems += [f"a line of code is cut off: {text}" for text in page.evaluate(CUT_CODE)]
    problems += [f"a table of words hides a column: {text}" for text in page.evaluate(CUT_TABLES)]
    wider = page.evaluate("() => document.documentElement.scrollWidth - window.innerWidth")
    if wider > 1:
        problems.append(f"is {wider} pixels wider than its window")
    page.evaluate(ONE_OF_EACH_TOKEN)
    for violation in Axe().run(page).response["violations"]:
        if violation["impact"] in ("serious", "critical"):
            where = violation["nodes"][0]["target"]
            problems.append(f"barrier {violation['id']} ({len(violation['nodes'])} places, such as {where})")
    return problems


UNSET_FORMULAS = """() => [...document.querySelectorAll('.math')]
    .filter(formula => !formula.querySelector('mjx-container') || formula.querySelector('mjx-merror, [data-mjx-error]'))
    .map(formula => formula.textContent.slice(0, 60))"""
CUT_FORMULAS = """() => [...document.querySelectorAll('div.math')]
    .filter(box => [...box.querySelectorAll('mjx-math')].some(
        formula => formula.getBoundingClientRect().width > box.getBoundingClientRect().width + 1))
    .map(box => box.textContent.slice(0, 60))"""
CUT_CODE = """() => window.innerWidth < 1200 ? [] : [...document.querySelectorAll('.bd-article pre')]
    .filter(box => box.clientWidth && box.scrollWidth > box.clientWidth + 1).map(box => box.textContent.slice(0, 60))"""
# The contrast of thousands of words of code takes axe-core seconds a page; one word of each colour says as much.
ONE_OF_EACH_TOKEN = """() => {
    const seen = new Set();
    for (const token of document.querySelectorAll('.highlight pre span')) {
        const kind = token.className + Boolean(token.closest('.cell_output'));
        if (seen.has(kind)) token.replaceWith(...token.childNodes);
        seen.add(kind);
    }
}"""
CUT_TABLES = """() => [...document.querySelectorAll('.bd-article table.table')]
    .filter(table => table.scrollWidth > table.clientWidth + 1
        || table.getBoundingClientRect().right > window.innerWidth)
    .map(table => table.textContent.slice(0, 60))"""
MISSING_PICTURES = """() => [...document.images].filter(image => image.complete && image.naturalWidth === 0)
    .map(image => image.src)"""


def problems(site):
    """All problems of a built book that need no browser."""
    return [problem for check in (missing, loads_from_network, dead_links) for problem in check(site)]


if __name__ == "__main__":
    found = problems(Path(sys.argv[1]))
    if browser():
        found += seen(Path(sys.argv[1]), table_of_contents())
    print("\n".join(found) or f"{sys.argv[1]}: nothing missing, no dead link, nothing loaded from outside, no barrier")
    sys.exit(bool(found))
