"""One process with all cores, or as many processes with one thread each: which trains a grid of runs sooner?

    python benchmarks/workers.py [--workers 2] [--rounds 3]

Practice slides at x200 and 299 pixels, features already in the cache: six runs (by image and by slide, three seeds,
ten epochs). Contestants alternate, each in a process of its own, timed from its start to its end. Also printed: whether
their records are equal, byte for byte, and, from the measured rates, what a million fields would take.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import report

GRID = ["--magnifications=200", "--protocols=image,slide", "--seeds=0,1,2", "--epochs=10", "--patience=0"]


def seconds(record, workers, grid=GRID):
    """Seconds of `breakhis run`, from the process' start to its end."""
    start = time.perf_counter()
    command = [Path(sys.executable).with_name("breakhis"), "run", *grid, "--results", record, f"--workers={workers}"]
    subprocess.run(command, check=True, capture_output=True)
    return round(time.perf_counter() - start, 1)


def main():
    """Alternate, compare and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    found = report.begin(__file__, runs=6, epochs=10, workers=given.workers)
    found["rounds"], equal = [], set()
    with tempfile.TemporaryDirectory() as folder:
        seconds(Path(folder, "warm"), 1, GRID[:2] + ["--seeds=0", "--epochs=1"])  # features, and files in memory
        for number in range(given.rounds):
            places = {"one process": Path(folder, f"one-{number}"), "workers": Path(folder, f"several-{number}")}
            counts = {"one process": 1, "workers": given.workers}
            taken = {name: seconds(place, counts[name]) for name, place in places.items()}
            one, several = ((place / "predictions.csv").read_bytes() for place in places.values())
            equal.add(one == several)
            found["rounds"].append(taken)
            print(taken, flush=True)
    ratios = [taken["one process"] / taken["workers"] for taken in found["rounds"]]
    found["workers, times as fast as one process (median)"] = round(float(np.median(ratios)), 2)
    found["predictions equal, byte for byte"] = equal == {True}
    print(found)
    report.write(__file__, found)


if __name__ == "__main__":
    main()
