"""Intervals of forecasts, of several numbers and of counts hold what they promise."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import tiny
import torch
from omegaconf import OmegaConf
from small_tasks import made, spec
from torch import Tensor

from goodfit.config.older import with_later_options
from goodfit.contract import DataSpec, Field
from goodfit.errors import UserError
from goodfit.evaluation.champion import _alike
from goodfit.reporting import error_charts
from goodfit.stages import own_series
from goodfit.task.base import Task
from goodfit.task.conformal import margin
from goodfit.task.scores import with_clusters
from goodfit.task.several import SeveralNumbers

SERIES = spec("series", 3, Field((3,), "float32", (10.0,), (4.0,)))
NUMBERS = replace(
    spec("numbers", 2, Field((2,), "float32", (0.0, 5.0), (1.0, 100.0))),
    facts={"target": ["price", "area"]},
)
COUNTS = spec("count", 1, Field((), "float32", (3.0,), (2.0,)))


def several(name: str, of_data: DataSpec, **options: object) -> SeveralNumbers:
    task = made(name, of_data, **{"interval": 0.9, **options})
    assert isinstance(task, SeveralNumbers)
    return task


def calibrated(task: Task, guess: Tensor, target: Tensor, clusters: Tensor | None = None) -> Task:
    known = task.statistics(guess, target)
    return task.calibrated(known if clusters is None else with_clusters(known, clusters))


def held(task: Task, guess: Tensor, target: Tensor) -> Tensor:
    """The share of targets (N, T) or (N,) within the bounds."""
    low, high = task.bounds(guess)  # type: ignore[operator]
    inside: Tensor = ((low <= target) & (target <= high)).float().mean(0)
    return inside


@pytest.mark.parametrize(("name", "data"), [("forecasting", SERIES), ("multivariate", NUMBERS)])
def test_each_number_has_a_width_of_its_own_that_holds_new_samples(
    name: str, data: DataSpec
) -> None:
    """Errors of one number are several times those of another, over 300 validations of 40."""
    task = several(name, data)
    spread = torch.arange(1.0, data.outputs + 1) ** 2
    generator = torch.Generator().manual_seed(0)
    shares, widths = [], []
    for _ in range(300):
        truth, noise = torch.randn(2, 140, data.outputs, generator=generator)
        target = truth + spread * noise
        own = calibrated(task, truth[:40], target[:40])
        shares.append(held(own, truth[40:], target[40:]))
        low, high = own.bounds(truth)
        widths.append((high - low)[0])
    # of rank 37 among 41
    assert torch.stack(shares).mean(0).tolist() == pytest.approx([37 / 41] * len(spread), abs=0.01)
    width = torch.stack(widths).mean(0)
    assert (width / width[0]).tolist() == pytest.approx(spread.tolist(), rel=0.05)


@pytest.mark.slow
@pytest.mark.parametrize("distribution", ["poisson", "negative_binomial"])
def test_a_count_lies_between_two_whole_numbers_as_often_as_promised(distribution: str) -> None:
    """More often where few are expected, for no whole numbers hold just nine tenths of these."""
    task = made("count", COUNTS, interval=0.9, distribution=distribution)
    generator = np.random.default_rng(0)
    shares = {1.0: 0.0, 60.0: 0.0}
    for mean in shares:
        for _ in range(200):
            expected = mean * generator.uniform(0.5, 2, 150)
            size = expected if distribution == "poisson" else generator.gamma(4, expected / 4)
            guess = torch.tensor(expected).float()
            counts = torch.tensor(generator.poisson(size)).float()
            own = calibrated(task, guess[:50], counts[:50])
            low, high = own.bounds(guess)
            assert torch.equal(low, low.round())
            assert (low >= 0).all()
            assert (low <= high).all()
            shares[mean] += float(held(own, guess[50:], counts[50:])) / 200
    assert 0.9 <= shares[1.0] <= 0.97
    assert shares[60.0] == pytest.approx(0.905, abs=0.015)


def test_an_interval_of_counts_is_as_wide_as_the_root_of_what_is_expected() -> None:
    task = made("count", COUNTS, interval=0.9)
    task.margin = torch.tensor(3.29)  # twice that of a normal variable: 2 sqrt(m) has variance 1
    low, high = task.bounds(torch.tensor([400.0, 40_000.0]))
    assert (high - low).tolist() == pytest.approx([2 * 3.29 * 20, 2 * 3.29 * 200], abs=2)
    assert task.decode(torch.tensor([0.0])).to_dict("records") == [
        {"value": 0.0, "low": 0, "high": 4}
    ]


def drawn(within: float, units: int, generator: np.random.Generator) -> np.ndarray:
    """Distances (units, 20), which share so much of their variance with those of their unit."""
    of_unit = generator.normal(size=(units, 1)) * within**0.5
    errors: np.ndarray = np.abs(of_unit + generator.normal(size=(units, 20)) * (1 - within) ** 0.5)
    return errors


@pytest.mark.slow
@pytest.mark.parametrize("units", [8, 20])
@pytest.mark.parametrize("within", [0.0, 0.3, 0.8])
def test_new_units_are_held_as_often_as_promised_where_samples_depend_on_each_other(
    within: float, units: int
) -> None:
    generator = np.random.default_rng(0)
    clusters = torch.arange(units).repeat_interleave(20)
    shares = []
    for _ in range(400):
        errors = drawn(within, units + 60, generator)
        reach = margin(torch.tensor(errors[:units].ravel()), 0.9, clusters=clusters)
        shares.append((errors[units:] <= reach).mean())
    assert 0.89 <= np.mean(shares) <= 0.92


def test_clusters_of_a_single_sample_change_nothing() -> None:
    misses = torch.rand(50, generator=torch.Generator().manual_seed(0))
    assert margin(misses, 0.9, clusters=torch.arange(50)) == margin(misses, 0.9)
    weight = torch.ones(50)
    assert margin(misses, 0.9, weight, torch.arange(50)) == margin(misses, 0.9, weight)


def test_units_that_are_alike_within_count_as_one_sample_each() -> None:
    """Ten equal rows of each of twelve units: the rank is that of twelve samples."""
    misses = torch.rand(12, generator=torch.Generator().manual_seed(1))
    rows, clusters = misses.repeat_interleave(10), torch.arange(12).repeat_interleave(10)
    assert margin(rows, 0.9, clusters=clusters) == margin(misses, 0.9)


def test_answers_have_the_ends_of_each_interval() -> None:
    task = several("multivariate", NUMBERS)
    task.margins = torch.tensor([1.0, 2.0])
    assert task.decode(torch.tensor([[3.0, 7.0]])).to_dict("records") == [
        {
            "price": 3.0,
            "area": 7.0,
            "low_price": 2.0,
            "low_area": -193.0,
            "high_price": 4.0,
            "high_area": 207.0,
        }
    ]


def test_two_columns_of_one_name_are_refused_before_training() -> None:
    data = replace(NUMBERS, facts={"target": ["price", "low_price"]})
    with pytest.raises(UserError, match=r"two columns 'low_price'.* or set task.interval=null"):
        several("multivariate", data).learn({}, held_out=50)


def test_a_validation_that_is_too_small_is_refused_with_what_to_do() -> None:
    with pytest.raises(UserError, match=r"8 samples, .* takes 9; .* null for none, or give val"):
        several("forecasting", SERIES).learn({}, held_out=8)


def test_new_series_get_an_interval_where_validation_can_calibrate_one() -> None:
    assert "task" not in own_series._sections({"validation": own_series._FEWEST - 1})
    asked = own_series._sections({"validation": own_series._FEWEST})
    assert asked["task"] == {"interval": 0.9}
    several("forecasting", SERIES, **asked["task"]).learn({}, held_out=own_series._FEWEST)


def test_in_training_there_is_no_interval_to_score() -> None:
    task = several("forecasting", SERIES)
    target = torch.zeros(2, 3)
    assert set(task.watch(target, target=target)) == {"prediction", "target"}
    assert set(task.statistics(target, target)) == {"prediction", "target", "interval_score"}
    assert set(task.metrics()) - set(task.watch_metrics()) == {"interval_score"}


def test_the_interval_score_is_in_the_unit_of_the_series_or_in_deviations() -> None:
    """Twice as wide as needed, and missed by one at one number of three: 2 / 0.1 of it more."""
    series, numbers = several("forecasting", SERIES), several("multivariate", NUMBERS)
    series.margins, numbers.margins = torch.ones(3), torch.ones(2)
    at, far = torch.zeros(1, 3), torch.tensor([[0.0, 0.0, 5.0]])
    score = series.metrics()["interval_score"]
    assert float(score(series.statistics(at, at))) == 8.0  # two margins of four
    assert float(score(series.statistics(at, far))) == pytest.approx(8 + 20 / 3)
    assert float(
        numbers.metrics()["interval_score"](numbers.statistics(at[:, :2], at[:, :2]))
    ) == pytest.approx(2.0)


@pytest.mark.parametrize("steps", [1, 3])
def test_coverage_is_drawn_by_step_beside_what_was_promised(steps: int) -> None:
    task = several("forecasting", spec("series", steps, Field((steps,), "float32", (0.0,), (1.0,))))
    task.margins = torch.ones(steps)
    guess = torch.zeros(10, steps)
    target = guess + torch.tensor([0.5, 1.5] * 5)[:, None]
    (chart,) = task.coverage(task.statistics(guess, target), "steps ahead")
    assert chart.title == "Coverage of test: 50.0% by the network; 90.0% expected"
    assert chart.data["curves"] == [["by the network", [0.5] * steps], ["expected", [0.9] * steps]]
    assert "steps ahead" in error_charts.draw(chart, unit=None, step=None).svg


def test_a_forecast_is_drawn_between_the_ends_of_its_interval_under_one_name() -> None:
    curves = {"truth": [1.0, 2.0], "network": [1.0, 1.0], "low": [0.0, 0.0], "high": [2.0, 2.0]}
    svg = error_charts.forecast("t", curves, unit=None, step=None)
    assert svg.count("curve band") == 3  # two curves, and a stroke of the legend
    assert svg.count(">interval<") == 1


def test_a_model_from_before_intervals_still_answers() -> None:
    """Its configuration says nothing of one, and its weights hold no margins."""
    cfg = tiny.cfg("electricity", task="forecasting")
    cfg.task.interval = 0.9
    old = OmegaConf.create({**cfg, "task": {k: v for k, v in cfg.task.items() if k != "interval"}})
    assert with_later_options(old).task.interval is None
    assert with_later_options(cfg).task.interval == 0.9


def test_a_champion_from_before_intervals_is_compared_by_what_both_keep() -> None:
    both = {"prediction": torch.zeros(3, 2), "target": torch.ones(3, 2)}
    ours, theirs = _alike({**both, "interval_score": torch.ones(3)}, both)
    assert set(ours) == set(theirs) == {"prediction", "target"}
    with pytest.raises(UserError, match="kept in another form"):
        _alike(both, {"prediction": torch.zeros(4, 2)})
