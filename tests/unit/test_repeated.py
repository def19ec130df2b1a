"""Intervals over folds and seeds hold the truth as often as they say, also where units depend."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

from goodfit.evaluation.repeated import over_folds, over_seeds

Array = np.ndarray[Any, Any]
TIMES = 2000  # a share of 0.95 is then known to 0.01
FREE: Any = {"units": 100, "limits": (-np.inf, np.inf)}


def covered(estimates: list[Any], truth: float) -> float:
    """The share of intervals that hold the truth."""
    return float(np.mean([e.interval.low <= truth <= e.interval.high for e in estimates]))


def test_the_corrected_t_is_that_of_the_paper_by_hand() -> None:
    scores = np.array([[0.7], [0.8], [0.9], [0.6], [0.75]])
    found = over_folds(scores, [20] * 5, [80] * 5, **FREE)
    error = scores.std(ddof=1) * np.sqrt(1 / 5 + 20 / 80)
    assert found.error == pytest.approx(error)
    assert found.interval.high == pytest.approx(0.75 + stats.t.ppf(0.975, 4) * error)
    assert found.p == pytest.approx(2 * stats.t.sf(0.75 / error, 4))


def test_seeds_of_a_fold_are_averaged_and_count_as_no_further_fold() -> None:
    means = np.array([0.7, 0.8, 0.9])
    seeds = means[:, None] + np.array([-0.1, 0.0, 0.1])
    once = over_folds(means[:, None], [1] * 3, [2] * 3, **FREE)
    assert over_folds(seeds, [1] * 3, [2] * 3, **FREE).error == pytest.approx(once.error)


@pytest.mark.slow
@pytest.mark.parametrize("folds", [3, 5, 10])
def test_scores_that_correlate_as_nadeau_and_bengio_assume_are_covered_as_the_interval_says(
    folds: int,
) -> None:
    rng = np.random.default_rng(folds)
    shared = np.sqrt(1 / folds)  # correlation n_test / (n_test + n_train) is 1 / K
    estimates = []
    for _ in range(TIMES):
        own = rng.normal(size=folds) * np.sqrt(1 - 1 / folds)
        scores = 0.8 + own + shared * rng.normal()
        estimates.append(over_folds(scores[:, None], [1] * folds, [folds - 1] * folds, **FREE))
    assert 0.93 <= covered(estimates, 0.8) <= 0.97


def test_real_folds_of_dependent_units_are_covered_at_least_as_often_as_the_interval_says() -> None:
    """Theory promises no more: folds of a learner that hardly changes correlate less than assumed.

    A mean of 40 units of 3 rows each, learned on four fifths of the units; its error is squared.
    """
    rng = np.random.default_rng(0)
    units, rows, folds = 40, 3, 5
    estimates = []
    for _ in range(TIMES):
        values = rng.normal(size=(units, 1)) + 0.5 * rng.normal(size=(units, rows))
        parts = values.reshape(folds, -1, rows)
        means = (values.sum() - parts.sum((1, 2))) / (rows * (units - units // folds))
        scores = ((parts - means[:, None, None]) ** 2).mean((1, 2))
        estimates.append(over_folds(scores[:, None], [24] * folds, [96] * folds, **FREE))
    truth = 1.25 + (1 + 0.25 / rows) / (units - units // folds)
    assert 0.93 <= covered(estimates, truth) <= 0.995


def crossed(
    rng: np.random.Generator, seeds: int, of_seed: float, of_unit: float, of_both: float
) -> Any:
    """The estimate of a mean that is 0, of 40 units of 4 rows, by 100 resampled sets."""
    units, rows = 40, 4
    of_rows = of_unit * rng.normal(size=(1, units, 1)) + rng.normal(size=(1, units, rows))
    scores = of_rows + of_seed * rng.normal(size=(seeds, 1, 1))
    scores = (scores + of_both * rng.normal(size=(seeds, units, rows))).mean(2)
    counts = rng.multinomial(units, np.full(units, 1 / units), size=100)
    return over_seeds(scores @ counts.T / units, scores.mean(1).tolist(), units, FREE["limits"])


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [3, 5])
@pytest.mark.parametrize(
    ("of_seed", "of_unit", "of_both"),
    [(0.0, 1.0, 0.0), (1.0, 0.3, 0.3), (0.2, 1.0, 1.0), (0.1, 0.0, 2.0)],
    ids=["samples alone", "seeds above all", "both", "their interaction"],
)
def test_seeds_and_dependent_samples_are_covered_as_the_interval_says(
    seeds: int, of_seed: float, of_unit: float, of_both: float
) -> None:
    rng = np.random.default_rng(seeds)
    estimates = [crossed(rng, seeds, of_seed, of_unit, of_both) for _ in range(TIMES)]
    assert 0.93 <= covered(estimates, 0.0) <= 0.97


@pytest.mark.parametrize("score", [0.0, 1.0])
def test_equal_scores_leave_room_for_what_was_not_drawn(score: float) -> None:
    """0.025 ** (1 / 100): of a hundred samples, all right, 3.6 % of all may be wrong."""
    known: Any = {"units": 100, "limits": (0.0, 1.0)}
    of_folds = over_folds(np.full((5, 1), score), [20] * 5, [80] * 5, **known)
    of_seeds = over_seeds(np.full((3, 50), score), [score] * 3, **known)
    for found in (of_folds.interval, of_seeds.interval):
        assert found.high - found.low == pytest.approx(1 - 0.025 ** (1 / 100))
        assert found.low <= score <= found.high


@pytest.mark.parametrize(
    "give",
    [
        lambda: over_folds(np.ones((1, 3)), [1], [1], **FREE),
        lambda: over_seeds(np.ones((1, 9)), [1.0], **FREE),
    ],
)
def test_of_one_fold_or_seed_no_spread_is_known(give: Any) -> None:
    with pytest.raises(ValueError, match="expected at least 2"):
        give()
