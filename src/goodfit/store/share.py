"""A share of the training samples, in whole independent units.

Docs: docs/decisions/0045-learning-curves.md.

Letters: N samples of train, M samples of the share.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from goodfit.contract import random_key

_STREAM = -1  # no epoch: epochs, whose orders are drawn from the same seed, count from zero
_ROUNDING = 1e-9  # 0.7 * 10 is 7.000000000000001 or less than that


def units_in(units: int, share: float) -> int:
    """How many of so many units a share has: one at least."""
    return max(1, math.ceil(units * share - _ROUNDING))


def rows_of(clusters: Tensor, share: float, *, seed: int, latest: bool) -> Tensor:
    """The rows (M,), rising, of a share of the units that `clusters` (N,) tell apart.

    A unit is in with all of its rows, or out. Units are drawn by the seed, or with `latest` taken
    from the end, where their numbers rise with time. Of one seed the smaller share lies in the
    larger one.
    """
    numbers, unit_of = torch.unique(clusters, return_inverse=True)
    count = units_in(len(numbers), share)
    if latest:
        chosen = torch.arange(len(numbers) - count, len(numbers))
    else:
        generator = torch.Generator().manual_seed(random_key(seed, _STREAM))
        chosen = torch.randperm(len(numbers), generator=generator)[:count]
    taken = torch.zeros(len(numbers), dtype=torch.bool)
    taken[chosen] = True
    return taken[unit_of].nonzero().flatten()
