"""The next T values of a series for each sample.

Letters: B batch, N samples of a split, T steps ahead.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from goodfit.metrics.errors import mae, rmse
from goodfit.metrics.weighted import mean_of_rows
from goodfit.records import Answer, Chart
from goodfit.task.base import Array
from goodfit.task.diagnostics import mean_of_equal, residuals
from goodfit.task.scores import Score, Statistics, of_errors, of_predictions
from goodfit.task.several import SeveralNumbers

# quantiles of the error among test samples: the worst ones alone would tell a wrong story
_QUANTILES = {
    "a good one (better than 90 %)": 0.1,
    "a middling one": 0.5,
    "a bad one (worse than 90 %)": 0.9,
}


class Forecasting(SeveralNumbers):
    """Absolute error, which the median minimizes; predictions (B, T) are in the series' unit."""

    kinds = ("series",)
    scores = {"mae": "min", "rmse": "min", "mape": "min", "interval_score": "min"}  # noqa: RUF012 - read as a literal
    watched: ClassVar[dict[str, str]] = {"mae": "min", "rmse": "min", "mape": "min"}
    ranges: ClassVar[dict[str, tuple[float, float]]] = dict.fromkeys(scores, (0, math.inf))

    def loss(self, output: Tensor, target: Tensor) -> Tensor:
        """Absolute errors (B,) of standard scores (B, T) against values (B, T), over all steps.

        In units of the train split's deviation, so that a learning rate suits any unit.
        """
        field = self.spec.targets["target"]
        standard_score = (target - field.mean[0]) / field.std[0]
        return (output - standard_score).abs().sum(1)

    @property
    def names(self) -> list[str]:
        """The steps of the horizon: t1 .. tT."""
        return [f"t{step + 1}" for step in range(self.spec.outputs)]

    def error_unit(self, like: Tensor) -> Tensor:
        """1: errors (N, T) are in the unit of the series."""
        return like.new_ones(())

    def predict(self, output: Tensor) -> Tensor:
        """Values (B, T) in the unit of the series, from standard scores (B, T)."""
        field = self.spec.targets["target"]
        return output.float() * field.std[0] + field.mean[0]

    def watch_metrics(self) -> dict[str, Score]:
        """Mean absolute error, root mean squared error, mean absolute percentage error.

        Over all samples and steps of (N, T) against (N, T); the percentage is a fraction of one.
        """
        scores = of_predictions(
            # a true value of 0 would divide by zero
            {"mape": lambda p, t, w: mean_of_rows((p - t).abs() / t.abs().clamp_min(1e-9), w)}
        )
        scores["mae"] = of_errors(mae, torch.abs)
        scores["rmse"] = of_errors(rmse, torch.square, torch.sqrt)
        return scores

    def same_answer(self, prediction: Tensor) -> str | None:
        """That all curves (N, T) are one, but for a hundredth of the series' deviation."""
        is_same = mean_of_equal(prediction, self.spec.targets["target"].std[0]) is not None
        return "the same curve" if is_same else None

    @property
    def asked(self) -> str:
        """How many steps are to be forecast."""
        return f"{self.spec.outputs} steps"

    def trivial(
        self, train: Mapping[str, Array], inputs: Mapping[str, Array], samples: int
    ) -> dict[str, Array]:
        """The last known value, and the last whole season once more: (samples, T) each.

        The past is the input `past`, (samples, ...) in the order of time; a season is
        `spec.facts["season"]` steps long (Hyndman and Athanasopoulos 2021, section 5.2).
        """
        past = inputs["past"].reshape(samples, -1)
        horizon, season = self.spec.outputs, int(self.spec.facts["season"])
        # counted from the end of the past: the same phase of the last whole season
        steps = np.arange(horizon) % season - season
        return {
            "last value": np.repeat(past[:, -1:], horizon, axis=1),
            "seasonal naive": past[:, past.shape[1] + steps],
        }

    def diagnose(self, methods: Mapping[str, Statistics]) -> list[Chart]:
        """Sizes of the network's errors, errors and coverage by step ahead, of (N, T) and (N, T).

        By step the network stands beside the strong baseline and the best of the trivial ones: a
        third would squeeze its curve.
        """
        errors = {}
        for title, statistics in methods.items():
            errors[title] = (statistics["prediction"] - statistics["target"]).abs().mean(0)
        network, strong, *trivial = errors  # the order that `diagnose` is promised

        best_trivial = sorted(trivial, key=lambda title: float(errors[title].mean()))[:1]
        shown = {title: errors[title].tolist() for title in (network, strong, *best_trivial)}
        return [
            residuals(methods[network]["prediction"], methods[network]["target"]),
            Chart("by_step", "Error by step", {"errors": [list(pair) for pair in shown.items()]}),
            *self.coverage(methods[network], "steps ahead"),
        ]

    def typical(self, methods: Mapping[str, Statistics]) -> list[Chart]:
        """Forecasts of three test samples, by the rank of the network's error, all (N, T)."""
        network, strong, *_ = methods
        prediction, target = methods[network]["prediction"], methods[network]["target"]
        # stable, so that samples of equal error do not change places from run to run
        by_error = (prediction - target).abs().mean(1).argsort(stable=True)

        charts = []
        for words, quantile in _QUANTILES.items():
            row = int(by_error[round(quantile * (len(by_error) - 1))])
            curves = {
                "truth": target[row].tolist(),
                **self._curves(prediction[row]),
                strong: methods[strong]["prediction"][row].tolist(),
            }
            title = f"Test sample {row}, {words}"
            charts.append(
                Chart(
                    "forecast",
                    title,
                    {"curves": [list(pair) for pair in curves.items()], "row": row},
                )
            )
        return charts

    def answer(self, prediction: Tensor, target: Tensor) -> Answer:
        """Both curves, from (T,) and (T,); a forecast is near or far, not right or wrong."""
        return Answer(curves=[("truth", target.tolist()), *self._curves(prediction).items()])

    def _curves(self, prediction: Tensor) -> dict[str, list[float]]:
        """The forecast (T,) of one sample by the name of a curve, between the interval's ends."""
        curves = {"network": prediction.tolist()}
        if self.interval is not None:
            low, high = self.bounds(prediction[None])
            curves |= {"low": low[0].tolist(), "high": high[0].tolist()}
        return curves
