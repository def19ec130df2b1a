"""What several trainings gave: every score, the mean, and what its interval counts.

Letters: K folds, S seeds.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from goodfit.evaluation.repeated import Estimate
from goodfit.records.interval import Interval
from goodfit.system import units
from goodfit.system.record import Record

FILE, VALUES = "repeats.json", "resampled.npy"
ARTIFACTS = "repeats"  # of the parent run, the folder that has both
Array = np.ndarray[Any, Any]


@dataclass(frozen=True, kw_only=True)
class Single(Record):
    """One training: its fold, from 1, or None on the experiment's own split; what it scored."""

    fold: int | None
    seed: int
    epochs: int
    score: float
    run_id: str


@dataclass(frozen=True, kw_only=True)
class Repeated(Record):
    """Trainings of one experiment with folds, seeds, or both; `singles` by fold, then by seed.

    `data` has the hash of each fold's prepared data, `held_out` and `trained_on` its samples; of
    seeds alone, those of the experiment's own train and validation. `units` of `unit` are
    independent there. `least` and `most` are the ends of the score, None where it has none.
    """

    experiment: str
    score: str
    mode: str
    folds: int | None
    seeds: tuple[int, ...]
    data: tuple[str, ...]
    held_out: tuple[int, ...]
    trained_on: tuple[int, ...]
    unit: str
    units: int
    singles: tuple[Single, ...]
    run_id: str
    mean: Interval
    freedom: float
    least: float | None = None
    most: float | None = None

    @property
    def scores(self) -> Array:
        """The scores (K, S); of seeds alone (1, S)."""
        return np.array([item.score for item in self.singles]).reshape(-1, len(self.seeds))

    @property
    def limits(self) -> tuple[float, float]:
        """The least and the most that the score can be."""
        least = -math.inf if self.least is None else self.least
        return least, math.inf if self.most is None else self.most

    @property
    def title(self) -> str:
        """What was repeated, in a few words: "5 folds x 3 seeds"."""
        seeds = f"{len(self.seeds)} seed{'s' * (len(self.seeds) > 1)}"
        return f"{self.folds} folds x {seeds}" if self.folds else seeds

    def of_seeds(self, seeds: tuple[int, ...]) -> Array:
        """The scores (K, S) of some of its seeds."""
        return self.scores[:, [self.seeds.index(seed) for seed in seeds]]

    def lines(self) -> Iterator[str]:
        """The table, the mean, and what its interval counts, for a terminal."""
        width = max(len(self.score), 8)
        yield f"{'fold':>5} {'seed':>6} {'epochs':>7} {self.score:>{width}}"
        for item in self.singles:
            score = units.number(item.score, 4)
            yield f"{item.fold or '-':>5} {item.seed:>6} {item.epochs:>7} {score:>{width}}"
        mean = f"{self.score} {self.mean.text()}"
        yield f"{self.experiment}: {mean}, mean and 95 % interval of {self.title}"
        yield from self.counted()

    def counted(self) -> Iterator[str]:
        """What the interval counts, and what it does not."""
        seeds = self.scores.shape[1]
        by_seed = self.scores.std(axis=1, ddof=1).mean() if seeds > 1 else None
        if self.folds:
            ratio = np.mean(np.array(self.held_out) / np.array(self.trained_on))
            means = self.scores.mean(1)
            yield (
                f"  it counts samples: {self.folds} folds, whose scores deviate by "
                f"{units.number(means.std(ddof=1), 2)}; they share training samples, so their "
                f"variance counts by 1/{self.folds} + {ratio:.2f}, with {self.freedom:g} degrees "
                "of freedom (Nadeau and Bengio 2003)"
            )
        else:
            yield (
                f"  it counts samples: {self.units:,} independent units of validation (each a "
                f"{self.unit}), by the bootstrap"
            )
        if by_seed is None:
            yield "  and seeds by one alone, so what a seed changes is in it as a part of that"
        else:
            what = "averaged in each fold" if self.folds else "as samples do"
            yield (
                f"  and seeds: {seeds}, which deviate by {units.number(by_seed, 2)}, {what}; all "
                f"in all {self.freedom:.3g} degrees of freedom"
            )
        yield "  each training chose its epoch on the samples that it is scored on; test is unseen"


def of(estimate: Estimate, **known: Any) -> Repeated:
    """What was `known`, with the estimate of the mean."""
    return Repeated(mean=estimate.interval, freedom=estimate.freedom, **known)


def read(folder: Path) -> tuple[Repeated, Array | None]:
    """What lies in a folder, and of seeds alone the resampled scores (S, R).

    Raises:
        UserError: a file is missing or broken.
    """
    values = folder / VALUES
    return Repeated.read(folder / FILE), np.load(values) if values.exists() else None
