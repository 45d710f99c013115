"""The pages of the built book as paper can show them: without scripts, buttons and folds, and what moves stands still.

What a click would show is there to read: tabs stand one below the other, a quiz shows its questions. Solutions and the
quiz's answers are gathered at the end of their chapter: right below a question they would be read before it is tried,
and without them who learns alone could not compare. Code that the web book folds, which only draws, is left out.
"""

import json
import posixpath
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

import yaml
from bs4 import BeautifulSoup, Tag

ROOT = Path(__file__).parents[1]
GONE = ", ".join(
    ["script", "style", "details.hide", ".headerlink", "[aria-hidden=true]", ".toctree-wrapper", ".downloads"]
    + ["label:has(> select)", ".sd-tab-set > input", "p:has(> .language)"]
)
# Two thirds of a page's elements are words of code that have no colour of their own.
PLAIN = ".highlight span:is(.n, .p, .o, .w, :not([class])), code span.pre"
MOVES = "In the web book this can be moved; here it stands as it begins."
SEVERAL = " (Several may be right.)"


@dataclass
class Page:
    """A page of the book: its name as in _toc.yml, its part's caption, and what stands on it."""

    name: str
    part: str
    article: Tag
    sections: list = field(default_factory=list)  # (place, title) of its headings of the second level

    @property
    def title(self):
        """Its first heading, with its number."""
        return self.article.h1.get_text()


def listed():
    """The book's pages in reading order: (name, caption of its part), the name a path without a suffix."""
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    of_parts = [(entry["file"], part["caption"]) for part in toc["parts"] for entry in part["chapters"]]
    return [(toc["root"], ""), *of_parts]


def read(site, only=None):
    """The pages of a built book, in reading order.

    site: folder with intro.html. only: names of the pages to take; the others are left out, and links to them.
    Raises FileNotFoundError if a page of the table of contents is not there.
    """
    pages = []
    for name, part in listed():
        if only is None or name in only:
            built = (site / f"{name}.html").read_text(encoding="utf-8")
            article = BeautifulSoup(built, "html.parser").find("article")
            still(article)
            pages.append(Page(name, part, article))
    _link(pages)
    return pages


def still(article):
    """Take out of a page, in place, what only a browser can show."""
    new = BeautifulSoup("", "html.parser").new_tag
    answers = [_write_out_quiz(box, new) for box in article.select(".text_html:has(> [data-numquestions])")]
    for controls in article.select(".controls"):
        controls.replace_with(new("p", string=MOVES))
    for element in article.select(GONE):
        element.decompose()
    for word in article.select(PLAIN):
        word.unwrap()
    article.smooth()
    for label in article.select(".sd-tab-label"):
        label.name, label.attrs = "p", {"class": "tab"}
    for tabs in article.select(".sd-tab-set, .sd-tab-content"):
        tabs.unwrap()
    for picture in article.find_all("picture"):
        picture.replace_with(picture.img)
    for card in article.select(".sd-card:has(> .sd-stretched-link)"):  # its title leads where the whole card did
        link, title = card.find("a", class_="sd-stretched-link"), card.select_one(".sd-card-title")
        link.extract().string = title.get_text().strip()
        title.clear()
        title.append(link)
        link["class"] = "reference"
    for cell in article.select(".cell"):
        if not cell.get_text(strip=True) and not cell.img:
            cell.decompose()
    _gather_solutions(article, answers, new)


def _write_out_quiz(box, new):
    """Put a quiz's questions where its script was; returns the list of its right answers."""
    script, asked, right = box.script.string, new("ol"), new("ol")
    for item in json.JSONDecoder().raw_decode(script, script.index("["))[0]:
        question, choices, answer = new("li"), new("ol", type="a"), new("li")
        question.append(new("p", string=item["question"] + SEVERAL * (item["type"] == "many_choice")))
        question.append(choices)
        for letter, choice in zip("abcdefgh", item["answers"], strict=False):
            choices.append(new("li", string=choice["answer"]))
            if choice["correct"]:
                answer.append(new("p", string=f"{letter}: {choice['feedback']}"))
        asked.append(question)
        right.append(answer)
    box.clear()
    box.append(asked)
    box["class"] = "quiz"
    return right


def _gather_solutions(article, answers, new):
    """Move the solutions of a page to its end, after a heading, and say so where they were."""
    solutions = article.select(".solution")
    if not solutions and not answers:
        return
    end = new("section", id="solutions")
    end.append(new("h2", string="Solutions"))
    for solution in solutions:
        exercise = article.find(id=solution.select_one(".admonition-title a")["href"].removeprefix("#"))
        line = new("p", attrs={"class": "to-solution"})
        line.append(new("a", string="Solution", href=f"#{solution['id']}"))
        exercise.append(line)
        solution["class"] = "solution admonition"
        end.append(solution.extract())
    for right in answers:
        end.append(new("h3", string="Answers of the quiz"))
        right["class"] = "quiz"
        end.append(right)
    article.section.append(end)


def _link(pages):
    """Write links within the book as page#place, unwrap those that lead nowhere, and keep the ids that are used."""
    places = {page.name: {tag["id"] for tag in page.article.find_all(id=True)} for page in pages}
    used = {page.name: set() for page in pages}
    for page in pages:
        for link in page.article.find_all("a"):
            parts = urlsplit(link.get("href", ""))
            if parts.scheme in ("http", "https"):
                continue
            path = posixpath.normpath(posixpath.join(posixpath.dirname(page.name), unquote(parts.path)))
            target, place = path.removesuffix(".html") if parts.path else page.name, unquote(parts.fragment)
            if parts.scheme or target not in places or (place and place not in places[target]):
                link.unwrap()
                continue
            used[target].add(place)
            link["href"] = f"{target}#{place}"
    for page in pages:
        for heading in page.article.find_all("h2"):
            place = heading.parent["id"]
            used[page.name].add(place)
            page.sections.append((place, heading.get_text()))
        kept = set()
        for tag in page.article.find_all(id=True):
            if tag["id"] not in used[page.name] or tag["id"] in kept:
                del tag["id"]
            else:
                kept.add(tag["id"])
