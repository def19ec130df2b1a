"""A learning curve: what each method scored on shares of train, and where that leads."""

from __future__ import annotations

from dataclasses import dataclass

from goodfit.records.interval import Interval
from goodfit.system.record import Record


@dataclass(frozen=True, kw_only=True)
class Size(Record):
    """A share of train, in `units` independent units; samples are the mean over the seeds."""

    share: float
    units: int
    samples: float


@dataclass(frozen=True, kw_only=True)
class HeldOut(Record):
    """What the smaller sizes foretold of the mean score at `size`, and what was measured."""

    size: Size
    predicted: Interval
    measured: float

    @property
    def covered(self) -> bool:
        """Whether the interval holds what was measured."""
        return self.predicted.low <= self.measured <= self.predicted.high


@dataclass(frozen=True, kw_only=True)
class Drawn(Record):
    """A point of the fitted curve."""

    samples: float
    score: Interval


@dataclass(frozen=True, kw_only=True)
class MethodCurve(Record):
    """A method's scores by size and seed, their means, and the power law through them.

    Its error, how far a score is from the best, is a + b n^-c of n samples: `level`, `drop` and
    `exponent`. `doubled` is the score that is expected of twice the data, `gain` by how much that
    is better; `fits` says whether such a curve goes through the means at all.
    """

    title: str
    scores: tuple[tuple[float, ...], ...]
    means: tuple[Interval, ...]
    level: float
    drop: float
    exponent: float
    fits: bool
    doubled: Interval
    gain: Interval
    held_out: tuple[HeldOut, ...]
    curve: tuple[Drawn, ...]

    @property
    def tells(self) -> bool:
        """Whether twice the data are foretold more closely than all that was measured spreads."""
        values = [mean.value for mean in self.means]
        return self.doubled.high - self.doubled.low < max(values) - min(values)


@dataclass(frozen=True, kw_only=True)
class LearningCurve(Record):
    """All methods on the same shares of an experiment's train, scored on its own validation.

    `methods` has the network first, then the strong baseline, the best at the largest size, then
    the others. `differences` are by how much the network is better than the strong one, by size,
    whatever the score's direction. `doubled` is twice all of train, in samples; `unit` is what is
    independent, and validation has so many `held_out`. `latest` says that shares end with train,
    as those of series.
    """

    experiment: str
    score: str
    mode: str
    data_sha256: str
    seeds: tuple[int, ...]
    sizes: tuple[Size, ...]
    doubled: float
    unit: str
    held_out: int
    latest: bool
    methods: tuple[MethodCurve, ...]
    differences: tuple[Interval, ...]
    run_id: str

    @property
    def network(self) -> MethodCurve:
        """The network's curve."""
        return self.methods[0]

    @property
    def strong(self) -> MethodCurve:
        """That of the strong baseline."""
        return self.methods[1]
