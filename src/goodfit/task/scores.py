"""What scores are: functions of the statistics of samples.

Letters: B batch, N samples of an epoch or a split.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

Statistics = dict[str, Tensor]  # of samples, (B, ...) each
Score = Callable[[Statistics], Tensor]
PairScore = Callable[[Tensor, Tensor], Tensor]  # of predictions and targets


@dataclass(frozen=True)
class SortedScore:
    """A score of `prediction` and `target` that sorts them once for all test sets drawn from them.

    `sort` takes both and gives a function of the samples' weights (N,): how often each was drawn.
    """

    sort: Callable[[Tensor, Tensor], Callable[[Tensor], Tensor]]

    def __call__(self, statistics: Statistics) -> Tensor:
        """The score () of statistics (N, ...), each sample once."""
        return self.of_draws(statistics)(torch.ones_like(statistics["target"]))

    def of_draws(self, statistics: Statistics) -> Callable[[Tensor], Tensor]:
        """The function of weights (N,) for these statistics (N, ...)."""
        return self.sort(statistics["prediction"], statistics["target"])


def of_predictions(functions: Mapping[str, PairScore]) -> dict[str, Score]:
    """Scores of `prediction` and `target` among the statistics, as torchmetrics has them."""
    return {name: _of_prediction(function) for name, function in functions.items()}


def _of_prediction(function: PairScore) -> Score:
    return lambda statistics: function(statistics["prediction"], statistics["target"])
