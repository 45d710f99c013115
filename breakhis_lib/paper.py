"""What the paper prints: Tables 1 to 4 as data frames, each cell with its place in the paper.

Source: Shin Kim and Kyoungro Yoon, "Cancer Histopathological Image Classification based on
Convolutional Neural Network" (in Korean), Konkuk University. The paper prints no year.
"""

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


def sentences():
    """Every sentence of the paper that claims something, in our words; its tables' numbers are `numbers`.

    Returns a data frame, index key, columns place and claim.
    """
    rows = {
        "accuracy-rose": ("abstract", "Neural networks have made classification visibly more accurate of late."),
        "spread": ("abstract", "Deep learning influences other fields, medicine among them."),
        "errors-fatal": ("abstract", "A wrong answer on a medical image can be fatal, so high accuracy is needed."),
        "abstract-high": ("abstract", "The method classifies the images with high accuracy."),
        "kinds": ("section 1", "Medicine has images of many kinds: MRI, microscope, ordinary RGB."),
        "cost": ("section 1", "A false negative costs much, so classification must be highly accurate."),
        "suits": ("section 1", "Networks of convolutions reach very high accuracy and therefore suit medicine."),
        "most-used": ("section 2", "Networks of convolutions are the technique most used for image classification."),
        "deep-learning": ("section 2", "Deep learning has improved networks of convolutions enormously."),
        "winner": ("section 2", "GoogLeNet won the ILSVRC of 2014."),
        "reduction": (
            "section 2",
            "GoogLeNet's Inception module reduces the dimension of the features, so that a network gets deep without "
            "much more computation.",
        ),
        "inception-v3": ("section 2", "From changes to the Inception module came Inception V3, which is much used."),
        "same-structure": ("section 2", "Xception has the same structure as Inception V3."),
        "separable": ("section 2", "Instead of ordinary convolutions, Xception has depthwise separable ones."),
        "independent": (
            "section 2", "Separable convolutions assume that spatial and cross-channel information are independent."
        ),
        "cheaper": (
            "section 2",
            "For an image of the same size, separable convolutions take less computation than ordinary ones.",
        ),
        "residual": ("section 2", "Residual connections were added to Xception."),
        "more-accurate": ("section 2", "Residual connections made Xception more accurate than Inception V3."),
        "many": ("section 3", "Many networks of high accuracy exist, trained on ImageNet."),
        "unlike": ("section 3", "Networks trained on ImageNet lose accuracy on data unlike ImageNet."),
        "retrain": ("section 3", "To raise the accuracy on new data, the network must be trained on them again."),
        "definition": ("section 3", "Fine-tuning computes a part of the weights anew and leaves the rest."),
        "both-sets": ("section 3", "Fine-tuning finds weights that classify training and validation set well."),
        "magnifications": ("section 4", "BreakHis holds breast tumour images at x40, x100, x200 and x400."),
        "figure-1": ("Figure 1", "Examples of BreakHis images."),
        "borrowed": ("section 4", "A pre-trained Xception was used."),
        "top-four": ("section 4", "The top 4 layers of Xception were fine-tuned."),
        "softmax": ("section 4", "The output is the probability of each label, by softmax."),
        "three-sets": ("section 5", "Training, validation and test sets share no image."),
        "average": ("section 5", "The accuracy is about 96 % on average."),
        "x400-lower": ("section 5", "At x400 the accuracy is lower than at the other magnifications."),
        "x400-why": ("section 5", "It is lower there presumably because an enlarged image holds less information."),
        "conclusion-high": ("section 6", "Benign and malignant can be told apart with high accuracy."),
        "other-images": ("section 6", "The method should be developed for MRI, X-ray and other medical images."),
        "sub-diseases": ("section 6", "The method should be developed until it tells sub-diseases apart."),
    }  # fmt: skip
    return pd.DataFrame.from_dict(rows, orient="index", columns=["place", "claim"]).rename_axis("key")


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
