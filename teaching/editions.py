"""The chapters for a class: with the solutions taken out, or with the solutions alone.

    python -m teaching.editions student _build/student
    python -m teaching.editions solutions _build/solutions

Both are made from the same notebooks. *student* has no solution, and no right answer in plain text: a quiz shows its
questions and answers without saying which is right. *solutions* has, of each chapter, the exercises with their
solutions and what these print, the code that they stand on, and the quiz's right answers.
"""

import argparse
import json
import re
import shutil
from pathlib import Path

import nbformat

ROOT = Path(__file__).parents[1]
BORDER = re.compile(r"(`{3,}\{solution-(?:start|end)\}[^\n]*\n(?::[^\n]*\n)*`{3,}\n*)")
README = """From Slide to Softmax: chapters for a class.

They run where the course is installed: start JupyterLab from the course's environment (.venv/bin/jupyter lab), and open
the folder `chapters` that lies here. To hand in: Kernel, Restart and run all, save, and put your name into the file's.
"""
ASKED = "*What does your answer mean? Write one sentence here.*"
EXERCISE = re.compile(r"(`{3,})\{exercise\} (.+)\n:label: .*\n((?:.*\n)*?)\1\s*")
QUIZ = 'display_quiz("quiz/'


def parts(notebook):
    """The cells of a chapter, each with what it is: text, code, solution or quiz; one that is several is cut up."""
    solution = False
    for cell in notebook.cells:
        if cell.cell_type == "code":
            yield "solution" if solution else "quiz" if QUIZ in cell.source else "code", cell
            continue
        for piece in BORDER.split(cell.source):
            if BORDER.fullmatch(piece):
                solution = "solution-start" in piece
            elif piece.strip():
                yield "solution" if solution else "text", nbformat.v4.new_markdown_cell(piece.strip())


def questions(path, key=False):
    """A quiz as text: each question with its answers, or, as a key, with the right ones alone."""
    lines = ["## Quiz"]
    for number, item in enumerate(json.loads(path.read_text(encoding="utf-8")), 1):
        shown = [choice["answer"] for choice in item["answers"] if choice["correct"] or not key]
        lines += [f"{number}. {item['question']}", *(f"   - {answer}" for answer in shown)]
    return nbformat.v4.new_markdown_cell("\n".join(lines))


def student(notebook, quiz):
    """A chapter without its solutions."""
    kept = []
    for kind, cell in parts(notebook):
        if kind == "quiz":
            kept.append(questions(quiz))
        elif kind != "solution" and cell.source.strip() != "## Quiz":
            kept.append(cell)
            if cell.cell_type == "code" and "self_check.answer(" in cell.source:
                kept.append(nbformat.v4.new_markdown_cell(ASKED))
    return kept


def solutions(notebook, quiz):
    """A chapter's exercises with their solutions and what these print, after the code they need; and the quiz's key."""
    kept = [nbformat.v4.new_markdown_cell(re.search(r"^# .*", notebook.cells[0].source)[0] + ": solutions")]
    for kind, cell in parts(notebook):
        for exercise in EXERCISE.finditer(cell.source + "\n" if kind == "text" else ""):
            kept.append(nbformat.v4.new_markdown_cell(f"## {exercise[2]}\n\n{exercise[3].strip()}\n\n**Solution**"))
        if kind in {"solution", "code"}:
            kept.append(cell)
        if kind == "code" and cell.cell_type == "code":
            cell.outputs = []
    return [*kept, questions(quiz, key=True)] if quiz.exists() else kept


def write(edition, folder):
    """Write an edition: notebooks, and beside them the recorded measurements that some of them read."""
    make, chapters = {"student": student, "solutions": solutions}[edition], folder / "chapters"
    chapters.mkdir(parents=True, exist_ok=True)
    scripts_and_prose = shutil.ignore_patterns("*.py", "*.md", "__pycache__")
    shutil.copytree(ROOT / "benchmarks", folder / "benchmarks", ignore=scripts_and_prose, dirs_exist_ok=True)
    for path in sorted((ROOT / "chapters").glob("0?_*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        notebook.cells = make(notebook, ROOT / "chapters" / "quiz" / f"{path.stem[:2]}.json")
        for cell in notebook.cells:
            if cell.cell_type == "code":
                cell.execution_count = None
                cell.outputs = cell.outputs if edition == "solutions" else []
        nbformat.write(notebook, chapters / path.name)
    (folder / "README.txt").write_text(README, encoding="utf-8")


def main():
    """Write the edition that was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("edition", choices=["student", "solutions"])
    parser.add_argument("folder", type=Path)
    options = parser.parse_args()
    if options.folder.resolve() == ROOT:
        parser.error(f"{options.folder} is the course itself, whose chapters would be lost; name another folder.")
    write(options.edition, options.folder)
    print(f"The {options.edition} edition: {options.folder / 'chapters'}")


if __name__ == "__main__":
    main()
