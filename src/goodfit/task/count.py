"""How often something happens: whole numbers from 0 on.

Letters: B batch, N samples of a split.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar, Literal

import pandas as pd
import torch
from torch import Tensor, nn

from goodfit.contract import DataSpec
from goodfit.metrics import weighted
from goodfit.metrics.counts import deviance
from goodfit.schema import Share
from goodfit.task.base import Partial
from goodfit.task.regression import Regression
from goodfit.task.scores import Score, of_predictions

_SHIFT = 3 / 8  # of a count before its root is taken (Anscombe 1948)
_ROUNDING = 1e-6  # of a count, by which a margin in float32 may miss it
_FARTHEST = 30.0  # of a logarithm from that of the mean of train: e^30 is beyond all counts


class Count(Regression):
    """Likelihood of counts; predictions (B,) are expected counts, never negative.

    The network gives the logarithm of the expected count in terms of train's mean. With
    `distribution=negative_binomial` a second output is the logarithm of the dispersion a: the
    variance is m + a m^2 of a mean m, where that of Poisson's is m (Cameron and Trivedi 2013, NB2).
    With an `interval`, such as 0.9, answers have two whole numbers beside them, between which so
    many of all counts lie: wider where more is expected, for distances are those of square roots.
    """

    kinds = ("count",)
    scores = {"deviance": "min", "mae": "min", "rmse": "min", "interval_score": "min"}  # noqa: RUF012 - read as a literal
    ranges: ClassVar[dict[str, tuple[float, float]]] = dict.fromkeys(scores, (0, math.inf))
    came_later: ClassVar[dict[str, Any]] = {"interval": None}

    def __init__(
        self,
        model: nn.Module,
        spec: DataSpec,
        *,
        monitor: str,
        score: str,
        distribution: Literal["poisson", "negative_binomial"],
        interval: Share | None,
        optimizer: Partial,
        schedule: Partial,
    ) -> None:
        super().__init__(
            model,
            spec,
            monitor=monitor,
            score=score,
            transform="none",
            interval=interval,
            optimizer=optimizer,
            schedule=schedule,
        )
        self.distribution = distribution

    @staticmethod
    def outputs(spec: DataSpec, **options: Any) -> int:
        """The expected count, and of a negative binomial its dispersion."""
        return 2 if options["distribution"] == "negative_binomial" else 1

    def loss(self, output: Tensor, target: Tensor) -> Tensor:
        """What outputs (B, 1) or (B, 2) lose of the log likelihood of counts (B,), at least 0.

        In nats, against an expected count that is always right: of Poisson, half the deviance.
        """
        log_mean = self._log_mean(output)
        best = torch.xlogy(target, target) - target
        if self.distribution == "poisson":
            return log_mean.exp() - target * log_mean + best
        log_dispersion = output[:, 1].float().clamp(-_FARTHEST / 2, _FARTHEST / 2)
        likelihood = negative_binomial(log_mean, log_dispersion, target)
        return best - torch.lgamma(target + 1) - likelihood

    def predict(self, output: Tensor) -> Tensor:
        """Expected counts (B,), of outputs (B, 1) or (B, 2)."""
        return self._log_mean(output).exp()

    def metrics(self) -> dict[str, Score]:
        """Mean Poisson deviance, mean absolute error, root mean squared error.

        Of expected counts (N,) against counts (N,). The deviance is least for the right expected
        count whatever the distribution is.
        """
        scores = super().metrics()
        scores |= of_predictions({"deviance": deviance})
        return {name: scores[name] for name in self.scores}

    @property
    def asked(self) -> str:
        """A count, whatever is counted."""
        return "a count"

    def distances(self, prediction: Tensor, target: Tensor) -> Tensor:
        """How far roots of expected counts (N,) are from those of counts (N,).

        A root of a Poisson count has the same variance wherever its mean is (Anscombe 1948).
        """
        return (_root(prediction) - _root(target)).abs()

    def bounds(self, prediction: Tensor) -> tuple[Tensor, Tensor]:
        """The least and the largest whole number (N,) of the interval, of expected counts (N,)."""
        root, half = _root(prediction), weighted.wide(self.margin.to(prediction.device))
        ends = ((root - half).clamp_min(_root(torch.zeros_like(root))), root + half)
        low, high = (end.square() / 4 - _SHIFT for end in ends)
        # what validation had exactly at its end is inside; no interval is without a count
        nearest = weighted.wide(prediction).round()
        low = torch.minimum((low - _ROUNDING * (1 + low)).ceil(), nearest).clamp_min(0)
        high = torch.maximum((high + _ROUNDING * (1 + high)).floor(), nearest)
        return low.float().to(prediction.device), high.float().to(prediction.device)

    def decode(self, prediction: Tensor) -> pd.DataFrame:
        """The column `value` of (N,); with an `interval` whole numbers `low` and `high`."""
        table = super().decode(prediction)
        ends = [name for name in ("low", "high") if name in table]
        return table.astype(dict.fromkeys(ends, "int64"))

    def _log_mean(self, output: Tensor) -> Tensor:
        mean = self.spec.targets["target"].mean[0]
        # float32 first: an exponential of 16 bits ends at 65,504
        return output[:, 0].float().clamp(-_FARTHEST, _FARTHEST) + math.log(mean)


def _root(counts: Tensor) -> Tensor:
    """Twice the root of counts (N,), wide, moved so that its variance is nearest to 1."""
    return 2 * (weighted.wide(counts).clamp_min(0) + _SHIFT).sqrt()


def negative_binomial(log_mean: Tensor, log_dispersion: Tensor, target: Tensor) -> Tensor:
    """Log likelihoods (B,) of counts (B,) by mean and dispersion (B,), as logarithms."""
    size = (-log_dispersion).exp()  # the number of failures that are waited for
    log_both = torch.logaddexp(log_mean, -log_dispersion)
    choices = torch.lgamma(target + size) - torch.lgamma(size) - torch.lgamma(target + 1)
    return choices + size * (-log_dispersion - log_both) + target * (log_mean - log_both)
