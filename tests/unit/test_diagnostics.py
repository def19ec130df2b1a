"""Confusion, calibration and residuals against values worked out by hand."""

from __future__ import annotations

import pytest
import torch

from goodfit.contract import DataSpec, Field
from goodfit.task.diagnostics import calibration, confusion, residuals, scatter, shown_classes
from goodfit.task.forecasting import Forecasting


def two(confidence: list[float]) -> torch.Tensor:
    """Probabilities of the first of two classes."""
    first = torch.tensor(confidence)
    return torch.stack([first, 1 - first], 1)


def spec(kind: str, outputs: int) -> DataSpec:
    return DataSpec(
        data="x",
        kind=kind,
        outputs=outputs,
        inputs={},
        targets={"target": Field((), "float32", labels=("a", "b", "c"))},
    )


def test_the_calibration_error_is_the_weighted_distance_of_the_bins() -> None:
    # thirty answers in three bins: 12 of 0.6, half of them right; 12 of 0.8 and 6 of 0.9, all right
    confidence = [0.6] * 12 + [0.8] * 12 + [0.9] * 6
    target = torch.tensor([0, 1] * 6 + [0] * 18)
    calibrated = calibration(two(confidence), target)
    assert calibrated["count"] == [12, 12, 6]
    assert calibrated["accuracy"] == [0.5, 1.0, 1.0]
    assert calibrated["ece"] == pytest.approx((12 * 0.1 + 12 * 0.2 + 6 * 0.1) / 30, abs=1e-6)


def test_sure_and_right_is_perfectly_calibrated() -> None:
    calibrated = calibration(two([1.0, 1.0, 0.0]), torch.tensor([0, 0, 1]))
    assert (calibrated["ece"], calibrated["chance"]) == (0.0, [0.0, 0.0])


def test_every_sample_is_in_one_bin_and_bins_have_the_same_mass() -> None:
    confidence = torch.rand(200, generator=torch.Generator().manual_seed(0)).tolist()
    counts = calibration(two(confidence), torch.zeros(200, dtype=torch.long))["count"]
    assert counts == [20] * 10


def test_an_answer_of_weight_two_is_two_answers() -> None:
    generator = torch.Generator().manual_seed(0)
    probability = two((0.5 + torch.rand(90, generator=generator) / 2).tolist())
    target = torch.randint(2, (90,), generator=generator)
    weight = torch.tensor([1.0, 2.0] * 45)
    by_weight = calibration(probability, target, weight)
    copies = weight.long()
    repeated = calibration(
        probability.repeat_interleave(copies, 0), target.repeat_interleave(copies)
    )
    assert by_weight["ece"] == pytest.approx(repeated["ece"], abs=0.03)
    none = torch.cat([weight, torch.zeros(90)])
    besides = calibration(probability.repeat(2, 1), target.repeat(2), none)
    assert besides == by_weight


@pytest.mark.slow
def test_what_a_calibrated_network_shows_by_chance_holds_95_of_100_such_errors() -> None:
    generator = torch.Generator().manual_seed(0)
    held = 0
    for _ in range(400):
        probability = (3 * torch.randn(150, 3, generator=generator)).softmax(1)
        target = torch.multinomial(probability, 1, generator=generator).squeeze(1)
        found = calibration(probability, target)
        low, high = found["chance"]
        held += low <= found["ece"] <= high
    assert 0.92 <= held / 400 <= 0.98


def test_the_rows_of_the_confusion_sum_to_the_counts_of_the_classes() -> None:
    generator = torch.Generator().manual_seed(0)
    target, predicted = (torch.randint(5, (300,), generator=generator) for _ in range(2))
    rows = confusion(predicted, target, 6, range(6)).sum(1)
    assert rows.tolist() == torch.bincount(target, minlength=6).tolist()


def test_a_row_of_the_confusion_is_the_truth_and_a_column_what_was_said() -> None:
    counts = confusion(torch.tensor([2]), torch.tensor([0]), 3, range(3))
    assert counts.tolist() == [[0, 0, 1], [0, 0, 0], [0, 0, 0]]


@pytest.mark.fault(34)
def test_of_many_classes_the_matrix_shows_those_with_most_errors() -> None:
    generator = torch.Generator().manual_seed(0)
    target, predicted = (torch.randint(90, (900,), generator=generator) for _ in range(2))
    whole = confusion(predicted, target, 90, range(90))
    shown, title = shown_classes(predicted, target, 90)
    assert title == "Confusion matrix of the 20 classes with most errors, of 90"
    assert torch.equal(confusion(predicted, target, 90, shown), whole[shown][:, shown])
    errors = whole.sum(0) + whole.sum(1) - 2 * whole.diagonal()
    left_out = [code for code in range(90) if code not in shown]
    assert errors[shown].min() >= errors[left_out].max()


def test_residuals_of_a_forecast_that_is_always_one_too_high() -> None:
    target = torch.arange(12.0).reshape(3, 4)
    data = residuals(target + 1, target).data
    assert (data["mean"], data["within"]["0.9"]) == (1.0, 1.0)


def test_residuals_that_are_equal_but_for_rounding_have_a_histogram() -> None:
    target = torch.linspace(1, 2, 50)
    chart = residuals(target + 0.1, target)
    assert sum(chart.data["counts"]) == 50
    assert chart.data["edges"] == sorted(set(chart.data["edges"]))


def test_of_the_trivial_forecasts_the_best_stands_beside_network_and_strong_baseline() -> None:
    target = torch.arange(12.0).reshape(3, 4)
    shifts = {"network": 1.0, "strong": 2.0, "bad": 5.0, "good": 3.0}
    parts = {"monitor": "loss", "score": "loss", "optimizer": None, "schedule": None}
    parts |= {"interval": None}
    task = Forecasting(torch.nn.Identity(), spec("series", 4), **parts)
    methods = {}
    for title, shift in shifts.items():
        methods[title] = task.statistics(target + shift, target)
    _, chart = task.diagnose(methods)
    expected = {"network": [1.0] * 4, "strong": [2.0] * 4, "good": [3.0] * 4}
    assert chart.data["errors"] == [list(pair) for pair in expected.items()]


def test_every_residual_is_counted() -> None:
    target = torch.randn(50, generator=torch.Generator().manual_seed(0))
    assert sum(residuals(torch.zeros(50), target).data["counts"]) == 50


def test_a_scatter_plot_of_many_samples_shows_an_evenly_spaced_part() -> None:
    target = torch.arange(1000.0)
    data = scatter(target, target).data
    assert data["target"] == [float(value) for value in range(0, 1000, 3)]
    assert data["samples"] == 1000
