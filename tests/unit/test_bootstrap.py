"""Intervals are as wide as theory says, and comparing is fair."""

from __future__ import annotations

import pytest
import torch
from scipy.stats import binom

from goodfit.evaluation.bootstrap import Interval, compare, interval, intervals, resamples

N = 400
METRICS = {"accuracy": lambda p, t: (p.argmax(1) == t).float().mean()}


def answers(share: float, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Predictions of which exactly this share is right."""
    target = torch.randint(2, (N,), generator=torch.Generator().manual_seed(seed))
    wrong = torch.randperm(N, generator=torch.Generator().manual_seed(seed + 1))[
        : round((1 - share) * N)
    ]
    said = target.clone()
    said[wrong] = 1 - said[wrong]
    return torch.nn.functional.one_hot(said, 2).float(), target


@pytest.mark.parametrize("share", [0.6, 0.9])
def test_the_interval_of_a_share_is_the_binomial_one(share: float) -> None:
    prediction, target = answers(share, 0)
    found = intervals(METRICS, prediction, target, resamples(N, 4000, 0))["accuracy"].interval
    low, high = binom.ppf([0.025, 0.975], N, share) / N
    assert (found.value, found.low, found.high) == pytest.approx((share, low, high), abs=0.006)


def test_equal_seeds_draw_the_same_test_sets() -> None:
    assert torch.equal(resamples(50, 20, 3), resamples(50, 20, 3))


def test_comparing_is_antisymmetric() -> None:
    (one, target), (other, _) = answers(0.9, 0), answers(0.75, 0)
    draws = resamples(N, 500, 0)
    first, second = (intervals(METRICS, p, target, draws)["accuracy"] for p in (one, other))
    there, here = compare(first, second, "max"), compare(second, first, "max")
    assert there[0] == -here[0] == 1
    assert there[1].value == -here[1].value
    assert (there[1].low, there[1].high) == pytest.approx((-here[1].high, -here[1].low))


def test_a_lower_score_is_better_where_less_is_better() -> None:
    (one, target), (other, _) = answers(0.9, 0), answers(0.75, 0)
    draws = resamples(N, 500, 0)
    first, second = (intervals(METRICS, p, target, draws)["accuracy"] for p in (one, other))
    assert compare(first, second, "min")[0] == -1


def test_a_method_ties_with_itself_by_exactly_zero() -> None:
    prediction, target = answers(0.8, 0)
    scored = intervals(METRICS, prediction, target, resamples(N, 200, 0))["accuracy"]
    assert compare(scored, scored, "max") == (0, Interval(0.0, 0.0, 0.0))


def test_what_is_hard_for_both_cancels() -> None:
    """One method is right wherever the other is, and on 8 more samples: certain, though the
    intervals overlap.
    """
    prediction, target = answers(0.8, 0)
    better = prediction.clone()
    wrong = (prediction.argmax(1) != target).nonzero().flatten()[:8]
    better[wrong] = better[wrong].flip(1)
    draws = resamples(N, 1000, 0)
    first, second = (intervals(METRICS, p, target, draws)["accuracy"] for p in (better, prediction))
    assert first.interval.low < second.interval.high
    assert compare(first, second, "max")[0] == 1


def test_the_interval_holds_95_percent_of_the_values() -> None:
    values = torch.linspace(0, 1, 1001).numpy()
    found = interval(0.5, values)
    assert (found.low, found.high) == pytest.approx((0.025, 0.975))
