"""Against what a user would write: Keras' own recipe for fine-tuning, on the same images, split and epochs.

    python benchmarks/against_keras.py --data FOLDER [--magnification 200 --epochs 15 --rounds 3]

Contestants alternate, each in a process of its own with an empty cache, timed from its start to its end:

- course: `breakhis run`, one training by slide, seed 0
- recipe: a folder of images a set and class, `image_dataset_from_directory`, Xception frozen but for the same layers,
  called with `training=False`, global average, dropout, softmax, `fit`

Then the agreement: recipe and course trained with the same batches and with BatchNorm held alike, in float32. Every
round is written at once to benchmarks/against_keras.json; the same command goes on from there.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import report

BATCH, RATE, DROPOUT = 32, 1e-4, 0.2


def course(given, folder):
    """Train by the course's command in an empty cache; the test accuracy."""
    from breakhis_lib.evaluation import records

    command = [Path(sys.executable).with_name("breakhis"), "run", "--data", given.data, "--results", folder / "record"]
    numbers = {"magnifications": given.magnification, "protocols": "slide", "seeds": 0, "epochs": given.epochs}
    command += [f"--{name}={value}" for name, value in {**numbers, "patience": 0}.items()]
    subprocess.run(command, env={**os.environ, "BREAKHIS_CACHE": str(folder / "cache")}, check=True)
    predictions = records.Record(folder / "record").predictions()
    test = predictions[predictions.set == "test"]
    return {"test accuracy": float(((test.p_malignant > 0.5) == test.label).mean())}


def recipe(given, folder):
    """Train as Keras' documentation does; the test accuracy."""
    code = "import sys, json, against_keras as b; print(json.dumps(b.fit_recipe(sys.argv[1], int(sys.argv[2]))))"
    arrange(given, folder)
    command = [sys.executable, "-c", code, str(folder), str(given.epochs)]
    done = subprocess.run(command, cwd=Path(__file__).parent, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def arrange(given, folder):
    """Lay the images out in folders, one a set and class."""
    fields, sets = fields_and_sets(given)
    for path, label, name in zip(fields.path, fields.label_name, sets, strict=True):
        place = folder / name / label
        place.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, place)


def fields_and_sets(given):
    from breakhis_lib.data import dataset, splits

    fields = dataset.select(dataset.scan(given.data), given.magnification)
    return fields, splits.draw(fields, "slide", 0)


def fit_recipe(folder, epochs):
    """The recipe itself; the library gives the names of the layers alone."""
    import keras

    from breakhis_lib.model import readings

    keras.utils.set_random_seed(0)
    images = {
        name: keras.utils.image_dataset_from_directory(
            Path(folder, name), image_size=readings.SIZE, batch_size=BATCH, shuffle=name == "train", verbose=False
        )
        for name in ("train", "validation", "test")
    }
    weights = os.environ["BREAKHIS_WEIGHTS"]
    base = keras.applications.Xception(weights=weights, include_top=False, input_shape=(*readings.SIZE, 3))
    first = base.layers.index(base.get_layer(readings.READINGS[readings.DEFAULT_READING].first))
    for layer in base.layers[:first]:
        layer.trainable = False
    inputs = keras.Input((*readings.SIZE, 3))
    maps = base(keras.applications.xception.preprocess_input(inputs), training=False)
    averages = keras.layers.Dropout(DROPOUT)(keras.layers.GlobalAveragePooling2D()(maps))
    model = keras.Model(inputs, keras.layers.Dense(2, activation="softmax")(averages))
    model.compile(keras.optimizers.Adam(RATE), "sparse_categorical_crossentropy", metrics=["accuracy"])
    best = keras.callbacks.EarlyStopping(patience=epochs, restore_best_weights=True)
    model.fit(images["train"], validation_data=images["validation"], epochs=epochs, callbacks=[best], verbose=2)
    return {"test accuracy": float(model.evaluate(images["test"], verbose=0)[1])}


def agreement(given, images=96, epochs=3):
    """The largest difference of a probability between whole network and head alone, after the same steps."""
    from breakhis_lib.model import features, finetune, network, weights
    from breakhis_lib.model.backend import keras
    from breakhis_lib.model.readings import Settings

    fields, _ = fields_and_sets(given)
    fields = fields.sample(images, random_state=0).reset_index(drop=True)
    tensors, settings = weights.load(), Settings(epochs=epochs, patience=0)
    sets = fields.file.map(dict(zip(fields.file, ["train"] * (images - 32) + ["validation"] * 32, strict=True)))
    pixels = features.scale(np.concatenate([features.prepare(path) for path in fields.path]))
    trunk, _ = network.build(tensors=tensors)
    maps = trunk.predict(pixels, batch_size=features.BATCH, verbose=0)
    cached = features.Features(maps[:, None], np.arange(images))
    trained = finetune.train(cached, fields, sets.rename("set"), settings=settings, tensors=tensors)
    finetune._begin(trained.head, 0)
    whole = keras.Model(trunk.input, trained.head(trunk.output))
    whole.compile(keras.optimizers.Adam(RATE), "sparse_categorical_crossentropy")
    shown = features.Features(pixels[:, None], np.arange(images))
    train = np.flatnonzero(sets == "train")
    batches = finetune._Batches(shown, train, fields.label.to_numpy()[train], BATCH, 0)
    whole.fit(batches, epochs=trained.best_epoch, shuffle=False, verbose=0)
    theirs = whole.predict(pixels, batch_size=features.BATCH, verbose=0)[:, 1]
    return {
        "steps": trained.best_epoch * len(batches), "images": images,
        "largest difference of a probability": float(np.abs(theirs - trained.predictions.p_malignant).max()),
    }  # fmt: skip


def main():
    """Run what is missing, and write the summary."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, type=Path)
    parser.add_argument("--magnification", type=int, default=200)
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    from breakhis_lib.model import weights

    os.environ["BREAKHIS_WEIGHTS"] = str(weights.locate()[0])
    found = report.begin(__file__, data=given.data.name, magnification=given.magnification, epochs=given.epochs)
    if "agreement" not in found:
        found["agreement"] = agreement(given)
        print(found["agreement"], flush=True)
        report.write(__file__, found)
    rounds = found.setdefault("rounds", [])
    for number in range(given.rounds):
        if number == len(rounds):
            rounds.append({})
        for contestant in (course, recipe):
            if contestant.__name__ in rounds[number]:
                continue
            with tempfile.TemporaryDirectory() as folder:
                start = time.perf_counter()
                result = contestant(given, Path(folder))
                rounds[number][contestant.__name__] = {"seconds": round(time.perf_counter() - start, 1), **result}
            print(contestant.__name__, rounds[number][contestant.__name__], flush=True)
            report.write(__file__, found)
        ratios = [each["recipe"]["seconds"] / each["course"]["seconds"] for each in rounds[: number + 1]]
        found["times as fast, median"] = round(float(np.median(ratios)), 2)
        report.write(__file__, found)


if __name__ == "__main__":
    main()
