"""What the paper prints: Tables 1 to 4 as data frames. All that it claims, cell by cell, is in paper.toml.

Source: Shin Kim and Kyoungro Yoon, "Cancer Histopathological Image Classification based on
Convolutional Neural Network" (in Korean), Konkuk University. The paper prints no year.
"""

import functools
import tomllib
from importlib import resources

import pandas as pd


@functools.cache
def _cells(table):
    """The cells of a table, in its order: a series, indexed by the parts of their keys."""
    text = resources.files(__package__).joinpath("paper.toml").read_text(encoding="utf-8")
    cells = {}
    for claim in tomllib.loads(text)["claims"]:
        name, *parts = (int(part) if part.isdecimal() else part for part in claim["key"].split("-", 2))
        if name == table:
            cells[tuple(parts) if parts[1:] else parts[0]] = claim["value"]
    return pd.Series(cells)


def table1():
    """ImageNet accuracy of the two networks as a share (paper, section 2, Table 1)."""
    return _cells("table1").unstack(0).rename_axis("measure")


def table2():
    """Number of BreakHis images by magnification (paper, section 4, Table 2)."""
    return _cells("table2").unstack().rename_axis("magnification")


def table3():
    """The machine that the paper trained on (paper, section 5, Table 3)."""
    return _cells("table3").rename("paper")


def table4():
    """Test accuracy in percent by magnification (paper, section 5, Table 4)."""
    return _cells("table4").rename("accuracy").rename_axis("magnification")
