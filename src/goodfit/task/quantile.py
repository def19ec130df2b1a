"""Quantiles of a number for each sample: how large it may be, not only what is likeliest.

Letters: B batch, N samples of a split, Q quantiles, R sets of samples.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from goodfit.contract import DataSpec
from goodfit.records import Answer, Chart, Statement
from goodfit.schema import Levels
from goodfit.system import units
from goodfit.task.base import Array, Partial, Task
from goodfit.task.diagnostics import mean_of_equal, residuals, scatter
from goodfit.task.scores import Score, Statistics


class Quantile(Task):
    """Pinball loss on standard scores; predictions (B, Q) rise and are in the target's unit.

    `quantiles` are the levels, such as 0.1, 0.5 and 0.9; between the outer ones a target is to lie
    as often as their distance says (Koenker and Bassett 1978).
    """

    kinds = ("number",)
    scores = {"pinball": "min"}  # noqa: RUF012 - read as a literal
    ranges: ClassVar[dict[str, tuple[float, float]]] = {"pinball": (0, math.inf)}
    additive = True

    levels: Tensor

    def __init__(
        self,
        model: nn.Module,
        spec: DataSpec,
        *,
        monitor: str,
        score: str,
        quantiles: Levels,
        optimizer: Partial,
        schedule: Partial,
    ) -> None:
        super().__init__(
            model, spec, monitor=monitor, score=score, optimizer=optimizer, schedule=schedule
        )
        # a constant of the configuration, not of the weights
        self.register_buffer("levels", torch.tensor(list(quantiles)), persistent=False)

    @staticmethod
    def outputs(spec: DataSpec, **options: Any) -> int:
        """A number for each of the `quantiles`."""
        return len(options["quantiles"])

    def loss(self, output: Tensor, target: Tensor) -> Tensor:
        """Pinball losses (B,), means over quantiles, of scores (B, Q) against numbers (B,).

        In units of the train split's deviation, so that a learning rate suits any unit.
        """
        field = self.spec.targets["target"]
        standard_score = (target - field.mean[0]) / field.std[0]
        return pinball(output, standard_score, self.levels).mean(1)

    def predict(self, output: Tensor) -> Tensor:
        """Quantiles (B, Q) in the unit of the target, from standard scores (B, Q)."""
        field = self.spec.targets["target"]
        # a network may give a lower quantile the larger number; sorted, none of them is worse
        # (Chernozhukov, Fernandez-Val and Galichon 2010)
        return output.float().sort(1).values * field.std[0] + field.mean[0]

    def statistics(self, prediction: Tensor, target: Tensor) -> Statistics:
        """Quantiles (B, Q), numbers (B,) and pinball losses (B, Q).

        A number (B,), as baselines predict it, counts as each of the quantiles.
        """
        if prediction.ndim == 1:
            prediction = prediction.unsqueeze(1).expand(-1, len(self.levels))
        levels = self.levels.to(prediction.device)
        return {
            "prediction": prediction,
            "target": target,
            "pinball": pinball(prediction, target, levels),
            "samples": torch.ones_like(target),
        }

    def metrics(self) -> dict[str, Score]:
        """The mean pinball loss over samples and quantiles (R,), of sums (R, Q) and (R,)."""
        return {"pinball": lambda sums: sums["pinball"].mean(1) / sums["samples"]}

    def decode(self, prediction: Tensor) -> pd.DataFrame:
        """A column for each quantile (N, Q): q10, q50, q90."""
        columns = [f"q{100 * level:.4g}" for level in self.levels.tolist()]
        return pd.DataFrame(prediction.tolist(), columns=columns)

    def same_answer(self, prediction: Tensor) -> str | None:
        """The quantiles that all of (N, Q) are, but for a hundredth of the target's deviation."""
        means = mean_of_equal(prediction, self.spec.targets["target"].std[0])
        return ", ".join(units.number(mean, 4) for mean in means) if means else None

    @property
    def asked(self) -> str:
        """How many quantiles."""
        return f"{len(self.levels)} quantiles of a number"

    def trivial(
        self, train: Mapping[str, Array], inputs: Mapping[str, Array], samples: int
    ) -> dict[str, Array]:
        """The quantiles of the targets of train (N,), the same for every sample: (samples, Q)."""
        quantiles = np.quantile(train["target"], self.levels.tolist())
        return {"quantiles of train": np.tile(quantiles, (samples, 1))}

    def diagnose(self, methods: Mapping[str, Statistics]) -> list[Chart]:
        """How often the outer quantiles (N, Q) hold the target (N,), and errors of the middle one.

        Their title says the share of test samples, beside the share that the levels promise.
        """
        prediction, target = methods["network"]["prediction"], methods["network"]["target"]
        inside = (prediction[:, 0] <= target) & (target <= prediction[:, -1])
        low, high = self.levels[0].item(), self.levels[-1].item()
        coverage = (
            f"{low:.4g} to {high:.4g} hold {inside.float().mean().item():.1%} of test, "
            f"{high - low:.1%} expected"
        )
        middle = prediction[:, prediction.shape[1] // 2]
        errors = residuals(middle, target)
        return [
            replace(errors, title=f"Errors of the middle quantile; {coverage}"),
            scatter(middle, target),
        ]

    def answer(self, prediction: Tensor, target: Tensor) -> Answer:
        """The number () and the quantiles (Q,): near or far, not right or wrong."""
        quantiles = ", ".join(f"{value:.4g}" for value in prediction.tolist())
        statements = (Statement("truth", float(target)), Statement("network", quantiles))
        return Answer(statements=statements)


def pinball(prediction: Tensor, target: Tensor, levels: Tensor) -> Tensor:
    """The loss that a quantile minimizes, (B, Q), of (B, Q) against (B,) at levels (Q,).

    What lies above the quantile costs its level, what lies below the rest.
    """
    above = target.unsqueeze(1) - prediction
    return torch.maximum(levels * above, (levels - 1) * above)
