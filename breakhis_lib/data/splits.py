"""Who is trained on, who is tested on: a *split* gives every image to train, validation or test.

Protocols: `image` draws single images, the paper's way as it is worded ("sets that share no image");
`slide` draws whole slides; `number` draws slide numbers, so that 22549AB, 22549CD and 22549G stay
together; `official` takes BreakHis' five published train/test folds. Where a split holds several magnifications,
`image` draws fields of view: the images of one slide and sequence, which may show one place, stay together.

A shuffle deals the units into five folds. Seed k of a shuffle tests fold k, validates on the next fold and trains on
the others, so that over five seeds in a row every unit is tested once, validates once, and is trained on otherwise.
"""

from importlib import resources

import pandas as pd

from breakhis_lib.data import frames
from breakhis_lib.errors import InputError

SETS = ("train", "validation", "test")
UNITS = {"image": "file", "slide": "slide", "number": "number", "official": "slide"}
FOLDS = 5
RULE = "seed k tests fold k, validates on the next"  # kept in a record, whose runs all follow one rule
FIRST_RULE = "seed k tests fold k, validates on the first fold of the rest"  # of records that name none
MOST_SEED = 2**32 - 1  # what random generators take


def draw(fields, protocol, seed):
    """Draw a split, stratified by class.

    fields: data frame of `dataset.scan`, usually of one magnification. protocol: image, slide, number or
    official. seed: whole number from 0; for k folds seeds 0 to k-1 are the folds of one shuffle, the next
    k those of another; for official it is the published fold's number less one. There are five folds, or as many as
    the rarest class has units.
    The official folds name no validation set: there, of the slides that a fold trains on, those validate that lie in
    the next fold of the first shuffle by slide, so that none validates twice.
    Returns a series of train, validation and test, indexed like `fields`. Raises InputError when a class has fewer
    slides (or images) than there are sets, or when slides are asked for and nothing says which slide an image is from.
    """
    check(protocol, seed)
    frames.check_fields(fields, "magnification", "label_name", UNITS[protocol])
    if protocol != "image" and fields.slide.equals(fields.file):
        raise InputError(
            f"the images cannot be split by {protocol}: nothing says which slide or patient each is from. "
            "Name a CSV with columns file,group (--groups), or split by image."
        )
    groups = fields[UNITS[protocol]]
    if protocol == "image" and fields.magnification.nunique() > 1:
        groups = (fields.slide + "-" + fields.sequence.astype(str)).rename("field")
    _check_enough(fields, groups, len(SETS))
    if protocol == "official":
        fold = _folds(fields, groups, FOLDS, 0)
        is_test, is_validation = _official_test(fields, seed), fold == (seed + 1) % FOLDS
    else:
        count = min(FOLDS, int(groups.groupby(fields.label).nunique().min()))
        fold = _folds(fields, groups, count, seed // count)
        is_test, is_validation = fold == seed % count, fold == (seed + 1) % count
    sets = pd.Series("train", index=fields.index, name="set")
    sets[is_validation] = "validation"
    sets[is_test] = "test"
    for name in SETS:
        missing = set(fields.label_name) - set(fields.label_name[sets == name])
        if missing:
            raise InputError(
                f"protocol {protocol}, seed {seed} leaves the {name} set without {', '.join(sorted(missing))} images; "
                f"more {groups.name}s of that class are needed."
            )
    return sets


def check(protocol, seed):
    """Raise InputError, naming the value, for a protocol or a seed that `draw` does not know."""
    if protocol not in UNITS:
        raise InputError(f"protocol {protocol!r} is not known; choose one of {', '.join(UNITS)}.")
    most = FOLDS - 1 if protocol == "official" else MOST_SEED
    if not 0 <= seed <= most:
        what = "names no official fold" if protocol == "official" else "is out of range"
        raise InputError(f"seed {seed} {what}; expected 0 to {most}.")


def _check_enough(fields, groups, needed):
    counts = groups.groupby(fields.label_name).nunique()
    if len(counts) < 2:
        raise InputError(f"all {len(fields)} images are {counts.index[0]}; a split needs two classes or more.")
    if counts.min() < needed:
        magnifications = ", ".join(map(str, sorted(fields.magnification.unique())))
        raise InputError(
            f"class {counts.idxmin()} has {counts.min()} {groups.name}s at magnification {magnifications}; "
            f"expected at least {needed}, one for each of {', '.join(SETS)}."
        )


def _folds(fields, groups, folds, shuffle):
    """The number of each image's fold: whole groups, dealt by class; an integer series."""
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold  # late: it takes a second

    if groups.is_unique:
        parts = StratifiedKFold(folds, shuffle=True, random_state=shuffle).split(fields, fields.label)
    else:
        parts = StratifiedGroupKFold(folds, shuffle=True, random_state=shuffle).split(fields, fields.label, groups)
    number = pd.Series(0, index=fields.index)
    for fold, (_, chosen) in enumerate(parts):
        number.iloc[chosen] = fold
    return number


def official_folds():
    """The five published folds: columns fold, class, subtype, year, slide, set (train or test).

    Source: three public copies of BreakHis' fold lists, which agree line for line.
    """
    return pd.read_csv(resources.files(__package__) / "official_folds.csv", dtype={"slide": str, "year": str})


def _official_test(fields, seed):
    folds = official_folds()
    fold = folds[folds.fold == seed + 1].set_index(["subtype", "slide"]).set
    sets = fold.reindex(pd.MultiIndex.from_frame(fields[["subtype", "slide"]]))
    if sets.isna().any():
        unknown = fields.file[sets.isna().to_numpy()].iloc[0]
        raise InputError(f"{unknown} is of a slide outside BreakHis; the official folds do not place it.")
    return pd.Series((sets == "test").to_numpy(), index=fields.index)
