"""The next T values of a series for each sample."""

from __future__ import annotations

import pandas as pd
from torch import Tensor
from torchmetrics.functional import mean_absolute_error, mean_squared_error

from goodfit.task.base import Score, Task


class Forecasting(Task):
    """Absolute error, whose best forecast is the median; predictions (B, T) are in the unit of the series."""

    kinds = ("series",)
    scores = {"mae": "min", "rmse": "min", "mape": "min"}  # noqa: RUF012 - read as a literal

    def loss(self, output: Tensor, target: Tensor) -> Tensor:
        """Mean absolute error in units of the train split's deviation."""
        return (output - (target - self.spec.target.mean) / self.spec.target.std).abs().mean()

    def predict(self, output: Tensor) -> Tensor:
        """Values in the unit of the series, (B, T)."""
        return output.float() * self.spec.target.std + self.spec.target.mean

    def metrics(self) -> dict[str, Score]:
        """Mean absolute error, root mean squared error, mean absolute percentage error (as a fraction)."""
        return {
            "mae": lambda p, t: mean_absolute_error(p.flatten(), t.flatten()),
            "rmse": lambda p, t: mean_squared_error(p.flatten(), t.flatten(), squared=False),
            "mape": lambda p, t: ((p - t).abs() / t.abs().clamp_min(1e-9)).mean(),
        }

    def decode(self, prediction: Tensor) -> pd.DataFrame:
        """Columns t1 .. tT, the steps of the horizon."""
        return pd.DataFrame(prediction.tolist(), columns=[f"t{step + 1}" for step in range(prediction.shape[1])])
