"""On paper: a million fields of 299 pixels, on 64 cores and on one graphics card, from the rates that were measured.

Nothing is measured here. Cores are taken to add up, of which no more than two were ever measured.
"""

import json
import math
from pathlib import Path

import report

FIELDS, EPOCHS, RUNS, CORES = 1_000_000, 15, 15, 64  # runs: three ways to split, five folds
TRAINED = 0.6  # of the fields, in a split of five folds
CUT = (10, 10, 1024)  # what is kept of an image for the default reading, in float16
HOUR = 3600


def measured(name):
    return json.loads(Path(__file__).with_name(f"{name}.json").read_text(encoding="utf-8"))


def hours(features_rate, head_rate, at_once):
    """Features of all fields, one head, and all runs where so many train at once."""
    one = FIELDS * TRAINED * EPOCHS / head_rate / HOUR
    found = {"features": FIELDS / features_rate / HOUR, "one run": one, "all runs": math.ceil(RUNS / at_once) * one}
    return {name: round(value, 1) for name, value in found.items()}


def main():
    cpu, files = measured("limit")["median of rounds"], measured("speed_and_memory")
    card = measured("gpu")["GPU NVIDIA H200, torch"]["trunk and head"]["float32, batch 64"]
    pairs = CORES // 2
    found = {
        "nothing measured, computed from": "limit.json, speed_and_memory.json, gpu.json",
        "fields": FIELDS, "epochs": EPOCHS, "runs": RUNS, "disk, GB": round(FIELDS * math.prod(CUT) * 2 / 1e9),
        f"hours on {CORES} cores": hours(
            files["extraction (images/s)"] * pairs, cpu["head's training step, images/s"], pairs
        ),
        "what the library does not do": "share one extraction out over several machines; alone, two cores take "
        f"{FIELDS / files['extraction (images/s)'] / HOUR:.0f} hours",
        "hours on one NVIDIA H200, PyTorch": hours(card["trunk images/s"], card["head images/s"], 1),
    }  # fmt: skip
    report.write(__file__, found)


if __name__ == "__main__":
    main()
