"""Scores of labels that hold at once. Letters: N samples, K labels."""

from __future__ import annotations

import torch
from torch import Tensor

from goodfit.metrics.weighted import column_sums, mean_of_rows, wide


def micro_f1(decided: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
    """F1 () of all labels of all samples together: a frequent label counts more.

    Of labels that are answered and that hold, ones of (N, K), of samples with weights (N,); 1 where
    there are none at all.
    """
    either = column_sums(decided, weight).sum() + column_sums(target, weight).sum()
    hits = column_sums(decided * target, weight).sum()
    return 2 * hits / either if either > 0 else torch.ones_like(hits)


def macro_f1(decided: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
    """The mean F1 () of the labels: each counts alike.

    Of labels that are answered and that hold, ones of (N, K), of samples with weights (N,); over
    those of which there is one.
    """
    either = column_sums(decided, weight) + column_sums(target, weight)
    present = either > 0
    if not present.any():
        return torch.ones((), device=target.device)
    return (2 * column_sums(decided * target, weight)[present] / either[present]).mean()


def average_precision(probability: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
    """The mean average precision () of the labels that hold somewhere.

    Of probabilities (N, K) and ones (N, K) for what holds; ties count together, as scikit-learn
    has it. 1 where no label holds. Samples count by their weights (N,).
    """
    weights = wide(torch.ones(len(target), device=target.device) if weight is None else weight)
    holding = column_sums(target, weight).nonzero().flatten()
    areas = [_area(probability[:, k], target[:, k], weights) for k in holding]
    return torch.stack(areas).mean() if areas else torch.ones((), dtype=torch.float64)


def log_loss(probability: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
    """Mean negative log likelihood () in nats of a label, of probabilities (N, K) and ones (N, K).

    A probability of exactly 0 costs as 1e-12, as in other log losses here. Samples count by their
    weights (N,).
    """
    of_truth = torch.where(target > 0, probability, 1 - probability)
    return -mean_of_rows(of_truth.clamp_min(1e-12).log(), weight)


def _area(score: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """The average precision () of one label: scores (N,), and ones (N,) where it holds.

    Samples count by their weights (N,).
    """
    ordered, order = score.sort(descending=True, stable=True)
    hits = (target[order] * weight[order]).cumsum(0)
    drawn = weight[order].cumsum(0)
    is_last = torch.ones_like(ordered, dtype=torch.bool)
    is_last[:-1] = ordered[:-1] != ordered[1:]  # of samples that tie
    ranks = is_last.nonzero().flatten()
    found = hits[ranks]
    gained = found.diff(prepend=found.new_zeros(1))
    above = drawn[ranks]
    return (gained * found / torch.where(above > 0, above, 1.0)).sum() / hits[-1]
