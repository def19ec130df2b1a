"""The rate rises in a straight line, then falls along a half cosine (Loshchilov and Hutter 2017) to
zero.
"""

from __future__ import annotations

import math

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from goodfit.schema import Fraction


def cosine(optimizer: Optimizer, *, total_steps: int, warmup: Fraction) -> LambdaLR:
    """The full rate is reached after `warmup` of all steps; zero right after the last one."""
    rise = max(1, round(warmup * total_steps))

    def factor(step: int) -> float:
        if step < rise:
            return (step + 1) / rise
        return 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, total_steps - rise)))

    return LambdaLR(optimizer, factor)
