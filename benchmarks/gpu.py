"""What a graphics card makes of the course: python benchmarks/gpu.py --weights FILE [--out gpu.json] (some minutes).

KERAS_BACKEND names the backend. Practice slides are made on the spot, in a cache of their own. Printed and written: the
card's rate for matrix products, the trunk's and the head's images a second and the share of that rate which they reach,
the seconds that Table 4 takes on practice slides, the memory, and how far one head's probabilities lie from a CPU's.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

TIMM = {  # images a second, inference of Xception at 299 pixels, as timm publishes them; not measured here
    "RTX 3090": "1,414 to 1,625", "RTX 4090": "2,268; compiled 3,196", "RTX 5090": "2,878; compiled 4,816"
}  # fmt: skip


def median_of_three(work):
    """Seconds of the second to fourth call; the first one compiles."""
    work()
    taken = []
    for _ in range(3):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return sorted(taken)[1]


def matrix_rate(dtype, side, keras):
    """Multiplications and additions a second of a product of two square matrices."""
    one = keras.ops.cast(np.random.default_rng(0).standard_normal((side, side), np.float32), dtype)

    def work():
        product = one
        for _ in range(10):
            product = keras.ops.matmul(product, one) * 0.001
        float(keras.ops.convert_to_numpy(product[0, 0]))

    return 10 * 2 * side**3 / median_of_three(work)


def trunk_and_head(tensors, rate, batches):
    """Images a second by batch, with the share of the card's matrix rate; the head's are of training steps."""
    from breakhis_lib.model import complexity, network

    trunk, head = network.build(tensors=tensors)
    macs = complexity.layers(trunk).multiplications.sum()
    top = head.get_layer("top")
    top_macs = complexity.layers(getattr(top, "model", top)).multiplications.sum()
    head.compile("adam", "sparse_categorical_crossentropy")
    rows = {}
    for batch in batches:
        pixels = np.random.default_rng(0).uniform(-1, 1, (batch, 299, 299, 3)).astype(np.float32)
        features = np.asarray(trunk.predict_on_batch(pixels), np.float32)
        labels = np.arange(batch) % 2
        trunk_rate = batch / median_of_three(lambda pixels=pixels: trunk.predict_on_batch(pixels))
        head_rate = batch / median_of_three(lambda x=features, y=labels: head.train_on_batch(x, y))
        rows[f"batch {batch}"] = {
            "trunk images/s": round(trunk_rate), "trunk share": round(2 * macs * trunk_rate / rate, 3),
            "head images/s": round(head_rate), "head share": round(6 * top_macs * head_rate / rate, 3),
        }  # fmt: skip
    return rows


def table4(folder, weights, slides, plan):
    """Seconds of every magnification, protocol and seed on practice slides, by station."""
    from breakhis_lib import experiment

    start = time.perf_counter()
    record = experiment.run(slides, folder / "record", plan, weights)
    runs = record.info()["runs"]
    features = {(run["magnification"], run["seconds"]["features"]) for run in runs}
    return {
        "runs": len(runs), "seconds": round(time.perf_counter() - start, 1),
        "features": round(sum(seconds for _, seconds in features), 1),
        "fine-tuning": round(sum(run["seconds"]["fine-tuning"] for run in runs), 1),
    }  # fmt: skip


def predicted(folder, weights, slides):
    """The probabilities of one head for some slides, as this process' device computes them."""
    from breakhis_lib import experiment
    from breakhis_lib.evaluation import records

    paths = sorted(slides.rglob("*-200-*.png"))[:32]
    found, _ = experiment.predict(paths, records.Record(folder / "record"), weights=weights)
    return found.malignant.tolist()


def on_cpu(folder, weights, slides):
    """What `predicted` gives in a process that sees no card."""
    code = "import sys, json; from pathlib import Path; sys.path.insert(0, sys.argv[1]); import gpu; "
    code += "print(json.dumps(gpu.predicted(*map(Path, sys.argv[2:]))))"
    blind = {"CUDA_VISIBLE_DEVICES": "", "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-c", code, str(Path(__file__).parent), str(folder), str(weights), str(slides)]
    done = subprocess.run(command, env={**os.environ, **blind}, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def memory():
    """What the card says it holds now, in MB."""
    asked = ["nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits"]
    done = subprocess.run(asked, capture_output=True, text=True)
    return int(done.stdout.split()[0]) if done.returncode == 0 else None


def main():
    """Measure, section by section; one that fails is told and the others go on."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", required=True, type=Path, help="file of Xception's ImageNet weights")
    parser.add_argument("--out", type=Path, default=Path("gpu.json"))
    parser.add_argument("--small", action="store_true", help="seconds on a CPU, to see that it runs")
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp())
    os.environ["BREAKHIS_CACHE"] = str(folder / "cache")
    from breakhis_lib import experiment, practice
    from breakhis_lib.evaluation import records
    from breakhis_lib.model import backend, weights
    from breakhis_lib.model.readings import Settings

    few = given.small
    found = {"device": backend.device(), "versions": records.versions(), "timm, published": TIMM}
    rate, side = {}, 1024 if few else 8192
    tensors = weights.load(given.weights)
    slides = practice.make(folder / "slides", slides_per_subtype=3, workers=2 if few else 8)
    plan = experiment.Plan(
        (200,) if few else (),
        ("image", "slide", "number"),
        seeds=range(1 if few else 5),
        settings=Settings(epochs=2 if few else 15),
    )
    sections = {
        "matrix products, TFLOP/s": lambda: rate.update(
            {name: matrix_rate(name, side, backend.keras) for name in ("float32", "float16")}
        ) or {name: round(value / 1e12, 1) for name, value in rate.items()},
        "trunk and head": lambda: trunk_and_head(
            tensors, rate["float16" if "float16" in backend.precision() else "float32"], (16,) if few else (16, 64, 256)
        ),
        "Table 4 on practice slides": lambda: table4(folder, given.weights, slides, plan),
        "memory, MB": memory,
        "largest difference to a CPU": lambda: float(np.abs(
            np.subtract(predicted(folder, given.weights, slides), on_cpu(folder, given.weights, slides))
        ).max()),
    }  # fmt: skip
    for name, section in sections.items():
        start = time.perf_counter()
        try:
            found[name] = section()
        except Exception as error:  # the others are worth having
            found[name] = f"failed: {type(error).__name__}: {str(error)[:300]}"
        print(f"{name} ({time.perf_counter() - start:.0f} s): {found[name]}", flush=True)
        given.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
