"""What the paper prints: Tables 1 to 4 as data frames, each cell with its place in the paper.

Source: Shin Kim and Kyoungro Yoon, "Cancer Histopathological Image Classification based on
Convolutional Neural Network" (in Korean), Konkuk University. The paper prints no year.
"""

import pandas as pd

MAGNIFICATIONS = (40, 100, 200, 400)


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
        {
            "operating system": "Ubuntu 16.04 LTS",
            "GPU": "GeForce GTX 980 Ti",
            "framework": "Keras, TensorFlow",
        },
        name="paper",
    )


def table4():
    """Test accuracy in percent by magnification (paper, section 5, Table 4)."""
    return pd.Series(
        [96.47, 98.30, 96.31, 91.06], index=pd.Index(MAGNIFICATIONS, name="magnification"), name="accuracy"
    )
