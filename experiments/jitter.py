"""Stain jitter: every epoch sees each image in another strength of its stains, so that no shade can stand for a slide.

Haematoxylin, eosin and the rest are told apart by colour deconvolution (Ruifrok and Johnston 2001), each is scaled
and shifted at random (Tellez et al. 2018), and the image is put together again. Eight views an image are drawn
beforehand, the first of them as it is, and `finetune.train` draws one of them an epoch, as it does with turned views.
"""

import numpy as np
from depth import begin, fields_of
from skimage import color
from skimage.util import img_as_ubyte

from breakhis_lib import experiment
from breakhis_lib.data import dataset, splits
from breakhis_lib.evaluation import records
from breakhis_lib.model import features, finetune, network, readings, weights

STRENGTH = 0.2  # the stronger of the two usual ones: factors 0.8 to 1.2, shifts of -0.2 to 0.2 in optical density
DENSITY = -np.log(1e-6)  # what scikit-image divides optical densities by
MAGNIFICATIONS, SEEDS = (100, 200), range(3)


def views(path, random):
    """An image as `features.prepare` makes it, then seven times with jittered stains: uint8, (8, height, width, 3)."""
    plain = features.prepare(path)[0]
    stains, jittered = color.rgb2hed(plain), [plain]
    for _ in range(features.VIEWS - 1):
        factor, shift = 1 + random.uniform(-STRENGTH, STRENGTH, 3), random.uniform(-STRENGTH, STRENGTH, 3) / DENSITY
        jittered.append(img_as_ubyte(np.clip(color.hed2rgb(stains * factor + shift), 0, 1)))
    return np.stack(jittered)


def run(data, results, command):
    """By number, every magnification and seed that the record lacks."""
    everything = fields_of(data)
    record = begin(results / "remedies" / "jitter", everything, command, augment=True, stain_jitter=STRENGTH)
    for magnification in MAGNIFICATIONS:
        todo = [
            seed
            for seed in SEEDS
            if not record.has(magnification=magnification, protocol="number", reading="block14", seed=seed)
        ]
        if not todo:
            continue
        fields, random = dataset.select(everything, magnification), np.random.default_rng(0)
        trunk, head = network.build(tensors=weights.load())[0], None
        parts, at_once = [], features.BATCH // features.VIEWS
        for start in range(0, len(fields), at_once):
            pixels = [views(path, random) for path in fields.path[start : start + at_once]]
            parts.append(features.embed(trunk, pixels).astype(np.float16))
            print(f"\rx{magnification}: jittered views of {start} of {len(fields)} images", end="", flush=True)
        print()
        found = features.Features(np.concatenate(parts), np.arange(len(fields)))
        for seed in todo:
            sets = splits.draw(fields, "number", seed)
            settings = readings.Settings(augment=True)
            trained = finetune.train(found, fields, sets, seed=seed, settings=settings, head=head)
            head = trained.head
            experiment.keep(record, {"protocol": "number", "reading": "block14", "seed": seed}, fields, sets, trained)
            print(f"x{magnification} by number, jittered, seed {seed}: {trained.seconds:.0f} s", flush=True)


def missing(results):
    """How many trainings the record lacks."""
    wanted = len(MAGNIFICATIONS) * len(SEEDS)
    return wanted - len(records.Record(results / "remedies" / "jitter").info().get("runs", []))
