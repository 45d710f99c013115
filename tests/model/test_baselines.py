import numpy as np
import pandas as pd
import pytest
from PIL import Image

from breakhis_lib.data import splits
from breakhis_lib.errors import InputError
from breakhis_lib.model import baselines


def fields(slides=12, images=5):
    rows = [(f"{slide}-{image}", str(slide), slide % 2) for slide in range(slides) for image in range(images)]
    table = pd.DataFrame(rows, columns=["file", "slide", "label"])
    return table.assign(label_name=table.label.map({0: "benign", 1: "malignant"}), magnification=200)


def test_colour_is_mean_and_deviation_of_each_channel(tmp_path):
    pixels = np.zeros((70, 80, 3), np.uint8)
    pixels[:35] = (200, 100, 50)
    Image.fromarray(pixels).save(tmp_path / "SOB_B_A-14-1-40-001.png")
    found = baselines.colour(pd.DataFrame({"path": [tmp_path / "SOB_B_A-14-1-40-001.png"]}))
    assert found.tolist() == [[100, 50, 25, 100, 50, 25]]


def test_a_control_learns_what_is_there_and_not_what_is_not():
    table, random = fields(), np.random.default_rng(0)
    sets = splits.draw(table, "slide", 0)
    telling = table.label.to_numpy()[:, None] + random.normal(0, 0.1, (len(table), 3))
    silent = random.normal(size=(len(table), 3))
    learned = baselines.fit_logistic(telling, table, sets)
    assert ((learned.predictions.p_malignant > 0.5) == table.label).all()
    assert learned.head is None
    unlearned = baselines.fit_logistic(silent, table, sets).predictions
    assert abs(unlearned.p_malignant - 0.5).max() < 0.45
    assert learned.history.val_loss.min() < 0.2


@pytest.mark.parametrize("unit", ["file", "slide"])
def test_shuffled_labels_keep_their_numbers_and_lose_their_meaning(unit):
    table = fields(slides=40)
    found = baselines.shuffled(table, unit)
    assert found.label.sum() == table.label.sum()
    assert (found.label_name == found.label.map({0: "benign", 1: "malignant"})).all()
    assert 0.3 < (found.label == table.label).mean() < 0.7
    assert (found.groupby("slide").label.nunique() == 1).all() == (unit == "slide")
    assert baselines.shuffled(table, unit).label.equals(found.label)


def test_inputs_of_other_fields_and_slides_that_are_missing_are_refused():
    table = fields()
    with pytest.raises(InputError, match="61 features do not belong to 60 fields"):
        baselines.fit_logistic(np.zeros((61, 3)), table, splits.draw(table, "slide", 0))
    with pytest.raises(InputError, match="no slide in row 0"):
        baselines.shuffled(table.assign(slide=None), "slide")
