"""The optimizer's own rate from the first step to the last."""

from __future__ import annotations

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR


def constant(optimizer: Optimizer, *, total_steps: int) -> LambdaLR:
    """A factor of 1, whatever `total_steps`, so that a longer run begins like a shorter one."""
    return LambdaLR(optimizer, lambda step: 1.0)
