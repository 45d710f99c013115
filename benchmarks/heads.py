"""Memory over fifty heads, trained one after the other in one process.

    python benchmarks/heads.py [--heads 50]

Practice slides at x200, 96 pixels, two epochs each; the memory that the process holds after some of them.
"""

import argparse

import psutil
import report


def main():
    """Train, and note the memory on the way."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--heads", type=int, default=50)
    given = parser.parse_args()
    from breakhis_lib import cache, practice
    from breakhis_lib.data import dataset, splits
    from breakhis_lib.model import features, finetune, weights
    from breakhis_lib.model.readings import Settings

    everything = dataset.scan(practice.make(cache.folder() / "practice"))
    fields = dataset.add_digests(dataset.select(everything, 200))
    size, tensors, settings = (96, 96), weights.load(), Settings(epochs=2)
    extracted, _ = features.extract(fields, size=size, tensors=tensors)
    found, head = report.begin(__file__, heads=given.heads), None
    held = found["memory after so many heads, GB"] = {}
    for number in range(1, given.heads + 1):
        sets = splits.draw(fields, "slide", number)
        trained = finetune.train(extracted, fields, sets, "block14", number, settings, size, tensors, head=head)
        head = trained.head
        if number in (1, 2, 5, 10, 20, given.heads):
            held[str(number)] = round(psutil.Process().memory_info().rss / 1e9, 3)
            print(number, held[str(number)], flush=True)
    report.write(__file__, found)


if __name__ == "__main__":
    main()
