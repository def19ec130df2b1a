"""Remedies that were tried: what each brought beside the experiment as it is."""

from __future__ import annotations

from dataclasses import dataclass

from goodfit.records.fit import Fit
from goodfit.records.interval import Interval
from goodfit.system.record import Record


@dataclass(frozen=True, kw_only=True)
class Treated(Record):
    """An override: its score, by how much it is better, and in words what that means.

    `gap` is by how much train is better than validation, the mean over the seeds.
    """

    override: str
    score: Interval
    better: Interval
    outcome: int  # 1 better, 0 tied, -1 worse
    word: str
    gap: float


@dataclass(frozen=True, kw_only=True)
class Diagnosed(Record):
    """How well an experiment fits, and its remedies, compared `on` the same validation and seeds.

    `data_sha256` is that of its prepared data; `counts` is what the intervals count.
    """

    experiment: str
    data_sha256: str
    fit: Fit
    sentences: tuple[str, ...]
    score: str
    before: Interval
    gap: float
    treated: tuple[Treated, ...]
    on: str
    counts: str
    run_id: str  # of the trainings as it is
