"""Averages of the weights over the steps of a training."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def moving_average(decay: float) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """An exponential moving average of the weights, with a decay that grows to `decay`.

    After n steps the decay is min(decay, (n + 1) / (n + 10)), as in TensorFlow's
    ExponentialMovingAverage: untrained weights are soon forgotten.

    It maps an average and new weights, both of any one shape, and the number of steps () to the
    next average. Integers are taken as they are.
    """

    def average(averaged: Tensor, current: Tensor, steps: Tensor) -> Tensor:
        if not averaged.is_floating_point():
            return current  # such as BatchNorm's count of batches

        growing = float((steps + 1) / (steps + 10))
        return torch.lerp(current, averaged, min(decay, growing))

    return average
