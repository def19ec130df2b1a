"""Averaged weights."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def moving_average(decay: float) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """Exponential average of the weights whose decay grows to `decay`, so that the first ones are
    forgotten soon.

    The decay after n steps is min(decay, (n + 1) / (n + 10)), as in TensorFlow's
    ExponentialMovingAverage.
    """

    def average(old: Tensor, new: Tensor, steps: Tensor) -> Tensor:
        return (
            torch.lerp(new, old, min(decay, float((steps + 1) / (steps + 10))))
            if old.is_floating_point()
            else new
        )

    return average
