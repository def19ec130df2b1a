"""Random numbers that belong to samples: the same in any batch, on any device, after any resume."""

from __future__ import annotations

import torch
from torch import Tensor

from goodfit.contract import random_key

_GOLDEN, _MIX1, _MIX2 = (
    -7046029254386353131,
    -4658895280553007687,
    -7723592293110705685,
)  # splitmix64, as signed


class PerSampleRandom:
    """Uniform numbers for the samples at `rows` (B,), a function of (seed, epoch, row) and of how
    many were drawn.

    A counter through the mixing function of splitmix64 (Steele, Lea and Flood 2014), in int64,
    which wraps.
    """

    def __init__(self, rows: Tensor, *, seed: int, epoch: int) -> None:
        self._state = _mix(rows * _GOLDEN + _mix(torch.tensor(random_key(seed, epoch))))
        self._drawn = 0

    def __call__(self, *shape: int) -> Tensor:
        """(B, *shape) numbers in [0, 1), float32 with 24 random bits."""
        count = 1
        for size in shape:
            count *= size
        places = torch.arange(self._drawn + 1, self._drawn + 1 + count, device=self._state.device)
        self._drawn += count
        bits = _mix(self._state[:, None] + places * _GOLDEN)
        return (((bits >> 40) & 0xFFFFFF).float() / 2**24).reshape(len(self._state), *shape)


def _mix(value: Tensor) -> Tensor:
    value = (value ^ _shifted(value, 30)) * _MIX1
    value = (value ^ _shifted(value, 27)) * _MIX2
    return value ^ _shifted(value, 31)


def _shifted(value: Tensor, bits: int) -> Tensor:
    """A logical shift to the right; torch's own carries the sign along."""
    return (value >> bits) & ((1 << (64 - bits)) - 1)
