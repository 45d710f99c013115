"""Photograph the built book for the README: `make html`, then `.venv/bin/python -m _assets.pages`.

laboratory.png: the split laboratory, by slide. page.png: chapter 7 where the threshold can be moved. No image of a
slide is seen in either.
"""

from pathlib import Path

from PIL import Image

from tests import site

FOLDER = Path(__file__).parent
COLOURS = 96  # enough for text and flat pictures, and a quarter of the bytes


def main():
    """Take them."""
    with site.opened(site.BUILT / "chapters" / "split_laboratory.html", 1100) as page:
        page.get_by_label("by slide").check()
        page.locator(".laboratory").screenshot(path=FOLDER / "laboratory.png")
    with site.opened(site.BUILT / "chapters" / "07_beyond_accuracy.html", 1100) as page:
        page.locator("#threshold-figure").evaluate("figure => figure.scrollIntoView({block: 'start'})")
        page.wait_for_timeout(500)
        page.screenshot(path=FOLDER / "page.png")
    for name in ("laboratory", "page"):
        path = FOLDER / f"{name}.png"
        Image.open(path).convert("RGB").quantize(COLOURS).save(path, optimize=True)


if __name__ == "__main__":
    main()
