"""How often something happens: whole numbers from 0 on.

Letters: B batch, N samples of a split.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from goodfit.contract import DataSpec
from goodfit.metrics.counts import deviance
from goodfit.task.base import Partial
from goodfit.task.regression import Regression
from goodfit.task.scores import Score, Statistics, of_predictions

_FARTHEST = 30.0  # of a logarithm from that of the mean of train: e^30 is beyond all counts


class Count(Regression):
    """Likelihood of counts; predictions (B,) are expected counts, never negative.

    The network gives the logarithm of the expected count in terms of train's mean. With
    `distribution=negative_binomial` a second output is the logarithm of the dispersion a: the
    variance is m + a m^2 of a mean m, where that of Poisson's is m (Cameron and Trivedi 2013, NB2).
    """

    kinds = ("count",)
    scores = {"deviance": "min", "mae": "min", "rmse": "min"}  # noqa: RUF012 - read as a literal
    ranges: ClassVar[dict[str, tuple[float, float]]] = dict.fromkeys(scores, (0, math.inf))

    def __init__(
        self,
        model: nn.Module,
        spec: DataSpec,
        *,
        monitor: str,
        score: str,
        distribution: Literal["poisson", "negative_binomial"],
        optimizer: Partial,
        schedule: Partial,
    ) -> None:
        super().__init__(
            model,
            spec,
            monitor=monitor,
            score=score,
            transform="none",
            interval=None,
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

    def statistics(self, prediction: Tensor, target: Tensor) -> Statistics:
        """Expected counts and counts (B,)."""
        return {"prediction": prediction, "target": target}

    def _log_mean(self, output: Tensor) -> Tensor:
        mean = self.spec.targets["target"].mean[0]
        # float32 first: an exponential of 16 bits ends at 65,504
        return output[:, 0].float().clamp(-_FARTHEST, _FARTHEST) + math.log(mean)


def negative_binomial(log_mean: Tensor, log_dispersion: Tensor, target: Tensor) -> Tensor:
    """Log likelihoods (B,) of counts (B,) by mean and dispersion (B,), as logarithms."""
    size = (-log_dispersion).exp()  # the number of failures that are waited for
    log_both = torch.logaddexp(log_mean, -log_dispersion)
    choices = torch.lgamma(target + size) - torch.lgamma(size) - torch.lgamma(target + 1)
    return choices + size * (-log_dispersion - log_both) + target * (log_mean - log_both)
