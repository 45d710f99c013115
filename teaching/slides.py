"""Slides for each chapter, made from its own notebook: `python -m teaching.slides` writes them into _build/slides.

A section shows its first sentence, its formulas and lists, two of its figures, tables or printed results with the
sentences around them, and its last sentence. All of its prose is in the speaker's notes, with what the page for
instructors says of the chapter. Solutions and quizzes stay away.
"""

import argparse
import base64
import html
import re
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

import jinja2
import nbformat
from nbconvert.filters import Highlight2HTML, markdown2html

from teaching import editions

ROOT = Path(__file__).parents[1]
CHAPTERS = sorted((ROOT / "chapters").glob("0?_*.ipynb"))
REVEAL, MATHJAX = files("sphinx_revealjs") / "_static/revealjs", files("sphinx-mathjax-offline") / "static/mathjax"
LOADED = [REVEAL / name for name in ("dist/reset.css", "dist/reveal.css", "dist/reveal.js", "plugin/notes/notes.js")]
LOADED += [MATHJAX / "tex-svg.js", ROOT / "_assets" / "korean.woff", ROOT / "teaching" / "slides.css"]
TEMPLATES = jinja2.Environment(loader=jinja2.FileSystemLoader(ROOT / "teaching"), autoescape=True)
FIGURE, TABLE, PRINTED, TAGGED = range(4)
VISUALS = 2  # figures, tables and printed results of a section, at most
LINES = 16  # of code, at most, above what it prints
LEADING = 3  # sentences, at most, that lead to a formula, and that explain it
ROWS = 15  # of a table, at most; more could not be read from the back

DIRECTIVE = re.compile(r"(`{3,})\{(\w+)\} ?(.*)\n((?::.*\n)*)([\s\S]*?)\s*\1$")
LABEL = re.compile(r"^\$\$ \((eq-[\w-]+)\)$|^:name: (fig-[\w-]+)$", re.MULTILINE)
ROLE = re.compile(r"\{([\w:]+)\}`([^`<]*?)(?: *<?([^`<>]+)>)?`")
CITATION = re.compile(r"\s*\{cite\}`[^`]+`(?!, section)")  # the paper's own sentences keep theirs
SENTENCE = re.compile(r"(?<!Fig\.)(?:(?<=[.!?])|(?<=[.!?][\"”)*]))\s+(?=[\"“(*`$\[]*[A-Z0-9])")
ITEM = re.compile(r"^(- |\d+\. )((?:.+\n?(?!- |\d+\. ))+)\n?", re.MULTILINE)
FORMULA = re.compile(r"(?<!\$)(\$[^$\n]+\$[.,;:)]+)")
SIMULATED = re.compile(r"\bsimulated (?:slides|images)\b")  # is said of a table, too, whose caption does not say it
GLUE = re.compile(r"^glue\([\s\S]*?\)$\n?", re.MULTILINE)  # code that serves the page alone
LEANS = re.compile(  # on the sentence before
    r"(?:\w+ )?(?:it|its|this|that|they|them|these|those|such|so|then|but|here|there|fig\.)\b", re.IGNORECASE
)
ASIDE = re.compile(r"\(|.*\bthis cell\b")  # in parentheses, or for who runs the notebook
SHORT = re.compile(r"(?:\S+ ){,4}\S+|.*\?")  # up to five words, or a question: does not stand alone
KINDS = {"$$": "formula", "> ": "quote", "- ": "list", "1.": "list", "| ": "table", "``": "directive", "**": "point"}
PROSE = {"text", "point"}  # a point is a paragraph that begins in bold, or with an emphasised word and a colon
COUNTED = re.compile(r"\*\w+\*: ")


class Step(NamedTuple):
    """What a section says, as blocks of a kind and a text, and the code cells that follow."""

    blocks: list
    cells: list

    @property
    def sentences(self):
        """The sentences of its paragraphs."""
        return [sentence for kind, text in self.blocks if kind in PROSE for sentence in split(text)]

    @property
    def prose(self):
        """All that it says, as HTML."""
        return to_html("\n\n".join(text for kind, text in self.blocks if kind != "directive"))


class Slide(NamedTuple):
    """A slide: its heading, and what is shown and what is said, both as HTML."""

    heading: str
    shown: str
    notes: str = ""


def to_html(text):
    """Markdown as HTML; the browser sets what stands between dollars, and keeps it with the comma or dot after it."""
    return FORMULA.sub(r'<span class="whole">\1</span>', markdown2html(text).strip())


def split(text):
    """A paragraph's sentences; an aside in parentheses stays whole."""
    sentences = []
    for sentence in SENTENCE.split(text):
        if sentences and sentences[-1].count("(") > sentences[-1].count(")"):
            sentences[-1] += f" {sentence}"
        else:
            sentences.append(sentence)
    return sentences


def words(text, glued, places):
    """Markdown with its references in words.

    glued: the numbers of its notebook, by name. places: what the book calls figures and formulas, by label.
    """

    def word(role):
        name, shown, target = role[1], role[2], role[3] or role[2]
        if name == "glue:text":
            return glued[target]
        if name in {"numref", "eq"}:
            return places[target]
        if name == "cite":
            return "Kim & Yoon"
        return title_of(target) if name == "doc" and not role[3] else shown

    text = re.sub(r"\$\$ \((eq-[\w-]+)\)", lambda found: rf"\tag{{{places[found[1]][1:-1]}}} $$", text)
    return ROLE.sub(word, CITATION.sub("", text))


def title_of(name):
    """The title of a page of the book, in italics."""
    path = next((ROOT / "chapters").glob(f"{name}.*"))
    source = nbformat.read(path, as_version=4).cells[0].source if path.suffix == ".ipynb" else path.read_text("utf-8")
    return f"*{re.search('^# (.*)', source, re.MULTILINE)[1]}*"


def labels(paths):
    """What the book calls the figures and formulas of its chapters: label -> Fig. 1.2 or (1.2)."""
    places = {}
    for path in paths:
        chapter, counts = int(path.stem[:2]), {"fig": 0, "eq": 0}
        for cell in nbformat.read(path, as_version=4).cells:
            figure = cell.metadata.get("mystnb", {}).get("figure", {}).get("name")
            written = LABEL.findall(cell.source) if cell.cell_type == "markdown" else []
            for label in [figure] if figure else [formula or drawn for formula, drawn in written]:
                kind = label.split("-")[0]
                counts[kind] += 1
                number = f"{chapter}.{counts[kind]}" if chapter else counts[kind]
                places[label] = f"Fig. {number}" if kind == "fig" else f"({number})"
    return places


def numbers(notebook):
    """What its cells glued: name -> text."""
    return {
        output.metadata["scrapbook"]["name"]: text.strip("'\"")
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if "scrapbook" in output.get("metadata", {})
        for text in output.data.values()
    }


def blocks(text):
    """Cut Markdown into blocks, each with its kind; a paragraph becomes one line."""
    for place, piece in enumerate(re.split(r"(^`{3,}[\s\S]*?^`{3,}$)", text, flags=re.MULTILINE)):
        for block in filter(None, map(str.strip, [piece] if place % 2 else re.split(r"\n\s*\n", piece))):
            kind = "point" if COUNTED.match(block) else KINDS.get(block[:2], "text")
            yield kind, block.replace("\n", " ") if kind in PROSE else block


def sections(notebook, places):
    """A chapter's sections without solutions and quiz: title -> steps; the first is what stands before all others."""
    glued, found, title = numbers(notebook), {}, ""
    for kind, cell in editions.parts(notebook):
        if kind == "code":
            found[title][-1].cells.append(cell)
        for part in filter(None, re.split(r"^(?=##? )", cell.source, flags=re.MULTILINE)) if kind == "text" else []:
            heading = re.match(r"##? (.*)\n*", part)
            title = heading[1] if heading else title
            body = list(blocks(words(part[heading.end() :] if heading else part, glued, places)))
            found.setdefault(title, []).extend([Step(body, [])] if body else [])
    return found


def guide(chapter):
    """What the page for instructors says of a chapter: before it is taught, and to discuss at its end."""
    text = (ROOT / "chapters" / "instructors.md").read_text(encoding="utf-8")
    part = re.split(r"^### Chapter \d+:.*\n", text, flags=re.MULTILINE)[chapter].split("\n## ")[0] if chapter else ""
    points = re.split(r"^(?=- )", re.sub(r"^\|.*\n", "", words(part, {}, {}), flags=re.MULTILINE), flags=re.MULTILINE)
    asked = [point for point in points if "*Discuss*" in point or "*Listen for*" in point]
    return tuple(to_html("".join(some)) for some in ([point for point in points if point not in asked], asked))


def picture(data, kind, alt, caption):
    """An image, kept in the page, with its description and its caption."""
    image = f'<img src="data:{kind};base64,{data}" alt="{html.escape(alt)}">'
    return f"<figure>{image}<figcaption>{to_html(caption)}</figcaption></figure>"


def directive(text, places):
    """A figure or a box of the chapter as HTML."""
    _, name, argument, options, body = DIRECTIVE.match(text).groups()
    if name != "figure":
        return f"<blockquote>{to_html(body)}</blockquote>"
    data = base64.b64encode((ROOT / "chapters" / argument).read_bytes()).decode()
    alt = re.search(r"^:alt: (.*)$", options, re.MULTILINE)[1]
    label = places[re.search(r"^:name: (.*)$", options, re.MULTILINE)[1]]
    return picture(data, "image/svg+xml", alt, f"**{label}** {body}")


def visuals(step, glued, places):
    """What a step's cells show, each as (rank, HTML): figures, tables, then printed results, which bring their code.

    The best is shown, and whatever has the tag slide.
    """
    source = ""
    for cell in step.cells:
        tags, figure = cell.metadata.get("tags", []), cell.metadata.get("mystnb", {})
        if {"remove-cell", "remove-input", "hide-input"}.isdisjoint(tags):
            source = GLUE.sub("", f"{source}\n\n{cell.source}").strip().replace("\n\n\n", "\n\n")
        title = figure.get("figure", {})
        caption = f"**{places[title['name']]}** {words(title['caption'], glued, places)}" if title else ""
        for output in cell.outputs if "remove-cell" not in tags else []:
            data = output.get("data", {})
            if "image/png" in data:
                yield FIGURE, picture(data["image/png"], "image/png", figure["image"]["alt"], caption)
            elif "text/html" in data and title:
                yield FIGURE, f"<figure>{data['text/html']}<figcaption>{to_html(caption)}</figcaption></figure>"
            elif "text/html" in data:
                table = re.sub(r'<style scoped>[\s\S]*?</style>| border="1"', "", data["text/html"])
                if table.count("<tr") <= ROWS:
                    yield TAGGED if "slide" in tags else TABLE, table
            elif printed := output.get("text") or (output.output_type == "execute_result" and data["text/plain"]):
                shown = Highlight2HTML()(source) if source.count("\n") < LINES else ""
                yield PRINTED, f'{shown}<pre class="printed">{html.escape(printed.rstrip())}</pre>'


def first(sentences):
    """The first sentence, and the next where one leans on the other."""
    both = len(sentences) > 1 and (LEANS.match(sentences[1]) or SHORT.fullmatch(sentences[0]))
    return sentences[: 2 if both else 1]


def last(sentences):
    """The last sentence that is no aside, and those before it on which it leans."""
    sentences = [sentence for sentence in sentences if not ASIDE.match(sentence)] or sentences
    count = 1
    while count < min(LEADING, len(sentences)) and (
        LEANS.match(sentences[-count]) or SHORT.fullmatch(sentences[-count])
    ):
        count += 1
    return sentences[-count:]


def statements(step):
    """A step's formulas, quotes, lists, points, tables of words and boxes, each after the sentences that lead to it."""
    around = [("", ""), *step.blocks, ("", "")]
    for place, (kind, text) in enumerate(step.blocks, 1):
        if kind == "text":
            continue
        before, after = around[place - 1], around[place + 1]
        if before[0] in PROSE and kind != "point" and "{figure}" not in text:
            sentences = split(before[1])
            yield sentences[-LEADING:] if kind == "formula" else last(sentences)
        if kind == "list":
            text = ITEM.sub(lambda item: f"{item[1]}{split(item[2].strip())[0]}\n", text)
        yield (split(text)[:LEADING] if COUNTED.match(text) else first(split(text))) if kind == "point" else [text]
        if after[0] == "text" and after[1][0].islower():
            yield split(after[1])[:LEADING]


def lead(step, shown, opens):
    """What stands above an output: the sentence before it, but no announcement of code above a figure.

    Where a step opens its section, whose first sentence stands there, only an announcement is added.
    """
    place = max((place for place, (kind, _) in enumerate(step.blocks, 1) if kind not in PROSE), default=0)
    sentences = Step(step.blocks[place:], []).sentences
    found = first(sentences) if sentences and sentences[0].startswith("*") else last(sentences)
    announces = found and found[-1].endswith(":")
    return [] if (shown == FIGURE if announces else opens) else found


def comment(step, has_slide):
    """What stands below an output: what the next step says first, and where that speaks of simulated images."""
    sentences = step.sentences
    if list(statements(step)) or not sentences or sentences[0].startswith("*") or has_slide and len(sentences) == 1:
        return []
    return [one for one in first(sentences) if one[-1] != ":"] + [one for one in sentences if SIMULATED.search(one)][:1]


def section(heading, steps, glued, places):
    """The slides of a section."""
    found = [sorted(visuals(step, glued, places), key=lambda one: one[0]) for step in steps]
    some = [place for place in range(len(steps)) if found[place]]
    kept = sorted(some, key=lambda place: found[place][0][0])[:VISUALS]
    begins, slides, said, untold = first(steps[0].sentences), [], set(), ""

    def new(*groups):
        """What has not been shown yet, a paragraph a group."""
        shown = ""
        for group in groups:
            text = " ".join(sentence for sentence in dict.fromkeys(group) if sentence not in said)
            said.update(group)
            shown += directive(text, places) if text.startswith("```{") else to_html(text)
        return shown

    for place, step in enumerate(steps):
        untold, stated = untold + step.prose, list(statements(step))
        if stated:
            slides.append([new(begins if step.blocks[0][0] in PROSE else [], *stated), untold])
            untold = ""
        if place in kept:
            (kind, best), *others = found[place]
            above = new(begins if not slides else [], lead(step, kind, opens=not place and not stated))
            slides.append([above + best, untold])
            slides += [[shown, ""] for other, shown in others if other == TAGGED]
            untold = ""
            if place + 1 < len(steps):
                slides[-1][0] += new(comment(steps[place + 1], place + 1 in kept))
        elif slides and not stated:
            slides[-1][1] += untold
            untold = ""
    if not slides:
        points = [first(split(text)) for step in steps for _, text in step.blocks]
        slides.append([new(*points), ""])
    closing = last([sentence for step in steps for sentence in step.sentences])
    if closing[-1][-1] != ":" and closing[-1] not in said:
        slides[-1][0] += new(closing)
    slides[-1][1] += untold
    return [Slide(heading, shown, notes) for shown, notes in slides]


def opening(title, number, step, before):
    """The first slides: the title, what the reader will do, and the paper's sentence that the chapter starts from."""
    box = next(DIRECTIVE.match(text)[5] for kind, text in step.blocks if kind == "directive")
    objectives, needs = re.split(r"\n\s*\n", box)[:2]
    course = f"{f'Chapter {number} of ' if number else ''}From Slide to Softmax. Not for clinical use."
    yield Slide(title, to_html(course), to_html(needs) + before)
    yield Slide("In this chapter", to_html(objectives))
    quotes = [text for kind, text in step.blocks if kind == "quote"]
    shown = quotes or [" ".join(first(split(text))) for kind, text in step.blocks if kind == "text"]
    told = to_html("\n\n".join(text for kind, text in step.blocks if kind == "text"))
    yield Slide("The paper says" if quotes else "Where it starts", to_html("\n\n".join(shown)), told)


def exercises(heading, steps):
    """The exercises' titles; what they ask is in the notes."""
    asked = [text for step in steps for kind, text in step.blocks if kind == "directive"]
    found = [editions.EXERCISE.search(f"{text}\n") for text in asked]
    titles = to_html("".join(f"1. {exercise[2]}\n" for exercise in found))
    return Slide(heading, titles, to_html("\n\n".join(f"**{one[2]}**: {one[3]}" for one in found)))


def deck(path, places):
    """A chapter's slides. path: its notebook. places: what `labels` returns."""
    notebook, number = nbformat.read(path, as_version=4), int(path.stem[:2])
    found, glued = sections(notebook, places), numbers(notebook)
    before, at_the_end = guide(number)
    title = next(iter(found))
    slides = list(opening(title, number, found.pop(title)[0], before))
    coming = "".join(step.prose for step in found.get("What comes next", []))
    for place, (name, steps) in enumerate(found.items(), 1):
        heading = f"{number}.{place} {name}" if number else name
        if name == "Exercises":
            slides.append(exercises(heading, steps))
        elif name == "Take-away":
            points = to_html("\n".join(f"- {sentence}" for step in steps for sentence in step.sentences))
            slides.append(Slide(heading, points, coming + at_the_end))
        elif name not in {"Quiz", "What comes next"}:
            slides += section(heading, steps, glued, places)
    return title, slides


def write(folder):
    """Write all decks, what they load, and an index, into a folder."""
    loaded = folder / "loaded"
    loaded.mkdir(parents=True, exist_ok=True)
    for source in LOADED:
        (loaded / source.name).write_bytes(source.read_bytes())
    places, decks = labels(CHAPTERS), []
    for path in CHAPTERS:
        title, slides = deck(path, places)
        page = TEMPLATES.get_template("slides.html").render(title=title, slides=slides)
        (folder / f"{path.stem}.html").write_text(page, encoding="utf-8")
        decks.append((int(path.stem[:2]), title, f"{path.stem}.html", len(slides)))
    (folder / "index.html").write_text(
        TEMPLATES.get_template("slides_index.html").render(decks=decks), encoding="utf-8"
    )


def main():
    """Write the slides into the folder that was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", default=ROOT / "_build" / "slides")
    folder = parser.parse_args().folder
    if folder.is_file():
        parser.error(f"{folder} is a file; name the folder that the slides should go into.")
    write(folder)
    print(f"The slides: {folder / 'index.html'}")


if __name__ == "__main__":
    main()
