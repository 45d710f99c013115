import json
import re

import numpy as np
import pandas as pd
import pytest
from playwright.sync_api import sync_playwright

from breakhis_lib.evaluation import decisions, threshold_explorer
from tests import site
from tests.site import needs_browser


@pytest.fixture(scope="module")
def predictions():
    """Two magnifications, both ways to split, two seeds; 300 images a split, of which each seed tests its half."""
    random, frames = np.random.default_rng(7), []
    for magnification in (100, 200):
        for protocol, spread in (("image", 0.2), ("slide", 0.4)):
            for seed in (0, 1):
                table = pd.DataFrame({"file": [f"{n}.png" for n in range(300)], "label": np.arange(300) % 3 > 0})
                table["label"] = table.label.astype(int)
                table["slide"] = [f"{label} {n % 7}" for n, label in enumerate(table.label)]
                table["p_malignant"] = np.clip(table.label * 0.6 + 0.2 + random.normal(0, spread, 300), 0, 1).round(6)
                table["set"] = np.where(np.arange(300) // 150 == seed, "test", "validation")
                frames.append(table.assign(magnification=magnification, protocol=protocol, seed=seed))
    return pd.concat(frames, ignore_index=True)


@pytest.fixture(scope="module")
def html(predictions):
    return threshold_explorer.html(predictions, 200)


def rows_of(predictions, magnification, protocol):
    rows = predictions[(predictions.magnification == magnification) & (predictions.protocol == protocol)]
    return rows, rows[rows.set == "test"]


def test_the_page_holds_the_counts_of_every_threshold(predictions, html):
    data = json.loads(re.search(r'<script type="application/json">(.*?)</script>', html, re.DOTALL)[1])
    assert list(data) == ["100", "200"]
    for magnification, by_protocol in data.items():
        assert list(by_protocol) == ["image", "slide"]
        for protocol, found in by_protocol.items():
            _, test = rows_of(predictions, int(magnification), protocol)
            expected = decisions.confusion_counts(test.label, test.p_malignant, np.linspace(0, 1, 101).round(2))
            assert found["missed"] == expected.missed.tolist()
            assert found["alarms"] == expected.alarms.tolist()
            assert (found["malignant"], found["benign"]) == (200, 100)


@pytest.mark.parametrize("ties", [False, True])
def test_as_many_dots_are_on_the_wrong_side_as_are_counted_at_every_threshold(predictions, ties):
    thresholds = np.linspace(0, 1, 101).round(2)
    if ties:  # each threshold itself, and what rounds to it from either side
        near = np.concatenate([thresholds, thresholds - 4e-5, thresholds + 4e-5, thresholds - 1e-9]).clip(0, 1)
        predictions = predictions.assign(p_malignant=np.resize(near, len(predictions)))
    for magnification, by_protocol in threshold_explorer.counts(predictions).items():
        for protocol, found in by_protocol.items():
            _, test = rows_of(predictions, magnification, protocol)
            malignant, benign = (np.concatenate(found["dots"][label]) for label in ("malignant", "benign"))
            places = np.concatenate([malignant, benign])
            assert np.abs(np.sort(places) / 1000 - np.sort(test.p_malignant)).max() < 0.001
            counts = decisions.confusion_counts(test.label, test.p_malignant, thresholds)
            for place, row in counts.iterrows():
                assert (malignant < 10 * place).sum() == row.missed
                assert (benign >= 10 * place).sum() == row.alarms


def test_the_dots_of_a_slide_share_a_row_at_the_same_height_in_both_drawings(predictions):
    test = predictions[(predictions.set == "test") & (predictions.magnification == 200)]
    gone = test[(test.protocol == "image") & (test.slide == "0 3")].index
    found = threshold_explorer.counts(predictions.drop(gone))[200]
    test = test.drop(gone)
    for label, name in enumerate(("benign", "malignant")):
        middle = test[test.label == label].groupby("slide").p_malignant.median().sort_values(ascending=False)
        for protocol, seen in found.items():
            expected = [
                sorted(test[(test.protocol == protocol) & (test.slide == slide)].p_malignant) for slide in middle.index
            ]
            assert [len(row) for row in seen["dots"][name]] == [len(row) for row in expected]
            assert np.concatenate(seen["dots"][name]) / 1000 == pytest.approx(np.concatenate(expected), abs=0.001)
    assert [len(seen["dots"]["benign"]) for seen in found.values()] == [7, 7]
    assert [] in found["image"]["dots"]["benign"]


def test_the_rows_of_many_slides_are_lower(predictions):
    many = predictions.assign(slide=[f"{label} {n % 80}" for n, label in enumerate(predictions.label)])
    few, many = (threshold_explorer.counts(table)[200]["slide"] for table in (predictions, many))
    height = sum(len(rows) for rows in many["dots"].values()) * many["row"]
    assert many["row"] < few["row"]
    assert 1000 < height < 1200


def test_thresholds_are_chosen_on_the_validation_images_of_each_seed(predictions):
    found = threshold_explorer.counts(predictions)[200]["slide"]["chosen"]
    rows, _ = rows_of(predictions, 200, "slide")
    for ratio, chosen in found.items():
        expected = decisions.apply_chosen(
            rows, lambda label, p, ratio=int(ratio): decisions.cheapest_threshold(label, p, ratio)
        )
        assert (chosen["missed"], chosen["alarms"]) == (expected.missed, expected.alarms)
        assert np.median(chosen["thresholds"]) == pytest.approx(expected.threshold, abs=1e-3)
    assert max(found["50"]["thresholds"]) < min(found["1"]["thresholds"])


def test_the_same_predictions_give_the_same_page_with_ids_of_its_own(predictions, html):
    assert threshold_explorer.html(predictions, 200) == html
    ids = re.findall(r'\bid="([^"]+)"', html)
    assert len(ids) == len(set(ids)) == 4
    other = re.findall(r'\bid="([^"]+)"', threshold_explorer.html(predictions, 200, identity="another"))
    assert not set(ids) & set(other)
    assert set(re.findall(r'\bfor="([^"]+)"', html)) <= set(ids)


def test_what_cannot_be_shown_is_refused(predictions):
    with pytest.raises(ValueError, match="tested twice"):
        threshold_explorer.html(pd.concat([predictions, predictions]), 200)
    for magnification, ratio in ((400, 10), (200, 3)):
        with pytest.raises(ValueError, match="cannot be shown"):
            threshold_explorer.html(predictions, magnification, ratio)


def open_page(playwright, path, **options):
    """The page in a browser, and the list of what it asks for beside its own file."""
    page = site.launched(playwright).new_context(offline=True, **options).new_page()
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(path.as_uri())
    return page, asked


@pytest.fixture
def path(html, tmp_path):
    path = tmp_path / "page.html"
    path.write_text(f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Threshold</title>{html}</html>')
    return path


def shown(page):
    return {
        element.get_attribute("data-show"): element.text_content() for element in page.query_selector_all("[data-show]")
    }


@needs_browser
def test_the_keys_move_the_threshold_and_every_number_with_it(predictions, path):
    with sync_playwright() as playwright:
        page, asked = open_page(playwright, path)
        before = shown(page)
        page.get_by_label("Threshold", exact=True).focus()
        page.keyboard.press("ArrowRight")
        at_51 = shown(page)
        said = page.locator("output").text_content()
        page.get_by_label("Magnification").select_option("100")
        page.get_by_label("A missed cancer costs").select_option("50")
        after = shown(page)
        width = page.locator('[data-bar="slide-missed"]').evaluate("bar => bar.style.width")
        assert asked == [path.as_uri()]
    for seen, magnification, threshold, ratio in (
        (before, 200, 0.5, 10),
        (at_51, 200, 0.51, 10),
        (after, 100, 0.51, 50),
    ):
        assert (seen["magnification"], seen["threshold"], seen["ratio"]) == (
            str(magnification),
            f"{threshold:.2f}",
            str(ratio),
        )
        for protocol in ("image", "slide"):
            rows, test = rows_of(predictions, magnification, protocol)
            counts = decisions.confusion_counts(test.label, test.p_malignant, [threshold]).iloc[0]
            cost = decisions.expected_costs(rows, [ratio]).loc[ratio, "cost"]
            assert seen[f"{protocol}-missed"] == f"{counts.missed:.0f} of 200"
            assert seen[f"{protocol}-alarms"] == f"{counts.alarms:.0f} of 100"
            assert float(seen[f"{protocol}-sensitivity"]) == pytest.approx(1 - counts.missed / 200)
            assert float(seen[f"{protocol}-specificity"]) == pytest.approx(1 - counts.alarms / 100)
            expected = (ratio * counts.missed + counts.alarms) / 300
            assert float(seen[f"{protocol}-cost"]) == pytest.approx(expected, abs=0.0051)
            assert float(seen[f"{protocol}-least"]) == pytest.approx(cost, abs=0.0051)
    assert at_51 != before
    assert said.startswith("At 0.51: by image")
    assert at_51["slide-missed"].split()[0] in said
    assert float(width.rstrip("%")) == pytest.approx(100 * int(after["slide-missed"].split()[0]) / 200)


def drawn(page):
    """What is seen of the dots: of each drawing its description, and the form of each of its parts."""
    return {
        drawing.get_attribute("data-dots"): {
            "label": drawing.get_attribute("aria-label"),
            "size": drawing.get_attribute("viewBox"),
            **{part.get_attribute("class"): part.get_attribute("d") for part in drawing.query_selector_all("path")},
        }
        for drawing in page.query_selector_all("svg")
    }


@needs_browser
def test_dots_become_crosses_as_the_threshold_passes_them(predictions, path):
    keys = {"malignant": "missed", "benign": "alarms"}
    with sync_playwright() as playwright:
        page, _ = open_page(playwright, path)
        for magnification in (200, 100):
            page.get_by_label("Magnification").select_option(str(magnification))
            for place in (0, 29, 50, 57, 100):
                page.get_by_label("Threshold", exact=True).fill(str(place / 100))
                numbers, drawings = shown(page), drawn(page)
                assert len(drawings) == 4
                for name, parts in drawings.items():
                    protocol, label = name.split("-")
                    _, test = rows_of(predictions, magnification, protocol)
                    counts = decisions.confusion_counts(test.label, test.p_malignant, [place / 100]).iloc[0]
                    wrong = int(counts[keys[label]])
                    assert parts["wrong"].count("M") == wrong
                    assert parts["right"].count("M") == counts[label] - wrong
                    assert numbers[f"{protocol}-{keys[label]}"] == f"{wrong} of {counts[label]:.0f}"
                    assert numbers[f"{protocol}-crosses-{label}"] == str(wrong)
                    assert f" {wrong} of {counts[label]:.0f} are " in parts["label"]
                    assert f"threshold {place / 100:.2f}:" in parts["label"]
                    assert parts["line"].startswith(f"M{10 * place} ")
                    crosses = [float(x) + 9 for x in re.findall(r"M(-?\d+)", parts["wrong"])]
                    assert all((x < 10 * place) == (label == "malignant") for x in crosses)
                    assert parts["rows"].count("M") == 7


@needs_browser
@pytest.mark.parametrize("width", [360, 1280])
def test_nothing_of_it_is_wider_than_a_phone_and_the_slider_stays_in_sight(path, width):
    with sync_playwright() as playwright:
        page, _ = open_page(playwright, path, viewport={"width": width, "height": 640})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        tops = [drawing.bounding_box()["y"] for drawing in page.locator("svg.malignant").all()]
        assert (tops[0] == tops[1]) == (width > 600)
        page.locator("svg.benign").last.scroll_into_view_if_needed()
        assert 0 <= page.get_by_label("Threshold", exact=True).bounding_box()["y"] < 640


@needs_browser
def test_without_javascript_the_table_is_there_and_nothing_that_cannot_be_used(path):
    with sync_playwright() as playwright:
        page, _ = open_page(playwright, path, java_script_enabled=False)
        dead = [page.locator(kind).first.is_visible() for kind in ("input", "select", "output")]
        still = {
            element.get_attribute("data-show"): element.inner_text()
            for element in page.query_selector_all("[data-show]")
        }
        still_drawn = drawn(page)
        page, _ = open_page(playwright, path)
        assert dead == [False] * 3
        assert still == shown(page)
        assert still_drawn == drawn(page)
