"""What the paper prints: Tables 1 to 4 as data frames, each cell with its place in the paper.

Source: Shin Kim and Kyoungro Yoon, "Cancer Histopathological Image Classification based on
Convolutional Neural Network" (in Korean), Konkuk University. The paper prints no year.
"""

from importlib import resources

import pandas as pd

MAGNIFICATIONS = (40, 100, 200, 400)  # of Tables 2 and 4


def table1():
    """ImageNet accuracy of the two networks as a share (paper, section 2, Table 1)."""
    return pd.DataFrame(
        {"Inception V3": [0.782, 0.941], "Xception": [0.790, 0.945]},
        index=pd.Index(["top-1 accuracy", "top-5 accuracy"], name="measure"),
    )


def table2():
    """Number of BreakHis images by magnification (paper, section 4, Table 2)."""
    return pd.DataFrame(
        {"benign": [625, 644, 623, 588], "malignant": [1370, 1437, 1390, 1232], "total": [1995, 2081, 2013, 1820]},
        index=pd.Index(MAGNIFICATIONS, name="magnification"),
    )


def table3():
    """The machine that the paper trained on (paper, section 5, Table 3)."""
    return pd.Series(
        {"operating system": "Ubuntu 16.04 LTS", "GPU": "GeForce GTX 980 Ti", "framework": "Keras, TensorFlow"},
        name="paper",
    )


def table4():
    """Test accuracy in percent by magnification (paper, section 5, Table 4)."""
    return pd.Series(
        [96.47, 98.30, 96.31, 91.06], index=pd.Index(MAGNIFICATIONS, name="magnification"), name="accuracy"
    )


def sentences():
    """Every sentence of the paper that claims something, in our words; its tables' numbers are `numbers`.

    Returns a data frame, index key, columns place and claim.
    """
    with resources.files(__package__).joinpath("paper_sentences.csv").open(encoding="utf-8") as stream:
        return pd.read_csv(stream, index_col="key")


def numbers():
    """Every cell of Tables 1 to 4.

    Returns a data frame, index key (such as table4-40), columns place, claim and value (a number, or words in Table 3).
    """
    rows = {}
    for network, column in table1().items():
        for measure, value in column.items():
            rows[f"table1-{network}-{measure}"] = ("Table 1", f"{network}, {measure} on ImageNet: {value:.3f}", value)
    for magnification, row in table2().iterrows():
        for name, value in row.items():
            rows[f"table2-{magnification}-{name}"] = ("Table 2", f"x{magnification}, {name}: {value:,} images", value)
    for name, value in table3().items():
        rows[f"table3-{name}"] = ("Table 3", f"{name}: {value}", value)
    for magnification, value in table4().items():
        rows[f"table4-{magnification}"] = ("Table 4", f"x{magnification}: test accuracy {value:.2f} %", value)
    return pd.DataFrame.from_dict(rows, orient="index", columns=["place", "claim", "value"]).rename_axis("key")
