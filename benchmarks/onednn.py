"""TensorFlow's faster kernels (oneDNN), asked for or left off: the trunk, and the head's training step.

    python benchmarks/onednn.py [--rounds 3]

A process decides once which kernels it takes, so every measurement is a process of its own; contestants alternate.
Where the processor has AVX-512, TensorFlow takes oneDNN by itself, and the ratio tells what leaving it off would cost.
"""

import argparse
import json
import os
import subprocess
import sys

import numpy as np
import report

BATCH, LEAST = 32, 5.0  # images; seconds of each measurement, after a call that warms up
NAME = "TF_ENABLE_ONEDNN_OPTS"


def measure():
    """Print the two rates, and a prediction's features, of this process."""
    from limit import rate

    from breakhis_lib import cache, practice
    from breakhis_lib.data import dataset
    from breakhis_lib.model import features, network, weights

    fields = dataset.scan(practice.make(cache.folder() / "practice")).sample(BATCH, random_state=0)
    pixels = features.scale(np.concatenate([features.prepare(path) for path in fields.path]))
    trunk, head = network.build(tensors=weights.load())
    head.compile("adam", "sparse_categorical_crossentropy")
    maps, labels = trunk.predict(pixels, verbose=0), fields.label.to_numpy()
    p = head.predict(maps, verbose=0)
    trunk_rate = BATCH * rate(lambda: trunk.predict_on_batch(pixels), LEAST)
    step_rate = BATCH * rate(lambda: head.train_on_batch(maps, labels), LEAST)
    print(json.dumps({"trunk": trunk_rate, "training step": step_rate, "p": p[:, 1].astype(float).tolist()}))


def main():
    """Measure in rounds, print and write medians."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        return measure()
    rounds, p = [], {}
    for _ in range(given.rounds):
        found = {}
        for name, choice in (("on", "1"), ("off", "0")):
            command = [sys.executable, __file__, "--measure"]
            done = subprocess.run(command, env={**os.environ, NAME: choice}, check=True, capture_output=True, text=True)
            found[name] = json.loads(done.stdout.splitlines()[-1])
            p[name] = np.array(found[name].pop("p"))
        rounds.append(found)
    kept = report.begin(__file__, rounds=given.rounds)
    for name in ("on", "off"):
        kept[f"images/s, oneDNN {name}"] = {
            what: round(float(np.median([one[name][what] for one in rounds])), 1) for what in ("trunk", "training step")
        }
    kept["times as fast with oneDNN, median of rounds"] = {
        what: round(float(np.median([one["on"][what] / one["off"][what] for one in rounds])), 2)
        for what in ("trunk", "training step")
    }
    kept["largest difference of a probability"] = float(np.abs(p["on"] - p["off"]).max())
    print(kept)
    return report.write(__file__, kept)


if __name__ == "__main__":
    main()
