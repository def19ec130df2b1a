"""What scores are: functions of the statistics of samples.

Where samples do not count alike, how much each does is one of its statistics, `sample_weight`.
Scores of rows take it into account; where they are of sums, the statistics are multiplied by it
before they are summed (docs/decisions/0039).

Letters: B batch, N samples of an epoch or a split.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from goodfit.contract import SAMPLE_WEIGHT
from goodfit.metrics.weighted import wide

Statistics = dict[str, Tensor]  # of samples, (B, ...) each
_CLUSTER = "cluster"  # which independent unit a sample is of, for `Task.calibrate` alone
Score = Callable[[Statistics], Tensor]
# of predictions and targets, and the weights (N,) of samples, None where all count alike
PairScore = Callable[[Tensor, Tensor, Tensor | None], Tensor]


@dataclass(frozen=True)
class SortedScore:
    """A score of `prediction` and `target` that sorts them once for all test sets drawn from them.

    `sort` takes both and gives a function of the samples' weights (N,): how often each was drawn,
    times its own weight.
    """

    sort: Callable[[Tensor, Tensor], Callable[[Tensor], Tensor]]

    def __call__(self, statistics: Statistics) -> Tensor:
        """The score () of statistics (N, ...), each sample once."""
        return self.of_draws(statistics)(torch.ones_like(statistics["target"]))

    def of_draws(self, statistics: Statistics) -> Callable[[Tensor], Tensor]:
        """The function of how often each sample was drawn, (N,), for these statistics (N, ...)."""
        of_weights = self.sort(statistics["prediction"], statistics["target"])
        weight = weight_of(statistics)
        if weight is None:
            return of_weights
        weights = wide(weight)
        return lambda drawn: of_weights(drawn.to(weights.device) * weights)


@dataclass(frozen=True)
class MeanScore:
    """A score that the mean over samples of one number of each determines.

    `whole` is the score () of statistics (N, ...). `of_rows` are those numbers (N,), of which
    `of_mean` makes scores (R,) from means (R,): so a thousand resampled sets cost one product.
    """

    whole: Score
    of_rows: Callable[[Statistics], Tensor]
    of_mean: Callable[[Tensor], Tensor] = torch.Tensor.double

    def __call__(self, statistics: Statistics) -> Tensor:
        """The score () of statistics (N, ...)."""
        return self.whole(statistics)


def of_errors(
    function: PairScore,
    of_error: Callable[[Tensor], Tensor],
    of_mean: Callable[[Tensor], Tensor] = torch.Tensor.double,
) -> MeanScore:
    """A score of predictions and targets (N, ...) as the mean of what `of_error` makes of each."""

    def of_rows(statistics: Statistics) -> Tensor:
        errors = of_error(wide(statistics["prediction"]) - wide(statistics["target"]))
        return errors.reshape(len(errors), -1).mean(1)

    return MeanScore(_of_prediction(function), of_rows, of_mean)


def of_predictions(functions: Mapping[str, PairScore]) -> dict[str, Score]:
    """Scores of `prediction` and `target` among the statistics, as torchmetrics has them."""
    return {name: _of_prediction(function) for name, function in functions.items()}


def _of_prediction(function: PairScore) -> Score:
    return lambda statistics: function(
        statistics["prediction"], statistics["target"], weight_of(statistics)
    )


def with_weight(statistics: Statistics, sample_weight: Tensor | None) -> Statistics:
    """Statistics (B, ...), and among them the weights (B,) of their samples, if they have any."""
    if sample_weight is None:
        return statistics
    return {**statistics, SAMPLE_WEIGHT: sample_weight}


def weight_of(statistics: Statistics) -> Tensor | None:
    """The weights (N,) of the samples of statistics (N, ...), None where all count alike."""
    return statistics.get(SAMPLE_WEIGHT)


def with_clusters(statistics: Statistics, clusters: Tensor) -> Statistics:
    """Statistics (N, ...), and among them the independent unit (N,) that each sample is of."""
    return {**statistics, _CLUSTER: clusters}


def clusters_of(statistics: Statistics) -> Tensor | None:
    """The independent units (N,) of statistics (N, ...), None where each sample is one."""
    return statistics.get(_CLUSTER)


def weighed(statistics: Statistics) -> Statistics:
    """Statistics (N, ...) as sums count them: times the weights (N,) of samples, without these."""
    weight = weight_of(statistics)
    if weight is None:
        return statistics
    weights = wide(weight)
    return {
        name: wide(values) * weights.reshape(-1, *[1] * (values.ndim - 1))
        for name, values in statistics.items()
        if name != SAMPLE_WEIGHT
    }


def mean_loss(loss: Tensor, units: Tensor) -> Tensor:
    """The mean () of losses over units, of sums () or of samples (B,) of each; 0 of no units.

    So of a batch whose weights are all 0.
    """
    total = units.sum()
    return loss.sum() / torch.where(total > 0, total, 1.0)
