"""Where in Xception is the tumour? The output of every block, averaged over the image, and regressions on each.

Written down slide by slide, since the predictions of so many regressions would fill megabytes.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from copies import COPIES, MAGNIFICATIONS, of_magnifications, one_storage

from breakhis_lib import experiment
from breakhis_lib.data import dataset, splits
from breakhis_lib.evaluation import metrics, records
from breakhis_lib.model import baselines, features, readings, weights

PROTOCOLS, SEEDS = ("image", "slide", "number"), range(5)
ENDS = {  # a block's number: the layer whose input is that block's output; None: the network's own output
    **{block: f"block{block + 1}_sepconv1_act" for block in (2, 3, 4, 6, 8, 10, 12)},
    13: "block14_sepconv1",
    14: None,
}
KEY = ["training", "block", "magnification", "protocol", "seed"]
COLUMNS = [*KEY, "set", "slide", "label", "images", "right", "p"]


def fields_of(data):
    """The subset's fields of the magnifications that can be split by slide, with their digests."""
    return dataset.add_digests(of_magnifications(data, MAGNIFICATIONS).reset_index(drop=True))


def outputs(base):
    """The output of each of ENDS in a network without its top."""
    return {block: base.get_layer(name).input if name else base.output for block, name in ENDS.items()}


def averages(fields, cache):
    """The average over places of each block's output, all from one pass: a dictionary, block to (fields, channels)."""
    from breakhis_lib.model import network
    from breakhis_lib.model.backend import keras

    digest = dataset.data_digest(fields)
    if cache.exists():
        with np.load(cache) as kept:
            if str(kept["digest"]) == digest:
                return {block: kept[str(block)] for block in ENDS}
    base = network.xception(readings.SIZE, weights.load())
    pooled = {block: keras.layers.GlobalAveragePooling2D()(output) for block, output in outputs(base).items()}
    model, found = keras.Model(base.input, list(pooled.values())), []
    for start in range(0, len(fields), features.BATCH):
        paths = fields.path[start : start + features.BATCH]
        found.append(model.predict_on_batch(features.scale(np.concatenate([features.prepare(path) for path in paths]))))
        print(f"\raverages of {start + len(paths)} of {len(fields)} images", end="", flush=True)
    print()
    found = {block: np.concatenate(parts) for block, parts in zip(ENDS, zip(*found, strict=True), strict=True)}
    cache.parent.mkdir(parents=True, exist_ok=True)
    np.savez(cache, digest=digest, **{str(block): array for block, array in found.items()})
    return found


def parts_of(fields):
    """What trains together: each magnification by itself, then all of them."""
    single = {f"x{at}": np.flatnonzero(fields.magnification == at) for at in MAGNIFICATIONS}
    return {**single, "pooled": np.arange(len(fields))}


def regressions(fields, found, table):
    """Regressions on each block's averages, every protocol and seed, into a CSV; what is in it is not repeated."""
    done = pd.read_csv(table, dtype={"slide": str}) if table.exists() else pd.DataFrame(columns=COLUMNS)
    for name, rows in parts_of(fields).items():
        training, part = "pooled" if name == "pooled" else "single", fields.iloc[rows].reset_index(drop=True)
        for protocol in PROTOCOLS:
            for seed in SEEDS:
                there = done[(done.training == training) & (done.protocol == protocol) & (done.seed == seed)]
                if set(part.magnification) <= set(there.magnification):
                    continue
                sets, new = splits.draw(part, protocol, seed), []
                for block in ENDS:
                    trained = baselines.fit_logistic(found[block][rows], part, sets)
                    new.append(by_slide(trained.predictions, part).assign(training=training, block=block))
                done = pd.concat([done, pd.concat(new).assign(protocol=protocol, seed=seed)[COLUMNS]])
                done = done.sort_values([*KEY, "set", "slide"], kind="stable")
                table.parent.mkdir(parents=True, exist_ok=True)
                done.to_csv(table, index=False, float_format="%.4f", lineterminator="\n")
                print(f"{table.stem}: {name} by {protocol}, seed {seed}", flush=True)


def by_slide(predictions, fields):
    """Images, right answers and mean probability of each slide of the validation and the test set."""
    rows = predictions.assign(right=metrics.is_correct(predictions), magnification=fields.magnification)
    rows = rows[rows.set != "train"].groupby(["magnification", "set", "slide", "label"])
    return rows.agg(images=("file", "size"), right=("right", "sum"), p=("p_malignant", "mean")).reset_index()


def begin(folder, fields, command, **settings):
    """A Record for trainings that `breakhis run` does not offer."""
    record = records.Record(folder)
    same = {"classes": dataset.class_names(fields), "positive": "malignant", "split rule": splits.RULE}
    record.begin(
        experiment.session(command), **same, settings={**readings.Settings()._asdict(), "size": [299, 299], **settings}
    )
    return record


def run(data, results, command):
    """Averages and regressions, of the images as they are and of copies stored alike."""
    fields = fields_of(data)
    regressions(fields, averages(fields, COPIES / "depth.npz"), results / "depth.csv")
    alike = fields_of(one_storage(data))
    regressions(alike, averages(alike, COPIES / "depth-one-storage.npz"), results / "depth-one-storage.csv")


def missing(results):
    """How many regressions the results lack."""
    lacking = 0
    for name in ("depth.csv", "depth-one-storage.csv"):
        path = Path(results) / name
        done = pd.read_csv(path)[KEY].drop_duplicates() if path.exists() else []
        lacking += 2 * len(ENDS) * len(MAGNIFICATIONS) * len(PROTOCOLS) * len(SEEDS) - len(done)
    return lacking
