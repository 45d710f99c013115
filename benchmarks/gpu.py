"""What a graphics card makes of the course: python benchmarks/gpu.py --weights FILE [--data FOLDER] (some minutes).

KERAS_BACKEND names the backend. Practice slides are made on the spot, in a cache of their own. Printed and written to
gpu.json, under the name of the device and backend: the rate of matrix products; the trunk's and the head's images a
second and the share of that rate which they reach, in both precisions, with pixels from the host and from the card's
own memory; images a second from PNG files by number of readers; the seconds that Table 4 takes on practice slides, and
on the folder that --data names; the memory; how far one head's probabilities lie from a CPU's. `--only rates` leaves
the runs out, for a CPU, and `--only runs` the rates; `--compile` asks for the compiled trunk alone.
"""

import argparse
import itertools
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


def rates(tensors, rate, batches):
    """Images a second by precision and batch, with the share of the matrix rate; the head's are of training steps."""
    from breakhis_lib.model import complexity, network
    from breakhis_lib.model.backend import keras

    rows = {}
    for dtype, batch in itertools.product(rate, batches):
        trunk, head = network.build(tensors=tensors, dtype="float32" if dtype == "float32" else f"mixed_{dtype}")
        macs = complexity.layers(trunk).multiplications.sum()
        top = head.get_layer("top")
        top_macs = complexity.layers(getattr(top, "model", top)).multiplications.sum()
        head.compile("adam", "sparse_categorical_crossentropy")
        pixels = np.random.default_rng(0).uniform(-1, 1, (batch, 299, 299, 3)).astype(np.float32)
        there = keras.ops.convert_to_tensor(pixels)
        features = np.asarray(trunk.predict_on_batch(pixels), np.float32)
        labels = np.arange(batch) % 2
        from_host = batch / median_of_three(lambda t=trunk, x=pixels: t.predict_on_batch(x))
        from_card = batch / median_of_three(lambda t=trunk, x=there: t.predict_on_batch(x))
        head_rate = batch / median_of_three(lambda h=head, x=features, y=labels: h.train_on_batch(x, y))
        rows[f"{dtype}, batch {batch}"] = {
            "trunk images/s": round(from_host, 1), "from its own memory": round(from_card, 1),
            "trunk share": round(float(2 * macs * from_card / rate[dtype]), 3),
            "head images/s": round(head_rate, 1), "head share": round(float(6 * top_macs * head_rate / rate[dtype]), 3),
        }  # fmt: skip
    return rows


def compiled(tensors, batch=64):
    """Seconds that a compiled trunk takes to be made, and its images a second beside the trunk as it is."""
    from breakhis_lib.model import network
    from breakhis_lib.model.backend import keras

    trunk, _ = network.build(tensors=tensors)
    there = keras.ops.convert_to_tensor(np.random.default_rng(0).uniform(-1, 1, (batch, 299, 299, 3)).astype("float32"))
    plain = batch / median_of_three(lambda: trunk.predict_on_batch(there))
    trunk.compile(jit_compile=True)
    start = time.perf_counter()
    trunk.predict_on_batch(there)
    took = time.perf_counter() - start
    return {
        "images/s": round(plain), "compiled": round(batch / median_of_three(lambda: trunk.predict_on_batch(there))),
        "seconds to compile": round(took, 1),
    }  # fmt: skip


def from_files(slides, tensors):
    """Images a second from PNG files to features, by number of threads that decode, each into an empty store."""
    from breakhis_lib.data import dataset
    from breakhis_lib.model import features

    fields, found, usual = dataset.add_digests(dataset.scan(slides))[:128], {}, features.READERS
    features.extract(fields[: features.BATCH], tensors=tensors)  # loads and compiles
    for place, readers in enumerate((2, usual)):
        features.READERS = readers
        again = fields.assign(sha256=fields.sha256.map(lambda name, p=place: name[:-1] + str(p)))
        start = time.perf_counter()
        features.extract(again, tensors=tensors)
        found[f"{readers} readers"] = round(len(fields) / (time.perf_counter() - start), 1)
    features.READERS = usual
    return {"images": len(fields), **found}


def table4(folder, weights, data, plan, name="record"):
    """Seconds of every magnification, protocol and seed, by station, and what came of it."""
    from breakhis_lib import experiment
    from breakhis_lib.evaluation import tables

    start = time.perf_counter()
    record = experiment.run(data, folder / name, plan, weights)
    runs, took = record.info()["runs"], time.perf_counter() - start
    features = {(run["magnification"], run["seconds"]["features"]) for run in runs}
    found = tables.table4(record.predictions()).dropna(subset="accuracy")
    return {
        "runs": len(runs), "seconds": round(took, 1), "features": round(sum(seconds for _, seconds in features), 1),
        "fine-tuning": round(sum(run["seconds"]["fine-tuning"] for run in runs), 1),
        "accuracy, %": {f"x{row[0]} by {row[1]}": round(value, 1) for row, value in found.accuracy.items()},
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
    parser.add_argument("--data", type=Path, help="folder of BreakHis, for a Table 4 on real images")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    parser.add_argument("--only", choices=["rates", "runs"], help="leave the other half out")
    parser.add_argument("--compile", action="store_true", help="measure the compiled trunk, and nothing else")
    parser.add_argument("--small", action="store_true", help="few and small, to see that it runs")
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp())
    os.environ["BREAKHIS_CACHE"] = str(folder / "cache")
    from breakhis_lib import experiment, practice
    from breakhis_lib.evaluation import records
    from breakhis_lib.model import backend, weights
    from breakhis_lib.model.readings import Settings

    few, gpu = given.small, backend.has_gpu()
    everything = json.loads(given.out.read_text(encoding="utf-8")) if given.out.exists() else {}
    found = everything.setdefault(f"{backend.device().split(',')[0]}, {backend.keras.backend.backend()}", {})
    found |= {"device": backend.device(), "versions": records.versions(), "timm, published": TIMM}
    rate, side = {}, 8192 if gpu else 2048
    tensors = weights.load(given.weights)
    slides = practice.make(folder / "slides", slides_per_subtype=3, workers=os.cpu_count())
    protocols, settings = ("image", "slide", "number"), Settings(epochs=2 if few else 15)
    plan = experiment.Plan((200,) if few else (), protocols, seeds=range(1 if few else 5), settings=settings)
    real = plan._replace(magnifications=(200,) if few else (40, 100, 200))
    sections = {
        "matrix products, TFLOP/s": lambda: rate.update(
            {name: matrix_rate(name, side, backend.keras) for name in ("float32", *(["float16"] if gpu else []))}
        ) or {name: round(value / 1e12, 2) for name, value in rate.items()},
        "trunk and head": lambda: rates(tensors, rate, (64, 256) if gpu and not few else (16, 32)),
        "from PNG files, images/s": lambda: from_files(slides, tensors),
        "Table 4 on practice slides": lambda: table4(folder, given.weights, slides, plan),
        "Table 4 on real images": lambda: table4(folder, given.weights, given.data, real, "real"),
        "memory, MB": memory,
        "largest difference to a CPU": lambda: float(np.abs(
            np.subtract(predicted(folder, given.weights, slides), on_cpu(folder, given.weights, slides))
        ).max()),
    }  # fmt: skip
    if given.compile:
        sections = {"compiled trunk": lambda: compiled(tensors)}
    elif given.only:
        sections = dict(list(sections.items())[slice(3) if given.only == "rates" else slice(3, None)])
    if not given.data:
        sections.pop("Table 4 on real images", None)
    for name, section in sections.items():
        start = time.perf_counter()
        try:
            found[name] = section()
        except Exception as error:  # the others are worth having
            found[name] = f"failed: {type(error).__name__}: {str(error)[:300]}"
        print(f"{name} ({time.perf_counter() - start:.0f} s): {found[name]}", flush=True)
        given.out.write_text(json.dumps(everything, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
