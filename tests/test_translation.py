"""The translated pages: whole, as the English says now, with its numbers; and the check that says where not."""

import json
import re
import shutil

import pytest
from babel.messages.pofile import write_po

from teaching import translation
from tests.page_rules import ROOT

LANGUAGES = sorted(path.name for path in (ROOT / "locale").iterdir())
PAGES = [(language, name) for language in LANGUAGES for name in translation.translations(language)]
PAGE = "chapters/01_missed_cancer"


@pytest.mark.parametrize(("language", "name"), PAGES)
def test_what_is_translated_says_what_the_english_says_now(language, name):
    assert translation.problems(language, name) == [], f"make translate LANGUAGE={language}, then see CONTRIBUTING.md"


@pytest.fixture
def course(tmp_path):
    """Chapter 1 with its quiz and its Korean translation, in a folder where they may be changed."""
    for name in (f"{PAGE}.ipynb", "chapters/quiz/01.json", f"locale/ko/LC_MESSAGES/{PAGE}.po"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def change(path, old, new):
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def problems(course):
    return "\n".join(translation.problems("ko", PAGE, course))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("## Base rates elsewhere", "## Base rates elsewhere, and in a clinic"),
        ("When is it better not to look?", "When is it better to look?"),
        ("Four square grids of a hundred", "Four grids of a hundred"),
        ("It hardly changes.", "It hardly changes at all."),
    ],
)
def test_english_that_changed_is_told_and_its_old_translation_kept(course, old, new):
    change(course / f"{PAGE}.ipynb", old, new)
    assert "1 new or changed in English" in problems(course)
    translation.update("ko", PAGE, course)
    assert re.fullmatch(r"ko, chapters/01_missed_cancer: 1 to be looked at \(fuzzy\), such as .*", problems(course))


def test_lines_broken_anew_change_nothing(course):
    change(course / f"{PAGE}.ipynb", "The names of\\n", "The names\\n")
    change(course / f"{PAGE}.ipynb", '"all images are part of this course', '"of all images are part of this course')
    translation.update("ko", PAGE, course)
    assert problems(course) == ""


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("{glue:text}`ch1-wider`", "3.7", "1 with other marks"),
        ("<prevalence>", "<probability>", "1 with other marks"),
        (":label: ch1-ex-slide\n", "", "1 with other marks"),
        ("$\\pi$", "$\\rho$", "1 with other marks"),
        ("## 퀴즈", "퀴즈", "1 with other marks"),
        ("## 퀴즈", "", "1 not translated"),
    ],
)
def test_a_slip_of_the_translator_is_told(course, old, new, expected):
    path = translation.translations("ko", course)[PAGE]
    catalog = translation.read(path)
    assert sum(old in message.string for message in catalog if message.id) == 1
    for message in catalog:
        message.string = message.string.replace(old, new)
    with path.open("wb") as file:
        write_po(file, catalog)
    assert expected in problems(course)


def test_a_rendered_page_speaks_korean_and_computes_as_before(course):
    translation.render("ko", course)
    before, after = (
        json.loads((root / f"{PAGE}.ipynb").read_text(encoding="utf-8"))["cells"] for root in (ROOT, course)
    )
    text = "\n".join("".join(cell["source"]) for cell in after if cell["cell_type"] == "markdown")
    korean = re.sub(r"\{[\w:]+\}`[^`]*`|`[^`]*`|\$+[^$]*\$+|<span.*</span>|^:.*$", "", text, flags=re.MULTILINE)
    assert not re.findall(r"[a-z]+ [a-z]+ [a-z]+", korean)
    assert '<span id="base-rates"></span>\n\n## 기저율' in text  # other pages lead to the English name
    for one, other in zip(before, after, strict=True):
        if one["cell_type"] == "code":
            assert other["source"] == one["source"]
            shown = json.dumps(other["metadata"].get("mystnb", {}).get("image", "가"), ensure_ascii=False)
            assert re.search("[가-힣]", shown)
    names = re.findall(r"\{glue:text\}`([\w-]+)`", text)
    assert sorted(names) == sorted(re.findall(r"\{glue:text\}`([\w-]+)`", json.dumps(before)))
    quiz = json.loads((course / "chapters" / "quiz" / "01.json").read_text(encoding="utf-8"))
    assert all(re.search("[가-힣]", item["question"]) for item in quiz)
    stored = next(cell for cell in after if "display_quiz(" in "".join(cell["source"]))["outputs"]
    assert all(item["question"] in json.dumps(stored, ensure_ascii=False) for item in quiz)


def test_pages_lead_to_each_other_and_the_rest_is_called_english(tmp_path):
    page = '<html lang="{}"><article><h1>Title</h1></article></html>'
    for folder, language in ((tmp_path, "en"), (tmp_path / "ko", "ko")):
        (folder / "chapters").mkdir(parents=True)
        for name in (PAGE, "chapters/about"):
            (folder / f"{name}.html").write_text(page.format(language), encoding="utf-8")
    translation.link("ko", tmp_path)
    translation.link("ko", tmp_path)
    english, korean = ((folder / f"{PAGE}.html").read_text(encoding="utf-8") for folder in (tmp_path, tmp_path / "ko"))
    assert english.count('href="../ko/chapters/01_missed_cancer.html">한국어') == 1
    assert korean.count('href="../../chapters/01_missed_cancer.html">English') == 1
    assert '<html lang="ko"' in korean
    about = (tmp_path / "ko" / "chapters" / "about.html").read_text(encoding="utf-8")
    assert '<html lang="en"' in about
    assert "한국어" not in about


def test_the_command_that_checks_succeeds_when_nothing_is_wrong(monkeypatch):
    monkeypatch.setattr("sys.argv", ["translation", "check", "ko"])
    with pytest.raises(SystemExit) as ended:
        translation.main()
    assert ended.value.code is None


@pytest.mark.parametrize(
    "words", [["update", "ko", "chapters/99_none"], ["update", "nonsense"], ["render", "fr", "_build/fr"]]
)
def test_what_cannot_be_done_is_said(words, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["translation", *words])
    with pytest.raises(SystemExit):
        translation.main()
    assert re.search(r"no page of the book|locale|nothing is translated into fr", capsys.readouterr().err)
