"""The slides: all of a chapter that they ought to have, none of its answers, and nothing cut off or from outside."""

import json
import re

import nbformat
import pytest
from bs4 import BeautifulSoup
from playwright.sync_api import sync_playwright

from teaching import slides
from tests import page_rules, site
from tests.page_rules import ROOT
from tests.site import needs_book, needs_browser
from tests.test_editions import solved

LEAST = 80  # percent of the usual size; smaller letters could not be read from the back
each_chapter = pytest.mark.parametrize("path", slides.CHAPTERS, ids=lambda path: path.stem)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("slides")
    slides.write(folder)
    return folder


def deck(folder, path):
    return BeautifulSoup((folder / f"{path.stem}.html").read_text(encoding="utf-8"), "html.parser")


def squeezed(text):
    return re.sub(r"\s+", " ", text).strip()


def taught(path):
    """A chapter's Markdown without its exercises and what follows them, but with its take-away."""
    text = page_rules.read(path).markdown
    before, _, after = text.partition("## Exercises")
    return before + "## Take-away" + after.partition("## Take-away")[2] if after else text


@each_chapter
def test_a_chapter_is_there_whole(path, folder):
    page, text = deck(folder, path), page_rules.read(path).markdown
    headings = [heading.get_text() for heading in page.find_all("h2")]
    assert page.h1.get_text() == re.search("^# (.*)$", text, re.MULTILINE)[1]
    for place, title in enumerate(re.findall("^## (.*)$", text, re.MULTILINE), 1):
        numbered = f"{int(path.stem[:2])}.{place} {title}" if path.stem[:2] != "00" else title
        assert (numbered in headings) == (title not in {"Quiz", "What comes next"})
    assert headings[-1].endswith("Take-away")
    box = text.split("```{admonition}")[1].split("*You need*")[0]
    assert len(page.find_all("section")[1].find_all("li")) == len(re.findall("^- ", box, re.MULTILINE))


@each_chapter
def test_all_prose_is_said_with_its_numbers(path, folder):
    glued = {}
    for cell in nbformat.read(path, as_version=4).cells:
        for output in cell.get("outputs", []):
            for value in output.get("data", {}).values() if "scrapbook" in output.get("metadata", {}) else ():
                glued[output.metadata["scrapbook"]["name"]] = value.strip("'")
    told = squeezed(" ".join(part.get_text() for part in deck(folder, path).find_all("section")))
    assert not re.search(r"\{(glue|term|doc|ref|numref|eq|cite)\b|\b(fig|eq)-[a-z]|\bch\d-[a-z]", told)
    paragraphs, numbers = 0, 0
    for paragraph in re.split(r"\n\s*\n", page_rules.FENCE.sub("", taught(path))):
        plain = re.sub(r"\s*\{cite\}`[^`]+`", "", paragraph)
        plain, count = re.subn(r"\{glue:text\}`([^`]+)`", lambda found: glued[found[1]], plain)
        plain = re.sub(r"\{term\}`([^`<]+?)(?: <[^`]*)?`", r"\1", plain)
        if not re.search(r"[$`*#>|]|^[\d-]", plain.strip()) and plain.strip():
            assert squeezed(plain) in told
            paragraphs, numbers = paragraphs + 1, numbers + count
    assert paragraphs >= 5 and (numbers or not glued or path.stem[:2] in {"03"})


@each_chapter
def test_pictures_are_the_chapters_own_with_their_words(path, folder):
    shown = {}
    for cell in nbformat.read(path, as_version=4).cells:
        for output in cell.get("outputs", []):
            if "image/png" in output.get("data", {}):
                shown[cell.metadata.mystnb.image.alt] = (
                    output.data["image/png"].strip(),
                    cell.metadata.mystnb.figure.caption,
                )
    pictures = [
        picture for picture in deck(folder, path).find_all("img") if picture["src"].startswith("data:image/png")
    ]
    assert len(pictures) >= 2
    for picture in pictures:
        data, caption = shown[picture["alt"]]
        assert picture["src"].split("base64,")[1].strip() == data
        assert len(picture["alt"]) > page_rules.ALT
        assert ("imulated" in caption) <= ("imulated" in picture.find_parent("figure").figcaption.get_text())
    assert all(len(picture["alt"]) > page_rules.ALT for picture in deck(folder, path).find_all("img"))


@needs_book
@each_chapter
def test_sections_figures_and_formulas_have_the_books_numbers(path, folder):
    page = BeautifulSoup((site.BUILT / "chapters" / f"{path.stem}.html").read_text(encoding="utf-8"), "html.parser")
    book = [label.get_text().strip(" #") for label in page.select("figure .caption-number, .eqno")]
    assert sorted(book) == sorted(slides.labels([path]).values())
    headings = {heading.get_text().strip("#").replace(". ", " ", 1) for heading in page.select("article h2")}
    headings = {heading.replace("’", "'") for heading in headings}
    mine = {heading.get_text() for heading in deck(folder, path).find_all("h2")}
    assert mine - headings <= {"In this chapter", "The paper says", "Where it starts"}


@each_chapter
def test_no_answer_is_on_the_slides_or_in_their_notes(path, folder):
    page = squeezed((folder / f"{path.stem}.html").read_text(encoding="utf-8"))
    assert not [line for line in solved(path) if squeezed(line) in page or squeezed(slides.html.escape(line)) in page]
    quiz = ROOT / "chapters" / "quiz" / f"{path.stem[:2]}.json"
    for item in json.loads(quiz.read_text(encoding="utf-8")) if quiz.exists() else ():
        assert item["question"] not in page
        assert not any(choice["feedback"] in page for choice in item["answers"])


@pytest.mark.parametrize("path", slides.CHAPTERS[1:], ids=lambda path: path.stem)
def test_the_notes_have_what_goes_wrong_what_to_discuss_and_what_to_listen_for(path, folder):
    guide = (ROOT / "chapters" / "instructors.md").read_text(encoding="utf-8")
    part = squeezed(re.split(r"^### Chapter \d+:", guide, flags=re.MULTILINE)[int(path.stem[:2])])
    notes = deck(folder, path).select(".notes")
    for place, word in ((0, "Goes wrong"), (-1, "Discuss"), (-1, "Listen for")):
        begin = re.search(rf"\*{word}\*:.*?([A-Za-z, ]{{20,}})", part)[1]
        assert begin in squeezed(notes[place].get_text())


def test_nothing_is_loaded_from_outside(folder):
    assert site.loads_from_network(folder) == []
    assert site.dead_links(folder) == []


LOOK = """() => {
    const problems = [];
    Reveal.getSlides().forEach((slide, place) => {
        Reveal.slide(place);
        const frame = slide.querySelector(".frame"), inner = frame.getBoundingClientRect();
        const say = problem => problems.push(`slide ${place + 1}, ${frame.firstElementChild.textContent}: ${problem}`);
        const parts = [...frame.querySelectorAll("h1, h2, .body > *, figure > *, .highlight, pre, td, th, li")];
        for (const part of parts.filter(part => part.getClientRects().length)) {
            const box = part.getBoundingClientRect(), words = part.textContent.slice(0, 40);
            if (box.right > inner.right + 1 || box.bottom > inner.bottom + 1) say(`cut off: ${words}`);
            if (part.matches("pre") && part.scrollWidth > part.clientWidth + 1) say(`code is cut off: ${words}`);
        }
        const boxes = [...frame.querySelectorAll(".body > *:not(script)")].map(part => part.getBoundingClientRect());
        const apart = (one, two) => one.bottom < two.top + 1 || two.bottom < one.top + 1 || one.right < two.left + 1;
        boxes.forEach((one, place) => boxes.slice(place + 1).forEach(two => {
            if (!apart(one, two) && !apart(two, one)) say("one thing lies on another");
        }));
        if (parseFloat(frame.style.fontSize || 120) < SIZE) say(`letters of ${frame.style.fontSize}`);
        if (slide.querySelector("mjx-merror, [data-mjx-error]")) say("a formula is wrong");
        if ([...frame.querySelectorAll("p, li")].some(part => part.innerText.includes("$"))) say("a formula is left");
        if ([...slide.querySelectorAll("img")].some(picture => !picture.naturalWidth)) say("a picture is missing");
    });
    return problems;
}"""


@pytest.fixture(scope="module")
def chromium():
    with sync_playwright() as playwright:
        browser = site.launched(playwright)
        yield browser
        browser.close()


def opened(chromium, file, problems, query=""):
    page = chromium.new_context(viewport={"width": 1280, "height": 720}, offline=True).new_page()
    page.on("request", lambda request: problems.append(request.url) if request.url.startswith("http") else None)
    page.on("requestfailed", lambda request: problems.append(request.url))
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.goto(file.as_uri() + query)
    page.wait_for_function("() => window.Reveal && Reveal.isReady()")
    return page


@needs_browser
@each_chapter
def test_no_slide_is_cut_off(path, folder, chromium):
    problems = []
    page = opened(chromium, folder / f"{path.stem}.html", problems)
    assert problems + page.evaluate(LOOK.replace("SIZE", str(LEAST))) == []
    page.context.close()


@needs_browser
def test_keys_turn_the_slides_move_the_threshold_and_open_the_notes(folder, chromium):
    problems = []
    page = opened(chromium, folder / "07_beyond_accuracy.html", problems)
    page.keyboard.press("ArrowRight")
    assert page.locator("section.present h2").inner_text() == "In this chapter"
    page.evaluate(
        "Reveal.slide([...document.querySelectorAll('section')].findIndex(slide => slide.querySelector('input')))"
    )
    page.locator("input").focus()
    page.keyboard.press("ArrowRight")
    assert page.locator("section.present output").inner_text().startswith("At 0.51:")
    page.locator("select").first.focus()
    page.keyboard.press("ArrowDown")
    assert page.locator("section.present h2").inner_text() == "7.3 Move it yourself"
    page.evaluate("document.activeElement.blur()")
    with page.expect_popup() as popup:
        page.keyboard.press("s")
    popup.value.get_by_text("Set what a missed cancer costs").wait_for(timeout=10_000)
    assert problems == []
    page.context.close()


@needs_browser
def test_a_slide_prints_onto_a_page_of_its_own(folder, chromium):
    problems = []
    page = opened(chromium, folder / "01_missed_cancer.html", problems, "?print-pdf")
    page.locator(".pdf-page").nth(1).wait_for()
    document = page.pdf(prefer_css_page_size=True, print_background=True)
    assert len(re.findall(rb"/Type\s*/Page\b", document)) == page.locator("section").count() > 15
    assert problems == []
    page.context.close()


def test_a_file_in_place_of_the_folder_is_refused(tmp_path, monkeypatch, capsys):
    (tmp_path / "taken").write_text("", encoding="utf-8")
    monkeypatch.setattr("sys.argv", ["slides", str(tmp_path / "taken")])
    with pytest.raises(SystemExit):
        slides.main()
    assert "name the folder" in capsys.readouterr().err
