"""Intervals hold what they promise, whatever the network is like."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from small_tasks import made, spec

from goodfit.contract import Field
from goodfit.errors import UserError
from goodfit.task.conformal import chart, check_samples, interval_score, margin
from goodfit.task.quantile import pinball

NUMBER = spec("number", 1, Field((), "float32", (0.0,), (1.0,)))


def test_the_margin_is_the_miss_of_the_rank_that_the_theorem_names() -> None:
    misses = torch.arange(1.0, 10.0)  # of nine, 0.9 * 10 is the ninth
    assert margin(misses, 0.9) == 9.0
    assert margin(misses, 0.8) == 8.0
    assert margin(misses, 0.75) == 8.0  # 7.5, rounded up
    assert margin(misses.flip(0), 0.5) == 5.0


def test_too_few_samples_of_validation_are_refused_with_how_many_it_takes() -> None:
    check_samples(9, 0.9, "do less")
    with pytest.raises(UserError, match=r"8 samples, an interval that holds 0.9 of all takes 9"):
        check_samples(8, 0.9, "do less")


@pytest.mark.parametrize("name", ["regression", "quantile"])
@pytest.mark.parametrize("coverage", [0.8, 0.9])
def test_new_samples_are_held_as_often_as_promised(name: str, coverage: float) -> None:
    """Of a network that knows nothing of the noise: over 400 validations of 50 samples each."""
    tails = (1 - coverage) / 2
    options = {"interval": coverage} if name == "regression" else {}
    if name == "quantile":
        options = {"quantiles": [tails, 0.5, 1 - tails]}
    task = made(name, NUMBER, **options)
    generator = torch.Generator().manual_seed(0)
    held = []
    for _ in range(400):
        truth, noise = torch.randn(2, 100, generator=generator)
        guess = truth if name == "regression" else torch.stack([truth - 0.1, truth, truth + 0.1], 1)
        target = truth + 0.5 * noise
        own = task.calibrated(task.statistics(guess[:50], target[:50]))
        low, high = own.bounds(guess[50:])
        held.append(float(((low <= target[50:]) & (target[50:] <= high)).float().mean()))
    assert np.mean(held) == pytest.approx(coverage + 0.5 / 51, abs=0.012)


def test_outer_quantiles_that_promise_too_little_come_nearer() -> None:
    task = made("quantile", NUMBER)
    guess = torch.tensor([[-9.0, 0.0, 9.0]]).repeat(40, 1)
    target = torch.linspace(-1, 1, 40)
    own = task.calibrated(task.statistics(guess, target))
    assert float(own.margin) < -7
    low, high = own.bounds(guess)
    assert (low <= high).all()


def test_the_interval_score_is_least_for_the_true_quantiles() -> None:
    target = torch.randn(20_000, generator=torch.Generator().manual_seed(1))
    ends = torch.linspace(0.5, 3, 26)
    scores = [float(interval_score(-end, end, target, 0.9).mean()) for end in ends]
    assert float(ends[int(np.argmin(scores))]) == pytest.approx(1.645, abs=0.1)


def test_coverage_is_shown_before_and_after_and_by_the_size_of_the_prediction() -> None:
    prediction, target = torch.arange(10.0), torch.arange(10.0) + torch.tensor([0.5, 1.5] * 5)
    bounds = {
        "calibrated": (prediction - 2, prediction + 2),
        "as learned": (prediction - 1, prediction + 1),
    }
    drawn = chart(prediction, target, bounds, 0.9)
    assert drawn.title == ("Coverage of test: 100.0% calibrated, 50.0% as learned; 90.0% expected")
    assert drawn.data["curves"] == [["calibrated", [1.0] * 5], ["as learned", [0.5] * 5]]


def test_a_quantile_alone_has_no_interval() -> None:
    task = made("quantile", NUMBER, quantiles=[0.5])
    assert list(task.scores) == ["pinball"]
    assert list(task.decode(torch.zeros(2, 1))) == ["q50"]


def test_answers_have_the_ends_of_the_interval() -> None:
    task = made("quantile", NUMBER)
    task.margin = torch.tensor(0.5)
    table = task.decode(torch.tensor([[1.0, 2.0, 3.0]]))
    assert table.to_dict("records") == [
        {"q10": 1.0, "q50": 2.0, "q90": 3.0, "low": 0.5, "high": 3.5}
    ]


def test_a_point_forecast_is_given_the_quantiles_of_its_errors() -> None:
    """Of errors that are those of a normal distribution, each quantile is near the true one."""
    task = made("quantile", NUMBER)
    generator = torch.Generator().manual_seed(0)
    guess = 10 * torch.randn(40_000, generator=generator)
    target = guess + 2 + torch.randn(40_000, generator=generator)
    own = task.calibrated(task.statistics(guess[:20_000], target[:20_000]))
    statistics = own.statistics(guess[20_000:], target[20_000:])
    errors = (statistics["prediction"] - guess[20_000:, None]).mean(0)
    true = 2 + torch.distributions.Normal(0, 1).icdf(own.levels)
    assert errors.tolist() == pytest.approx(true.tolist(), abs=0.03)
    # no other forecast whose errors do not depend on the sample loses less
    least = pinball(guess[20_000:, None] + true, target[20_000:], own.levels).mean()
    assert float(statistics["pinball"].mean()) == pytest.approx(float(least), rel=0.002)
    low, high = own.bounds(statistics["prediction"])
    held = ((low <= target[20_000:]) & (target[20_000:] <= high)).float().mean()
    assert float(held) == pytest.approx(own.coverage, abs=0.01)


def test_an_answer_without_a_logarithm_has_an_interval_all_the_same() -> None:
    """A linear baseline may answer a price below 0."""
    task = made("regression", NUMBER, interval=0.5, transform="log")
    task.learn({"target": np.exp(np.linspace(0, 4, 50))}, held_out=50)
    guess = torch.linspace(-5, 50, 40)
    own = task.calibrated(task.statistics(guess, torch.linspace(1, 54, 40)))
    low, high = own.bounds(guess)
    assert torch.isfinite(low).all()
    assert torch.isfinite(high).all()
    assert (low <= guess).all()
    assert (guess <= high).all()
