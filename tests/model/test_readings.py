import pytest

from breakhis_lib.errors import InputError
from breakhis_lib.model import readings


@pytest.mark.parametrize(
    ("settings", "size", "names", "message"),
    [
        ({"dropout": 1.5}, (96, 96), (), r"dropout is 1\.5"),
        ({"dropout": float("nan")}, (96, 96), (), "dropout is nan"),
        ({"learning_rate": float("nan")}, (96, 96), (), "learning_rate is nan"),
        ({"batch_norm": "frozen"}, (96, 96), (), "'frozen'.*inference or batch"),
        ({"augment": True}, (96, 146), (), "augment needs a square size, not 96x146"),
        ({}, (0, 0), (), "size 0x0 is too small"),
        ({}, (299, 70), (), "size 299x70 is too small.*71"),
        ({}, (96, 96), ("block14", "blokc14"), "'blokc14'.*block14.*logistic"),
        ({"batch_norm": "batch"}, (96, 96), ("block14", "sepconv4"), "reading sepconv4 trains no BatchNorm layer"),
        ({"batch_norm": "batch"}, (96, 96), ("probe",), "reading probe trains no BatchNorm layer"),
    ],
)
def test_what_cannot_be_trained_is_refused_by_name(settings, size, names, message):
    with pytest.raises(InputError, match=message):
        readings.validate(readings.Settings(**settings), size, names)


def test_what_can_be_trained_is_not_refused():
    readings.validate(readings.Settings(), names=(*readings.READINGS, *readings.METHODS))
    readings.validate(readings.Settings(batch_norm="batch"), names=("block14", "logistic"))
    readings.validate(readings.Settings(augment=True, dropout=0.0), (71, 71))
