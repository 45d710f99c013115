"""What must be true of a data frame that a user hands over, checked once, at the door of what takes one."""

import pandas as pd

from breakhis_lib.errors import InputError


def check_fields(fields, *columns):
    """Raise InputError unless `fields` has rows, an index without repeats, these columns, and no slide that is missing.

    fields: data frame of `dataset.scan`. columns: names that the caller needs.
    """
    _check(fields, "fields", ["file", "slide", "label", *columns])
    if not fields.index.is_unique:
        twice = fields.index[fields.index.duplicated()][0]
        raise InputError(f"the fields' index holds {twice} twice; join tables with pd.concat(..., ignore_index=True).")


def check_training(inputs, fields, sets):
    """Raise InputError unless the fields are sound, `sets` has their index, and each has one of the inputs.

    inputs: what a classifier sees. fields: as for `check_fields`. sets: what `splits.draw` returns.
    """
    check_fields(fields)
    if not isinstance(sets, pd.Series) or not sets.index.equals(fields.index):
        raise InputError("the sets are not indexed like the fields; draw them with splits.draw from these fields.")
    if len(inputs) != len(fields):
        raise InputError(f"{len(inputs)} features do not belong to {len(fields)} fields; extract them anew.")


def check_predictions(predictions, *columns):
    """Raise InputError unless `predictions` has rows, these columns, p_<class> in [0, 1], and no slide that is missing.

    predictions: data frame of `records.Record.predictions`. columns: names that the caller needs.
    """
    _check(predictions, "predictions", ["label", *columns])
    shares = predictions.filter(regex="^p_")
    if shares.empty:
        raise InputError("the predictions have no column p_<class>, for instance p_malignant.")
    if not shares.ge(0).all(axis=None) or not shares.le(1).all(axis=None):
        raise InputError("the predictions hold a probability outside 0 to 1, or none; look at their p_ columns.")


def _check(table, name, columns):
    if not isinstance(table, pd.DataFrame):
        raise InputError(f"the {name} are a {type(table).__name__}; expected a pandas data frame.")
    missing = [column for column in columns if column not in table]
    if missing:
        raise InputError(f"the {name} have no column {', '.join(missing)}; they have {', '.join(map(str, table))}.")
    if table.empty:
        raise InputError(f"the {name} have no row.")
    lacking = table.index[table.slide.isna()] if "slide" in table else []
    if len(lacking):
        raise InputError(f"the {name} have no slide in row {lacking[0]}; give every image the slide it is from.")
