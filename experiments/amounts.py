"""Is it leakage, or is there less to learn from? Splits by image and by slide with the same slides and as many images.

A split by slide trains on three fifths of the slides, one by image on images of all of them. So that this cannot
explain why the second looks better, both are drawn again here with nothing different but whether the test slides were
seen:

    image-few-slides   the slides that the split by slide trains on, alone, split by image
    slide-few-images   the split by slide, trained on the images that the other one trains on
"""

import pandas as pd
from depth import begin, fields_of

from breakhis_lib import experiment
from breakhis_lib.data import dataset, splits
from breakhis_lib.evaluation import records
from breakhis_lib.model import baselines, features, finetune

MAGNIFICATIONS, READINGS = (100, 200), {"logistic": range(10), "block14": range(5)}


def pair(fields, seed):
    """Both splits of one seed: (protocol, fields, sets) each."""
    by_slide = splits.draw(fields, "slide", seed)
    known = fields[by_slide == "train"].reset_index(drop=True)
    by_image = splits.draw(known, "image", seed)
    trained = known.file[by_image == "train"]
    used = fields.file.isin(trained) | (by_slide != "train")
    fewer = fields[used].reset_index(drop=True)
    return [("image-few-slides", known, by_image), ("slide-few-images", fewer, by_slide[used].reset_index(drop=True))]


def run(data, results, command):
    """Every magnification, reading and seed that the record lacks."""
    everything = fields_of(data)
    record = begin(results / "amounts", everything, command)
    for magnification in MAGNIFICATIONS:
        fields = dataset.select(everything, magnification)
        for reading, seeds in READINGS.items():
            found, _ = features.extract(fields, "probe" if reading == "logistic" else reading)
            place, head = pd.Series(range(len(fields)), fields.file), None
            for seed in seeds:
                for protocol, part, sets in pair(fields, seed):
                    key = {"protocol": protocol, "reading": reading, "seed": seed}
                    if record.has(magnification=magnification, **key):
                        continue
                    kept = features.Features(found.array, found.rows[place[part.file]])
                    if reading == "logistic":
                        trained = baselines.fit_logistic(kept.take(range(len(part))), part, sets)
                    else:
                        trained = finetune.train(kept, part, sets, reading, seed, head=head)
                        head = trained.head
                    experiment.keep(record, key, part, sets, trained)
                    print(f"x{magnification} {protocol}, {reading}, seed {seed}: {trained.seconds:.0f} s", flush=True)


def missing(results):
    """How many trainings the record lacks."""
    wanted = 2 * len(MAGNIFICATIONS) * sum(map(len, READINGS.values()))
    return wanted - len(records.Record(results / "amounts").info().get("runs", []))
