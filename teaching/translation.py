"""The book in another language: its words in files of gettext, and the pages that are made with them.

    python -m teaching.translation update ko                              # what the English pages say now
    python -m teaching.translation update ko chapters/02_convolution      # begins a page
    python -m teaching.translation check ko                               # what is not translated, or no longer fits
    python -m teaching.translation render ko _build/ko                    # into a copy of the book's sources
    python -m teaching.translation link ko _build/html                    # between _build/html and _build/html/ko

A message is a block of a page's Markdown, between blank lines, as it is written; a caption; an alt text; or a sentence
of a quiz. So the copy's notebooks are translated as well, and run. Sphinx's own extraction was weighed and left out:
in what it translates no number can be glued and formulas are lost, and it sees no alt text and no exercise's title.
"""

import argparse
import json
import os
import re
import sys
from collections import Counter
from pathlib import Path

from babel import Locale, UnknownLocaleError
from babel.messages import pofile
from babel.messages.catalog import Catalog

ROOT = Path(__file__).parents[1]
ENGLISH = "en"
GAP = re.compile(r"(\n(?:[ \t]*\n)+)")
FORMULA = r"\$\$(?:(?!\\text).)*?\$\$(?: \([\w-]+\))?"
BORDER = r"`{3,}(?:\{solution-\w+\}[^\n]*(?:\n:[^\n]*)*\n`{3,})?"
NO_WORDS = re.compile(f"{FORMULA}|{BORDER}", re.DOTALL)
SPOKEN = re.compile(r'("(?:question|answer|feedback)": )("(?:[^"\\]|\\.)+")')
ROLE = re.compile(r"\{([\w:]+)\}`(?:[^`<]*<([^`>]+)>|([^`]+))`")
MARK = re.compile(
    r"^`{3,}(?:\{[\w-]+\})?|^:\w+:(?: [\w-]+$)?|^#+ |^- |^\d+\. |\$+[^$]+\$+(?: \([\w-]+\))?|\]\([^)\s]+", re.M
)


def mapped(text, suffix, translate):
    """The text of a page's file in which every message is what `translate` makes of it.

    suffix: .ipynb, .md, or .json for a quiz.
    """
    if suffix == ".md":
        return _blocks(text, translate)
    if suffix == ".json":
        return SPOKEN.sub(lambda found: found[1] + _quoted(translate(json.loads(found[2]))), text)
    notebook = json.loads(text)
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown":
            cell["source"] = _blocks("".join(cell["source"]), translate)
        shown = cell["metadata"].get("mystnb", {})
        for group, key in (("figure", "caption"), ("image", "alt")):
            if key in shown.get(group, {}):
                shown[group][key] = translate(shown[group][key])
        for output in cell.get("outputs", []):  # a quiz is stored with its questions
            data = output.get("data", {})
            if "application/javascript" in data:
                script = "".join(data["application/javascript"])
                data["application/javascript"] = mapped(script, ".json", translate)
    return json.dumps(notebook, ensure_ascii=False, indent=1) + "\n"


def _blocks(text, translate):
    pieces = GAP.split(text)
    return "".join(
        translate(piece) if re.search(r"[^\W\d_]{2}", NO_WORDS.sub("", piece)) else piece for piece in pieces
    )


def _quoted(text):
    return json.dumps(text, ensure_ascii=False)


def source(name, root=ROOT):
    """The file of a page, such as chapters/01_missed_cancer."""
    found = [path for suffix in (".ipynb", ".md") if (path := root / f"{name}{suffix}").exists()]
    if not found:
        raise ValueError(f"{name} is no page of the book; expected a name such as chapters/01_missed_cancer")
    return found[0]


def messages(name, root=ROOT):
    """The messages of a page, in its order."""
    found, path = [], source(name, root)
    mapped(path.read_text(encoding="utf-8"), path.suffix, lambda message: found.append(message) or message)
    return list(dict.fromkeys(found))


def translations(language, root=ROOT):
    """The translated pages: a name, such as chapters/01_missed_cancer, and its file."""
    folder = root / "locale" / language / "LC_MESSAGES"
    return {path.relative_to(folder).with_suffix("").as_posix(): path for path in sorted(folder.rglob("*.po"))}


def read(path):
    """The catalog in a file of gettext."""
    with path.open("rb") as file:
        return pofile.read_po(file)


def update(language, name, root=ROOT):
    """Write the messages of a page into its file; what is translated stays, what changed in English is marked fuzzy."""
    now, path = messages(name, root), root / "locale" / language / "LC_MESSAGES" / f"{name}.po"
    of_words = {" ".join(message.split()): message for message in now}
    catalog = Catalog(language, project="From Slide to Softmax", version=" ", fuzzy=False)
    catalog.header_comment = f"# {name} of From Slide to Softmax; text under CC BY 4.0."
    catalog.last_translator = catalog.language_team = catalog.msgid_bugs_address = ""
    catalog.revision_date = catalog.creation_date
    if path.exists():
        old = read(path)
        catalog.creation_date, catalog.revision_date = old.creation_date, old.revision_date
        for message in filter(_has_id, old):  # one whose lines were only broken anew has not changed
            catalog.add(of_words.get(" ".join(message.id.split()), message.id), message.string, flags=message.flags)
    template = Catalog()
    for message in now:
        template.add(message)
    catalog.update(template, update_creation_date=False)
    for message in catalog:
        message.flags &= {"fuzzy"}  # babel takes the braces of roles for Python's
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        pofile.write_po(file, catalog, width=110, include_previous=True)
    return path


def _has_id(message):
    return bool(message.id)


def problems(language, name, root=ROOT):
    """What of a page is not translated, or no longer as the English says; lines of text."""
    now, catalog = messages(name, root), read(translations(language, root)[name])
    here = list(filter(_has_id, catalog))
    known = {message.id for message in here}
    kinds = {
        "new or changed in English": sorted(set(now) - known),
        "no longer in the English": [*sorted(known - set(now)), *catalog.obsolete],
        "to be looked at (fuzzy)": [message.id for message in here if message.fuzzy],
        "not translated": [message.id for message in here if not message.string],
        "with other marks than the English": [
            message.id for message in here if message.string and marks(message.id) != marks(message.string)
        ],
    }
    return [f"{language}, {name}: {len(ids)} {kind}, such as {ids[0][:60]!r}" for kind, ids in kinds.items() if ids]


def marks(text):
    """What a translation keeps: targets of roles, borders of boxes, labels, headings, lists, formulas, links."""
    roles = Counter((kind, (target or words).lower()) for kind, target, words in ROLE.findall(text))
    return roles + Counter(re.sub(r"\\text\{[^}]*\}", "", mark) for mark in MARK.findall(ROLE.sub("", text)))


def render(language, folder):
    """Put what is translated into the sources in `folder`, a copy of the book's; quizzes with their chapters."""
    for name, path in translations(language).items():
        done = [message for message in read(path) if message.string and not message.fuzzy]
        said = {message.id: _place(message.id) + message.string for message in done}
        page = source(name, folder)
        quizzes = re.findall(r'display_quiz\(\\"(quiz/\d+\.json)', page.read_text(encoding="utf-8"))
        for file in [page, *(page.parent / quiz for quiz in quizzes)]:
            text = file.read_text(encoding="utf-8")
            text = mapped(text, file.suffix, lambda message, said=said: said.get(message, message))
            file.write_text(text, encoding="utf-8")


def _place(message):
    """Where links to an English heading lead, since its translation has a name of its own; empty for other messages."""
    words = re.match(r"##+ (.+)", message)
    return f'<span id="{re.sub("[^a-z0-9]+", "-", words[1].lower()).strip("-")}"></span>\n\n' if words else ""


def link(language, site):
    """Lead from each translated page to its original and back, and say of the other pages that they are English.

    site: folder of the built book, with the translated one in the folder `language` of it.
    """
    names = translations(language)
    for path in (site / language).rglob("*.html"):
        if path.relative_to(site / language).with_suffix("").as_posix() not in names:
            text = path.read_text(encoding="utf-8")
            path.write_text(text.replace(f'<html lang="{language}"', f'<html lang="{ENGLISH}"', 1), encoding="utf-8")
    for name in names:
        original, other = site / f"{name}.html", site / language / f"{name}.html"
        _lead(original, other, language)
        _lead(other, original, ENGLISH)


def _lead(page, to, language):
    target = Path(os.path.relpath(to, page.parent)).as_posix()
    words = f'<a class="language" lang="{language}" hreflang="{language}" href="{target}">'
    words += f"{Locale.parse(language).get_display_name(language)}</a>"
    before, article, after = page.read_text(encoding="utf-8").partition("<article")
    if words not in after:
        page.write_text(before + article + after.replace("</h1>", f"</h1>\n<p>{words}</p>", 1), encoding="utf-8")


def main():
    """Do what was asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=["update", "check", "render", "link"])
    parser.add_argument("language", help="such as ko")
    parser.add_argument("place", nargs="?", help="a page to begin (update), or a folder (render, link)")
    options = parser.parse_args()
    try:
        Locale.parse(options.language)
        known = translations(options.language)
        if options.action == "update":
            for name in [options.place] if options.place else known:
                print(update(options.language, name).relative_to(ROOT))
        elif options.action == "check":
            found = [problem for name in known for problem in problems(options.language, name)]
            sys.exit("\n".join(found) or None)
        else:
            if not known:
                raise ValueError(
                    f"nothing is translated into {options.language}; begin a page: update {options.language} PAGE"
                )
            {"render": render, "link": link}[options.action](options.language, Path(options.place))
    except (ValueError, UnknownLocaleError) as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
