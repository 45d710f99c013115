"""What must hold for every stored page; each check takes one page and returns its problems as lines of text.

`python -m tests.page_rules chapters/01_missed_cancer.ipynb` prints the problems, words and cells of a page.
"""

import json
import re
import statistics
import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
TAGS = {"remove-cell", "remove-input", "hide-input", "hide-output", "nbval-ignore-output", "slide"}
UNCHECKED = 2  # cells of a chapter whose output may go uncompared
LINES = 25  # of a code cell
ALT = 40  # characters; less says no more than a file name
LEVELS = ("easy", "medium", "open")  # of the exercises; an open one has no single answer to check
SECTIONS = ["What the paper leaves open", "Exercises", "Quiz", "Take-away", "What comes next"]

FENCE = re.compile(r"^(`{3,}|~{3,}).*?^\1 *$", re.MULTILINE | re.DOTALL)
ROLE = re.compile(r"\{([\w:]+)\}`([^`]+)`")
MATH = re.compile(r"\$\$.*?\$\$|\$[^$\n]+\$", re.DOTALL)
CODE = re.compile(r"`[^`\n]*`")
LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s]*)[^)]*\)")
VERSION = re.compile(r"(?:Python|version|BY) \d[\d.]*")
QUOTED = re.compile(r"[\"“][^\"“”]*[\"”]|^ *>.*$", re.MULTILINE)
LOCAL_PATH = re.compile(r"(?<![\w.:/])(?:/(?:home|Users|root|tmp|work|var|opt|usr|mnt)/\w|[A-Za-z]:\\\w)")
TYPED_NUMBER = re.compile(r"(?<![\w.§-])\d+\.\d+(?![\w.])|\d+ ?(?:%|percent|per cent)|\d{1,3}(?:,\d{3})+")


class Page(NamedTuple):
    """A page of the book: its name, and its cells as in a notebook's file (one cell of a Markdown page)."""

    name: str
    cells: list

    @property
    def markdown(self):
        """All prose, as written."""
        return "\n\n".join("".join(cell["source"]) for cell in self.cells if cell["cell_type"] == "markdown")

    @property
    def code(self):
        """The code cells that hold code."""
        return [cell for cell in self.cells if cell["cell_type"] == "code" and "".join(cell["source"]).strip()]

    @property
    def prose(self):
        """The running text: without headings, directives, code blocks and formulas; its length is kept."""
        return _blank(_blank(_blank(self.markdown, FENCE), re.compile(r"^#.*$", re.MULTILINE)), MATH)


def read(path):
    """Read a notebook or a Markdown file as a Page."""
    text = Path(path).read_text(encoding="utf-8")
    if Path(path).suffix == ".ipynb":
        return Page(Path(path).name, json.loads(text)["cells"])
    return Page(Path(path).name, [{"cell_type": "markdown", "metadata": {}, "source": text}])


def _blank(text, pattern):
    return pattern.sub(lambda match: re.sub(r"[^\n]", " ", match[0]), text)


def _source(cell):
    return "".join(cell["source"])


def _has(cell, *kinds):
    """Whether an output of the cell is, or holds, one of these kinds."""
    return any({output["output_type"], *output.get("data", {})} & set(kinds) for output in cell["outputs"])


def execution(page):
    """Every cell was run, in order, from a fresh kernel, without error and with nothing on standard error."""
    problems = []
    for number, cell in enumerate(page.code, 1):
        if cell["execution_count"] != number:
            problems.append(f"code cell {number} has execution count {cell['execution_count']}; run: make run")
        if _has(cell, "error"):
            problems.append(f"code cell {number} ends in an error")
        if any(output.get("name") == "stderr" for output in cell["outputs"]):
            problems.append(f"code cell {number} writes to standard error")
    return problems


def cells(page):
    """No cell is long; tags and mystnb keys are known, since a misspelt one is ignored silently; few go uncompared."""
    problems, unchecked = [], 0
    for number, cell in enumerate(page.code, 1):
        lines = len(_source(cell).splitlines())
        if lines > LINES:
            problems.append(f"code cell {number} has {lines} lines, more than {LINES}")
        tags, shown = set(cell["metadata"].get("tags", [])), cell["metadata"].get("mystnb", {})
        problems += [f"code cell {number} has the unknown tag {tag}" for tag in sorted(tags - TAGS)]
        known = {"mystnb": {"figure", "image"}, "figure": {"caption", "name"}, "image": {"alt"}}
        for group, keys in (("mystnb", shown), *((key, shown.get(key, {})) for key in ("figure", "image"))):
            problems += [
                f"code cell {number} has the unknown {group} key {key}" for key in keys if key not in known[group]
            ]
        unchecked += "nbval-ignore-output" in tags
        if "nbval-ignore-output" in tags and "assert " not in _source(cell):
            problems.append(f"code cell {number} goes uncompared and asserts nothing")
    if unchecked > UNCHECKED:
        problems.append(f"{unchecked} cells go uncompared, more than {UNCHECKED}")
    return problems


def figures(page):
    """Every picture has caption, label, alt text, a mention in the prose, and its numbers in text beside it."""
    problems = []
    for place, cell in enumerate(page.code):
        if not _has(cell, "image/png", "image/jpeg", "image/svg+xml"):
            continue
        shown = cell["metadata"].get("mystnb", {})
        name = shown.get("figure", {}).get("name", "")
        if not shown.get("figure", {}).get("caption"):
            problems.append(f"the figure of code cell {place + 1} has no caption")
        if not name.startswith("fig-"):
            problems.append(f"the figure of code cell {place + 1} has no label fig-...")
        if len(shown.get("image", {}).get("alt", "")) <= ALT:
            problems.append(f"the figure of code cell {place + 1} has no alt text of more than {ALT} characters")
        if sum(output["output_type"] != "stream" for output in cell["outputs"]) > 1:
            problems.append(f"code cell {place + 1} shows something beside its figure, which would get the same label")
        if f"{{numref}}`{name}`" not in page.markdown and f"<{name}>`" not in page.markdown:
            problems.append(f"the figure {name} of code cell {place + 1} is nowhere referred to")
        beside = page.code[max(0, place - 1) : place + 2]
        if not any(
            _has(near, "stream", "text/html", "execute_result") or "assert " in _source(near) for near in beside
        ):
            problems.append(f"the numbers of figure {name} are neither printed nor asserted beside it")
    for mark, words, target in LINK.findall(_blank(page.markdown, CODE)):
        if mark and len(words) <= ALT:
            problems.append(f"the image {target} has no alt text of more than {ALT} characters")
    for directive in re.findall(r"^`{3,}\{(?:image|figure)\}.*?^`{3,} *$", page.markdown, re.MULTILINE | re.DOTALL):
        alt = re.search(r"^:alt:(.*)$", directive, re.MULTILINE)
        if not alt or len(alt[1].strip()) <= ALT:
            problems.append(f"{directive.splitlines()[0]} has no alt text of more than {ALT} characters")
    return problems


def headings(page):
    """One first-level heading, at the top, and no level left out."""
    levels = [len(match) for match in re.findall(r"^(#+) ", _blank(page.markdown, FENCE), re.MULTILINE)]
    problems = []
    if levels.count(1) != 1 or levels[0] != 1:
        problems.append(f"has {levels.count(1)} first-level headings; expected one, at the top")
    if any(later > before + 1 for before, later in zip(levels, levels[1:], strict=False)):
        problems.append("a heading skips a level")
    return problems


def local_paths(page):
    """Nothing names a path of the machine that it was made on, in text, code or output."""
    found = LOCAL_PATH.search(json.dumps(page.cells, ensure_ascii=False).replace("\\\\", "\\"))
    return [f"names a path of one machine: {found.string[found.start() : found.start() + 40]}"] if found else []


def citations(page, keys=None):
    """Every citation has an entry in references.bib."""
    keys = keys or set(
        re.findall(r"^@\w+\{([^,\s]+),", (ROOT / "references.bib").read_text(encoding="utf-8"), re.MULTILINE)
    )
    cited = [key.strip() for kind, text in ROLE.findall(page.markdown) if "cite" in kind for key in text.split(",")]
    return [f"cites {key}, which references.bib lacks" for key in cited if key not in keys]


def typed_numbers(page):
    """Measured and printed numbers come from a cell, by glue; only quoted words hold them as they are."""
    text = page.prose
    for pattern in (QUOTED, VERSION, ROLE, CODE, LINK):
        text = _blank(text, pattern)
    return [f"types the number {match[0]}: {_line(text, match)}" for match in TYPED_NUMBER.finditer(text)]


def _line(text, match):
    return text[max(0, match.start() - 40) : match.end() + 20].replace("\n", " ").strip()


def glossary_terms(path=ROOT / "chapters" / "glossary.md"):
    """The glossary's entries, each a list of its names."""
    block = re.search(r"^(`{3,})\{glossary\}(.*?)^\1", path.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)[2]
    lines = [line for line in block.splitlines() if not line.startswith(":")]
    entries, names = [], []
    for line in lines:
        if line.startswith(" ") and names:
            entries.append(names)
            names = []
        elif line.strip() and not line.startswith(" "):
            names.append(line.strip())
    return entries


def terms(page, entries=None):
    """A term of the glossary is linked to it where the page's running text uses it first."""
    entries = entries or glossary_terms()
    text = _blank(_blank(page.prose, QUOTED), re.compile(r"\{(?!term)[\w:]+\}`[^`]+`"))
    linked = {}
    for match in re.finditer(r"\{term\}`([^`]+)`", text):
        target = re.search(r"<([^>]+)>", match[1])
        linked.setdefault((target[1] if target else match[1]).strip().lower(), match.start())
    known = {name.lower() for names in entries for name in names}
    problems = [f"the term {name} is not in the glossary" for name in linked if name not in known]
    for pattern in (ROLE, CODE, LINK):
        text = _blank(text, pattern)
    longest_first = sorted(((name, names) for names in entries for name in names), key=lambda pair: -len(pair[0]))
    for name, entry in longest_first:
        pattern = re.compile(rf"(?<![\w-]){re.escape(name)}(?:s|es)?(?![\w-])", 0 if name.isupper() else re.IGNORECASE)
        first = pattern.search(text)
        link = min((linked[other.lower()] for other in entry if other.lower() in linked), default=len(text))
        if first and first.start() < link:
            problems.append(f"uses {name} before linking it to the glossary: {_line(text, first)}")
        text = _blank(text, pattern)
    return problems


def shape(page):
    """A chapter keeps the course's rhythm and lengths."""
    text, problems = page.markdown, []
    titles = re.findall(r"^## (.+)$", text, re.MULTILINE)
    if titles[-len(SECTIONS) :] != SECTIONS:
        problems.append(f"ends with the sections {titles[-len(SECTIONS) :]}; expected {SECTIONS}")
    if ":class: objectives" not in text:
        problems.append("has no box of objectives")
    titles = re.findall(r"\{exercise\} (.*)\n:label: (\S+)", text)
    exercises = [label for _, label in titles]
    solutions = re.findall(r"\{solution-start\} (\S+)\n:class: dropdown", text)
    if len(exercises) != 3 or sorted(exercises) != sorted(solutions):
        problems.append(f"has exercises {exercises} and hidden solutions {solutions}; expected three of each")
    if [title.rsplit(" · ", 1)[-1] for title, _ in titles] != list(LEVELS):
        problems.append(f"has exercises {[title for title, _ in titles]}; expected one each of {', '.join(LEVELS)}")
    for label in exercises[:-1]:
        if not any(f'self_check.answer("{label}", ...)' in _source(cell) for cell in page.code):
            problems.append(f"exercise {label} has no self-check; expected a cell with self_check.answer")
    if not any("display_quiz(" in _source(cell) for cell in page.code):
        problems.append("has no quiz")
    words, lengths = measure(page)
    if not 1500 <= words <= 2500:
        problems.append(f"has {words} words; expected 1,500 to 2,500")
    own = [cell for cell in page.code if not _is_aside(cell)]
    lengths = [_lines_of_code(cell) for cell in own]
    if not 15 <= len(own) <= 28 or statistics.median(lengths) > 7:
        problems.append(f"has {len(own)} code cells of {statistics.median(lengths)} lines (median), asides apart")
    return problems


def _is_aside(cell):
    """Whether a cell belongs to an exercise, holds the quiz, or only glues numbers into the text."""
    metadata = cell["metadata"]
    return (
        _source(cell).startswith("self_check.answer(")
        or "source_hidden" in metadata.get("jupyter", {})
        or bool({"remove-input", "remove-cell"} & set(metadata.get("tags", [])))
    )


def _lines_of_code(cell):
    return sum(bool(line.strip()) for line in _source(cell).splitlines())


def measure(page):
    """Words of running text, and the lines of each code cell."""
    text = ROLE.sub(
        lambda match: re.sub(r" *<[^>]+>", "", match[2]), _blank(page.markdown, re.compile(r"^[`~:]{3,}.*$", re.M))
    )
    return len(re.findall(r"\b[\w'’-]+\b", text)), [_lines_of_code(cell) for cell in page.code]


EVERY_PAGE = [execution, cells, figures, headings, local_paths, citations, typed_numbers, terms]


def checks_for(path):
    """The checks of a page: the glossary's links are asked of the course alone, the shape of its chapters."""
    path = Path(path)
    checks = [check for check in EVERY_PAGE if check is not terms or re.match(r"\d\d_", path.name)]
    return [*checks, shape] if re.match(r"0[1-8]_.*\.ipynb", path.name) else checks


def problems(path):
    """All problems of one page."""
    page = read(path)
    return [f"{page.name}: {problem}" for check in checks_for(path) for problem in check(page)]


if __name__ == "__main__":
    for name in sys.argv[1:]:
        words, lengths = measure(read(name))
        print(
            f"{name}: {words} words, {len(lengths)} code cells"
            + (f", median {statistics.median(lengths)} lines" if lengths else "")
        )
        print("\n".join(problems(name)) or "no problem found")
