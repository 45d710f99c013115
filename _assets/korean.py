"""Cut korean.woff, the letters of the Korean words, out of a font: python _assets/korean.py NotoSansCJK-Regular.ttc.

Noto Sans CJK is under the SIL Open Font License 1.1, as what is cut from it stays. Readers whose system has a Korean
font see that one; on other systems the paper's sentences would be boxes.
"""

import re
import sys
from pathlib import Path

from fontTools import subset, ttLib

FOLDER = Path(__file__).parent
KOREAN_FACE = "Noto Sans CJK KR"
# With the Chinese characters beside some.
KOREAN = re.compile(r"[\u1100-\u11ff\u3130-\u318f\u4e00-\u9fff\uac00-\ud7a3]")
BY_THE_THEME = "한국어 클릭 메뉴 목차 인쇄 페이지"  # what stands around a translated page; a test asks for more


def letters():
    """Every Korean letter on the book's pages and in their translation."""
    root, chapters = FOLDER.parent, FOLDER.parent / "chapters"
    pages = [root / "intro.md", *chapters.glob("*.md"), *chapters.glob("*.ipynb"), *root.glob("locale/ko/**/*.po")]
    return sorted(set(KOREAN.findall(BY_THE_THEME + "".join(path.read_text(encoding="utf-8") for path in pages))))


def cut(path):
    """Write korean.woff from a font file or collection."""
    faces = ttLib.TTCollection(path).fonts if path.suffix == ".ttc" else [ttLib.TTFont(path)]
    face = next(face for face in faces if face["name"].getDebugName(1) == KOREAN_FACE)
    options = subset.Options(layout_features=[], name_IDs=[0, 13, 14], hinting=False)
    cutter = subset.Subsetter(options)
    cutter.populate(text="".join(letters()))
    cutter.subset(face)
    face.flavor = "woff"
    face.save(FOLDER / "korean.woff")


if __name__ == "__main__":
    cut(Path(sys.argv[1]))
    print(f"korean.woff: {len(letters())} letters")
