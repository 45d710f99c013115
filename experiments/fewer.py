"""Is x100 low because it has few slides to learn from? x200 by number, trained on as many slides as x100 trains on.

    number-few-benign   benign slides as few as x100 trains on with that seed, malignant ones as they are
    number-few-slides   slides of both classes as few as that

The test slides stay. Regressions on the frozen features, which take seconds.
"""

import numpy as np
import pandas as pd
from depth import begin, fields_of

from breakhis_lib import experiment
from breakhis_lib.data import dataset, splits
from breakhis_lib.evaluation import records
from breakhis_lib.model import baselines, features

SEEDS, ARMS = range(10), {"number-few-benign": [0], "number-few-slides": [0, 1]}


def thinned(fields, sets, counts, labels, seed):
    """Which fields stay when the training slides of these labels are drawn down to so many each; a boolean series."""
    stays, chance = pd.Series(True, fields.index), np.random.default_rng(seed)
    for label in labels:
        slides = np.sort(fields.slide[(sets == "train") & (fields.label == label)].unique())
        gone = chance.permutation(slides)[counts[label] :]
        stays &= ~((sets == "train") & fields.slide.isin(gone))
    return stays


def run(data, results, command):
    """Every arm and seed that the record lacks."""
    everything = fields_of(data)
    record = begin(results / "fewer", everything, command)
    small, fields = (dataset.select(everything, at) for at in (100, 200))
    found, _ = features.extract(fields, "probe")
    inputs = found.take(range(len(fields)))
    for seed in SEEDS:
        there = small[splits.draw(small, "number", seed) == "train"]
        counts, sets = there.groupby("label").slide.nunique(), splits.draw(fields, "number", seed)
        for protocol, labels in ARMS.items():
            key = {"protocol": protocol, "reading": "logistic", "seed": seed}
            if record.has(magnification=200, **key):
                continue
            stays = thinned(fields, sets, counts, labels, seed)
            part, left = fields[stays].reset_index(drop=True), sets[stays].reset_index(drop=True)
            experiment.keep(record, key, part, left, baselines.fit_logistic(inputs[stays.to_numpy()], part, left))


def missing(results):
    """How many regressions the record lacks."""
    return len(SEEDS) * len(ARMS) - len(records.Record(results / "fewer").info().get("runs", []))
