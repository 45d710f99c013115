"""How cost grows with the number of images: seconds, memory, disk.

    python benchmarks/growth.py [--counts 100,1000,8000] [--size 96]

Practice images, repeated, each copy taken as an image of its own. For every count, in a process of its own with an
empty cache: the features (files read, resized, sent through the trunk, stored), then one epoch of a head. Memory is the
most that the process held. benchmarks/growth.json keeps what was measured; the same command goes on from there.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import report


def measure(count, size):
    """Seconds, gigabytes of memory and of disk for so many images of that size."""
    from breakhis_lib import cache, practice
    from breakhis_lib.data import dataset, splits
    from breakhis_lib.model import features, finetune, network, weights
    from breakhis_lib.model.readings import Settings

    fields = dataset.scan(practice.make(Path(os.environ["SLIDES"]))).sample(frac=1, random_state=0)
    fields = pd.concat([fields] * -(-count // len(fields)), ignore_index=True)[:count]
    names = [f"{number:07d}-{name}" for number, name in enumerate(fields.file)]
    fields = fields.assign(file=names, sha256=[f"{number:064d}" for number in range(count)])
    tensors = weights.load()
    network.build(size=(size, size), tensors=tensors)[0].predict_on_batch(np.zeros((16, size, size, 3), np.float32))
    start = time.perf_counter()
    found, _ = features.extract(fields, size=(size, size), tensors=tensors)
    middle = time.perf_counter()
    sets = splits.draw(fields, "image", 0)
    finetune.train(found, fields, sets, settings=Settings(epochs=1), size=(size, size), tensors=tensors)
    disk = sum(path.stat().st_size for path in cache.folder().rglob("*") if path.is_file())
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {
        "features, seconds": round(middle - start, 1), "one epoch and predictions, seconds": round(
            time.perf_counter() - middle, 1), "memory, GB": round(memory / 1e9, 2), "disk, GB": round(disk / 1e9, 4),
    }  # fmt: skip


def main():
    """Measure what is missing, count by count."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--counts", default="100,1000,8000")
    parser.add_argument("--size", type=int, default=96)
    given = parser.parse_args()
    from breakhis_lib import cache
    from breakhis_lib.model import weights

    own = {"BREAKHIS_WEIGHTS": str(weights.locate()[0]), "SLIDES": str(cache.folder() / "practice")}
    found = report.begin(__file__, size=given.size)
    images = found.setdefault("images", {})
    code = "import json, sys, growth; print(json.dumps(growth.measure(*map(int, sys.argv[1:]))))"
    for count in given.counts.split(","):
        if count in images:
            continue
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "-c", code, count, str(given.size)]
            environment = {**os.environ, **own, "BREAKHIS_CACHE": folder}
            done = subprocess.run(
                command, cwd=Path(__file__).parent, env=environment, stdout=subprocess.PIPE, check=True
            )
        images[count] = json.loads(done.stdout.splitlines()[-1])
        print(count, images[count], flush=True)
        report.write(__file__, found)


if __name__ == "__main__":
    main()
