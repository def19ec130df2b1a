"""Sizes of errors of numbers, of samples that need not count alike.

torchmetrics is imported where it computes: that takes 1.5 s, which a prediction need not wait for.

Letters: N samples, T numbers of each.
"""

from __future__ import annotations

import torch
from torch import Tensor

from goodfit.metrics.weighted import column_sums, mean_of_rows, wide


def rmse(prediction: Tensor, target: Tensor, weight: Tensor | None) -> Tensor:
    """The root mean squared error () of (N,) or (N, T) against as many, with weights (N,)."""
    if weight is None:
        from torchmetrics.functional import mean_squared_error

        return mean_squared_error(prediction.flatten(), target.flatten(), squared=False)
    return mean_of_rows((prediction - target).square(), weight).sqrt()


def mae(prediction: Tensor, target: Tensor, weight: Tensor | None) -> Tensor:
    """The mean absolute error () of (N,) or (N, T) against as many, with weights (N,)."""
    if weight is None:
        from torchmetrics.functional import mean_absolute_error

        return mean_absolute_error(prediction.flatten(), target.flatten())
    return mean_of_rows((prediction - target).abs(), weight)


def r2(prediction: Tensor, target: Tensor, weight: Tensor | None) -> Tensor:
    """R2 () of (N,) against (N,), with weights (N,).

    Where all targets are equal 1 without an error, else 0.
    """
    if weight is not None:
        return r2_of_each(prediction[:, None], target[:, None], weight)[0]
    if len(target) > 1:
        from torchmetrics.functional import r2_score

        return r2_score(prediction, target)
    # torchmetrics refuses a single sample, which is the whole of a very small test set
    return (prediction == target).float().mean()


def r2_of_each(prediction: Tensor, target: Tensor, weight: Tensor | None) -> Tensor:
    """R2 (T,) of each number of (N, T) against (N, T), of samples with weights (N,).

    Of one that is constant 1 without an error, else 0.
    """
    centre = target.mean(0)
    if weight is not None:
        # what weighs nothing is no number that differs from the others
        present = wide(weight) > 0
        prediction, target, weight = (
            wide(values)[present] for values in (prediction, target, weight)
        )
        centre = column_sums(target, weight) / weight.sum()
    left = column_sums((prediction - target).square(), weight)
    total = column_sums((target - centre).square(), weight)
    # the mean of equal numbers may be off by a last digit
    constant = (target == target[:1]).all(0) | (total == 0)
    each = 1 - left / torch.where(constant, 1.0, total)
    return torch.where(constant, (left == 0).to(each.dtype), each)
