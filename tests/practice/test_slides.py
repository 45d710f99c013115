"""Simulated slides: named like BreakHis, equal on every machine, a lesson in size and leakage."""

import re
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from breakhis_lib.data import dataset
from breakhis_lib.errors import InputError
from breakhis_lib.practice import slides as practice
from breakhis_lib.practice import tissue

NAME = re.compile(r"^SOB_(B|M)_(A|F|PT|TA|DC|LC|MC|PC)-(\d\d)-(\w+)-(40|100|200|400)-(\d+)\.png$")


@pytest.fixture(scope="module")
def small_set(tmp_path_factory):
    """Two subtypes, one slide each, two images at x100 and at x400, in one process."""
    folder = tmp_path_factory.mktemp("practice")
    return practice.make(
        folder, 7, 1, images_per_magnification=2, magnifications=(100, 400), subtypes=("PT", "LC"), workers=1
    )


@pytest.fixture(scope="module")
def tumour():
    return practice.slide(2026, 90005)


def _images(folder):
    return {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}


def _pixels(path):
    with Image.open(path) as image:
        return np.asarray(image).astype(int)


def test_names_and_folders_are_those_of_breakhis(small_set):
    images = _images(small_set)
    assert len(images) == 8
    assert (
        "BreaKHis_v1/histology_slides/breast/benign/SOB/phyllodes_tumor/"
        "SOB_B_PT_00-90003/400X/SOB_B_PT-00-90003-400-002.png"
    ) in images
    assert "BreaKHis_v1/histology_slides/breast/malignant/SOB/lobular_carcinoma/SOB_M_LC_00-90006/100X" in {
        name.rpartition("/")[0] for name in images
    }
    for path in images.values():
        label, subtype, year, number, magnification, _ = NAME.match(path.name).groups()
        assert (label == "B") == (subtype in ("A", "F", "PT", "TA"))
        assert year == "00" and int(number) > 29960, "a simulated slide must not bear a number of BreakHis"
        assert path.parent.name == f"{magnification}X"


def test_every_image_says_that_it_is_simulated(small_set):
    for path in _images(small_set).values():
        with Image.open(path) as image:
            assert (image.size, image.mode, image.format) == ((700, 460), "RGB", "PNG")
            assert image.text["Simulated"] == practice.MODEL
            assert "Not tissue" in image.text["Description"]
            assert image.text["Seed"] == "7"


def test_a_part_made_by_two_processes_equals_the_whole(small_set, tmp_path):
    practice.make(tmp_path, 7, 1, images_per_magnification=1, magnifications=[400], subtypes={"LC", "PT"}, workers=2)
    whole, part = _images(small_set), _images(tmp_path)
    assert len(part) == 2
    for name, path in part.items():
        assert np.array_equal(_pixels(path), _pixels(whole[name])), name


def test_another_seed_gives_another_image(tumour):
    assert (
        np.abs(practice.render(practice.slide(2027, 90005), 400, 1) - 1.0 * practice.render(tumour, 400, 1)).max() > 20
    )


@pytest.mark.parametrize(("number", "magnification", "sequence"), [(90001, 40, 1), (90005, 400, 2)])
def test_pixels_are_those_of_every_machine(number, magnification, sequence):
    pixels = practice.render(practice.slide(2026, number), magnification, sequence)
    assert pixels.dtype == np.uint8 and pixels.shape == (460, 700, 3)
    coarse = pixels[46::92, 70::140].reshape(-1, 3).astype(int)
    assert np.abs(coarse - np.array(REFERENCE[number])).max() <= 1


def test_magnifications_look_at_the_same_tissue(tumour):
    views = [practice.visible_nuclei(tumour, magnification, 1) for magnification in practice.MAGNIFICATIONS]
    assert len(views[0]) > 10 * len(views[3]) > 0
    low, high = views[0], views[3]
    middle = (practice.FIELD_WIDTH - 1) / 2, (practice.FIELD_HEIGHT - 1) / 2
    for nucleus in high:  # ten times closer to the middle of the x40 field, and there with the same shape
        x, y = (middle[0] + (nucleus["x"] - middle[0]) / 10, middle[1] + (nucleus["y"] - middle[1]) / 10)
        nearest = low[np.argmin(np.hypot(low["x"] - x, low["y"] - y))]
        assert np.hypot(nearest["x"] - x, nearest["y"] - y) < 1e-6
        assert nearest["radius"] == nucleus["radius"]


def test_a_field_at_400_is_the_middle_of_the_field_at_200(tumour):
    low, high = (practice.render(tumour, magnification, 3).astype(float).mean(axis=2) for magnification in (200, 400))
    halved = high.reshape(230, 2, 350, 2).mean(axis=(1, 3))
    middle = low[115:345, 175:525]
    assert np.corrcoef(middle.ravel(), halved.ravel())[0, 1] > 0.9


def test_nuclei_are_drawn_where_the_tissue_has_them(tumour):
    pixels = practice.render(tumour, 200, 1).astype(float)
    cells = practice.visible_nuclei(tumour, 200, 1)
    cells = cells[cells["kind"] == tissue.EPITHELIAL]
    inside = pixels[np.rint(cells["y"]).astype(int).clip(0, 459), np.rint(cells["x"]).astype(int).clip(0, 699)]
    assert inside[:, 0].mean() < 0.9 * pixels[..., 0].mean()


def test_malignant_nuclei_are_larger_but_the_classes_overlap():
    radii = {"benign": [], "malignant": []}
    for number in range(90001, 90241):
        subtype = list(dataset.SUBTYPES)[(number - 90001) % 8]
        label = "benign" if subtype in dataset.BENIGN_SUBTYPES else "malignant"
        radii[label].append(tissue.draw_traits(2026, number, subtype)["radius"])
    benign, malignant = np.array(radii["benign"]) ** 2, np.array(radii["malignant"]) ** 2
    assert malignant.mean() > 1.15 * benign.mean()
    assert (benign > np.quantile(malignant, 0.1)).mean() > 0.1
    assert (malignant < np.quantile(benign, 0.9)).mean() > 0.1


def test_nuclei_of_a_slide_have_the_size_drawn_for_it(tumour):
    cells = tumour.tissue.nuclei[tumour.tissue.nuclei["kind"] == tissue.EPITHELIAL]
    assert abs(cells["radius"].mean() / tumour.traits["radius"] - 1) < 0.1


def test_stain_does_not_know_the_class():
    stains = [practice._draw_stain(2026, number) for number in range(90001, 90401)]
    stains = np.array([[*stain.white, stain.habits["haematoxylin"], stain.habits["eosin"]] for stain in stains])
    malignant = (np.arange(400) % 8) >= 4
    difference = stains[malignant].mean(axis=0) - stains[~malignant].mean(axis=0)
    assert np.all(np.abs(difference) < 4 * stains.std(axis=0) / np.sqrt(100))  # four standard errors


def test_some_patients_have_two_slides_of_one_tumour(tmp_path):
    first, last, other = (practice.slide(2026, 90001 + 8 * turn) for turn in (0, 2, 1))
    assert first.traits == last.traits != other.traits
    assert first.stain.habits != last.stain.habits
    assert first.tissue.nuclei.shape != last.tissue.nuclei.shape
    practice.make(tmp_path, 3, 3, images_per_magnification=1, magnifications=40, subtypes="A", workers=1)
    names = sorted(dataset.parse_name(path.name)["slide"] for path in tmp_path.rglob("*.png"))
    assert names == ["90001", "90001B", "90009"]
    assert dataset.slide_number("90001B") == "90001"


def test_a_slide_of_an_earlier_version_goes(tmp_path):
    call = {"slides_per_subtype": 1, "images_per_magnification": 1, "magnifications": 40, "subtypes": "A", "workers": 1}
    practice.make(tmp_path, **call)
    kept = next(tmp_path.rglob("*.png"))
    kept.with_name("SOB_B_A-00-90017-40-001.png").write_bytes(kept.read_bytes())
    practice.make(tmp_path, **call)
    assert [path.name for path in tmp_path.rglob("*.png")] == [kept.name]


def test_an_interrupted_make_continues(tmp_path, monkeypatch):
    call = {"seed": 3, "slides_per_subtype": 1, "images_per_magnification": 3, "subtypes": "A", "workers": 1}
    real, made = practice.render, []

    def stopping(slide, magnification, sequence):
        if sequence == 3:
            raise KeyboardInterrupt
        made.append(sequence)
        return real(slide, magnification, sequence)

    monkeypatch.setattr(practice, "render", stopping)
    with pytest.raises(KeyboardInterrupt):
        practice.make(tmp_path, magnifications=400, **call)
    first, second = _images(tmp_path).values()  # and nothing half-written beside them
    whole = _pixels(second)
    second.write_bytes(second.read_bytes()[:5000])
    untouched = first.stat().st_mtime_ns

    monkeypatch.setattr(practice, "render", lambda *field: made.append(field[2]) or real(*field))
    steps = []
    practice.make(tmp_path, magnifications=400, progress=lambda *step: steps.append(step), **call)
    assert made == [1, 2, 2, 3] and steps == [(3, 3)]
    assert first.stat().st_mtime_ns == untouched
    assert np.array_equal(_pixels(second), whole)
    practice.make(tmp_path, magnifications=400, **call | {"seed": 4, "images_per_magnification": 1})
    assert made[4:] == [1], "images of another seed are replaced"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("seed", -1),
        ("seed", 1.5),
        ("slides_per_subtype", 0),
        ("slides_per_subtype", True),
        ("images_per_magnification", 100),
        ("magnifications", (40, 50)),
        ("magnifications", ()),
        ("subtypes", ("A", "XX")),
        ("workers", 0),
    ],
)
def test_make_names_the_bad_value(tmp_path, name, value):
    with pytest.raises(InputError, match=rf"(?s){name.rstrip('s')}.*expected.*[a-z]"):
        practice.make(tmp_path / "none", **{name: value})
    assert not (tmp_path / "none").exists()


def test_other_bad_values(tumour, tmp_path):
    file = tmp_path / "file"
    file.write_text("not a folder")
    for call in (
        lambda: practice.slide(2026, 14),
        lambda: practice.render(tumour, 50, 1),
        lambda: practice.render(tumour, 40, 0),
        lambda: practice.make(file, slides_per_subtype=1, workers=1),
    ):
        with pytest.raises(InputError, match=r"(expected|name another)"):
            call()


REFERENCE = {  # red, green, blue at rows 46, 138, ... and columns 70, 210, ..., of seed 2026, model 1
    90001: [
        (215, 170, 184),
        (232, 223, 216),
        (227, 201, 204),
        (216, 183, 193),
        (152, 131, 162),
        (202, 164, 181),
        (135, 122, 160),
        (94, 85, 135),
        (150, 136, 169),
        (221, 197, 200),
        (224, 188, 195),
        (107, 95, 141),
        (99, 90, 136),
        (229, 208, 209),
        (182, 151, 176),
        (213, 175, 188),
        (234, 227, 221),
        (226, 199, 204),
        (147, 119, 155),
        (218, 171, 186),
        (219, 168, 184),
        (217, 183, 194),
        (199, 154, 176),
        (199, 159, 178),
        (213, 174, 188),
    ],
    90005: [
        (159, 89, 143),
        (117, 105, 147),
        (116, 107, 149),
        (113, 105, 147),
        (153, 128, 162),
        (179, 129, 168),
        (111, 98, 145),
        (149, 119, 161),
        (94, 85, 134),
        (164, 145, 172),
        (166, 145, 173),
        (128, 124, 160),
        (150, 142, 171),
        (153, 125, 163),
        (135, 120, 157),
        (144, 113, 155),
        (141, 119, 159),
        (152, 124, 162),
        (113, 105, 148),
        (111, 106, 146),
        (134, 102, 147),
        (168, 163, 180),
        (150, 122, 160),
        (158, 135, 166),
        (137, 106, 149),
    ],
}


@pytest.mark.parametrize("name", ["SOB_B_TA-14-16184-40-001.png", "mine.jpg"])
def test_practice_slides_are_not_put_among_other_images(tmp_path, name):
    Image.new("RGB", (32, 32)).save(tmp_path / name)
    with pytest.raises(InputError, match=f"holds {name}, which is no practice slide"):
        practice.make(tmp_path, slides_per_subtype=1, images_per_magnification=1, workers=1)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_script_without_a_main_guard_may_make_them_too(tmp_path):
    script = tmp_path / "mine.py"
    script.write_text(
        "from breakhis_lib import practice\n"
        "options = {'slides_per_subtype': 1, 'images_per_magnification': 1, 'magnifications': 40, 'subtypes': 'A'}\n"
        "print(practice.make('one', **options), practice.make('two', **options | {'subtypes': ['A', 'F']}))",
        encoding="utf-8",
    )
    done = subprocess.run([sys.executable, script], cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout.split() == ["one", "two"], done.stderr
