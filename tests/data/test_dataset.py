"""A folder becomes fields: the grammar of the names, and every folder that a user may point at."""

import os
import shutil
import unicodedata
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from breakhis_lib import paper
from breakhis_lib.data import dataset
from breakhis_lib.errors import InputError

NAMES = ["SOB_B_TA-14-16184-40-001.png", "SOB_M_DC-14-2523-100-023.png", "SOB_M_PC-15-190EF-400-003.png"]


def put(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.zeros((32, 32, 3), np.uint8)).save(path)
    return path


@pytest.fixture
def breakhis(tmp_path):
    for name in NAMES:
        put(tmp_path / dataset.official_path(name))
    return tmp_path


@pytest.fixture
def classes(tmp_path):
    for name in ("tumour/a.png", "tumour/deep/b.JPG", "normal/a.tif", "normal/c.jpeg"):
        put(tmp_path / name)
    (tmp_path / "normal" / "notes.txt").write_text("not an image")
    return tmp_path


def test_all_official_names_parse_and_give_table_2():
    official = dataset.official()
    assert len(official) == official.file.nunique() == 7909
    assert official.notna().all().all()
    pd.testing.assert_frame_equal(dataset.count(official), paper.table2(), check_dtype=False)


def test_slides_are_counted_as_the_reference_does():
    official = dataset.official()
    assert official.slide.nunique() == 81 and official.number.nunique() == 70
    assert official.groupby("subtype").slide.nunique().to_dict() == {
        "A": 4, "F": 10, "PT": 3, "TA": 7, "DC": 38, "LC": 5, "MC": 9, "PC": 6,
    }  # fmt: skip
    assert set(official.year[official.slide == "190EF"]) == {"15"}
    assert (official.year == "15").sum() == 65


def test_official_paths_say_what_the_names_say():
    paths = [dataset.official_path(name) for name in dataset.official().file]
    assert len(set(paths)) == 7909
    for path, (_, field) in zip(paths, dataset.official().iterrows(), strict=True):
        assert dataset.parse_name(path.name) == field.to_dict()
        assert path.parts[3] == field.label_name and path.parts[-2] == f"{field.magnification}X"
        assert path.parts[5] == dataset.SUBTYPES[field.subtype]
    assert dataset.official_path(NAMES[2]).as_posix() == (
        "BreaKHis_v1/histology_slides/breast/malignant/SOB/papillary_carcinoma/SOB_M_PC_15-190EF/400X/" + NAMES[2]
    )


def test_a_name_is_taken_apart():
    assert dataset.parse_name("SOB_B_F-14-21998CD-400-017.png") == {
        "file": "SOB_B_F-14-21998CD-400-017.png", "magnification": 400, "label": 0, "label_name": "benign",
        "subtype": "F", "year": "14", "slide": "21998CD", "number": "21998", "sequence": 17,
    }  # fmt: skip


@pytest.mark.parametrize(
    "name",
    [
        "SOB_B_DC-14-16184-40-001.png",  # a malignant subtype among the benign
        "SOB_M_TA-14-16184-40-001.png",
        "SOB_B_XX-14-16184-40-001.png",
        "SOB_B_TA-14-16184-50-001.png",
        "SOB_B_TA-14-16184-40X-001.png",
        "SOB_B_TA-2014-16184-40-001.png",
        "SOB_B_TA_14-16184-40-001.png",
        "SOB_B_TA-14-16184-40-001.bmp",
        "SOB_B_TA-14-16184-40-001.png.part",
        "SOB_B_TA-14-16184-40-001 (1).png",
        " SOB_B_TA-14-16184-40-001.png",
        "SOB_B_TA-14-16184-40-001.png\n",
        "sob_b_ta-14-16184-40-001.png",
        "SOB_B_TA-14--40-001.png",
        "SOB_B_TA-14-16184-40-.png",
        "SOB_B_TA-14-16184-40-٠٠١.png",  # digits, but not ours
        "CNB_B_TA-14-16184-40-001.png",
        "",
    ],
)
def test_a_name_that_is_slightly_off_does_not_parse(name):
    assert dataset.parse_name(name) is None


@pytest.mark.parametrize("root", ["", "BreaKHis_v1", "BreaKHis_v1/histology_slides/breast"])
def test_scan_finds_the_fields_whatever_the_root(breakhis, root):
    fields = dataset.scan(breakhis / root)
    assert fields.columns.tolist() == dataset.COLUMNS
    assert fields.file.tolist() == NAMES and fields.label.tolist() == [0, 1, 1]
    assert fields.magnification.tolist() == [40, 100, 400] and fields.slide.tolist() == ["16184", "2523", "190EF"]
    for path, name in zip(fields.path, fields.file, strict=True):
        assert (breakhis / dataset.official_path(name)).samefile(path)


def test_scan_takes_a_flat_folder_and_text_paths(tmp_path):
    for name in NAMES:
        put(tmp_path / name)
    assert dataset.scan(str(tmp_path)).file.tolist() == NAMES


def test_hidden_and_foreign_files_are_passed_over(breakhis):
    first = breakhis / dataset.official_path(NAMES[0])
    (first.parent / f"._{NAMES[0]}").write_bytes(b"a second fork of the file, from another system")
    (first.parent / "Thumbs.db").write_bytes(b"x")
    put(first.parent / ".ipynb_checkpoints" / NAMES[0])
    assert dataset.scan(breakhis).file.tolist() == NAMES


def test_a_loop_of_links_ends(breakhis):
    (breakhis / "BreaKHis_v1" / "loop").symlink_to(breakhis, target_is_directory=True)
    (breakhis / "self").symlink_to(breakhis / "self")
    assert dataset.scan(breakhis).file.tolist() == NAMES


def test_linked_folders_are_followed(breakhis, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    (other / "data").symlink_to(breakhis, target_is_directory=True)
    assert dataset.scan(other).file.tolist() == NAMES


def test_a_name_that_occurs_twice_is_refused_with_both_places(breakhis):
    second = put(breakhis / "copy" / NAMES[1])
    with pytest.raises(InputError, match="occurs twice") as caught:
        dataset.scan(breakhis)
    assert str(second) in str(caught.value) and str(breakhis / dataset.official_path(NAMES[1])) in str(caught.value)


def test_one_class_is_refused(tmp_path):
    put(tmp_path / NAMES[1])
    with pytest.raises(InputError, match="one class only \\(malignant\\)"):
        dataset.scan(tmp_path)
    put(tmp_path / "plain" / "tumour" / "a.png")
    with pytest.raises(InputError, match="one class only \\(tumour\\)"):
        dataset.scan(tmp_path / "plain")


def test_no_image_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "folder.png").mkdir()
    put(tmp_path / "loose.png")  # in no class
    with pytest.raises(InputError, match="holds no image") as caught:
        dataset.scan(tmp_path)
    assert str(tmp_path) in str(caught.value)


def test_what_is_no_folder_is_refused(breakhis):
    for wrong in (breakhis / "nowhere", breakhis / dataset.official_path(NAMES[0])):
        with pytest.raises(InputError, match="is not a folder") as caught:
            dataset.scan(wrong)
        assert str(wrong) in str(caught.value)


def deny(monkeypatch, folder):
    """Let the system refuse to list `folder`, as it does to a user without permission; root is refused nothing."""
    listing = os.scandir

    def scandir(path):
        if os.fspath(path) == str(folder):
            raise PermissionError(13, "Permission denied", str(folder))
        return listing(path)

    monkeypatch.setattr(os, "scandir", scandir)


def test_a_sub_folder_that_cannot_be_listed_is_an_error_not_a_gap(breakhis, monkeypatch):
    closed = (breakhis / dataset.official_path(NAMES[0])).parent
    deny(monkeypatch, closed)
    with pytest.raises(InputError, match="Permission denied") as caught:
        dataset.scan(breakhis)
    assert str(closed) in str(caught.value)
    refusals = []
    assert len(list(dataset.walk(breakhis, unreadable=refusals.append))) == 2
    assert [error.filename for error in refusals] == [str(closed)]


def test_folders_that_may_not_be_read_are_refused(breakhis):
    for folder in ((breakhis / dataset.official_path(NAMES[0])).parent, breakhis):
        folder.chmod(0)
        try:
            if os.access(folder, os.R_OK):
                pytest.skip("permissions do not bind this user")
            with pytest.raises(InputError, match="cannot be read: [Pp]ermission denied") as caught:
                dataset.scan(breakhis)
            assert str(folder) in str(caught.value)
        finally:
            folder.chmod(0o755)


def test_class_folders_without_groups(classes):
    fields = dataset.scan(classes)
    assert fields.file.tolist() == ["normal/a.tif", "normal/c.jpeg", "tumour/a.png", "tumour/deep/b.JPG"]
    assert fields.label.tolist() == [0, 0, 1, 1] and set(fields.magnification) == {dataset.NO_MAGNIFICATION}
    assert fields.label_name.tolist() == ["normal", "normal", "tumour", "tumour"]
    assert fields.slide.nunique() == 4  # every image its own group


def test_class_folders_with_groups(classes):
    groups = classes / "groups.csv"
    groups.write_text("file,group\nnormal/a.tif,007\nc.jpeg,007\ntumour/a.png,NA\nb.JPG,p9\n")
    assert dataset.scan(classes, groups).slide.tolist() == ["007", "007", "NA", "p9"]  # text as written


ROWS = [("normal/a.tif", "p1"), ("normal/c.jpeg", "p1"), ("tumour/a.png", "p2"), ("tumour/deep/b.JPG", "p9")]


def written(rows=ROWS, separator=",", head="file,group"):
    return "\n".join([head.replace(",", separator), *(separator.join(row) for row in rows)]) + "\n"


@pytest.mark.parametrize(
    "data",
    [
        written().encode(),
        ("\ufeff" + written(separator=";").replace("\n", "\r\n")).encode(),
        written(separator="\t").encode("utf-16"),
        ("sep=,\r\n" + written()).encode(),
        written(head=" File, Group ").encode(),
        written([(file.replace("/", "\\"), group) for file, group in ROWS]).encode(),
        written([(f"./{file}", group) for file, group in ROWS]).encode(),
        written([(f"scans/{file}", group) for file, group in ROWS]).encode(),
        written([(file, f" {group} ") for file, group in ROWS]).encode(),
        written([*ROWS, *ROWS, ("gone.png", "p7")]).encode(),
    ],
    ids=["plain", "semicolons", "utf-16", "sep", "head", "backslashes", "dot", "root", "blanks", "more rows"],
)
def test_groups_are_understood_however_a_spreadsheet_wrote_them(classes, data, tmp_path):
    for folder in ("tumour", "normal"):
        shutil.move(classes / folder, tmp_path / "scans" / folder)
    (tmp_path / "groups.csv").write_bytes(data)
    assert dataset.scan(tmp_path / "scans", tmp_path / "groups.csv").slide.tolist() == ["p1", "p1", "p2", "p9"]


@pytest.mark.parametrize("encoding", ["cp1252", "cp949"])
def test_groups_in_another_encoding_are_refused_with_the_way_out(classes, encoding):
    groups = classes / "groups.csv"
    groups.write_bytes(written([("normal/a.tif", "Müller" if encoding == "cp1252" else "김")]).encode(encoding))
    with pytest.raises(InputError, match="not in UTF-8.*CSV UTF-8"):
        dataset.scan(classes, groups)


def test_a_bare_name_that_is_in_two_classes_must_be_told_apart(classes):
    (classes / "tumour" / "a.png").rename(classes / "tumour" / "a.tif")
    groups = classes / "groups.csv"
    groups.write_text("file,group\na.tif,p1\n", encoding="utf-8")
    with pytest.raises(InputError, match="a.tif is there in several classes; write it as CLASS/a.tif"):
        dataset.scan(classes, groups)


def test_letters_in_either_spelling_are_the_same(tmp_path):
    for place, form in enumerate(("NFC", "NFD")):
        for name in ("정상", "암"):
            put(tmp_path / unicodedata.normalize(form, name) / unicodedata.normalize(form, f"환자{place}.png"))
    (tmp_path / "groups.csv").write_text(
        "file,group\n" + "".join(f"{name}/환자{place}.png,가{place}\n" for name in ("정상", "암") for place in (0, 1)),
        encoding="utf-8",
    )
    fields = dataset.scan(tmp_path, tmp_path / "groups.csv")
    assert set(fields.label_name) == {"정상", "암"}
    assert set(fields.slide) == {"가0", "가1"}


def test_a_name_that_is_no_text_is_refused(tmp_path):
    put(tmp_path / "normal" / "a.png")
    (tmp_path / os.fsdecode("종양".encode("cp949"))).mkdir()
    with pytest.raises(InputError, match="not in UTF-8.*unzip -O cp949"):
        dataset.scan(tmp_path)


@pytest.mark.parametrize("names", [("train", "test"), ("Training", "val", "test"), ("site1", "site2")])
def test_sets_above_the_classes_are_no_classes(tmp_path, names):
    for name in names:
        for inside in ("NORMAL", "PNEUMONIA"):
            put(tmp_path / name / inside / f"{name}.png")
    with pytest.raises(InputError, match="they look like sets, not classes"):
        dataset.scan(tmp_path)


def test_a_folder_of_the_same_name_in_every_class_is_none(tmp_path):
    for name in ("COVID", "NORMAL"):
        put(tmp_path / name / "images" / "a.png")
    assert set(dataset.scan(tmp_path).label_name) == {"COVID", "NORMAL"}


@pytest.mark.parametrize("names", [("Benign", "benign"), ("benign", "benign "), ("in situ", "in  situ")])
def test_classes_that_differ_in_blanks_or_capitals_alone_are_refused(tmp_path, names):
    for name in (*names, "malignant"):
        put(tmp_path / name / "a.png")
    with pytest.raises(InputError, match="differ in blanks or capital letters alone"):
        dataset.scan(tmp_path)


@pytest.mark.parametrize(
    ("names", "positive", "order"),
    [
        (("COVID", "NORMAL"), None, ["COVID", "NORMAL"]),
        (("COVID", "NORMAL"), "COVID", ["NORMAL", "COVID"]),
        (("malignant", "normal"), None, ["normal", "malignant"]),
        (("malignant", "normal"), "normal", ["malignant", "normal"]),
        (("a", "b", "malignant"), None, ["a", "b", "malignant"]),
    ],
)
def test_the_positive_class_has_label_1(tmp_path, names, positive, order):
    for name in names:
        put(tmp_path / name / "a.png")
    assert dataset.class_names(dataset.scan(tmp_path, positive=positive)) == order


def test_a_positive_class_that_is_none_is_refused(classes):
    with pytest.raises(InputError, match="'flu' is no class.*normal, tumour"):
        dataset.scan(classes, positive="flu")
    put(classes / "third" / "a.png")
    with pytest.raises(InputError, match="3 classes"):
        dataset.scan(classes, positive="tumour")


def test_benign_is_not_what_breakhis_is_asked_for(breakhis):
    with pytest.raises(InputError, match="malignant"):
        dataset.scan(breakhis, positive="benign")
    assert dataset.scan(breakhis, positive="malignant").label.sum() == 2


def test_what_is_left_out_is_told(classes):
    put(classes / "loose.png")
    fields, left_out = dataset.survey(classes)
    assert left_out.to_dict("records") == [{"file": "loose.png", "reason": "lies in no class sub-folder"}]
    assert "loose.png" not in set(fields.file)


def test_copies_under_other_names_are_told(breakhis):
    put(breakhis / "SOB_B_A-14-22549AB-40-001 (1).png")
    _, left_out = dataset.survey(breakhis)
    assert left_out.reason.tolist() == ["bears no name of BreakHis"]


@pytest.mark.parametrize("ending", [".PNG", ".jpg", ".JPEG", ".tif"])
def test_copies_of_breakhis_in_other_formats_keep_their_slides(tmp_path, ending):
    for name in NAMES:
        put(tmp_path / Path(name).with_suffix(ending))
    fields = dataset.scan(tmp_path)
    assert set(fields.magnification) <= set(dataset.MAGNIFICATIONS)
    assert set(fields.slide) == {dataset.parse_name(name)["slide"] for name in NAMES}
    put(tmp_path / "more" / NAMES[0])
    with pytest.raises(InputError, match="occurs twice"):
        dataset.scan(tmp_path)


def test_the_folder_to_give_instead_is_named(tmp_path):
    for name in ("benign", "malignant"):
        put(tmp_path / "data" / name / "a.png")
    with pytest.raises(InputError, match="if its sub-folders are the classes, give .*data"):
        dataset.scan(tmp_path)


@pytest.mark.parametrize(
    "text, said",
    [
        ("file,group\nnormal/a.tif,p1\n", "groups.csv has no row for normal/c.jpeg"),
        ("file,group\nnormal/a.tif,p1\nc.jpeg,\n", "line 3: c.jpeg has no group"),
        ("file,group\nnormal/a.tif,p1\nnormal\\a.tif,p2\n", "line 3: .* is in two groups, p1 and p2"),
        ("normal/a.tif,p1\n", "has columns normal/a.tif, p1; expected file,group in its first line"),
        ("file,group\nnormal/a.tif,Smith, John\n", "line 2 has 3 columns, the first line 2; put names"),
        ("file,group\na,p1\n", r"no row for normal/a.tif \(its first row is for a\)"),
        ("image,patient\nnormal/a.tif,p1\n", "has columns image, patient; expected file,group"),
        ("", "expected file,group in its first line"),
        (None, "cannot be read as CSV"),
    ],
)
def test_groups_that_do_not_fit_are_refused(classes, text, said):
    groups = classes / "groups.csv"
    if text is not None:
        groups.write_text(text)
    with pytest.raises(InputError, match=said) as caught:
        dataset.scan(classes, groups)
    assert str(groups) in str(caught.value)


def test_groups_for_breakhis_are_refused(breakhis):
    (breakhis / "groups.csv").write_text("file,group\n")
    with pytest.raises(InputError, match="leave the groups file out"):
        dataset.scan(breakhis, breakhis / "groups.csv")


def test_select_takes_one_magnification_or_says_which_there_are(breakhis):
    fields = dataset.scan(breakhis)
    assert dataset.select(fields, 100).file.tolist() == [NAMES[1]]
    with pytest.raises(InputError, match="no image has magnification 200; these have some: 40, 100, 400"):
        dataset.select(fields, 200)


def test_digest_follows_names_order_and_bytes(breakhis):
    fields = dataset.add_digests(dataset.scan(breakhis))
    first = dataset.data_digest(fields)
    assert len(first) == 64 and first == dataset.data_digest(dataset.add_digests(fields))
    assert first != dataset.data_digest(fields[::-1])
    assert first != dataset.data_digest(fields.assign(file=["x", *fields.file[1:]]))
    with open(fields.path[0], "ab") as stream:
        stream.write(b"x")
    assert first != dataset.data_digest(dataset.add_digests(fields))


def test_a_file_that_cannot_be_read_has_no_fingerprint(breakhis):
    fields = dataset.scan(breakhis)
    Path(fields.path[0]).unlink()
    assert dataset.add_digests(fields).sha256.isna().tolist() == [True, False, False]


def test_a_table_of_groups_may_end_its_lines_as_old_macs_do(tmp_path):
    for name in ("benign/a.png", "malignant/b.png"):
        (tmp_path / "own" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8)).save(tmp_path / "own" / name)
    (tmp_path / "groups.csv").write_bytes(b"file,group\rbenign/a.png,one\rmalignant/b.png,two\r")
    assert list(dataset.scan(tmp_path / "own", tmp_path / "groups.csv").slide) == ["one", "two"]
