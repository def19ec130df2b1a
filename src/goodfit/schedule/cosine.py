"""The rate rises in a straight line, then falls along half a cosine to zero."""

from __future__ import annotations

import math

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from goodfit.schema import Fraction


def cosine(optimizer: Optimizer, *, total_steps: int, warmup: Fraction) -> LambdaLR:
    """The full rate is reached after a share `warmup` of all steps, zero right after the last one.

    From there on the factor is (1 + cos(pi t)) / 2, with t from 0 to 1 (Loshchilov and Hutter
    2017).
    """
    rise = max(1, round(warmup * total_steps))
    fall = max(1, total_steps - rise)

    def factor(step: int) -> float:
        if step < rise:
            return (step + 1) / rise  # never 0: the first step, too, is one
        return 0.5 * (1 + math.cos(math.pi * (step - rise) / fall))

    return LambdaLR(optimizer, factor)
