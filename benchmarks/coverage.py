"""How often intervals hold the truth, by simulation: python benchmarks/coverage.py writes coverage.csv (15 minutes).

Slides are right with shares of their own, drawn from a beta distribution whose mean is the truth, and have 4 to 28
images each. A nominal 95 % interval should hold the truth 95 times in a hundred; where the course's is not printed
("too few slides"), it need not. Beside it: the plain percentiles of the same bootstrap, and Wilson's interval,
which takes images as independent. Columns: printed, and the share of the printed that hold the truth.
"""

import itertools
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd

from breakhis_lib.evaluation import metrics

REPEATS, RESAMPLES = 1000, 500
SHARES = {"skewed": (1.7, 0.3), "milder": (4, 1), "near one": (19.6, 0.4)}  # means 0.85, 0.8 and 0.98
SLIDES = (3, 5, 8, 12, 24, 44, 82)  # the last three: of the subset at x100 and x200, and of BreakHis
BENIGN = 0.4  # share of the slides, where there are two classes
LIKENESS = 0.7  # of a slide under one run and another, for differences


def simulated(random, slides, shape, benign=0.0, numbers=False):
    """Predictions of slides that are right or wrong together; with `numbers`, also with those of the same number."""
    of_number = random.integers(1, 4, size=slides) if numbers else np.ones(slides, int)
    number = np.repeat(np.arange(slides), of_number)  # of each slide
    share = random.beta(*shape, size=slides)[number]
    label = (number >= round(benign * slides)).astype(int)
    slide = np.repeat(np.arange(len(number)), random.integers(4, 29, size=len(number)))  # of each image
    table = pd.DataFrame({"seed": 0, "file": np.arange(len(slide)), "slide": slide, "number": number[slide]})
    return answered(random, table.assign(label=label[slide], share=share[slide]))


def answered(random, table):
    """Each image is answered rightly by the chance of its slide, the column share."""
    right = random.random(len(table)) < table.share
    return table.assign(p_malignant=np.where(right == (table.label == 1), 0.9, 0.1))


def another(random, table, shape):
    """Predictions of the same images by another run that is as good; most slides are as hard for it as before."""
    fresh = random.beta(*shape, size=table.slide.max() + 1)
    is_alike = random.random(len(fresh)) < LIKENESS
    share = np.where(is_alike[table.slide], table.share, fresh[table.slide])
    return answered(random, table.assign(share=share))


def one(random, question, slides, shape):
    """The intervals of one simulation, by method, and the truth."""
    truth = shape[0] / sum(shape)
    if question == "difference":
        table = simulated(random, slides, shape)
        apart = metrics.paired_difference(table, another(random, table, shape), resamples=RESAMPLES)
        return {"ours": (apart.low, apart.high)}, 0.0
    unit = "number" if question == "accuracy, numbers drawn" else "slide"
    table = simulated(random, slides, shape, 0.0 if question.startswith("accuracy") else BENIGN, unit == "number")
    measure = question.split(",")[0]
    found = metrics.estimate(table, measure, unit, RESAMPLES)
    intervals = {"ours": found.interval()}
    if question == "accuracy":
        intervals["percentiles"] = np.nanquantile(found.resampled, [0.025, 0.975])
        correct = metrics.is_correct(table)
        intervals["Wilson, images as independent"] = metrics.wilson(correct.sum(), len(correct))
    return intervals, truth


def coverage(question, name, slides):
    """One row of the table."""
    random, printed, held = np.random.default_rng(1), 0, {}
    for _ in range(REPEATS):
        intervals, truth = one(random, question, slides, SHARES[name])
        printed += not np.isnan(intervals["ours"][0])
        for method, (low, high) in intervals.items():
            held[method] = held.get(method, 0) + (low <= truth <= high)
    ours = held.pop("ours") / max(printed, 1) or np.nan
    others = {method: count / REPEATS for method, count in held.items()}
    return {"measure": question, "shares": name, "slides": slides, "printed": printed / REPEATS, "ours": ours, **others}


if __name__ == "__main__":
    questions = ("accuracy", "accuracy, numbers drawn", "sensitivity", "specificity", "balanced accuracy", "difference")
    cells = list(itertools.product(questions, SHARES, SLIDES))
    with ProcessPoolExecutor(2) as pool:
        rows = list(pool.map(coverage, *zip(*cells, strict=True)))
    table = pd.DataFrame(rows).set_index(["measure", "shares", "slides"]).round(3)
    table.to_csv(Path(__file__).with_name("coverage.csv"), lineterminator="\n")
    print(table.to_string())
