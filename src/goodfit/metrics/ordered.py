"""Scores of classes that have an order. Letters: N samples, K classes."""

from __future__ import annotations

import torch
from torch import Tensor


def distance(decided: Tensor, target: Tensor) -> Tensor:
    """The mean () of how many classes the one decided on is from the true one, both (N,)."""
    return (decided - target).abs().double().mean()


def weighted_kappa(decided: Tensor, target: Tensor, classes: int) -> Tensor:
    """Quadratic weighted kappa () of classes decided on and true ones, both (N,).

    One minus the squared distance, in terms of that of the same answers in random order (Cohen
    1968). Where there is a single class, 1 if it is answered.
    """
    counts = torch.bincount(decided, minlength=classes).double()
    of_truth = torch.bincount(target, minlength=classes).double()
    ranks = torch.arange(classes, dtype=torch.float64, device=counts.device)
    apart = (ranks[:, None] - ranks).square()
    by_chance = (counts[:, None] * of_truth * apart).sum() / len(target)
    found = (decided - target).square().double().sum()
    return 1 - found / by_chance if by_chance > 0 else (found == 0).double()
