"""Several numbers for each sample, each in its own unit.

Letters: B batch, N samples of a split, T numbers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from goodfit.contract import SAMPLE_WEIGHT
from goodfit.metrics.errors import r2_of_each
from goodfit.metrics.weighted import mean_of_rows
from goodfit.metrics.weighted_arrays import average
from goodfit.records import Answer, Chart, Statement
from goodfit.system import units
from goodfit.task.base import Array
from goodfit.task.diagnostics import mean_of_equal, residuals, scatter
from goodfit.task.scores import Score, Statistics, weight_of
from goodfit.task.several import SeveralNumbers

_CHARTS = 4  # numbers of which a chart is drawn


class Multivariate(SeveralNumbers):
    """Squared errors on standard scores; predictions (B, T) are in the units of the targets.

    Numbers in different units have no mean error: scores are in deviations of train.
    """

    kinds = ("numbers",)
    scores = {"nrmse": "min", "nmae": "min", "r2": "max", "interval_score": "min"}  # noqa: RUF012 - read as a literal
    watched: ClassVar[dict[str, str]] = {"nrmse": "min", "nmae": "min", "r2": "max"}
    ranges: ClassVar[dict[str, tuple[float, float]]] = {
        "nrmse": (0, math.inf),
        "nmae": (0, math.inf),
        "r2": (-math.inf, 1),
        "interval_score": (0, math.inf),
    }

    def loss(self, output: Tensor, target: Tensor) -> Tensor:
        """Squared errors (B,) of standard scores (B, T), summed over numbers, against (B, T)."""
        mean, std = self._scale(target)
        return (output - (target - mean) / std).square().sum(1)

    @property
    def names(self) -> list[str]:
        """The columns of the targets."""
        return list(self.spec.facts["target"])

    def error_unit(self, like: Tensor) -> Tensor:
        """Deviations of train (T,), in which errors (N, T) can be added up."""
        return self._scale(like)[1]

    def predict(self, output: Tensor) -> Tensor:
        """Numbers (B, T) in their units, from standard scores (B, T)."""
        mean, std = self._scale(output.float())
        return output.float() * std + mean

    def watch_metrics(self) -> dict[str, Score]:
        """Root mean squared and mean absolute error in deviations of train, mean R2 of the numbers.

        Of numbers (N, T) against numbers (N, T).
        """
        return {
            "nrmse": lambda s: mean_of_rows(self._errors(s).square(), weight_of(s)).sqrt(),
            "nmae": lambda s: mean_of_rows(self._errors(s).abs(), weight_of(s)),
            "r2": lambda s: r2_of_each(s["prediction"], s["target"], weight_of(s)).mean(),
        }

    def same_answer(self, prediction: Tensor) -> str | None:
        """The numbers that all of (N, T) are, but for hundredths of the targets' deviations."""
        _, std = self._scale(prediction)
        means = mean_of_equal(prediction / std, 1.0)
        if means is None:
            return None
        numbers = (torch.tensor(means) * std.cpu()).tolist()
        return ", ".join(units.number(number, 4) for number in numbers)

    @property
    def asked(self) -> str:
        """How many numbers."""
        return f"{self.spec.outputs} numbers"

    def trivial(
        self, train: Mapping[str, Array], inputs: Mapping[str, Array], samples: int
    ) -> dict[str, Array]:
        """The means of the targets of train (N, T), the same for every sample: (samples, T)."""
        return {
            "means of train": np.tile(
                average(train["target"], train.get(SAMPLE_WEIGHT)), (samples, 1)
            )
        }

    def diagnose(self, methods: Mapping[str, Statistics]) -> list[Chart]:
        """Sizes of errors in deviations, each number against the truth, coverage, of (N, T)."""
        network = methods["network"]
        errors = self._errors(network)
        sizes = residuals(errors, torch.zeros_like(errors))
        charts = [replace(sizes, title="Sizes of errors, in deviations of train")]
        for number, name in enumerate(self.names[:_CHARTS]):
            prediction, target = network["prediction"][:, number], network["target"][:, number]
            charts.append(replace(scatter(prediction, target), title=f"{name}: answer and truth"))
        return [*charts, *self.coverage(network, "targets, in the order of their columns")]

    def answer(self, prediction: Tensor, target: Tensor) -> Answer:
        """All numbers, from (T,) each, and with an `interval` its ends."""
        statements = []
        for who, numbers in (("truth", target), ("network", prediction)):
            pairs = zip(self.names, numbers.tolist(), strict=True)
            text = ", ".join(f"{name} {number:.4g}" for name, number in pairs)
            statements.append(Statement(who, text))
        if self.interval is not None:
            low_ends, high_ends = (end[0].tolist() for end in self.bounds(prediction[None]))
            ends = zip(self.names, low_ends, high_ends, strict=True)
            text = ", ".join(f"{name} {low:.4g} to {high:.4g}" for name, low, high in ends)
            statements.append(Statement("interval", text))
        return Answer(statements=tuple(statements))

    def _errors(self, statistics: Statistics) -> Tensor:
        """Errors (N, T) in deviations of train."""
        _, std = self._scale(statistics["target"])
        return (statistics["prediction"] - statistics["target"]) / std
