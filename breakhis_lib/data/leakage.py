"""What a test set shares with the images that made the model.

A test image whose slide, slide number, twin or other magnification was seen in training or validation asks an
easier question than the one that matters: a patient never seen.
"""

import pandas as pd

from breakhis_lib.data import splits
from breakhis_lib.data.dataset import TWIN_SLIDE


def audit(fields, sets):
    """Count the test images that share something with the training or the validation set.

    fields: data frame of `dataset.scan`. sets: what `splits.draw` returns.
    Returns a series of counts of test images: all; those with such an image of the same slide; of the same
    slide number; those whose twin of slide 13412 (same magnification and sequence, other sub-type) is among
    them; those with such an image of the same slide and sequence at another magnification.
    """
    seen, test = fields[sets != "test"], fields[sets == "test"]

    def shared(columns, among=seen, rows=test):
        return int(pd.MultiIndex.from_frame(rows[columns]).isin(pd.MultiIndex.from_frame(among[columns])).sum())

    twins = ["magnification", "sequence"]
    twin_count = sum(
        shared(twins, seen[(seen.slide == TWIN_SLIDE) & (seen.subtype != subtype)], rows)
        for subtype, rows in test[test.slide == TWIN_SLIDE].groupby("subtype")
    )
    same_view = ["slide", "sequence"]
    # A test image's own magnification does not count, so it is left out of the other side one by one.
    kin = sum(
        shared(same_view, seen[seen.magnification != magnification], rows)
        for magnification, rows in test.groupby("magnification")
    )
    counts = {"test images": len(test), "share a slide": shared(["slide"]), "share a slide number": shared(["number"])}
    counts |= {"have a twin": twin_count, "share a field at another magnification": kin}
    return pd.Series(counts, name="test images")


def table(fields, protocols, seeds):
    """The audit of many splits.

    fields: data frame of `dataset.scan` or `dataset.official`. protocols, seeds: as for `splits.draw`. Returns a data
    frame, index protocol and seed, the columns of `audit`. Raises InputError as `splits.draw`.
    """
    rows = {
        (protocol, seed): audit(fields, splits.draw(fields, protocol, seed)) for protocol in protocols for seed in seeds
    }
    return pd.DataFrame(rows).T.rename_axis(["protocol", "seed"])


def both_sides(fields, sets, unit="slide"):
    """The slides (or slide numbers) of which a split holds images on both sides.

    fields, sets: as for `audit`. unit: slide or number. Returns a data frame, index the unit's name, columns seen
    (images in training or validation) and test (images).
    """
    side = sets.eq("test").map({True: "test", False: "seen"})
    counts = pd.crosstab(fields[unit], side).reindex(columns=["seen", "test"], fill_value=0)
    return counts[(counts > 0).all(axis=1)].rename_axis(columns=None)
