"""The verdict is the strong baseline's, and a trivial one that is better is not passed over."""

from __future__ import annotations

import numpy as np
import pytest

from goodfit.evaluation.bootstrap import Resampled, interval
from goodfit.evaluation.verdict import verdict
from goodfit.records import Role, Verdict

SPREAD = np.linspace(-0.01, 0.01, 101)  # of the resampled values about the value
UNITS = 1_000_000  # so many that what test may not hold is next to nothing


def scored(value: float) -> dict[str, Resampled]:
    values = value + SPREAD
    own = interval(value, values, UNITS)
    return {"score": Resampled(own, values, units=UNITS, alike=UNITS, span=1.0)}


def against(strong: float, trivial: float, mode: str = "max") -> Verdict:
    """The verdict on a network that scores 0.8."""
    baselines: dict[str, tuple[Role, dict[str, Resampled]]] = {
        "chance": ("trivial", scored(trivial)),
        "forest": ("strong", scored(strong)),
    }
    return verdict("score", mode, scored(0.8), baselines)


@pytest.mark.parametrize(
    ("mode", "strong", "word"),
    [
        ("max", 0.7, "beats"),
        ("max", 0.8, "ties with"),
        ("max", 0.9, "loses to"),
        ("min", 0.7, "loses to"),
        ("min", 0.9, "beats"),
    ],
)
def test_the_word_is_about_the_strong_baseline(mode: str, strong: float, word: str) -> None:
    said = against(strong, 0.5, mode)
    assert said.word == word
    assert said.text.startswith(f"the network {word} forest: score 0.800 [0.790, 0.810] against ")


@pytest.mark.parametrize(("trivial", "worse"), [(0.5, False), (0.8, False), (0.9, True)])
def test_a_network_that_is_worse_than_a_trivial_baseline_is_told_so(
    trivial: float, worse: bool
) -> None:
    said = against(0.7, trivial)
    assert said.worse_than_trivial is worse
    assert ("it is worse than chance" in said.text) is worse


def test_the_difference_is_paired_and_counts_up_where_the_network_is_better() -> None:
    """Both move together on each resampled test set, so their difference does not move."""
    forest = next(item for item in against(0.7, 0.5).against if item.title == "forest")
    bounds = (forest.difference.low, forest.difference.value, forest.difference.high)
    assert bounds == pytest.approx((0.1, 0.1, 0.1), abs=1e-5)
