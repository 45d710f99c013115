"""The book as an ePub 3: a zip of XHTML pages, with formulas in MathML, which needs no script.

Structure as in EPUB 3.3 (W3C): a package file that lists everything, a table of contents, and the pages.
"""

import copy
import os
import uuid
import zipfile
from datetime import UTC, datetime
from html import escape
from pathlib import Path

from bs4 import BeautifulSoup

from teaching.pages import ROOT

KINDS = {".xhtml": "application/xhtml+xml", ".css": "text/css", ".png": "image/png", ".jpg": "image/jpeg"}
KINDS |= {".svg": "image/svg+xml", ".woff": "font/woff"}
KEPT = {"id", "class", "href", "src", "alt", "colspan", "rowspan", "scope", "type", "start", "lang"}
DRAWN = ["math", "svg"]  # what is in a language of its own
STYLE, FONT, COVER, PICTURE = "style.css", "korean.woff", "cover.jpg", "_static/cover.jpg"
CONTAINER = """<?xml version="1.0" encoding="utf-8"?>
<container version="1.0" xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>
<rootfile full-path="book.opf" media-type="application/oebps-package+xml"/></rootfiles></container>"""
DOCUMENT = """<?xml version="1.0" encoding="utf-8"?>
<!DOCTYPE html>
<html xmlns="http://www.w3.org/1999/xhtml" xmlns:epub="http://www.idpf.org/2007/ops"
lang="{language}" xml:lang="{language}"><head><title>{title}</title><link rel="stylesheet" href="{style}"/></head>
<body>{body}</body></html>"""
PACKAGE = """<?xml version="1.0" encoding="utf-8"?>
<package xmlns="http://www.idpf.org/2007/opf" version="3.0" unique-identifier="id" xml:lang="{language}">
<metadata xmlns:dc="http://purl.org/dc/elements/1.1/">
<dc:identifier id="id">urn:uuid:{identity}</dc:identifier>
<dc:title>{title}</dc:title>
<dc:creator>{author}</dc:creator>
<dc:language>{language}</dc:language>
<dc:rights>Text and pictures: CC BY 4.0. Code: MIT licence.</dc:rights>
<meta property="dcterms:modified">{modified}</meta>
<meta property="schema:accessMode">textual</meta>
<meta property="schema:accessMode">visual</meta>
<meta property="schema:accessModeSufficient">textual,visual</meta>
<meta property="schema:accessibilityFeature">alternativeText</meta>
<meta property="schema:accessibilityFeature">MathML</meta>
<meta property="schema:accessibilityFeature">tableOfContents</meta>
<meta property="schema:accessibilityHazard">none</meta>
<meta property="schema:accessibilitySummary">Every picture has a description; formulas are MathML.</meta>
</metadata>
<manifest>{manifest}</manifest>
<spine>{spine}</spine>
</package>"""


def write(path, book, front, formulas, built, cover, about):
    """Write the book as an ePub.

    path: the file. book: pages of teaching.pages.read. front: HTML of what stands before them. formulas: MathML of each
    formula, in the order of the pages. built: folder of the built book, for its pictures. cover: a JPEG.
    about: title, author, language and version.
    """
    left = iter(formulas)
    documents = {"front.xhtml": _document(about["title"], front, about, STYLE)}
    files = {STYLE: ROOT / "_assets" / "epub.css", FONT: ROOT / "_assets" / "korean.woff", COVER: cover}
    files[PICTURE] = built / PICTURE
    for page in book:
        article = copy.copy(page.article)
        for formula in article.select(".math"):
            _set(formula, next(left))
        folder = Path(page.name).parent
        for link in article.select('a[href]:not([href^="http"])'):
            name, _, place = link["href"].partition("#")
            link["href"] = Path(os.path.relpath(f"{name}.xhtml", folder)).as_posix() + ("#" + place if place else "")
        for image in article.find_all("img"):
            inside = Path(os.path.normpath(folder / image["src"])).as_posix()
            files[inside] = built / inside
        for drawing in article.find_all("svg"):
            drawing["viewBox"] = drawing.attrs.pop("viewbox")  # whose letters a parser of HTML makes small
        for tag in article.find_all(True):
            if not tag.find_parent(DRAWN) and tag.name not in DRAWN:
                tag.attrs = {name: value for name, value in tag.attrs.items() if name in KEPT}
        style = Path(os.path.relpath(STYLE, folder)).as_posix()
        documents[f"{page.name}.xhtml"] = _document(page.title, article.decode_contents(), about, style)
    documents["contents.xhtml"] = _document("Contents", _contents(book), about, STYLE)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("mimetype", "application/epub+zip", zipfile.ZIP_STORED)  # first, and readable as it is
        archive.writestr("META-INF/container.xml", CONTAINER)
        archive.writestr("book.opf", _package(documents, files, about))
        for name, text in documents.items():
            archive.writestr(name, text)
        for name, file in files.items():
            archive.write(file, name)


def _document(title, body, about, style):
    return DOCUMENT.format(title=escape(title), body=body, language=about["language"], style=style)


def _set(formula, mathml):
    """Put MathML in the place of a formula's TeX, which stays for readers that show no MathML, and keep its number."""
    number = formula.select_one(".eqno")
    tex = "".join(formula.find_all(string=True, recursive=False)).strip()[2:-2].strip()
    math = BeautifulSoup(mathml, "html.parser").math
    for tag in [math, *math.find_all(True)]:
        tag.attrs = {
            name: value for name, value in tag.attrs.items() if not name.startswith("data-") and name != "class"
        }
    math["alttext"] = " ".join(tex.split())
    formula.clear()
    formula.append(math)
    if number:
        formula.append(number)


def _contents(book):
    """The table of contents, which reading programs show beside the book: parts, pages, sections."""
    items, part = [], ""
    for page in book:
        sections = "".join(
            f'<li><a href="{page.name}.xhtml#{place}">{escape(title)}</a></li>' for place, title in page.sections
        )
        sections = f"<ol>{sections}</ol>" if sections else ""
        if page.part != part:
            items.append(f"{'</ol></li>' if part else ''}<li><span>{escape(page.part)}</span><ol>")
            part = page.part
        items.append(f'<li><a href="{page.name}.xhtml">{escape(page.title)}</a>{sections}</li>')
    end = "</ol></li>" if part else ""
    return f'<nav epub:type="toc"><h1>Contents</h1><ol>{"".join(items)}{end}</ol></nav>'


def _package(documents, files, about):
    """The list of what is in the book, and in which order it is read."""
    manifest, spine = [], []
    for number, name in enumerate([*documents, *files]):
        special = [{"contents.xhtml": "nav", COVER: "cover-image"}.get(name, "")]
        special += [kind for tag, kind in (("<math", "mathml"), ("<svg", "svg")) if tag in documents.get(name, "")]
        properties = f' properties="{" ".join(special).strip()}"' if any(special) else ""
        manifest.append(f'<item id="i{number}" href="{name}" media-type="{KINDS[Path(name).suffix]}"{properties}/>')
        if name in documents:
            spine.append(f'<itemref idref="i{number}"/>')
    spine.insert(1, spine.pop())  # the contents come after the title
    identity = uuid.uuid5(uuid.NAMESPACE_URL, f"{about['title']} {about['version']}")
    named = {name: escape(about[name]) for name in ("title", "author", "language")}
    modified = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return PACKAGE.format(
        **named, identity=identity, modified=modified, manifest="".join(manifest), spine="".join(spine)
    )
