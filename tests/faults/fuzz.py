"""Coverage-guided fuzzing of what reads files from outside: images, archives, tables of groups.

    pip install atheris    # for Python 3.11; part of no lock
    python tests/faults/fuzz.py images -max_total_time=600

An input that is refused (InputError) is as good as one that is read; anything else stops the fuzzer, which keeps the
input and prints where it went wrong. The first argument names what is read; the others are libFuzzer's.
"""

import contextlib
import io
import random
import sys
import tarfile
import tempfile
from pathlib import Path

import atheris
from PIL import Image

with atheris.instrument_imports(include=["breakhis_lib", "PIL", "tifffile", "tarfile"]):
    from breakhis_lib.data import download, folders, images
    from breakhis_lib.errors import InputError

PLACE = Path(tempfile.mkdtemp())


def read_image(content):
    path = PLACE / "image.png"
    path.write_bytes(content)
    assert images.read_image(path).shape[2] == 3


def read_groups(content):
    path = PLACE / "groups.csv"
    path.write_bytes(content)
    folders._groups(PLACE, path, ["benign/a.png", "malignant/b.png"])


def read_archive(content):
    path, target = PLACE / "archive.tar", PLACE / f"unpacked-{random.random()}"
    path.write_bytes(content)
    before = {path for path in PLACE.iterdir() if not path.name.startswith(target.name)}
    try:
        download.fetch(target, archive=path)
    finally:
        outside = {path for path in PLACE.iterdir() if not path.name.startswith(target.name)} - before
        assert not [path for path in outside if not path.name.startswith(".")], outside


def seeds(name):
    """Small valid inputs to begin with."""
    if name == "groups":
        return [b"file,group\nbenign/a.png,one\nmalignant/b.png,two\n", "file;group\nb.png;zwei\n".encode("utf-16")]
    pixels = Image.effect_noise((40, 36), 60)
    found = []
    for form, mode in (
        ("PNG", "RGB"),
        ("PNG", "P"),
        ("PNG", "I;16"),
        ("JPEG", "L"),
        ("JPEG", "CMYK"),
        ("TIFF", "RGBA"),
    ):
        stream = io.BytesIO()
        pixels.convert("I").convert(mode).save(stream, form) if mode == "I;16" else pixels.convert(mode).save(
            stream, form
        )
        found.append(stream.getvalue())
    stream = io.BytesIO()
    pixels.save(stream, "TIFF", save_all=True, append_images=[pixels.resize((80, 72))], compression="tiff_lzw")
    found.append(stream.getvalue())
    if name == "images":
        return found
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as outer:
        for place, content in enumerate(found[:2]):
            member = tarfile.TarInfo(f"BreaKHis_v1/{place}.png")
            member.size = len(content)
            outer.addfile(member, io.BytesIO(content))
    return [stream.getvalue()]


def main():
    """Fuzz one of them."""
    kinds = {"images": read_image, "groups": read_groups, "archive": read_archive}
    kind = kinds[sys.argv.pop(1)]
    corpus = PLACE / "corpus"
    corpus.mkdir()
    for place, content in enumerate(seeds(next(name for name in kinds if kinds[name] is kind))):
        (corpus / str(place)).write_bytes(content)

    def one(content):
        with contextlib.suppress(InputError):
            kind(content)

    atheris.Setup([*sys.argv, str(corpus)], one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
