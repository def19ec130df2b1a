"""One number for each sample. Letters: B batch, N samples of a split."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from typing import ClassVar, Literal

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from goodfit.contract import SAMPLE_WEIGHT, DataSpec
from goodfit.metrics.errors import mae, r2, rmse
from goodfit.metrics.weighted import mean
from goodfit.metrics.weighted_arrays import average
from goodfit.records import Answer, Chart, Statement
from goodfit.schema import Share
from goodfit.system import units
from goodfit.task.base import Array, Partial, Task
from goodfit.task.conformal import chart, check_samples, interval_score, margin
from goodfit.task.diagnostics import mean_of_equal, residuals, scatter
from goodfit.task.scale import Scale
from goodfit.task.scores import (
    Score,
    Statistics,
    clusters_of,
    of_errors,
    of_predictions,
    weight_of,
)


class Regression(Task):
    """Squared error on standard scores; predictions (B,) are in the unit of the target.

    With a `transform` these are scores of the target's logarithm or power; predictions and scores
    stay in its unit. With an `interval`, such as 0.9, so many samples lie between two bounds beside
    the prediction, which validation has calibrated (Lei et al. 2018, split conformal).
    """

    kinds = ("number",)
    scores = {"rmse": "min", "mae": "min", "r2": "max", "interval_score": "min"}  # noqa: RUF012 - read as a literal
    ranges: ClassVar[dict[str, tuple[float, float]]] = {
        "rmse": (0, math.inf),
        "mae": (0, math.inf),
        "r2": (-math.inf, 1),
        "interval_score": (0, math.inf),
    }

    margin: Tensor

    def __init__(
        self,
        model: nn.Module,
        spec: DataSpec,
        *,
        monitor: str,
        score: str,
        transform: Literal["none", "log", "yeojohnson"],
        interval: Share | None,
        optimizer: Partial,
        schedule: Partial,
    ) -> None:
        super().__init__(
            model, spec, monitor=monitor, score=score, optimizer=optimizer, schedule=schedule
        )
        self.scale = Scale(transform, spec.targets["target"])
        self.interval = interval
        self.calibrates = interval is not None
        if interval is None:
            self.leave_out("interval_score", "task.interval, such as 0.9")
        else:
            self.register_buffer("margin", torch.zeros(()))

    def refused(self, targets: Mapping[str, Array]) -> dict[int, str]:
        """Numbers (N,) that have no logarithm, where it is to be taken."""
        if self.scale.transform != "log":
            return {}
        numbers = targets["target"]
        advice = "has no logarithm; choose task.transform=yeojohnson or =none"
        return {int(row): f"{numbers[row]:g} {advice}" for row in np.flatnonzero(numbers <= 0)}

    def learn(self, train: Mapping[str, Array], *, held_out: int) -> None:
        """The transformation, of numbers (N,) of train.

        Raises:
            UserError: validation is too small for the interval.
        """
        self.scale.learn(train["target"])
        if self.interval is not None:
            check_samples(held_out, self.interval, "choose a smaller task.interval")

    def calibrate(self, validation: Statistics) -> None:
        """How far from its prediction a target (N,) is in so many of all samples."""
        if self.interval is None:
            return
        predicted, target = (validation[name].cpu() for name in ("prediction", "target"))
        weight, clusters = weight_of(validation), clusters_of(validation)
        distances = self.distances(predicted, target)
        self.margin = torch.tensor(margin(distances, self.interval, weight, clusters))

    def distances(self, prediction: Tensor, target: Tensor) -> Tensor:
        """How far predictions (N,) are from targets (N,), as the interval measures it."""
        return (self.scale.scores(prediction) - self.scale.scores(target)).abs()

    def bounds(self, prediction: Tensor) -> tuple[Tensor, Tensor]:
        """The interval's lower and upper ends (N,) beside predictions (N,)."""
        scores, half = self.scale.scores(prediction), self.margin.to(prediction.device)
        low, high = self.scale.numbers(scores - half), self.scale.numbers(scores + half)
        return torch.minimum(low, prediction), torch.maximum(high, prediction)

    def loss(self, output: Tensor, target: Tensor) -> Tensor:
        """Squared errors (B,) of standard scores (B, 1) against numbers (B,).

        In units of the train split's deviation, so that a learning rate suits any unit.
        """
        # (B, 1) against (B,) would broadcast to (B, B)
        return F.mse_loss(output.squeeze(-1), self.scale.scores(target), reduction="none")

    def predict(self, output: Tensor) -> Tensor:
        """Numbers (B,) in the unit of the target, from standard scores (B, 1)."""
        return self.scale.numbers(output.squeeze(-1))

    def statistics(self, prediction: Tensor, target: Tensor) -> Statistics:
        """Predictions and targets (B,), and with an `interval` its `low` and `high` end (B,)."""
        statistics = super().statistics(prediction, target)
        if self.interval is not None:
            statistics["low"], statistics["high"] = self.bounds(prediction)
        return statistics

    def metrics(self) -> dict[str, Score]:
        """Root mean squared error, mean absolute error, share of variance explained.

        Of numbers (N,) against numbers (N,); of the interval's ends (N,) the mean interval score.
        """
        scores = of_predictions({"r2": r2})
        scores["rmse"] = of_errors(rmse, torch.square, torch.sqrt)
        scores["mae"] = of_errors(mae, torch.abs)
        if self.interval is not None:
            scores["interval_score"] = partial(_interval_score, coverage=self.interval)
        return scores

    def decode(self, prediction: Tensor) -> pd.DataFrame:
        """The column `value` of numbers (N,); with an `interval` also `low` and `high`."""
        columns = {"value": prediction.tolist()}
        if self.interval is not None:
            low, high = self.bounds(prediction)
            columns |= {"low": low.tolist(), "high": high.tolist()}
        return pd.DataFrame(columns)

    def same_answer(self, prediction: Tensor) -> str | None:
        """The number that all of (N,) are, but for a hundredth of the target's deviation."""
        means = mean_of_equal(prediction[:, None], self.spec.targets["target"].std[0])
        return units.number(means[0], 4) if means else None

    @property
    def asked(self) -> str:
        """A number, whatever its unit."""
        return "a number"

    def trivial(
        self, train: Mapping[str, Array], inputs: Mapping[str, Array], samples: int
    ) -> dict[str, Array]:
        """The mean of the targets of train (N,), the same for every sample: (samples,)."""
        mean_of_train = average(train["target"], train.get(SAMPLE_WEIGHT))
        return {"mean of train": np.full(samples, mean_of_train)}

    def diagnose(self, methods: Mapping[str, Statistics]) -> list[Chart]:
        """Sizes of the network's errors, and at which values, of (N,) against (N,); coverage."""
        network = methods["network"]
        prediction, target = network["prediction"], network["target"]
        charts = [residuals(prediction, target), scatter(prediction, target)]
        if self.interval is not None:
            bounds = {"by the network": (network["low"], network["high"])}
            weight = weight_of(network)
            charts.append(chart(prediction, target, bounds, self.interval, weight))
        return charts

    def answer(self, prediction: Tensor, target: Tensor) -> Answer:
        """Both numbers, from () and (), and with an `interval` its ends."""
        statements = [Statement("truth", float(target)), Statement("network", float(prediction))]
        if self.interval is not None:
            low, high = (float(end[0]) for end in self.bounds(prediction[None]))
            statements.append(Statement("interval", f"{low:.4g} to {high:.4g}"))
        return Answer(statements=tuple(statements))


def _interval_score(statistics: Statistics, *, coverage: float) -> Tensor:
    low, high, target = (statistics[name] for name in ("low", "high", "target"))
    return mean(interval_score(low, high, target, coverage), weight_of(statistics))
