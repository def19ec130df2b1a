"""The share of what a network knows on train that it does not know on validation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from goodfit.evaluation.bootstrap import Resampled
from goodfit.evaluation.evidence import NETWORK, Split, lost
from goodfit.records.interval import Interval

Array = np.ndarray[Any, Any]
UNITS = 270
DRAWS = np.random.default_rng(0).normal(size=(2, 1000))


def split(network: float, deviations: Array) -> Split:
    """Accuracies: the trivial baseline's is 0.1 in each draw, the network's varies by 0.03."""

    def of(value: float, values: Array) -> Resampled:
        around = Interval(value, value - 0.06, value + 0.06)
        return Resampled(around, values, UNITS, UNITS, 1.0)

    trivial = of(0.1, np.full(len(deviations), 0.1))
    return Split({NETWORK: of(network, network + 0.03 * deviations), "trivial": trivial}, UNITS)


def test_what_is_known_on_train_almost_surely_has_a_share() -> None:
    """In a few of a thousand draws the network knows nothing on train."""
    train, validation = split(0.18, DRAWS[0]), split(0.11, DRAWS[1])
    known = train.of[NETWORK].values - 0.1
    assert 0 < (known <= 0).sum() < 25
    share = lost(train, validation, "trivial", "max")
    assert share is not None
    assert share.value == pytest.approx(1 - 0.01 / 0.08)
    assert share.low < share.value < share.high
    assert np.isfinite([share.low, share.high]).all()


def test_of_what_may_be_nothing_there_is_no_share() -> None:
    assert lost(split(0.14, DRAWS[0]), split(0.11, DRAWS[1]), "trivial", "max") is None
