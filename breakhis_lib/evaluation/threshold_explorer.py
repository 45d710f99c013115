"""A figure that answers while one turns a threshold: plain HTML with a small script, which needs no network.

Everything is counted here, from a record; the script of the page looks up, multiplies, and draws each test image
as a dot. Without JavaScript the dots and the table for a threshold of 0.5 are what is seen.
"""

import json
from importlib import resources

import jinja2
import numpy as np
from markupsafe import Markup

from breakhis_lib.evaluation import decisions, metrics

THRESHOLDS = np.round(np.arange(101) / 100, 2)
RATIOS = (1, 2, 5, 10, 20, 50)  # what a missed cancer costs, in false alarms
START = 50  # place of the threshold 0.5
SHOWN = 1.01  # marks a chosen threshold above every probability at the right end of the slider
LABELS = {"malignant": 1, "benign": 0}  # which dots are drawn, from top to bottom
WIDTH = 1000  # of the axis from 0 to 1, in units of the drawing
ROW, ROWS = 26, 1170  # height of a slide's row, and of all rows at most, in the same units


def html(predictions, magnification, ratio=10, identity="threshold-figure"):
    """The HTML of a slider for the threshold, by image beside by slide; show it with IPython.display.HTML.

    predictions: of one reading, with magnification, protocol (image and slide), seed, set, file, slide, label and
    p_malignant; each test image once a protocol. magnification, ratio (one of RATIOS): what is shown first. identity:
    begins every id of the HTML; one figure of a page each. Returns a string, the same for the same predictions.
    Raises ValueError when an image is tested twice, or there is nothing of that magnification or ratio.
    """
    found = counts(predictions)
    if magnification not in found or ratio not in RATIOS:
        raise ValueError(
            f"magnification {magnification} and ratio {ratio} cannot be shown; there are {list(found)}, {RATIOS}"
        )
    source = resources.files(__package__).joinpath("threshold.html").read_text(encoding="utf-8")
    template = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined).from_string(source)
    return template.render(
        identity=identity,
        magnification=magnification,
        ratio=ratio,
        magnifications=list(found),
        ratios=RATIOS,
        start=START,
        found=found[magnification],
        columns={protocol: _column(of_protocol, ratio) for protocol, of_protocol in found[magnification].items()},
        data=Markup(json.dumps(found, separators=(",", ":")).replace("<", "\\u003c")),
    )


def counts(predictions):
    """What the figure looks up: a dictionary, by magnification and then by protocol.

    Each entry holds malignant and benign (test images), missed and alarms (a number for each of THRESHOLDS), chosen:
    for each of RATIOS the thresholds that are cheapest on each seed's validation images, and what they miss and alarm
    on its test images; dots (see `_dots`), and row, the height of a slide's row.
    """
    found, tested = {}, predictions[predictions.set == "test"]
    middle = metrics.positive_probability(tested).groupby([tested.magnification, tested.label, tested.slide]).median()
    for (magnification, protocol), rows in predictions.groupby(["magnification", "protocol"]):
        test, order = rows[rows.set == "test"], middle[magnification].sort_values()
        if test.file.duplicated().any():
            raise ValueError("an image is tested twice; choose the seeds of one shuffle")
        table = decisions.confusion_counts(test.label, metrics.positive_probability(test), THRESHOLDS)
        found.setdefault(int(magnification), {})[protocol] = {
            "malignant": int(table.malignant[0]),
            "benign": int(table.benign[0]),
            "missed": table.missed.tolist(),
            "alarms": table.alarms.tolist(),
            "chosen": {str(ratio): _chosen(rows, ratio) for ratio in RATIOS},
            "dots": {name: _dots(test[test.label == label], order[label]) for name, label in LABELS.items()},
            "row": min(ROW, ROWS // len(order)),
        }
    return found


def _dots(test, order):
    """Where the images of one label lie: a list a slide, from top to bottom, of places from 0 to WIDTH, rising.

    test: test images of that label. order: a series by slide, rising; what is highest comes first, and a slide without
    test images here has an empty list. A place is the probability in thousandths, but on the side of each of THRESHOLDS
    on which the probability itself is: place >= 10 * k where and only where p >= THRESHOLDS[k].
    """
    p = metrics.positive_probability(test)
    below = 10 * (np.searchsorted(THRESHOLDS, p, side="right") - 1)  # the last threshold that calls it malignant
    places = np.clip((WIDTH * p).round(), below, below + 9).astype(int)
    return [sorted(places[test.slide == slide].tolist()) for slide in order.index[::-1]]


def _chosen(rows, ratio):
    """The cheapest threshold of each seed's validation images, and what they do together to the test images."""
    thresholds = []

    def choose(label, p):
        thresholds.append(decisions.cheapest_threshold(label, p, ratio))
        return thresholds[-1]

    found = decisions.apply_chosen(rows, choose)
    at = [round(min(threshold, SHOWN), 3) for threshold in thresholds]
    return {"thresholds": at, "missed": int(found.missed), "alarms": int(found.alarms)}


def _column(found, ratio):
    """What the page shows of one protocol before anything is moved; the script writes the same."""
    missed, alarms, chosen = found["missed"][START], found["alarms"][START], found["chosen"][str(ratio)]
    images = found["malignant"] + found["benign"]
    shares = {"missed": missed / found["malignant"], "alarms": alarms / found["benign"]}
    return {
        "missed": f"{missed} of {found['malignant']}",
        "alarms": f"{alarms} of {found['benign']}",
        "sensitivity": f"{1 - shares['missed']:.3f}",
        "specificity": f"{1 - shares['alarms']:.3f}",
        "cost": f"{(ratio * missed + alarms) / images:.2f}",
        "least": f"{(ratio * chosen['missed'] + chosen['alarms']) / images:.2f}",
        "at": [f"{threshold:.2f}" for threshold in sorted(chosen["thresholds"])],
        "marks": [f"{100 * min(threshold, 1):.1f}" for threshold in chosen["thresholds"]],
        "bars": {name: f"{100 * share:.1f}" for name, share in shares.items()},
    }
