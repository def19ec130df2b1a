"""Quantiles of a number for each sample: how large it may be, not only what is likeliest.

Letters: B batch, N samples of a split, Q quantiles, R sets of samples.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar, Literal

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from goodfit.contract import SAMPLE_WEIGHT, DataSpec
from goodfit.metrics.weighted_arrays import quantiles as weighted_quantiles
from goodfit.records import Answer, Chart, Statement
from goodfit.schema import Levels
from goodfit.system import units
from goodfit.task.base import Array, Partial, Task
from goodfit.task.conformal import chart, check_samples, interval_score, margin
from goodfit.task.diagnostics import mean_of_equal, residuals, scatter
from goodfit.task.scores import Score, Statistics, clusters_of, weight_of


class Quantile(Task):
    """Pinball loss on standard scores; predictions (B, Q) rise and are in the target's unit.

    `quantiles` are the levels, such as 0.1, 0.5 and 0.9; between the outer ones a target is to lie
    as often as their distance says (Koenker and Bassett 1978). A network that promises too much, or
    too little, is corrected with `calibration=conformal`: the outer quantiles are moved apart by
    what validation says (Romano, Patterson and Candes 2019, CQR), which gives `low` and `high`.
    """

    kinds = ("number",)
    scores = {"pinball": "min", "interval_score": "min"}  # noqa: RUF012 - read as a literal
    ranges: ClassVar[dict[str, tuple[float, float]]] = dict.fromkeys(scores, (0, math.inf))
    additive = True

    levels: Tensor
    margin: Tensor

    def __init__(
        self,
        model: nn.Module,
        spec: DataSpec,
        *,
        monitor: str,
        score: str,
        quantiles: Levels,
        calibration: Literal["none", "conformal"],
        optimizer: Partial,
        schedule: Partial,
    ) -> None:
        super().__init__(
            model, spec, monitor=monitor, score=score, optimizer=optimizer, schedule=schedule
        )
        # a constant of the configuration, not of the weights
        self.register_buffer("levels", torch.tensor(list(quantiles)), persistent=False)
        self.coverage = quantiles[-1] - quantiles[0]
        # of a baseline alone, and so not among the weights
        self.spread = torch.zeros(len(quantiles))
        # of a single quantile there is no interval
        self.calibrates = calibration == "conformal" and len(quantiles) > 1
        if self.calibrates:
            self.register_buffer("margin", torch.zeros(()))
        else:
            self.leave_out("interval_score", "task.calibration=conformal and two task.quantiles")

    @staticmethod
    def outputs(spec: DataSpec, **options: Any) -> int:
        """A number for each of the `quantiles`."""
        return len(options["quantiles"])

    def learn(self, train: Mapping[str, Array], *, held_out: int) -> None:
        """Nothing of the targets (N,).

        Raises:
            UserError: validation is too small for the interval.
        """
        if self.calibrates:
            check_samples(held_out, self.coverage, "choose task.calibration=none")

    def calibrate(self, validation: Statistics) -> None:
        """How far targets (N,) are outside of the outer quantiles of (N, Q).

        Of single numbers (N,) first the quantiles of their errors: with these they are worth what
        point forecasts can be.
        """
        quantiles, target = (validation[name].cpu() for name in ("prediction", "target"))
        weight = weight_of(validation)
        if "number" in validation:
            number, levels = validation["number"].cpu(), self.levels.tolist()
            of_rows = None if weight is None else weight.cpu().numpy()
            errors = weighted_quantiles((target - number).numpy(), levels, of_rows)
            self.spread = torch.tensor(errors).float()
            quantiles = number.unsqueeze(1) + self.spread
        if self.calibrates:
            misses = torch.maximum(quantiles[:, 0] - target, target - quantiles[:, -1])
            clusters = clusters_of(validation)
            self.margin = torch.tensor(margin(misses, self.coverage, weight, clusters))

    def bounds(self, prediction: Tensor) -> tuple[Tensor, Tensor]:
        """The calibrated interval's ends (N,) of quantiles (N, Q), one number where they cross."""
        by = self.margin.to(prediction.device)
        low, high = prediction[:, 0] - by, prediction[:, -1] + by
        middle = (low + high) / 2
        return torch.minimum(low, middle), torch.maximum(high, middle)

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

        With a number (B,), as baselines predict it, go the quantiles of its errors on validation.
        """
        statistics: Statistics = {}
        if prediction.ndim == 1:
            statistics["number"] = prediction
            prediction = prediction.unsqueeze(1) + self.spread.to(prediction.device)
        levels = self.levels.to(prediction.device)
        statistics |= {
            "prediction": prediction,
            "target": target,
            "pinball": pinball(prediction, target, levels),
            "samples": torch.ones_like(target),
        }
        if self.calibrates:
            ends = self.bounds(prediction)
            statistics["interval_score"] = interval_score(*ends, target, self.coverage)
        return statistics

    def metrics(self) -> dict[str, Score]:
        """The mean pinball loss over samples and quantiles (R,), of sums (R, Q) and (R,).

        Of a calibrated interval the mean interval score.
        """
        scores: dict[str, Score] = {
            "pinball": lambda sums: sums["pinball"].mean(1) / sums["samples"],
            "interval_score": lambda sums: sums["interval_score"] / sums["samples"],
        }
        return {name: scores[name] for name in self.scores}

    def decode(self, prediction: Tensor) -> pd.DataFrame:
        """A column for each quantile (N, Q): q10, q50, q90; `low` and `high` of the interval."""
        columns = [f"q{100 * level:.4g}" for level in self.levels.tolist()]
        table = pd.DataFrame(prediction.tolist(), columns=columns)
        if self.calibrates:
            low, high = self.bounds(prediction)
            table["low"], table["high"] = low.tolist(), high.tolist()
        return table

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
        weight = train.get(SAMPLE_WEIGHT)
        quantiles = weighted_quantiles(train["target"], self.levels.tolist(), weight)
        return {"quantiles of train": np.tile(quantiles, (samples, 1))}

    def diagnose(self, methods: Mapping[str, Statistics]) -> list[Chart]:
        """How often the outer quantiles (N, Q) hold the target (N,), and errors of the middle one.

        Before and after calibration, beside the share that the levels promise.
        """
        network = methods["network"]
        prediction, target = network["prediction"], network["target"]
        middle = prediction[:, prediction.shape[1] // 2]
        errors = replace(residuals(middle, target), title="Errors of the middle quantile")
        charts = [errors, scatter(middle, target)]
        if len(self.levels) > 1:
            bounds = {"as learned": (prediction[:, 0], prediction[:, -1])}
            if self.calibrates:
                bounds = {"calibrated": self.bounds(prediction), **bounds}
            charts.append(chart(middle, target, bounds, self.coverage, weight_of(network)))
        return charts

    def answer(self, prediction: Tensor, target: Tensor) -> Answer:
        """The number () and the quantiles (Q,): near or far, not right or wrong."""
        quantiles = ", ".join(f"{value:.4g}" for value in prediction.tolist())
        statements = [Statement("truth", float(target)), Statement("network", quantiles)]
        if self.calibrates:
            low, high = (float(end[0]) for end in self.bounds(prediction[None]))
            statements.append(Statement("interval", f"{low:.4g} to {high:.4g}"))
        return Answer(statements=tuple(statements))


def pinball(prediction: Tensor, target: Tensor, levels: Tensor) -> Tensor:
    """The loss that a quantile minimizes, (B, Q), of (B, Q) against (B,) at levels (Q,).

    What lies above the quantile costs its level, what lies below the rest.
    """
    above = target.unsqueeze(1) - prediction
    return torch.maximum(levels * above, (levels - 1) * above)
