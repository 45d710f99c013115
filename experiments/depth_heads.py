"""Where in Xception is the tumour? Networks that end after a middle block, fine-tuned as block 14 is by default."""

import numpy as np
from depth import MAGNIFICATIONS, PROTOCOLS, begin, fields_of, outputs

from breakhis_lib import experiment
from breakhis_lib.data import dataset, splits
from breakhis_lib.evaluation import records
from breakhis_lib.model import features, finetune, readings, weights

SEEDS = range(3)
CUT = (6, 10, 13)  # the last block that is left, and trained


def heads(part, folder, command, pooled):
    """Of every cut, protocol and seed, what the record lacks."""
    record = begin(folder, part, command, pooled=pooled)
    for block in CUT:
        reading, head, kept = f"ends after block {block}", None, None
        for protocol in PROTOCOLS:
            for seed in SEEDS:
                key = {"protocol": protocol, "reading": reading, "seed": seed}
                if all(record.has(magnification=at, **key) for at in map(int, part.magnification.unique())):
                    continue
                if kept is None:
                    trunk, head = cut(block)
                    kept = embedded(trunk, part)
                sets = splits.draw(part, protocol, seed)
                trained = finetune.train(kept, part, sets, seed=seed, head=head)
                experiment.keep(record, key, part, sets, trained)
                print(f"{reading}, by {protocol}, seed {seed}: {trained.seconds:.0f} s", flush=True)


def cut(block):
    """The frozen trunk up to a block's input, and a head: that block, then an average, dropout and a softmax."""
    from breakhis_lib.model import network
    from breakhis_lib.model.backend import keras

    base, settings = network.xception(readings.SIZE, weights.load()), readings.Settings()
    first = f"block{block}_sepconv1_act"
    start = base.get_layer(first).input
    trunk, top = keras.Model(base.input, start), keras.Model(start, outputs(base)[block], name="top")
    trunk.trainable = False
    inputs = keras.Input(trunk.output_shape[1:], name="features")
    averaged = keras.layers.GlobalAveragePooling2D(name="global_average")(network.InInferenceMode(top)(inputs))
    dropped = keras.layers.Dropout(settings.dropout, name="dropout")(averaged)
    head = keras.Model(inputs, keras.layers.Dense(2, activation="softmax", name="softmax")(dropped), name="head")
    head.compile(keras.optimizers.Adam(settings.learning_rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
    head.optimizer.build(head.trainable_variables)
    head.untrained = head.get_weights(), [np.array(value) for value in head.optimizer.variables]
    return trunk, head


def embedded(trunk, fields):
    """What `features.extract` does, for a trunk that the library does not cut, in memory."""
    found = []
    for start in range(0, len(fields), features.BATCH):
        found.append(
            features.embed(trunk, [features.prepare(path) for path in fields.path[start : start + features.BATCH]])
        )
    return features.Features(np.concatenate(found).astype(np.float16), np.arange(len(fields)))


def run(data, results, command):
    """At x200, and one for all magnifications."""
    fields = fields_of(data)
    heads(dataset.select(fields, 200), results / "depth-heads", command, pooled=False)
    heads(fields, results / "depth-heads" / "pooled", command, pooled=True)


def missing(results):
    """How many trainings the records lack."""
    wanted = {"depth-heads": 1, "depth-heads/pooled": len(MAGNIFICATIONS)}
    runs = sum(len(records.Record(results / name).info().get("runs", [])) for name in wanted)
    return len(CUT) * len(PROTOCOLS) * len(SEEDS) * sum(wanted.values()) - runs
