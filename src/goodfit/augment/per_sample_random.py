"""Random numbers that belong to samples: the same in any batch, on any device, after any resume.

Letters: B batch, N numbers of a sample.
"""

from __future__ import annotations

import math
from functools import cached_property

import torch
from torch import Tensor

from goodfit.contract import random_key

# splitmix64's constants, as signed: 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
_GOLDEN = -7046029254386353131
_MIX1 = -4658895280553007687
_MIX2 = -7723592293110705685


class PerSampleRandom:
    """Uniform numbers for the samples at `rows` (B,), a function of (seed, epoch, row) alone.

    The n-th number of a sample is the n-th that is drawn, in however many calls. A counter through
    the mixing function of splitmix64 (Steele, Lea and Flood 2014), in int64, which wraps: torch
    offers no generator that counts by sample.
    """

    def __init__(self, rows: Tensor, *, seed: int, epoch: int) -> None:
        self._rows = rows
        self._seed, self._epoch = seed, epoch
        self._key = random_key(seed, epoch)
        self._drawn = 0  # numbers of each sample so far

    def of(self, rows: Tensor) -> PerSampleRandom:
        """The numbers of the samples at other `rows` (B,) in the same epoch, from the first one."""
        return PerSampleRandom(rows, seed=self._seed, epoch=self._epoch)

    @cached_property
    def _state(self) -> Tensor:
        """What each sample's numbers begin with, (B,); an augmentation may draw none."""
        return _mix(self._rows * _GOLDEN + _mix(torch.tensor(self._key)))

    def __call__(self, *shape: int) -> Tensor:
        """The next (B, *shape) numbers in [0, 1), float32 with 24 random bits, where `rows` lie."""
        count = math.prod(shape)
        first = self._drawn + 1
        self._drawn += count

        counter = torch.arange(first, first + count, device=self._state.device)
        bits = _mix(self._state[:, None] + counter * _GOLDEN)  # (B, N)
        # the upper 24 of 64: as many as float32 holds exactly
        uniform = ((bits >> 40) & 0xFFFFFF).float() / 2**24
        return uniform.reshape(len(self._state), *shape)


def _mix(value: Tensor) -> Tensor:
    """splitmix64's finalizer: each bit of a number changes about half of the bits of its answer."""
    value = (value ^ _shifted(value, 30)) * _MIX1
    value = (value ^ _shifted(value, 27)) * _MIX2
    return value ^ _shifted(value, 31)


def _shifted(value: Tensor, bits: int) -> Tensor:
    """A logical shift to the right; torch's own carries the sign along."""
    return (value >> bits) & ((1 << (64 - bits)) - 1)
