"""Who is trained on, who is tested on: a *split* gives every image to train, validation or test.

Protocols: `image` draws single images, the paper's way as it is worded ("sets that share no image");
`slide` draws whole slides; `number` draws slide numbers, so that 22549AB, 22549CD and 22549G stay
together; `official` takes BreakHis' five published train/test folds. A fifth of the images is tested;
a fifth of the rest validates. Five seeds in a row test every image once.
"""

from importlib import resources

import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from breakhis_lib.errors import InputError

SETS = ("train", "validation", "test")
UNITS = {"image": "file", "slide": "slide", "number": "number", "official": "slide"}
FOLDS = 5


def draw(fields, protocol, seed):
    """Draw a split, stratified by class.

    fields: data frame of `dataset.scan`, usually of one magnification. protocol: image, slide, number or
    official. seed: whole number from 0; for k folds seeds 0 to k-1 are the folds of one shuffle, the next
    k those of another; for official it is the published fold's number less one.
    Returns a series of train, validation and test, indexed like `fields`. Raises InputError when a class
    has fewer slides (or images) than there are sets.
    """
    if protocol not in UNITS:
        raise InputError(f"protocol {protocol!r} is not known; choose one of {', '.join(UNITS)}.")
    if seed < 0:
        raise InputError(f"seed {seed} is negative; expected 0 or more.")
    groups = fields[UNITS[protocol]]
    _check_enough(fields, groups, len(SETS))
    sets = pd.Series("train", index=fields.index, name="set")
    if protocol == "official":
        is_test = _official_test(fields, seed)
    else:
        folds = _fewest_groups(fields, groups)
        is_test = _one_fold(fields, groups, folds, seed % folds, seed // folds)
    sets[is_test] = "test"
    rest = fields[~is_test]
    is_validation = _one_fold(rest, groups[~is_test], _fewest_groups(rest, groups[~is_test]), 0, seed)
    sets[rest.index[is_validation]] = "validation"
    for name in SETS:
        missing = set(fields.label_name) - set(fields.label_name[sets == name])
        if missing:
            raise InputError(
                f"protocol {protocol}, seed {seed} leaves the {name} set without {', '.join(sorted(missing))} images; "
                f"more {UNITS[protocol]}s of that class are needed."
            )
    return sets


def _fewest_groups(fields, groups):
    return min(FOLDS, int(groups.groupby(fields.label).nunique().min()))


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


def _one_fold(fields, groups, folds, fold, shuffle):
    """Mark one of `folds` stratified folds of whole groups; a boolean series."""
    if groups.is_unique:
        parts = StratifiedKFold(folds, shuffle=True, random_state=shuffle).split(fields, fields.label)
    else:
        parts = StratifiedGroupKFold(folds, shuffle=True, random_state=shuffle).split(fields, fields.label, groups)
    chosen = list(parts)[fold][1]
    mark = pd.Series(False, index=fields.index)
    mark.iloc[chosen] = True
    return mark


def official_folds():
    """The five published folds: columns fold, class, subtype, year, slide, set (train or test).

    Source: three public copies of BreakHis' fold lists, which agree line for line.
    """
    path = resources.files(__package__).joinpath("official_folds.csv")
    with path.open() as stream:
        return pd.read_csv(stream, dtype={"slide": str, "year": str})


def _official_test(fields, seed):
    folds = official_folds()
    if seed >= folds.fold.max():
        raise InputError(f"seed {seed} names no official fold; expected 0 to {folds.fold.max() - 1}.")
    fold = folds[folds.fold == seed + 1].set_index(["subtype", "slide"]).set
    pairs = pd.MultiIndex.from_frame(fields[["subtype", "slide"]])
    sets = fold.reindex(pairs)
    if sets.isna().any():
        unknown = fields.file[sets.isna().to_numpy()].iloc[0]
        raise InputError(f"{unknown} is of a slide outside BreakHis; the official folds do not place it.")
    return pd.Series((sets == "test").to_numpy(), index=fields.index)
