"""Remedies are tried: each is trained with the same seeds, and compared on the same validation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from omegaconf import DictConfig

from goodfit.records import Training
from goodfit.repeats import result
from goodfit.repeats.compare import Compared, compared
from goodfit.repeats.pool import Pool
from goodfit.repeats.result import Repeated
from goodfit.repeats.sides import Side
from goodfit.repeats.train import place, repeat

Composed = Callable[[Sequence[str]], DictConfig]  # the configuration of overrides


@dataclass(frozen=True)
class Tried:
    """What an override brought: the comparison with what was, and the mean gap to train.

    The gap is by how much train is better, in the headline score.
    """

    override: str
    compared: Compared
    gap: float


def treat(
    composed: Composed,
    overrides: Sequence[str],
    remedies: Sequence[str],
    seeds: int,
    pool: Pool | None = None,
) -> list[Tried]:
    """Each of `remedies` beside the training of `overrides`, by the same `seeds` of both.

    A training that the same call has finished before is not repeated. Test is never opened.

    Raises:
        UserError: a remedy makes no configuration, or data do not fit.
        FailureError: a training could not be finished.
    """
    before = _side(composed, overrides, seeds, pool)
    tried = []
    for remedy in remedies:
        print(f"trying {remedy}", flush=True)
        after = _side(composed, [*overrides, remedy], seeds, pool)
        found = compared(after, before)
        tried.append(Tried(remedy, found, mean_gap(composed([*overrides, remedy]), seeds)))
    return tried


def mean_gap(cfg: DictConfig, seeds: int) -> float:
    """By how much train is better than validation in the headline score, the mean over seeds.

    Raises:
        UserError: they are not trained.
    """
    of = place(cfg, folds=None, seeds=seeds)
    found, _ = result.read(of.root)
    scores = []
    for folder in of.models:
        scores.append(Training.read(folder / "train.json").scores[f"gap/{found.score}"])
    sign = -1.0 if found.mode == "max" else 1.0
    return sign * float(np.mean(scores))


def _side(composed: Composed, overrides: Sequence[str], seeds: int, pool: Pool | None) -> Side:
    cfg = composed(overrides)
    found: Repeated = repeat(cfg, folds=None, seeds=seeds, overrides=overrides, pool=pool)
    _, values = result.read(place(cfg, folds=None, seeds=seeds).root)
    return Side(overrides[-1], overrides[-1], found, values)
