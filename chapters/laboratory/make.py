"""features.csv, what Xception sees of every practice slide: python chapters/laboratory/make.py.

One row a simulated image: every sixty-fourth of the 2,048 averages over the image of Xception's
last layer, at 112 x 112 pixels, in hundredths. The page *A split laboratory* trains on them in the
reader's browser.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from breakhis_lib import cache, practice
from breakhis_lib.data import dataset
from breakhis_lib.model import features

EVERY, SIZE = 64, (112, 112)


def table(fields):
    """The rows of some fields, a data frame of whole numbers with the file as index."""
    found, _ = features.extract(dataset.add_digests(fields), "probe", size=SIZE)
    averages = np.asarray(found.take(np.arange(len(fields))), float)[:, ::EVERY]
    return pd.DataFrame(np.round(100 * averages).astype(int), pd.Index(fields.file, name="file"))


if __name__ == "__main__":
    slides = dataset.scan(practice.make(cache.folder() / "practice"))
    table(slides).to_csv(Path(__file__).with_name("features.csv"), lineterminator="\n")
