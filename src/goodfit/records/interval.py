"""A number and how sure it is."""

from __future__ import annotations

import math
from dataclasses import dataclass

from goodfit.system import units
from goodfit.system.record import Record


@dataclass(frozen=True)
class Interval(Record):
    """A number with its 95 % interval.

    docs/repeats.md has what each counts, and how often it holds the truth.
    """

    value: float
    low: float
    high: float

    @property
    def decimals(self) -> int:
        """How many decimals the numbers deserve by the interval's width, 0 to 4.

        Those in which half the width is a number between 5 and 49: 0.965 ± 0.031, 12.3 ± 1.5.
        """
        half_width = (self.high - self.low) / 2
        if half_width <= 0:  # all resampled test sets agree
            return 3 if abs(self.value) < 10 else 1
        return min(4, max(0, -math.floor(math.log10(half_width / 5))))

    def text(self, sign: bool = False) -> str:
        """The number with its bounds: 0.965 [0.929, 0.991]; with `sign`, +0.02 [−0.01, +0.05]."""
        value, low, high = (
            units.fixed(number, self.decimals, sign) for number in (self.value, self.low, self.high)
        )
        return f"{value} [{low}, {high}]"
