"""Against the limit: the trunk and the head's training step beside this machine's rate of matrix products.

    python benchmarks/limit.py [--rounds 3]

The rate is that of a product of square matrices in float32 (and bfloat16) by the same library on the same cores, in
rounds that alternate with the trunk's forward pass and the head's step. Multiplications are counted layer by layer
(`complexity.layers`), two operations each; a step is taken as three forward passes.
"""

import argparse
import time

import numpy as np
import report

SIDE, BATCH, STEP = 4096, 16, 32


def rate(work, least=3.0):
    """Calls a second, over at least so many seconds, after one call that warms up."""
    work()
    count, start = 0, time.perf_counter()
    while time.perf_counter() - start < least:
        work()
        count += 1
    return count / (time.perf_counter() - start)


def main():
    """Measure in rounds, print and write medians."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    from breakhis_lib import cache, practice
    from breakhis_lib.data import dataset
    from breakhis_lib.model import complexity, features, network, weights
    from breakhis_lib.model.backend import keras

    tensors = weights.load()
    fields = dataset.scan(practice.make(cache.folder() / "practice")).sample(STEP, random_state=0)
    pixels = features.scale(np.concatenate([features.prepare(path) for path in fields.path]))
    trunk, head = network.build(tensors=tensors)
    half, _ = network.build(tensors=tensors, dtype="mixed_bfloat16")
    head.compile("adam", "sparse_categorical_crossentropy")
    maps, labels = trunk.predict(pixels, batch_size=BATCH, verbose=0), fields.label.to_numpy()
    half_maps = np.asarray(half.predict(pixels, batch_size=BATCH, verbose=0), np.float32)
    trunk_work = 2 * complexity.layers(trunk).multiplications.sum()
    head_work = 6 * complexity.layers(head.get_layer("top").model).multiplications.sum()
    matrix = np.random.default_rng(0).standard_normal((SIDE, SIDE), np.float32)
    squares = {name: keras.ops.cast(matrix, name) for name in ("float32", "bfloat16")}

    def product(name):
        return lambda: float(keras.ops.cast(keras.ops.matmul(squares[name], squares[name])[0, 0], "float32"))

    contestants = {
        "matrix product, GFLOP/s": (product("float32"), 2 * SIDE**3 / 1e9),
        "trunk, images/s": (lambda: trunk.predict_on_batch(pixels[:BATCH]), BATCH),
        "head's training step, images/s": (lambda: head.train_on_batch(maps, labels), STEP),
        "matrix product in bfloat16, GFLOP/s": (product("bfloat16"), 2 * SIDE**3 / 1e9),
        "trunk in bfloat16, images/s": (lambda: half.predict_on_batch(pixels[:BATCH]), BATCH),
    }
    rounds = [{name: rate(work) * scale for name, (work, scale) in contestants.items()} for _ in range(given.rounds)]
    peak, forward, step, _, halved = contestants
    ratios = {
        "trunk over the limit": [one[forward] * trunk_work / 1e9 / one[peak] for one in rounds],
        "head's step over the limit": [one[step] * head_work / 1e9 / one[peak] for one in rounds],
        "bfloat16 trunk over float32 trunk": [one[halved] / one[forward] for one in rounds],
    }
    found = report.begin(__file__, rounds=given.rounds)
    found["median of rounds"] = {
        name: round(float(np.median([one[name] for one in rounds])), 1) for name in contestants
    }
    found["ratios, median of rounds"] = {name: round(float(np.median(each)), 3) for name, each in ratios.items()}
    change = np.linalg.norm(half_maps - maps) / np.linalg.norm(maps)
    found["features in bfloat16, relative change"] = round(float(change), 4)
    print(found)
    report.write(__file__, found)


if __name__ == "__main__":
    main()
