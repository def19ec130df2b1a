"""Scores of labels that hold at once. Letters: N samples, K labels."""

from __future__ import annotations

import torch
from torch import Tensor


def micro_f1(decided: Tensor, target: Tensor) -> Tensor:
    """F1 () of all labels of all samples together: a frequent label counts more.

    Of labels that are answered and that hold, ones of (N, K); 1 where there are none at all.
    """
    either = decided.sum() + target.sum()
    hits = (decided * target).sum()
    return 2 * hits / either if either > 0 else torch.ones_like(hits)


def macro_f1(decided: Tensor, target: Tensor) -> Tensor:
    """The mean F1 () of the labels: each counts alike.

    Of labels that are answered and that hold, ones of (N, K); over those of which there is one.
    """
    either = decided.sum(0) + target.sum(0)
    present = either > 0
    if not present.any():
        return torch.ones((), device=target.device)
    return (2 * (decided * target).sum(0)[present] / either[present]).mean()


def average_precision(probability: Tensor, target: Tensor) -> Tensor:
    """The mean average precision () of the labels that hold somewhere.

    Of probabilities (N, K) and ones (N, K) for what holds; ties count together, as scikit-learn
    has it. 1 where no label holds.
    """
    areas = [_area(probability[:, k], target[:, k]) for k in target.sum(0).nonzero().flatten()]
    return torch.stack(areas).mean() if areas else torch.ones((), dtype=torch.float64)


def log_loss(probability: Tensor, target: Tensor) -> Tensor:
    """Mean negative log likelihood () in nats of a label, of probabilities (N, K) and ones (N, K).

    A probability of exactly 0 costs as 1e-12, as in other log losses here.
    """
    of_truth = torch.where(target > 0, probability, 1 - probability)
    return -of_truth.clamp_min(1e-12).log().mean()


def _area(score: Tensor, target: Tensor) -> Tensor:
    """The average precision () of one label: scores (N,) and ones (N,) where it holds."""
    ordered, order = score.sort(descending=True, stable=True)
    hits = target[order].double().cumsum(0)
    is_last = torch.ones_like(ordered, dtype=torch.bool)
    is_last[:-1] = ordered[:-1] != ordered[1:]  # of samples that tie
    ranks = is_last.nonzero().flatten()
    found = hits[ranks]
    gained = found.diff(prepend=found.new_zeros(1))
    return (gained * found / (ranks + 1)).sum() / hits[-1]
