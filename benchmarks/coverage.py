"""How often intervals hold the truth, by simulation: python benchmarks/coverage.py writes coverage.csv (3 minutes).

Slides are right with shares of their own, drawn from a beta distribution whose mean is the truth, and have 4 to 28
images each. Compared are the course's interval, the plain percentiles of the same bootstrap over slides, and
Wilson's, which takes images as independent. A nominal 95 % interval should hold the truth 95 times in a hundred.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from breakhis_lib.evaluation import metrics

REPEATS, RESAMPLES = 1000, 500
SHARES = {"skewed": (1.7, 0.3), "milder": (4, 1)}
SLIDES = (24, 44, 82)  # of the subset at x100 and x200, and of BreakHis


def simulated(random, slides, shape):
    """Predictions of malignant slides, right or wrong together."""
    share, count = random.beta(*shape, size=slides), random.integers(4, 29, size=slides)
    slide = np.repeat(np.arange(slides), count)
    right = random.random(len(slide)) < share[slide]
    table = pd.DataFrame({"seed": 0, "file": np.arange(len(slide)), "slide": slide, "label": 1})
    return table.assign(p_malignant=np.where(right, 0.9, 0.1))


def coverage(slides, shape):
    """The share of simulations in which each interval held the truth."""
    random, truth = np.random.default_rng(1), shape[0] / sum(shape)
    held = {"ours": 0, "percentiles": 0, "Wilson, images as independent": 0}
    for _ in range(REPEATS):
        table = simulated(random, slides, shape)
        found = metrics.estimate(table, resamples=RESAMPLES)
        intervals = (
            found.interval(),
            np.quantile(found.resampled, [0.025, 0.975]),
            metrics.wilson(metrics.is_correct(table).sum(), len(table)),
        )
        for name, (low, high) in zip(held, intervals, strict=True):
            held[name] += low <= truth <= high
    return {name: count / REPEATS for name, count in held.items()}


if __name__ == "__main__":
    rows = {(name, slides): coverage(slides, shape) for name, shape in SHARES.items() for slides in SLIDES}
    table = pd.DataFrame.from_dict(rows, orient="index").rename_axis(["shares", "slides"])
    table.to_csv(Path(__file__).with_name("coverage.csv"))
    print(table)
