"""A figure that answers while one turns a threshold: plain HTML with a small script, which needs no network.

Everything is counted here, from a record; the script of the page only looks up and multiplies. Without
JavaScript the table for a threshold of 0.5 is what is seen.
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


def html(predictions, magnification, ratio=10, identity="threshold-figure"):
    """The HTML of a slider for the threshold, by image beside by slide; show it with IPython.display.HTML.

    predictions: of one reading, with magnification, protocol (image and slide), seed, set, file, label and
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
        columns={protocol: _column(of_protocol, ratio) for protocol, of_protocol in found[magnification].items()},
        data=Markup(json.dumps(found, separators=(",", ":")).replace("<", "\\u003c")),
    )


def counts(predictions):
    """What the figure looks up: a dictionary, by magnification and then by protocol.

    Each entry holds malignant and benign (test images), missed and alarms (a number for each of THRESHOLDS), and
    chosen: for each of RATIOS the thresholds that are cheapest on each seed's validation images, and what they miss
    and alarm on its test images.
    """
    found = {}
    for (magnification, protocol), rows in predictions.groupby(["magnification", "protocol"]):
        test = rows[rows.set == "test"]
        if test.file.duplicated().any():
            raise ValueError("an image is tested twice; choose the seeds of one shuffle")
        table = decisions.confusion_counts(test.label, metrics.positive_probability(test), THRESHOLDS)
        found.setdefault(int(magnification), {})[protocol] = {
            "malignant": int(table.malignant[0]),
            "benign": int(table.benign[0]),
            "missed": table.missed.tolist(),
            "alarms": table.alarms.tolist(),
            "chosen": {str(ratio): _chosen(rows, ratio) for ratio in RATIOS},
        }
    return found


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
