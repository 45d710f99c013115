"""Speed and memory of the two long stations, as ratios and peaks measured in one run.

    python benchmarks/speed_and_memory.py            prints, and writes benchmarks/speed_and_memory.json

1. features: images a second of `features.extract` (reading, resizing and writing included) over images a
   second of the trunk alone on the same images, in alternating rounds.
2. memory: peak resident memory of a process that extracts few and many images, and of one that trains on
   features of BreakHis' full size: a store of all its images, one head and two trained on all of its largest
   magnification.
"""

import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROUNDS, IMAGES = 3, 64


def main():
    """Measure everything; each memory figure in a process of its own."""
    found = {"machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"}
    found |= measure_rates()
    for name in ("extract 32", "extract 320", "train 1", "train 2"):
        answer = subprocess.run(
            [sys.executable, __file__, *name.split()], capture_output=True, text=True, check=True
        ).stdout.splitlines()[-1]
        found[f"peak memory, {name} (GB)"] = json.loads(answer)
        print(name, answer, "GB", flush=True)
    Path(__file__).with_suffix(".json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(found, indent=1))


def practice_fields(count):
    from breakhis_lib import cache, practice
    from breakhis_lib.data import dataset

    fields = dataset.scan(practice.make(cache.folder() / "practice"))
    return dataset.add_digests(fields.sample(count, random_state=0).reset_index(drop=True))


def measure_rates():
    from breakhis_lib.model import features, network

    fields = practice_fields(IMAGES)
    trunk, _ = network.build()
    pixels = np.concatenate([features.prepare(path) for path in fields.path])
    scaled = features.scale(pixels)
    trunk.predict_on_batch(scaled[: features.BATCH])
    ratios, alone, whole = [], [], []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        for first in range(0, IMAGES, features.BATCH):
            trunk.predict_on_batch(scaled[first : first + features.BATCH])
        alone.append(IMAGES / (time.perf_counter() - start))
        whole.append(IMAGES / extraction_seconds(fields, features))
        ratios.append(whole[-1] / alone[-1])
        print(f"trunk alone {alone[-1]:.2f}, extraction {whole[-1]:.2f} images/s, ratio {ratios[-1]:.3f}", flush=True)
    return {
        "trunk alone (images/s)": round(float(np.median(alone)), 2),
        "extraction (images/s)": round(float(np.median(whole)), 2),
        "extraction over trunk alone, median of rounds": round(float(np.median(ratios)), 3),
        "rounds": [round(ratio, 3) for ratio in ratios],
    }


def extraction_seconds(fields, features):
    """Seconds from the first batch's start to the end; building and tracing the network are not counted."""
    times = []
    with own_cache():
        features.extract(fields, progress=lambda done, total: times.append((done, time.perf_counter())))
    # The first batch traces the network, so its time is replaced by the mean of the others.
    (first_done, first), (last_done, last) = times[1], times[-1]
    return (last - first) * last_done / (last_done - first_done)


class own_cache:  # noqa: N801
    """An empty cache for features, with the weights of the user's cache at hand."""

    def __enter__(self):
        from breakhis_lib.model import weights

        os.environ["BREAKHIS_WEIGHTS"] = str(weights.locate()[0])
        self.before = os.environ.get("BREAKHIS_CACHE")
        self.folder = tempfile.TemporaryDirectory()
        os.environ["BREAKHIS_CACHE"] = self.folder.name

    def __exit__(self, *error):
        if self.before is None:
            del os.environ["BREAKHIS_CACHE"]
        else:
            os.environ["BREAKHIS_CACHE"] = self.before
        self.folder.cleanup()


def extract(count):
    from breakhis_lib.model import features

    fields = practice_fields(int(count))
    with own_cache():
        features.extract(fields)
    print_peak()


def train(heads):
    from breakhis_lib.data import dataset, splits
    from breakhis_lib.model import features, finetune, readings

    official = dataset.official()
    fields = dataset.select(official, 100)  # the magnification with the most images
    sets = splits.draw(fields, "slide", 0)
    with tempfile.NamedTemporaryFile() as file:
        shape = (len(official), 1, 10, 10, 1024)
        random = np.random.default_rng(0)
        for _ in range(len(official)):
            file.write(random.random(shape[1:], dtype=np.float32).astype(np.float16).tobytes())
        file.flush()
        array = np.memmap(file.name, dtype=np.float16, mode="r", shape=shape)
        found = features.Features(array, np.arange(len(fields)))
        for seed in range(int(heads)):
            finetune.train(found, fields, sets, seed=seed, settings=readings.Settings(epochs=1))
    print_peak()


def print_peak():
    print(round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, 2))


if __name__ == "__main__":
    {"extract": extract, "train": train}[sys.argv[1]](*sys.argv[2:]) if len(sys.argv) > 1 else main()
