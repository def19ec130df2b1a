"""Scores of classes that have an order. Letters: N samples, K classes."""

from __future__ import annotations

import torch
from torch import Tensor

from goodfit.metrics.weighted import column_sums, counts, mean


def distance(decided: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
    """The mean () of how many classes the one decided on is from the true one, both (N,).

    Samples count by their weights (N,).
    """
    return mean((decided - target).abs().double(), weight)


def weighted_kappa(
    decided: Tensor, target: Tensor, classes: int, weight: Tensor | None = None
) -> Tensor:
    """Quadratic weighted kappa () of classes decided on and true ones, both (N,).

    One minus the squared distance, in terms of that of the same answers in random order (Cohen
    1968). Where there is a single class, 1 if it is answered. Samples count by their weights (N,).
    """
    answered = counts(decided, classes, weight).double()
    of_truth = counts(target, classes, weight).double()
    ranks = torch.arange(classes, dtype=torch.float64, device=answered.device)
    apart = (ranks[:, None] - ranks).square()
    by_chance = (answered[:, None] * of_truth * apart).sum() / of_truth.sum()
    found = column_sums((decided - target).square().double()[:, None], weight)[0]
    return 1 - found / by_chance if by_chance > 0 else (found == 0).double()
