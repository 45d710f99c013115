"""The check of a folder: one thing wrong at a time, and each is found, named and explained."""

import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from breakhis_lib.data import dataset, inventory
from breakhis_lib.errors import InputError
from tests.conftest import REAL

NAMES = ["SOB_B_TA-14-16184-40-001.png", "SOB_M_DC-14-2523-100-023.png", "SOB_M_PC-15-190EF-400-003.png"]


def picture(seed, size=inventory.SIZE):
    """An image of few bytes whose pixels differ from seed to seed."""
    return Image.fromarray(np.full((size[1], size[0], 3), [seed % 256, seed // 256, 7], np.uint8))


def put(folder, name, image, path=None, **options):
    path = folder / (path or dataset.official_path(name))
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, format=options.pop("format", None), **options)
    return path


@pytest.fixture
def folder(tmp_path):
    """Three sound images."""
    for seed, name in enumerate(NAMES):
        put(tmp_path, name, picture(seed))
    return tmp_path


def found(report, kind):
    """The findings of one kind; their count must agree with the report's."""
    rows = report.findings[report.findings.kind == kind]
    assert len(rows) == report.counts[kind]
    return rows


def only(folder, kind, file):
    """The one finding besides missing images is of this kind and file; returns its detail."""
    report = inventory.inspect(folder)
    rows = report.findings[report.findings.kind != "missing"]
    assert [(row.kind, row.file) for row in rows.itertuples()] == [(kind, file)]
    return rows.detail.iloc[0]


def test_sound_images_and_what_is_missing(folder):
    steps = []
    report = inventory.inspect(folder, progress=lambda *step: steps.append(step))
    assert report.layout == "breakhis" and steps == [(1, 3), (2, 3), (3, 3)]
    assert report.counts["images"] == report.counts["readable"] == report.counts["official_present"] == 3
    assert set(report.findings.kind) == {"missing"} and report.counts["missing"] == 7906
    assert set(found(report, "missing").file) == set(dataset.official().file) - set(NAMES)
    first = report.findings.iloc[0]
    assert first.path == "" and first.detail.endswith(first.file) and "BreaKHis_v1/histology_slides" in first.detail


def test_names_that_are_not_official(folder):
    put(folder, "", picture(9), "SOB_B_TA-14-16184-40-999.png")
    put(folder, "", picture(10), "overview.png")
    (folder / "README.txt").write_text("no image")
    report = inventory.inspect(folder)
    assert found(report, "extra").file.tolist() == ["SOB_B_TA-14-16184-40-999.png", "overview.png"]


def test_what_cannot_be_read_is_listed_with_the_reason(folder):
    paths = [folder / f"{letter}.png" for letter in "abcdefgh"]
    paths[0].write_bytes(b"")
    paths[1].write_text("text")
    put(folder, "", picture(3), paths[2])
    paths[2].write_bytes(paths[2].read_bytes()[:-30])
    put(folder, "", Image.new("RGB", (1, 1)), paths[3])
    put(folder, "", Image.new("1", (9000, 6000)), paths[4])
    paths[5].symlink_to("nowhere")
    paths[6].symlink_to(paths[6])
    paths[7].mkdir()
    report = inventory.inspect(folder)
    details = dict(zip(found(report, "unreadable").file, found(report, "unreadable").detail, strict=True))
    expected = ["is empty", "is not a PNG", "truncated", "1x1 pixels", "9000x6000 pixels", "is a link to nowhere",
                "symbolic links", "is a folder"]  # fmt: skip
    assert list(details) == [path.name for path in paths]
    assert all(said in details[path.name] for path, said in zip(paths, expected, strict=True))
    assert (report.counts["images"], report.counts["readable"]) == (10, 3)


def test_an_unreadable_official_image_is_not_missing_as_well(folder):
    (folder / dataset.official_path(NAMES[0])).write_bytes(b"")
    assert "is empty" in only(folder, "unreadable", NAMES[0])
    assert inventory.inspect(folder).counts["missing"] == 7906


def test_a_sub_folder_that_cannot_be_listed(folder, monkeypatch):
    closed, listing = (folder / dataset.official_path(NAMES[0])).parent, os.scandir

    def scandir(path="."):
        if os.fspath(path) == str(closed):
            raise PermissionError(13, "Permission denied", str(closed))
        return listing(path)

    monkeypatch.setattr(os, "scandir", scandir)
    assert "Permission denied" in only(folder, "unreadable", "40X")


def test_a_file_that_may_not_be_read(folder):
    path = folder / dataset.official_path(NAMES[0])
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("permissions do not bind this user")
    assert "permission denied" in only(folder, "unreadable", NAMES[0])


def test_sizes(folder):
    put(folder, NAMES[0], picture(0, (350, 230)))
    assert only(folder, "size", NAMES[0]) == "has 350x230 pixels; 700x460 were expected"


def test_the_slide_whose_images_are_lower_is_known(folder):
    name = "SOB_M_PC-14-12465-40-001.png"
    put(folder, name, picture(9, (700, 456)))
    assert set(inventory.inspect(folder).findings.kind) == {"missing"}
    put(folder, name, picture(9))
    assert "700x456 were expected" in only(folder, "size", name)


def test_a_name_that_belies_the_content(folder):
    put(folder, NAMES[0], picture(0), format="JPEG")
    assert only(folder, "extension", NAMES[0]) == "is named .png but is a JPEG file"


@pytest.mark.parametrize(
    "image, said",
    [
        (picture(9).convert("L"), "stored as grey"),
        (picture(9).convert("P"), "stored as a palette"),
        (picture(9).convert("RGBA"), "stored as RGB with alpha"),
        (picture(9).convert("1"), "stored as black and white"),
        (Image.fromarray(np.full((460, 700), 40000, np.uint16)), "stored as 16-bit grey"),
    ],
)
def test_modes_other_than_rgb(folder, image, said):
    put(folder, NAMES[0], image)
    assert said in only(folder, "mode", NAMES[0])


def test_cmyk_is_told(tmp_path):
    put(tmp_path, "", picture(1).convert("CMYK"), "tumour/a.tif")
    put(tmp_path, "", picture(2), "normal/a.tif")
    assert "stored as CMYK" in only(tmp_path, "mode", "tumour/a.tif")


def test_sixteen_bits_a_colour_are_told(folder):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = zlib.compress(b"".join(b"\0" + bytes([seed % 256]) * 4200 for seed in range(460)))
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 700, 460, 16, 2, 0, 0, 0))
    (folder / dataset.official_path(NAMES[0])).write_bytes(
        b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    )
    assert "stored as 16-bit RGB" in only(folder, "mode", NAMES[0])


@pytest.mark.parametrize(
    "old, new",
    [
        ("benign", "malignant"),
        ("tubular_adenoma", "fibroadenoma"),
        ("SOB_B_TA_14-16184", "SOB_B_TA_14-16184CD"),
        ("40X", "400X"),
    ],
)
def test_a_folder_that_contradicts_the_name(folder, old, new):
    right = dataset.official_path(NAMES[0])
    wrong = Path(*[new if part == old else part for part in right.parts])
    (folder / wrong).parent.mkdir(parents=True)
    (folder / right).rename(folder / wrong)
    assert only(folder, "place", NAMES[0]) == f"lies in {new}; expected as {right.as_posix()}"


def test_a_flat_folder_contradicts_nothing(tmp_path):
    for seed, name in enumerate(NAMES):
        put(tmp_path, name, picture(seed), name)
    assert set(inventory.inspect(tmp_path).findings.kind) == {"missing"}


def test_equal_pixels_are_grouped_whatever_the_file(folder):
    for seed, name in (
        (9, "x/a.png"),
        (9, "x/b.tif"),
        (10, "y/c.png"),
        (10, "y/d.png"),
        (10, "y/e.png"),
        (11, "z.png"),
    ):
        put(folder, "", picture(seed), name)
    report = inventory.inspect(folder)
    rows = found(report, "duplicate")
    assert rows.groupby("group").file.apply(list).tolist() == [["a.png", "b.tif"], ["c.png", "d.png", "e.png"]]
    assert report.counts["duplicate_groups"] == 2 and (rows.group > 0).all()
    assert (report.findings.group[report.findings.kind != "duplicate"] == 0).all()
    assert rows.detail.iloc[2] == f"is one of 3 images with the same pixels; the first is {folder / 'y' / 'c.png'}"


def test_equal_pixels_under_two_classes_are_told(folder):
    put(folder, NAMES[1], picture(0))
    rows = found(inventory.inspect(folder), "duplicate")
    assert set(rows.file) == {NAMES[0], NAMES[1]}
    assert rows.detail.str.contains("under different classes (benign, malignant)", regex=False).all()


def test_equal_bytes_of_another_shape_are_no_duplicates(tmp_path):
    put(tmp_path, "", Image.new("RGB", (64, 32), (1, 2, 3)), "a/a.png")
    put(tmp_path, "", Image.new("RGB", (32, 64), (1, 2, 3)), "b/b.png")
    assert inventory.inspect(tmp_path).findings.empty


def test_a_name_in_two_places(folder):
    second = put(folder, "", picture(9), f"zz/{NAMES[0]}")
    report = inventory.inspect(folder)
    rows = found(report, "repeated")
    assert rows.path.tolist() == [str(second)]
    assert rows.detail.tolist() == [f"is there also as {folder / dataset.official_path(NAMES[0])}"]
    assert report.counts["official_present"] == 3


def test_the_twins_of_slide_13412_are_reported_by_name(folder):
    for seed, sequence in ((20, "001"), (21, "002"), (22, "003")):
        put(folder, f"SOB_M_DC-14-13412-100-{sequence}.png", picture(seed))
    put(folder, "SOB_M_LC-14-13412-100-001.png", picture(20))
    put(folder, "SOB_M_LC-14-13412-100-002.png", picture(99))
    report = inventory.inspect(folder)
    counts = {key: value for key, value in report.counts.items() if key.startswith("twin_")}
    assert counts == {"twin_pairs": 121, "twin_pairs_present": 2, "twin_pairs_identical": 1}
    details = found(report, "twin").set_index("file").detail
    same = "is filed as SOB_M_LC-14-13412-100-001.png too; their pixels are identical"
    assert details["SOB_M_DC-14-13412-100-001.png"] == same
    assert details["SOB_M_DC-14-13412-100-002.png"].endswith("too; their pixels differ")
    assert report.counts["duplicate"] == 0  # the pair is told once


def test_a_twin_that_has_a_third_copy_is_a_duplicate(folder):
    for name in ("SOB_M_DC-14-13412-100-001.png", "SOB_M_LC-14-13412-100-001.png", NAMES[1]):
        put(folder, name, picture(20))
    assert len(found(inventory.inspect(folder), "duplicate")) == 3


def test_a_twin_that_cannot_be_read_is_not_compared(folder):
    for name in ("SOB_M_DC-14-13412-100-001.png", "SOB_M_LC-14-13412-100-001.png"):
        put(folder, name, picture(20)).write_bytes(b"")
    report = inventory.inspect(folder)
    assert "cannot be compared" in found(report, "twin").detail.iloc[0] and report.counts["twin_pairs_identical"] == 0


def marked():
    text = PngInfo()
    text.add_text("Simulated", "by a test")
    return {"pnginfo": text}


def test_practice_slides_are_called_simulated(tmp_path):
    names = ["SOB_B_A-00-90001-40-001.png", "SOB_M_DC-00-90005-40-001.png"]
    for seed, name in enumerate(names):
        put(tmp_path, name, picture(seed), **marked())
    report = inventory.inspect(tmp_path)
    assert report.layout == "simulated" and report.findings.empty and report.counts["missing"] == 0
    put(tmp_path, names[0], picture(0))
    assert "without a simulated image's mark" in only(tmp_path, "unmarked", names[0])


def test_simulated_images_among_real_ones_are_told(folder):
    put(folder, "SOB_B_A-00-90001-40-001.png", picture(9), **marked())
    put(folder, NAMES[0], picture(0), **marked())  # under a real name, given away by its mark
    report = inventory.inspect(folder)
    assert report.layout == "breakhis"
    assert found(report, "simulated").file.tolist() == ["SOB_B_A-00-90001-40-001.png", NAMES[0]]
    assert report.counts["extra"] == 0


def test_a_folder_of_classes_is_asked_only_what_applies(tmp_path):
    put(tmp_path, "", picture(1, (64, 64)), "tumour/a.png")
    put(tmp_path, "", picture(1, (64, 64)), "normal/b.png")
    put(tmp_path, "", picture(2, (64, 64)).convert("L"), "normal/c.png")
    put(tmp_path, "", picture(3, (64, 64)), "loose.png")
    (tmp_path / "normal" / "d.jpg").write_bytes(b"x")
    report = inventory.inspect(tmp_path)
    assert report.layout == "classes"
    assert [(row.kind, row.file) for row in report.findings.itertuples()] == [
        ("unreadable", "normal/d.jpg"), ("mode", "normal/c.png"), ("duplicate", "normal/b.png"),
        ("duplicate", "tumour/a.png"), ("unused", "loose.png"),
    ]  # fmt: skip
    assert "under different classes (normal, tumour)" in report.findings.detail.iloc[-2]


def test_what_run_would_refuse_is_told(tmp_path):
    for name in ("train", "test"):
        put(tmp_path, "", picture(len(name)), f"{name}/tumour/a.png")
        put(tmp_path, "", picture(9 + len(name)), f"{name}/normal/a.png")
    report = inventory.inspect(tmp_path)
    assert [row.kind for row in report.findings.itertuples()] == ["refused"]
    assert "they look like sets, not classes" in report.findings.detail[0]


def test_pages_are_told_and_a_phones_jpeg_is_a_jpeg(tmp_path):
    small, large = picture(1, (64, 64)), picture(2, (128, 128))
    put(tmp_path, "", small, "a/pyramid.tif", save_all=True, append_images=[large])
    put(tmp_path, "", large, "b/phone.jpg", format="MPO", save_all=True, append_images=[small])
    assert "holds 2 pages; one of 128x128 is read" in only(tmp_path, "pages", "a/pyramid.tif")


def test_copies_in_another_format_are_official(folder):
    path = folder / dataset.official_path(NAMES[0])
    put(folder, "", Image.open(path), path.relative_to(folder).with_suffix(".tif"))
    path.unlink()
    report = inventory.inspect(folder)
    assert report.counts["official_present"] == len(NAMES)
    assert found(report, "extra").empty


def test_nothing_to_check_is_an_error(tmp_path):
    with pytest.raises(InputError, match="holds no image"):
        inventory.inspect(tmp_path)
    with pytest.raises(InputError, match="is not a folder"):
        inventory.inspect(tmp_path / "nowhere")


def test_an_interrupted_check_stops_at_once(folder):
    for seed in range(100, 160):
        put(folder, "", picture(seed), f"{seed}.png")
    looked, look = [], inventory._look

    def stop(done, total):
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inventory, "_look", lambda path: looked.append(path) or look(path))
        with pytest.raises(KeyboardInterrupt):
            inventory.inspect(folder, progress=stop)
    assert len(looked) < 60


@pytest.mark.real
@pytest.mark.skipif(not REAL.is_dir(), reason="the real BreakHis subset is not beside the project")
def test_the_real_subset(tmp_path):
    report = inventory.inspect(REAL)
    assert report.layout == "breakhis" and report.counts["images"] == report.counts["readable"] == 1233
    assert report.counts["missing"] == 7909 - 1233
    assert set(report.findings.kind) == {"missing", "size"}  # it is downsized, and has no other flaw
