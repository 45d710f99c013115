"""All that is made from the book, beside its pages: slides, the chapters for a class, a PDF and an ePub.

    python -m teaching.shelf _build/html

puts them into the folder `take` of the built book, and links to them on its first page. Without a Chromium, which
prints, the PDF and the ePub are left out.
"""

import argparse
import os
import re
import tempfile
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

from teaching import editions, printed, slides
from tests import site

PLACE = re.compile(r'<p class="downloads">[\s\S]*?</p>')  # on the first page
SLIDES, STUDENT, SOLUTIONS = "slides/index.html", "student.zip", "solutions.zip"
WORDS = {
    SLIDES: "slides for each chapter",
    STUDENT: "notebooks without solutions",
    SOLUTIONS: "the solutions",
    f"{printed.NAME}.pdf": "a PDF to print",
    f"{printed.NAME}.epub": "an ePub for electronic readers",
}


def fill(built):
    """Make what the book offers to take along.

    built: folder of the built book. Returns the names of what was made, a list of WORDS' keys.
    """
    shelf = built / "take"
    slides.write(shelf / "slides")
    for edition, name in (("student", STUDENT), ("solutions", SOLUTIONS)):
        with tempfile.TemporaryDirectory() as folder:
            editions.write(edition, Path(folder))
            _pack(Path(folder), shelf / name)
    if site.browser():
        printed.write(built, shelf)
    made = [name for name in WORDS if (shelf / name).exists()]
    _link(built / "intro.html", made)
    return made


def _pack(folder, target):
    """All files below a folder as one zip, in which they lie in a folder of the zip's own name."""
    with ZipFile(target, "w", ZIP_DEFLATED) as packed:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            packed.write(path, Path(target.stem, path.relative_to(folder)))


def _link(page, made):
    links = [f'<a href="take/{name}">{WORDS[name]}</a>' for name in made]
    line = f'<p class="downloads">To take along: {", ".join(links[:-1])} and {links[-1]}.</p>'
    page.write_text(PLACE.sub(line, page.read_text(encoding="utf-8"), count=1), encoding="utf-8")


def main():
    """Fill the shelf of the book that was named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("built", type=Path, help="folder of the built book, such as _build/html")
    built = parser.parse_args().built
    if not (built / "intro.html").exists():
        parser.error(f"{built} holds no built book; run: make html")
    made = fill(built)
    print(f"To take along, in {os.path.join(built, 'take')}: {', '.join(made)}")
    if len(made) < len(WORDS):
        print("No PDF and no ePub: no Chromium is here, which prints the pages; install one, or name it in CHROMIUM.")


if __name__ == "__main__":
    main()
