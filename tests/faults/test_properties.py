"""Inputs that nobody thought of, made by Hypothesis: names, groups, splits and measures keep their promises."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn import metrics as oracle

from breakhis_lib.data import dataset, folders, leakage, splits
from breakhis_lib.errors import InputError
from breakhis_lib.evaluation import calibration, decisions, metrics

MANY = settings(max_examples=40, deadline=None)
FEW = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
TEXT = st.text(max_size=40)
SUBTYPES = {"B": ["A", "F", "PT", "TA"], "M": ["DC", "LC", "MC", "PC"]}


@st.composite
def names(draw):
    side = draw(st.sampled_from("BM"))
    slide = f"{draw(st.integers(0, 99999))}{draw(st.sampled_from(['', 'A', 'AB', 'CD', 'EF']))}"
    magnification = draw(st.sampled_from(dataset.MAGNIFICATIONS))
    kind, year, sequence = draw(st.sampled_from(SUBTYPES[side])), draw(st.integers(0, 99)), draw(st.integers(1, 999))
    return f"SOB_{side}_{kind}-{year:02}-{slide}-{magnification}-{sequence:03}.png"


@MANY
@given(names())
def test_what_a_name_says_makes_the_name_again(name):
    said = dataset.parse_name(name)
    side = "BM"[said["label"]]
    again = f"SOB_{side}_{said['subtype']}-{said['year']}-{said['slide']}-{said['magnification']}"
    assert f"{again}-{said['sequence']:03}.png" == name
    assert said["slide"].startswith(said["number"]) and said["number"].isdigit()
    assert dataset.official_path(name).name == name


@MANY
@given(TEXT | names().map(lambda name: name[1:]) | names().map(lambda name: name.replace("-", "_", 1)))
def test_any_other_text_is_no_name_and_no_fault(text):
    assert dataset.parse_name(text) is None or text.startswith("SOB_")


@st.composite
def collections(draw):
    """Fields as of a folder: slides of two classes, some of which share a number, at one or two magnifications."""
    magnifications = draw(st.sampled_from([[40], [100, 400]]))
    rows = []
    for label, name in enumerate(("benign", "malignant")):
        for place in range(draw(st.integers(1, 8))):
            number = f"9{label}{draw(st.integers(place // 2, place)):03}"
            slide = number + draw(st.sampled_from(["", "A", "B"]))
            for sequence in range(1, draw(st.integers(1, 4)) + 1):
                rows += [
                    {"magnification": at, "label": label, "label_name": name, "slide": slide, "number": number}
                    | {"sequence": sequence, "file": f"{slide}-{place}-{at}-{sequence}.png"}
                    for at in magnifications
                ]
    return pd.DataFrame(rows)


@MANY
@given(collections(), st.sampled_from(["image", "slide", "number"]), st.integers(0, 12))
def test_a_split_keeps_units_whole_and_has_every_class_in_every_set_or_says_why_not(fields, protocol, seed):
    try:
        sets = splits.draw(fields, protocol, seed)
    except InputError as error:
        assert "benign" in str(error) or "malignant" in str(error)
        return
    assert sets.index.equals(fields.index) and set(sets) == set(splits.SETS)
    assert (fields.groupby(sets).label.nunique() == 2).all()
    if protocol != "image":
        assert (sets.groupby(fields[protocol]).nunique() == 1).all()
        assert leakage.both_sides(fields, sets, protocol).empty
    places = fields.slide + fields.sequence.astype(str)
    if fields.magnification.nunique() > 1:  # pictures of one place at several magnifications stay together
        assert (sets.groupby(places).nunique() == 1).all()
    assert sets.equals(splits.draw(fields, protocol, seed))


@MANY
@given(collections(), st.sampled_from(["image", "slide", "number"]))
def test_in_as_many_seeds_as_there_are_folds_every_image_is_tested_once(fields, protocol):
    unit = fields.file if protocol == "image" else fields[protocol]
    if protocol == "image" and fields.magnification.nunique() > 1:
        unit = fields.slide + fields.sequence.astype(str)
    folds = min(splits.FOLDS, int(unit.groupby(fields.label).nunique().min()))
    try:
        tested = sum((splits.draw(fields, protocol, seed) == "test").astype(int) for seed in range(folds))
    except InputError:
        return
    assert (tested == 1).all()


@st.composite
def answers(draw):
    """Predictions of one seed, with ties, zeros and ones among the probabilities, and both classes."""
    count = draw(st.integers(2, 40))
    label = [0, 1, *draw(st.lists(st.integers(0, 1), min_size=count - 2, max_size=count - 2))]
    p = draw(st.lists(st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]) | st.floats(0, 1), min_size=count, max_size=count))
    slide = draw(st.lists(st.sampled_from("abcdef"), min_size=count, max_size=count))
    rows = pd.DataFrame({"seed": 0, "label": label, "p_malignant": p})
    return rows.assign(slide=[f"{name}{of}" for name, of in zip(slide, label, strict=True)], set="test").assign(
        file=lambda table: table.index.astype(str)
    )


@MANY
@given(answers())
def test_measures_are_those_of_scikit_learn_and_intervals_hold_them(rows):
    label, p, called = rows.label, rows.p_malignant, rows.p_malignant >= 0.5
    expected = {
        "accuracy": oracle.accuracy_score(label, called),
        "balanced accuracy": oracle.balanced_accuracy_score(label, called),
        "sensitivity": oracle.recall_score(label, called),
        "specificity": oracle.recall_score(label, called, pos_label=0),
        "AUC": oracle.roc_auc_score(label, p),
        "average precision": oracle.average_precision_score(label, p),
    }
    table = metrics.summary(rows, resamples=50)
    for name, value in expected.items():
        assert table.value[name] == pytest.approx(value, abs=1e-9), name
        assert not table.low[name] > table.high[name]  # or both are nan: too few slides
    assert 0 <= calibration.expected_calibration_error(label, p) <= 1
    assert calibration.brier(label, p) == pytest.approx(oracle.brier_score_loss(label, p))


@MANY
@given(answers(), st.floats(0.1, 100))
def test_no_threshold_is_cheaper_than_the_cheapest_and_the_wished_sensitivity_is_kept(rows, ratio):
    label, p = rows.label, rows.p_malignant
    table = decisions.confusion_counts(label, p, decisions.candidate_thresholds(p))
    costs = ratio * table.missed + table.alarms
    chosen = decisions.confusion_counts(label, p, [decisions.cheapest_threshold(label, p, ratio)]).iloc[0]
    assert ratio * chosen.missed + chosen.alarms == pytest.approx(costs.min())
    kept = decisions.confusion_counts(label, p, [decisions.at_sensitivity(label, p, 0.9)]).iloc[0]
    assert 1 - kept.missed / kept.malignant >= 0.9 - 1e-9


@FEW
@given(
    st.binary(max_size=200)
    | TEXT.map(str.encode)
    | st.lists(st.tuples(TEXT, TEXT)).map(
        lambda rows: ("file,group\n" + "".join(f"{file},{group}\n" for file, group in rows)).encode(errors="replace")
    )
)
def test_a_table_of_groups_is_read_or_refused_with_its_name(tmp_path, content):
    path = tmp_path / "groups.csv"
    path.write_bytes(content)
    files = ["benign/a.png", "malignant/b.png"]
    try:
        groups = folders._groups(tmp_path, path, files)
    except InputError as error:
        assert "groups.csv" in str(error)
    else:
        assert len(groups) == len(files)


def test_probabilities_that_are_none_are_refused():
    rows = pd.DataFrame(
        {"seed": 0, "label": [0, 1], "p_malignant": [0.1, np.nan], "slide": ["a", "b"], "file": ["1", "2"]}
    )
    with pytest.raises(InputError):
        metrics.estimate(rows)
