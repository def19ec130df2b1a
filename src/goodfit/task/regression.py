"""One number for each sample. Letters: B batch, N samples of a split."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from typing import ClassVar

import numpy as np
import pandas as pd
import torch.nn.functional as F
from torch import Tensor
from torchmetrics.functional import mean_absolute_error, mean_squared_error, r2_score

from goodfit.records import Answer, Chart, Statement
from goodfit.system import units
from goodfit.task.base import Array, Task
from goodfit.task.diagnostics import mean_of_equal, residuals, scatter
from goodfit.task.scores import Score, Statistics, of_predictions


class Regression(Task):
    """Squared error on standard scores; predictions (B,) are in the unit of the target."""

    kinds = ("number",)
    scores = {"rmse": "min", "mae": "min", "r2": "max"}  # noqa: RUF012 - read as a literal
    ranges: ClassVar[dict[str, tuple[float, float]]] = {
        "rmse": (0, math.inf),
        "mae": (0, math.inf),
        "r2": (-math.inf, 1),
    }

    def loss(self, output: Tensor, target: Tensor) -> Tensor:
        """Squared errors (B,) of standard scores (B, 1) against numbers (B,).

        In units of the train split's deviation, so that a learning rate suits any unit.
        """
        field = self.spec.targets["target"]
        standard_score = (target - field.mean[0]) / field.std[0]
        # (B, 1) against (B,) would broadcast to (B, B)
        return F.mse_loss(output.squeeze(-1), standard_score, reduction="none")

    def predict(self, output: Tensor) -> Tensor:
        """Numbers (B,) in the unit of the target, from standard scores (B, 1)."""
        field = self.spec.targets["target"]
        return output.squeeze(-1).float() * field.std[0] + field.mean[0]

    def metrics(self) -> dict[str, Score]:
        """Root mean squared error, mean absolute error, share of variance explained.

        Of numbers (N,) against numbers (N,).
        """
        rmse = partial(mean_squared_error, squared=False)
        return of_predictions({"rmse": rmse, "mae": mean_absolute_error, "r2": _r2})

    def decode(self, prediction: Tensor) -> pd.DataFrame:
        """The column `value` of numbers (N,)."""
        return pd.DataFrame({"value": prediction.tolist()})

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
        return {"mean of train": np.full(samples, train["target"].mean())}

    def diagnose(self, methods: Mapping[str, Statistics]) -> list[Chart]:
        """Sizes of the network's errors, and at which values, of (N,) against (N,)."""
        prediction, target = methods["network"]["prediction"], methods["network"]["target"]
        return [residuals(prediction, target), scatter(prediction, target)]

    def answer(self, prediction: Tensor, target: Tensor) -> Answer:
        """Both numbers, from () and ()."""
        statements = (Statement("truth", float(target)), Statement("network", float(prediction)))
        return Answer(statements=statements)


def _r2(prediction: Tensor, target: Tensor) -> Tensor:
    """R2 () of (N,) against (N,); where all targets are equal 1 without an error, else 0."""
    if len(target) > 1:
        return r2_score(prediction, target)
    # torchmetrics refuses a single sample, which is the whole of a very small test set
    return (prediction == target).float().mean()
