"""Where forecasts of series start, and in which split: by time, at the same moments of all series.

Steps are counted by their numbers on the grid of `steps.py`. Letters: N starts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from goodfit.data import split
from goodfit.data.regular import Run
from goodfit.data.steps import WEEK, Step
from goodfit.errors import UserError

Array = np.ndarray[Any, Any]


class Lengths(Protocol):
    """What the configuration says of windows, in steps, and of the shares of splits."""

    context: int
    horizon: int
    stride: int
    train_stride: int
    gap: int
    test: float
    validation: float


@dataclass(frozen=True)
class Plan:
    """Validation begins at the number `validation`, test at `test`; `end` is behind the last."""

    lengths: Lengths
    validation: int
    test: int
    end: int

    @classmethod
    def of(cls, runs: Sequence[Run], lengths: Lengths) -> Plan:
        """The shares of the time from the first step of any series to the last of any.

        Raises:
            UserError: a split is too short for a single forecast.
        """
        if lengths.test + lengths.validation >= 1:
            raise UserError(
                f"data.test={lengths.test} and data.validation={lengths.validation} leave nothing "
                "to train on"
            )
        first = min(run.first for run in runs)
        end = max(run.first + len(run) for run in runs)
        test = end - round((end - first) * lengths.test)
        validation = test - round((end - first) * lengths.validation)
        wanted = {"test": end - test, "validation": test - validation - lengths.gap}
        for name, length in wanted.items():
            if length < lengths.horizon:
                raise UserError(
                    f"data.{name}={getattr(lengths, name)} of {end - first} steps leaves {length} "
                    f"for {name}, and a forecast is of {lengths.horizon}; choose a larger share, "
                    "or a shorter data.horizon"
                )
        return cls(lengths, validation, test, end)

    def starts(self, run: Run) -> tuple[Array, Array]:
        """The steps (N,) at which forecasts of a series start, and the names (N,) of their splits.

        All are counted back from the last one, which ends with the data: with strides of a week,
        those of train start on the weekday on which those of test do, and no other.
        """
        ours = self.lengths
        last = run.first + len(run) - ours.horizon
        starts = np.arange(run.first + ours.context, last + 1)
        names = np.full(len(starts), split.NO_SPLIT, "<U10")
        borders = {
            "train": (run.first, self.validation - ours.gap, ours.train_stride),
            "validation": (self.validation, self.test - ours.gap, ours.stride),
            "test": (self.test, self.end, ours.stride),
        }
        for name, (begin, end, stride) in borders.items():
            inside = (starts >= begin) & (starts + ours.horizon <= end)
            names[inside & ((self.end - ours.horizon - starts) % stride == 0)] = name
        kept = names != split.NO_SPLIT
        return starts[kept], names[kept]

    @property
    def said(self) -> list[str]:
        """For a reader."""
        ours = self.lengths
        gap = f", {ours.gap} steps between splits" if ours.gap else ""
        return [
            f"a forecast every {ours.stride} steps of validation and test, every "
            f"{ours.train_stride} of train{gap}"
        ]


def usable(run: Run, starts: Array, column: int, context: int, horizon: int) -> Array:
    """Which starts (N,) have a target of the column that is known at every step.

    A past must not begin with a step that was filled: in use, nothing would be there to fill from.
    """
    at = starts - run.first
    sums = np.concatenate([[0], np.cumsum(run.filled[:, column])])
    whole = sums[at + horizon] == sums[at]
    return np.asarray(whole & ~run.filled[at - context].any(1))


def block(step: Step, horizon: int) -> int:
    """The steps that an interval draws together: a week, a year of months, or the horizon."""
    if step.months:
        return max(horizon, 12 // step.months, 1)
    return max(horizon, WEEK // step.seconds)


def step_of(facts: Mapping[str, Any]) -> Step:
    """The step of series, from the spec's facts."""
    return Step(**facts["step"])
