import numpy as np
import pandas as pd
import pytest
from scipy.stats import bootstrap, norm
from scipy.stats import t as student
from sklearn import metrics as sklearn_metrics

from breakhis_lib.errors import InputError
from breakhis_lib.evaluation import calibration, decisions, metrics

SHARE = (1.7, 0.3)  # a slide's share of correct images is drawn from this beta distribution, whose mean is the truth
TRUTH = SHARE[0] / sum(SHARE)


def clustered(random, slides, seeds=1):
    """Test rows in which images of one slide are right or wrong together, as many as 4 to 28 of a slide."""
    share, count = random.beta(*SHARE, size=slides), random.integers(4, 29, size=slides)
    slide = np.repeat(np.arange(slides), count)
    label = (slide % 3 > 0).astype(int)
    frames = []
    for seed in range(seeds):
        right = random.random(len(slide)) < share[slide]
        p = np.where(right == (label == 1), 0.5 + random.random(len(slide)) / 2, random.random(len(slide)) / 2)
        frames.append(pd.DataFrame({"seed": seed, "file": np.arange(len(slide)), "slide": slide.astype(str)}))
        frames[-1] = frames[-1].assign(label=label, p_malignant=p.round(2))
    return pd.concat(frames, ignore_index=True)


@pytest.fixture
def table():
    return clustered(np.random.default_rng(3), 30, seeds=2)


@pytest.mark.parametrize(
    ("measure", "theirs"),
    [
        ("accuracy", lambda label, p: sklearn_metrics.accuracy_score(label, p >= 0.5)),
        ("balanced accuracy", lambda label, p: sklearn_metrics.balanced_accuracy_score(label, p >= 0.5)),
        ("sensitivity", lambda label, p: sklearn_metrics.recall_score(label, p >= 0.5)),
        ("specificity", lambda label, p: sklearn_metrics.recall_score(label, p >= 0.5, pos_label=0)),
        ("precision", lambda label, p: sklearn_metrics.precision_score(label, p >= 0.5)),
        ("F1", lambda label, p: sklearn_metrics.f1_score(label, p >= 0.5)),
        ("AUC", sklearn_metrics.roc_auc_score),
        ("average precision", sklearn_metrics.average_precision_score),
    ],
)
def test_measures_agree_with_scikit_learn_also_with_ties_and_weights(table, measure, theirs):
    expected = [theirs(rows.label, rows.p_malignant) for _, rows in table.groupby("seed")]
    found = metrics.estimate(table, measure)
    assert found.value == pytest.approx(np.mean(expected))
    # A resample in which every slide counts twice is the same data.
    twice = table.loc[np.repeat(table.index, 2)].reset_index(drop=True)
    assert metrics.estimate(twice, measure).value == pytest.approx(found.value)


def test_the_patient_recognition_rate_is_not_the_share_of_slides_decided():
    table = pd.DataFrame(
        {
            "seed": 0,
            "file": list("abcdef"),
            "slide": ["1", "1", "1", "2", "2", "3"],
            "label": [1, 1, 1, 0, 0, 1],
            "p_malignant": [0.6, 0.6, 0.1, 0.4, 0.9, 0.7],
        }
    )
    found = metrics.summary(table).value
    assert found["patient recognition rate"] == pytest.approx((2 / 3 + 1 / 2 + 1) / 3)
    assert found["slides decided correctly"] == pytest.approx(1 / 3)  # means 0.43, 0.65, 0.7 for labels 1, 0, 1
    assert found["accuracy"] == pytest.approx(4 / 6)


def test_the_slide_bootstrap_covers_the_truth_and_the_naive_interval_does_not():
    random = np.random.default_rng(1)
    covered = naive = 0
    for _ in range(200):
        table = clustered(random, 44)
        low, high = metrics.estimate(table, resamples=400).interval()
        covered += low <= TRUTH <= high
        low, high = metrics.wilson(metrics.is_correct(table).sum(), len(table))
        naive += low <= TRUTH <= high
    assert 0.92 <= covered / 200 <= 0.98
    assert naive / 200 < 0.75


def test_slide_numbers_are_drawn_whole(table):
    slide = table.slide.astype(int)
    halves = table.assign(slide=(slide // 10).astype(str) + (slide % 10).map("ABCDEFGHIJ".__getitem__))
    few, many = metrics.estimate(halves, unit="number"), metrics.estimate(halves, unit="slide")
    assert few.value == many.value
    assert (len(few.left_out), len(many.left_out)) == (3, 30)


def test_wilson_is_the_textbook_interval():
    assert metrics.wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)  # Newcombe 1998, table I


def test_predictive_values_follow_bayes():
    ppv, npv = metrics.predictive_values(0.9, 0.8, 0.01)
    assert ppv == pytest.approx(0.009 / (0.009 + 0.198))
    assert npv == pytest.approx(0.792 / (0.792 + 0.001))


def test_more_than_two_classes_have_the_measures_that_make_sense():
    table = pd.DataFrame(
        {"seed": 0, "file": list("abcd"), "slide": list("1234"), "label": [0, 1, 2, 2], "p_b": [0.1, 0.8, 0.2, 0.5]}
    ).assign(p_c=[0.1, 0.1, 0.7, 0.1])
    found = metrics.summary(table).value
    assert found["accuracy"] == 0.75
    assert found["balanced accuracy"] == pytest.approx((1 + 1 + 0.5) / 3)
    assert "AUC" not in found


def test_mcnemar_is_exact_and_wants_each_image_once():
    label = np.ones(20, int)
    first = pd.DataFrame({"file": range(20), "label": label, "p_malignant": [0.9] * 18 + [0.1] * 2})
    second = first.assign(p_malignant=[0.1] * 10 + [0.9] * 10)
    found = metrics.mcnemar(first, second)
    assert found[:4].tolist() == [8, 10, 2, 0]
    assert found.p == pytest.approx(2 * 79 / 4096)  # twice the probability of at most 2 heads in 12
    with pytest.raises(ValueError, match="tested twice"):
        metrics.mcnemar(pd.concat([first, first]), second)


def test_a_paired_difference_is_surer_than_its_parts(table):
    better = table.assign(p_malignant=np.where(table.index % 3 == 0, table.label, table.p_malignant))
    found = metrics.paired_difference(better, table)
    assert found.difference > 0
    assert found.low >= 0
    alone = metrics.estimate(better).interval()
    assert found.high - found.low < 0.75 * (alone[1] - alone[0])
    with pytest.raises(ValueError, match="different slides"):
        metrics.paired_difference(better[better.slide != "3"], table)


def test_calibration_of_true_and_of_too_sure_probabilities():
    random = np.random.default_rng(0)
    p = random.random(4000)
    label = (random.random(4000) < p).astype(int)
    too_sure = calibration.apply_temperature(p, 0.5)
    assert calibration.expected_calibration_error(label, p) < 1.5 * calibration.ece_by_chance(p) + 0.005
    assert calibration.expected_calibration_error(label, too_sure) > 0.08
    assert calibration.fit_temperature(label, too_sure) == pytest.approx(2, abs=0.15)
    assert calibration.brier(label, too_sure) > calibration.brier(label, p)
    curve = calibration.reliability([0, 1, 1], [0.05, 0.05, 1.0])
    assert curve.images.tolist() == [2, 1]
    assert curve.malignant.tolist() == [0.5, 1]
    assert calibration.expected_calibration_error([0, 1, 1], [0.05, 0.05, 1.0]) == pytest.approx(2 / 3 * 0.45)


def test_a_few_images_are_miscalibrated_by_chance():
    p = np.full(20, 0.7)
    assert calibration.ece_by_chance(p) > 0.05


def test_an_image_that_two_seeds_tested_counts_once_against_chance():
    random = np.random.default_rng(0)
    p = random.uniform(0.2, 0.9, 100)
    label = (random.random(100) < p).astype(int)
    once = pd.DataFrame({"file": map(str, range(100)), "label": label, "p_malignant": p, "seed": 0})
    found = calibration.against_chance(once)
    assert found == (calibration.expected_calibration_error(label, p), calibration.ece_by_chance(p))
    assert calibration.against_chance(pd.concat([once, once.assign(seed=5)])) == pytest.approx(found)


def test_thresholds_are_chosen_on_validation_and_applied_to_test():
    label, p = np.array([0, 0, 0, 1, 1, 1]), np.array([0.1, 0.4, 0.6, 0.3, 0.7, 0.8])
    assert decisions.at_sensitivity(label, p, 0.9) == 0.3
    assert decisions.at_sensitivity(label, p, 0.6) == 0.7
    assert decisions.at_specificity(label, p, 1.0) == 0.7
    assert decisions.at_specificity(label, p, 0.6) == 0.6
    assert decisions.cheapest_threshold(label, p, 1) == 0.7  # one missed; at 0.3 two alarms
    assert decisions.cheapest_threshold(label, p, 10) == 0.3
    table = pd.DataFrame({"seed": 0, "label": [*label, 0, 1], "p_malignant": [*p, 0.75, 0.65]})
    table["set"] = ["validation"] * 6 + ["test"] * 2
    found = decisions.apply_chosen(table, lambda label, p: decisions.cheapest_threshold(label, p, 1))
    assert (found.missed, found.alarms, found.threshold) == (1, 1, 0.7)


def test_costs_set_the_classifier_beside_answers_that_look_at_nothing():
    table = pd.DataFrame({"seed": 0, "label": [0, 1] * 6, "p_malignant": [0.2, 0.9] * 6})
    table["set"] = ["validation"] * 6 + ["test"] * 6
    found = decisions.expected_costs(table, ratios=(1, 10))
    assert found.cost.tolist() == [0, 0]
    assert found["all malignant"].tolist() == [0.5, 0.5]
    assert found["all benign"].tolist() == [0.5, 5]


def test_the_decision_curve_by_hand():
    found = decisions.net_benefit([0, 0, 1, 1], [0.1, 0.6, 0.6, 0.9], [0.5, 0.75])
    assert found.model.tolist() == pytest.approx([2 / 4 - 1 / 4, 1 / 4])
    assert found["all"].tolist() == pytest.approx([0.0, 0.5 - 3 * 0.5])


WEIGHED = {
    "accuracy": lambda y, p, w: sklearn_metrics.accuracy_score(y, p >= 0.5, sample_weight=w),
    "balanced accuracy": lambda y, p, w: sklearn_metrics.balanced_accuracy_score(y, p >= 0.5, sample_weight=w),
    "sensitivity": lambda y, p, w: sklearn_metrics.recall_score(y, p >= 0.5, sample_weight=w),
    "specificity": lambda y, p, w: sklearn_metrics.recall_score(y, p >= 0.5, pos_label=0, sample_weight=w),
    "precision": lambda y, p, w: sklearn_metrics.precision_score(y, p >= 0.5, sample_weight=w),
    "F1": lambda y, p, w: sklearn_metrics.f1_score(y, p >= 0.5, sample_weight=w),
    "AUC": lambda y, p, w: sklearn_metrics.roc_auc_score(y, p, sample_weight=w),
    "average precision": lambda y, p, w: sklearn_metrics.average_precision_score(y, p, sample_weight=w),
}


def draws_of(slides, resamples=50):
    """The weights of the slides in each resample, and with one slide left out, drawn as `estimate` draws them."""
    draws = np.random.default_rng(0).multinomial(slides, np.full(slides, 1 / slides), size=resamples)
    return draws, 1 - np.eye(slides)


@pytest.mark.parametrize("measure", WEIGHED)
def test_every_resample_weighs_each_image_as_its_slide_is_drawn(measure):
    table = clustered(np.random.default_rng(5), 14)
    found = metrics.estimate(table, measure, resamples=50)
    slide = pd.factorize(table.slide, sort=True)[0]
    for kind, weights in zip((found.resampled, found.left_out), draws_of(14), strict=True):
        expected = [WEIGHED[measure](table.label, table.p_malignant, row[slide]) for row in weights]
        np.testing.assert_allclose(kind, expected, atol=1e-9)


def test_slides_are_weighed_as_they_are_drawn_also_where_a_measure_is_of_slides():
    table = clustered(np.random.default_rng(5), 14)
    right = metrics.is_correct(table).groupby(table.slide).mean()
    mean = table.groupby("slide").agg(p=("p_malignant", "mean"), label=("label", "first"))
    decided = ((mean.p >= 0.5) == (mean.label == 1)).astype(float)
    for measure, of_slide in (("patient recognition rate", right), ("slides decided correctly", decided)):
        found = metrics.estimate(table, measure, resamples=50)
        drawn, left_out = draws_of(14)
        np.testing.assert_allclose(found.resampled, drawn @ of_slide.to_numpy() / 14)
        np.testing.assert_allclose(found.left_out, left_out @ of_slide.to_numpy() / 13)


def test_the_interval_is_scipys_but_for_the_wider_tails():
    table = clustered(np.random.default_rng(7), 40).groupby("slide").head(4)  # as many images of each slide
    right = metrics.is_correct(table).groupby(table.slide).mean().to_numpy()
    found = metrics.estimate(table, resamples=20_000)
    units = found.units
    level = 1 - 2 * student.sf(norm.isf(0.025) / np.sqrt((units + 1) / (units - 1)), units - 1)  # undoes the widening
    scipys = bootstrap((right,), np.mean, method="BCa", n_resamples=20_000, rng=np.random.default_rng(1))
    np.testing.assert_allclose(found.interval(level), scipys.confidence_interval, atol=0.004)
    wide, narrow = found.interval(0.95), found.interval(level)
    assert wide[0] < narrow[0] < narrow[1] < wide[1]


def perfect(slides, right=True):
    label = np.arange(slides * 4) // 4 % 2
    p = np.where((label == 1) == right, 0.9, 0.1)
    slide = (np.arange(slides * 4) // 4).astype(str)
    return pd.DataFrame({"seed": 0, "file": range(slides * 4), "slide": slide, "label": label, "p_malignant": p})


@pytest.mark.parametrize("slides", [1, 2, 3, 5, 8, 30, 82])
@pytest.mark.parametrize("right", [True, False])
def test_no_interval_lacks_a_width(slides, right):
    rows = metrics.summary(perfect(slides, right), resamples=200)
    assert rows[["low", "high"]].isna().all(axis=None)


def test_few_slides_of_the_class_that_a_measure_speaks_of_give_no_interval():
    table = clustered(np.random.default_rng(1), 30).assign(label=lambda rows: (rows.slide.astype(int) >= 6).astype(int))
    rows = metrics.summary(table, resamples=500)
    assert rows.low.notna()["accuracy"]
    assert rows.low.notna()["sensitivity"]
    assert rows.low.isna()[["specificity", "balanced accuracy", "AUC"]].all()
    shown = rows.dropna()
    assert ((shown.low < shown.high) & (shown.low <= shown.value) & (shown.value <= shown.high)).all()


def test_equal_runs_have_a_difference_without_an_interval(table):
    found = metrics.paired_difference(table, table)
    assert found.difference == 0
    assert np.isnan(found.low)
    assert np.isnan(found.high)


def test_three_classes_get_what_makes_sense_for_them():
    table = pd.DataFrame({"seed": 0, "file": range(60), "label": [0, 1, 2] * 20})
    table = table.assign(slide=[str(n // 2) for n in range(60)], p_b=0.3, p_c=[0.1, 0.2, 0.6] * 20)
    assert list(metrics.summary(table, resamples=50).index) == list(metrics.FOR_ANY_CLASSES)
    with pytest.raises(InputError, match="'AUC' is no measure for 3 classes"):
        metrics.estimate(table, "AUC")
    with pytest.raises(InputError, match="p_b, p_c"):
        metrics.positive_probability(table)


def test_without_a_positive_class_no_measure_speaks_of_one():
    table = clustered(np.random.default_rng(1), 12).rename(columns={"p_malignant": "p_NORMAL"})
    assert list(metrics.summary(table, resamples=50).index) == list(metrics.FOR_ANY_CLASSES)
    assert "sensitivity" in metrics.summary(table, resamples=50, positive="NORMAL").index


def test_tables_joined_without_a_new_index_and_slides_that_are_missing():
    table = clustered(np.random.default_rng(1), 12)
    joined = pd.concat([table, table.assign(seed=1)])
    assert metrics.estimate(joined).value == pytest.approx(metrics.estimate(table).value)
    with pytest.raises(InputError, match="no slide in row 0"):
        metrics.estimate(table.assign(slide=[None, *table.slide[1:]]))


@pytest.mark.parametrize("wanted", [0.2, 0.7, 0.8, 0.9, 0.95])
def test_a_specificity_of_exactly_what_is_wanted_will_do(wanted):
    p = np.r_[np.linspace(0.01, 0.5, 20), np.full(20, 0.99)]
    label = np.r_[np.zeros(20), np.ones(20)]
    threshold = decisions.at_specificity(label, p, wanted)
    assert np.mean(p[:20] < threshold) == pytest.approx(wanted)


def test_the_cheapest_threshold_may_act_on_every_image_to_come():
    assert decisions.cheapest_threshold([0, 1, 1], [0.4, 0.3, 0.6], ratio=100) == 0.0
    assert decisions.cheapest_threshold([0, 0, 1], [0.4, 0.5, 0.6], ratio=1) == 0.6


def test_the_temperature_does_not_look_at_the_test_set():
    random = np.random.default_rng(2)
    rows = pd.DataFrame({"seed": 0, "label": random.integers(0, 2, 400), "set": ["validation", "test"] * 200})
    rows["p_malignant"] = np.clip(rows.label * 0.5 + random.random(400) / 2, 0.01, 0.99)
    flipped = rows.assign(label=np.where(rows.set == "test", 1 - rows.label, rows.label))
    one, other = calibration.summary(rows), calibration.summary(flipped)
    assert one.temperature.equals(other.temperature)
    assert not one.Brier.equals(other.Brier)
    moved = rows.assign(label=np.where(rows.set == "validation", 1 - rows.label, rows.label))
    assert not one.temperature.equals(calibration.summary(moved).temperature)
