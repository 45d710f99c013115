"""The whole journey: from a folder of slides to a record, station by station, and on to a prediction."""

import concurrent.futures
import datetime
import hashlib
import itertools
import os
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from breakhis_lib.data import dataset, leakage, splits
from breakhis_lib.errors import InputError
from breakhis_lib.evaluation import records
from breakhis_lib.model import baselines, readings
from breakhis_lib.model.readings import DEFAULT_READING, SIZE, Settings

STORED = "float16"  # the precision in which features are kept
SHUFFLES = {"": "", "image": "file", "slide": "slide"}


class Plan(NamedTuple):
    """What to run: every combination of these, with the same settings.

    magnifications: () for all that the folder has. protocols: of `splits.draw`; () for image and slide, and number
    where some slides share one and it can be drawn, or image alone where nothing says which slide an image is from.
    readings: names in `readings.READINGS`, or the controls in `readings.METHODS`. size: (height, width) in pixels.
    shuffle: "", or whose labels are shuffled as a control (image or slide). pooled: train one model on all
    magnifications together, and test it on each by itself, instead of one a magnification.
    """

    magnifications: tuple = ()
    protocols: tuple = ()
    readings: tuple = (DEFAULT_READING,)
    seeds: tuple = (0, 1, 2, 3, 4)
    settings: Settings = Settings()
    size: tuple = SIZE
    shuffle: str = ""
    pooled: bool = False


def check(plan):
    """Raise InputError, naming the value, for a plan that no folder of images can carry out."""
    readings.validate(plan.settings, plan.size, plan.readings)
    for name in ("readings", "seeds"):
        if not getattr(plan, name):
            raise InputError(f"there are no {name} to run; name at least one.")
    for protocol, seed in itertools.product(plan.protocols or ("image",), plan.seeds):
        splits.check(protocol, seed)
    if plan.shuffle not in SHUFFLES:
        raise InputError(
            f"labels cannot be shuffled by {plan.shuffle!r}; choose {' or '.join(filter(None, SHUFFLES))}."
        )


class Watcher:
    """Told what happens; the command line's draws progress bars."""

    def say(self, message):
        """One line of text."""

    def progress(self, name, done, total, note=""):
        """So much is done of what has that name: images of a magnification, epochs of a run, runs."""


class Job(NamedTuple):
    """One training, as it is sent to the process that does it; all that it needs besides lies in files."""

    folder: Path  # of the record
    magnifications: tuple  # that it trains on together; each tested by itself is a run
    key: dict  # what else is in `records.KEY`
    fields: pd.DataFrame
    plan: Plan
    weights: Path | None
    name: str
    seconds: float = 0  # that the features took


def run(data, results, plan=None, weights=None, groups=None, command="", watcher=None, positive=None, executor=None):
    """Carry a folder of images to a record; a run that is already recorded is not repeated.

    data: folder of images, see `dataset.scan`; groups: its CSV of groups; positive: its class with label 1. results:
    the record's folder. plan: Plan. weights: a weights file, see `weights.load`. command: kept in the record.
    watcher: Watcher. executor: a concurrent.futures.Executor whose processes see the same files, such as
    `workers.executor` makes; by default runs are trained here, one after the other. Returns the Record. Raises
    InputError before any long work where the plan cannot be carried out.
    """
    plan, watcher, weights = plan or Plan(), watcher or Watcher(), weights and Path(weights).absolute()
    check(plan)
    started = time.monotonic()
    everything, left_out = dataset.survey(data, groups, positive)
    watcher.say(_what_is_used(everything, left_out))
    if not plan.protocols:
        alone = everything.slide.equals(everything.file)
        asked = everything[everything.magnification.isin(plan.magnifications or everything.magnification)]
        enough = asked.groupby(["magnification", "label"]).number.nunique().min() >= len(splits.SETS)
        share = enough and asked.number.nunique() < asked.slide.nunique()
        plan = plan._replace(protocols=("image",) if alone else ("image", "slide", "number")[: 2 + share])
        if alone:
            watcher.say("By slide is left out: nothing says which slide or patient an image is from (--groups would).")
    parts = _prepared(everything, plan)
    from breakhis_lib.model import backend  # loads Keras, which takes seconds: only now that the plan stands
    from breakhis_lib.model import weights as imagenet

    watcher.say(f"Device: {backend.device()}")
    imagenet.load(weights, watcher.say)
    record = records.Record(results)
    about = {**session(command), "seconds before the first run": round(time.monotonic() - started, 1)}
    classes = dataset.class_names(everything)
    as_run = {"size": list(plan.size), "precision": STORED, "shuffled labels": plan.shuffle}
    of_each = pd.concat(parts).groupby("magnification")
    same = {
        "classes": classes,
        "positive": positive or ("malignant" if classes[1:] == ["malignant"] else None),
        "split rule": splits.RULE,
        "groups": _groups(everything, groups),
        "weights": {"sha256 of the tensors": imagenet.TENSORS_SHA256},
        "settings": {**plan.settings._asdict(), **as_run, "pooled": plan.pooled},
        "data": {str(name): {"images": len(rows), "sha256": dataset.data_digest(rows)} for name, rows in of_each},
    }
    with record.session(watcher.say):
        record.begin(about, **same)
        try:
            _all_runs(record, parts, plan, weights, watcher, executor)
        finally:
            _HELD.clear()
    return record


def session(command):
    """What a record keeps of a session: the command, when, with which versions, and on what."""
    from breakhis_lib.model import backend

    date = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    about = {"command": command, "date": date, "versions": records.versions(), **records.machine()}
    return {**about, "device": backend.device()}


def _what_is_used(fields, left_out):
    reasons = "; ".join(f"{count}: {reason}" for reason, count in left_out.reason.value_counts().items())
    told = f"{len(left_out)} left out ({reasons}); `breakhis check` lists them" if len(left_out) else "none left out"
    classes = ", ".join(f"{count} {name}" for name, count in fields.label_name.value_counts(sort=False).items())
    return f"Images: {len(fields)} used ({classes}), {told}."


def _prepared(everything, plan):
    """The fields that train together, with their digests, once it is certain that all splits can be drawn."""
    magnifications = plan.magnifications or tuple(sorted(everything.magnification.unique().tolist()))
    parts = [dataset.select(everything, magnification) for magnification in magnifications]
    if plan.pooled:
        parts = [pd.concat(parts, ignore_index=True)]
    if plan.shuffle:
        parts = [baselines.shuffled(fields, SHUFFLES[plan.shuffle]) for fields in parts]
    for fields, protocol, seed in itertools.product(parts, plan.protocols, plan.seeds):
        splits.draw(fields, protocol, seed)  # says now, not after an hour, that a split is impossible
    return [dataset.add_digests(fields.assign(path=fields.path.map(os.path.abspath))) for fields in parts]


def _groups(fields, groups):
    """What says which slide an image is from, in words for the record."""
    if groups is None:
        return "none: every image is its own" if fields.slide.equals(fields.file) else "the slides that file names give"
    told = hashlib.sha256("".join(fields.file + " " + fields.slide + "\n").encode()).hexdigest()
    return f"{fields.slide.nunique()} groups, sha256 {told}"


def _all_runs(record, parts, plan, weights, watcher, executor):
    """Every run that the record lacks; features are computed here, whoever trains."""
    number, total = 0, len(parts) * len(plan.readings) * len(plan.protocols) * len(plan.seeds)
    waiting = {}
    for fields, reading in itertools.product(parts, plan.readings):
        magnifications = tuple(fields.magnification.unique().tolist())
        shown = " and ".join(f"x{magnification}" if magnification else "images" for magnification in magnifications)
        for protocol, seed in itertools.product(plan.protocols, plan.seeds):
            number += 1
            key = {"protocol": protocol, "reading": reading, "seed": seed}
            if all(record.has(magnification=magnification, **key) for magnification in magnifications):
                continue
            name = f"run {number}/{total}: {shown} by {protocol}, {reading}, seed {seed}"
            job = Job(record.folder.absolute(), magnifications, key, fields, plan, weights, name)
            job = job._replace(seconds=_material(job, watcher)["seconds"])
            if executor is None:
                watcher.say(f"{name}: {train(job, watcher)}")
            else:
                waiting[executor.submit(train, job)] = name
    for done, future in enumerate(concurrent.futures.as_completed(waiting), 1):
        watcher.say(f"{waiting[future]}: {future.result()}")
        watcher.progress("runs", done, len(waiting))


_HELD = {}  # what this process trained last: the next run of the same kind begins with its head and features


def _material(job, watcher):
    """The readable fields of a job, their features, the seconds that took, ImageNet's weights, and a head to train."""
    key, plan = job.key, job.plan
    network = (job.weights, plan, key["reading"], tuple(dataset.class_names(job.fields)))
    kind = (network, job.folder, job.magnifications, dataset.data_digest(job.fields))
    if _HELD.get("kind") == kind:
        return _HELD
    same = _HELD and _HELD["kind"][0] == network  # a head for other images, which is trained anew as well
    tensors, head = (_HELD["tensors"], _HELD["head"]) if same else (None, None)
    _HELD.clear()
    from breakhis_lib.model import weights as imagenet

    started, tensors = time.monotonic(), tensors or imagenet.load(job.weights)
    if key["reading"] == "colour":
        found, unreadable = baselines.colours(job.fields)
    else:
        from breakhis_lib.model import features

        reading = "probe" if key["reading"] == "logistic" else key["reading"]
        views = features.VIEWS if plan.settings.augment else 1
        name = f"x{' x'.join(map(str, job.magnifications))}: frozen trunk, images"

        def told(done, total):
            watcher.progress(name, done, total, f"{done / (time.monotonic() - started):.1f} images/s")
            if done == total:
                watcher.say(f"{name}: {total} computed")

        how = (plan.size, views, STORED, tensors, watcher.say, told)
        found, unreadable = features.extract(job.fields, reading, *how)
    for reason in unreadable.values():
        watcher.say(f"Left out: {reason}")
    good = ~job.fields.index.isin(list(unreadable))
    found = found[good] if key["reading"] == "colour" else features.Features(found.array, found.rows[good])
    fields, seconds = job.fields[good].reset_index(drop=True), time.monotonic() - started
    _HELD.update(kind=kind, fields=fields, found=found, tensors=tensors, head=head, seconds=seconds)
    return _HELD


def train(job, watcher=None):
    """Train one job and record it, in whatever process this is called; returns a line that says how it went."""
    watcher, record = watcher or Watcher(), records.Record(job.folder)
    held, key, settings = _material(job, watcher), job.key, job.plan.settings
    fields, found = held["fields"], held["found"]
    sets = _stored_or_drawn(record, job, fields)
    watcher.progress(f"{job.name}, epochs", 0, settings.epochs)
    if key["reading"] in readings.METHODS:
        inputs = found if key["reading"] == "colour" else found.take(np.arange(len(found)))
        trained = baselines.fit_logistic(inputs, fields, sets)
    else:
        from breakhis_lib.model import finetune, network

        def told(epoch, logs):
            note = "validation loss {val_loss:.3f}, accuracy {val_accuracy:.3f}".format(**logs)
            watcher.progress(f"{job.name}, epochs", epoch, settings.epochs, note)

        material = (found, fields, sets, key["reading"], key["seed"], settings, job.plan.size, held["tensors"])
        trained = finetune.train(*material, told, held["head"])
        held["head"] = trained.head
    if key["seed"] == min(job.plan.seeds) and trained.head:
        for magnification in job.magnifications:
            network.save_head(trained.head, record.head_path({"magnification": magnification, **key}))
        record.keep_digests(fields)
    keep(record, key, fields, sets, trained, job.seconds)
    best = trained.history.val_accuracy.loc[trained.best_epoch]
    epochs = f"best epoch {trained.best_epoch} of {len(trained.history)}"
    return f"{trained.seconds:.0f} s, {epochs}, validation accuracy {best:.3f}"


def keep(record, key, fields, sets, trained, seconds=0):
    """Add a training to a record: a run for each of its magnifications, tested on the images of that one.

    record: Record that was begun. key: protocol, reading and seed. fields, sets, trained: as for and from
    `finetune.train`. seconds: that the features took.
    """
    magnifications = fields.magnification.unique()
    for magnification in map(int, magnifications):
        own = fields.magnification == magnification
        seen, chosen = fields[own | (sets != "test")], sets[own | (sets != "test")]
        times = {"features": seconds, "fine-tuning": trained.seconds}
        about = {
            "images": chosen.value_counts().reindex(splits.SETS).to_dict(),
            "slides": seen.slide.groupby(chosen).nunique().reindex(splits.SETS).to_dict(),
            "audit": leakage.audit(seen, chosen).to_dict(),
            "epochs": len(trained.history),
            "best epoch": trained.best_epoch,
            "seconds": {name: round(value / len(magnifications), 1) for name, value in times.items()},
            "session": len(record.info()["sessions"]) - 1,
        }
        record.add({"magnification": magnification, **key}, trained.predictions[own], trained.history, about)


def _stored_or_drawn(record, job, fields):
    key = job.key
    stored = record.split(job.magnifications, key["protocol"], key["seed"])
    if stored is not None and set(fields.file) <= set(stored.index):
        return fields.file.map(stored).rename("set")
    return splits.draw(fields, key["protocol"], key["seed"])


def trained_heads(record):
    """The runs of a record whose trained head is kept, as in run.json. Raises InputError where there is none."""
    heads = [run for run in record.info().get("runs", []) if record.head_path(run).exists()]
    if not heads:
        raise InputError(f"{record.folder} holds no trained head; train one with `breakhis run`.")
    return heads


def predict(
    paths, record, magnification=None, protocol=None, reading=None, weights=None, say=None, maps=False, networks=None
):
    """The probability of each label for single images, by a trained head of a record.

    paths: image files. record: Record with trained heads. magnification: by default what an image's BreakHis name
    says, or the only one the record has; protocol: by default slide, then whatever there is; reading: by default the
    course's. weights: a weights file, see `weights.load`. say: called with a line about what takes long. maps: whether
    to add what moved each answer. networks: a dictionary that keeps the networks for the next call of the same record.
    Returns (found, unreadable): a data frame, one row an image that can be read, with file, magnification, protocol,
    reading, seed, set (which set of that run the image was in, known by its content: train, validation, test, none, or
    missing for a record that kept no digests) and the probability of every class; with maps also map, as of
    `activation_maps.class_activation`, and "map of", its class: label 1, or of three and more classes the likeliest;
    and a list of reasons. Raises InputError where no trained head fits.
    """
    info, heads, networks = record.info(), trained_heads(record), {} if networks is None else networks
    keys = [_choose(heads, Path(path).name, magnification, protocol, reading) for path in paths]
    from breakhis_lib.model import activation_maps, features, network
    from breakhis_lib.model import weights as imagenet

    settings, size, classes = info["settings"], tuple(info["settings"]["size"]), info["classes"]
    table = dataset.add_digests(pd.DataFrame({"path": paths})).join(pd.DataFrame(keys, columns=records.KEY))
    rows, unreadable = {}, []
    for named, images in table.groupby(records.KEY):
        key = dict(zip(records.KEY, named, strict=True))
        if named not in networks:
            how = (settings["batch_norm"], settings["dropout"], size, imagenet.load(weights, say or Watcher().say))
            networks[named] = network.build(key["reading"], len(classes), *how)
            network.load_head(networks[named][1], record.head_path(key))
        trunk, head = networks[named]
        for indices, pixels, problems in features.batches(images, {"size": size, "views": 1}):
            unreadable += problems.values()
            if not indices:
                continue
            found = features.embed(trunk, pixels)[:, 0].astype(settings["precision"]).astype(np.float32)
            for place, (index, shares) in enumerate(zip(indices, head.predict_on_batch(found), strict=True)):
                where = {"file": str(paths[index]), **key, "set": record.set_of(key, images.sha256[index])}
                rows[index] = where | dict(zip(classes, map(float, shares), strict=True))
                if maps:
                    label = 1 if len(classes) == 2 else int(shares.argmax())
                    [heatmap], _ = activation_maps.class_activation(head, found[[place]], label)
                    rows[index] |= {"map of": classes[label], "map": heatmap}
    return pd.DataFrame([rows[index] for index in sorted(rows)]), unreadable


def _choose(heads, name, magnification, protocol, reading):
    there = sorted({head["magnification"] for head in heads})
    at = ", ".join(map(str, there))
    if magnification is None and there != [dataset.NO_MAGNIFICATION]:
        magnification = (dataset.parse_name(name) or {}).get("magnification")
    if magnification is None and len(there) > 1:
        raise InputError(f"{name} does not say its magnification; choose one of {at} (--magnification).")
    magnification = there[0] if magnification is None else magnification
    asked = {"magnification": magnification, "protocol": protocol, "reading": reading}
    fitting = [head for head in heads if all(value in (None, head[field]) for field, value in asked.items())]
    if not fitting:
        told = ", ".join(f"{field} {value}" for field, value in asked.items() if value is not None)
        raise InputError(f"no trained head for {name}: {told}; there are heads for magnification {at}.")
    best = min(fitting, key=lambda run: (run["protocol"] != "slide", run["reading"] != DEFAULT_READING, run["seed"]))
    return {name: best[name] for name in records.KEY}
