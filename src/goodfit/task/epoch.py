"""What an epoch keeps of its steps until its scores are computed: sums, or a row for each sample.

Letters: B batch, N samples of an epoch or of a part of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
import torch.distributed as dist
from torch import Tensor

from goodfit.system.tensors import on_device
from goodfit.task.kept import Kept, Samples, in_order
from goodfit.task.scores import mean_loss, weighed

if TYPE_CHECKING:
    from goodfit.task.scores import Score, Statistics

# numbers of all ranks that an epoch of a split may keep on the device and in each checkpoint:
# 40 MB in float32. 1.28 M samples of 1,000 classes would be 5.1 GB
MOST_KEPT = 10_000_000


class Sums(NamedTuple):
    """Sums over samples in float64: loss (), units () and statistics (...)."""

    loss: Tensor
    units: Tensor
    statistics: Statistics

    @classmethod
    def of(cls, loss: Tensor, units: Tensor, statistics: Statistics) -> Sums:
        """Of the loss (B,), units (B,) and statistics (B, ...) of samples."""
        return cls(total(loss), total(units), totals(statistics))

    def add_(self, other: Sums) -> None:
        """Adds to these, in place."""
        self.loss.add_(other.loss)
        self.units.add_(other.units)
        for name, values in self.statistics.items():
            values.add_(other.statistics[name])

    def to(self, device: torch.device | str) -> Sums:
        """The same on `device`."""
        return Sums(self.loss.to(device), self.units.to(device), on_device(self.statistics, device))


class EpochResults:
    """What one rank keeps of a split's steps since the epoch began, and loss and scores of it.

    Where scores are functions of sums (`additive`), sums alone: a few numbers, however many samples
    there are. Else results of each sample, up to `MOST_KEPT` numbers; beyond, those of train give
    way to the sum of its loss, and those of another split wait in host memory. `scored` is false
    where only the loss is kept: there statistics need not be computed.
    """

    def __init__(self, split: str, *, additive: bool, scored: bool = True) -> None:
        self.split = split
        self.additive = additive
        self.scored = scored
        self._kept = Kept()
        self.clear()

    def clear(self) -> None:
        """An epoch begins."""
        # `scored` stays: an epoch of train is as large as the one before
        self._kept.clear()
        self._sums: Sums | None = None
        self._numbers = 0
        self._on_host = False

    @property
    def is_empty(self) -> bool:
        """Whether no step was added on this rank."""
        return self._sums is None and not self._kept

    def add(self, result: Samples) -> None:
        """Keeps a step, with results (B, ...)."""
        if self.additive or not self.scored:
            self._add_up(Sums.of(result.loss, result.units, result.statistics))
            return
        self._kept.add(result.to("cpu") if self._on_host else result)
        self._numbers += result.numbers()
        if self._numbers * _ranks() > MOST_KEPT:
            self._make_room()

    def reduce(self, metrics: Mapping[str, Score], device: torch.device) -> dict[str, float]:
        """Loss and scores of all ranks' samples since the epoch began, by name."""
        samples, by_rank = self._gathered()
        sums = _sum_of(by_rank)
        if sums is not None:
            row = {"loss": float(mean_loss(sums.loss, sums.units))}
            return row | (score_sums(metrics, sums.statistics) if self.scored else {})

        assert samples is not None, f"no step of {self.split} was added"
        # what a checkpoint restored lies on the CPU
        samples = samples.to("cpu" if self._on_host else device)
        row = {"loss": float(mean_loss(samples.loss, samples.units))}
        if self.scored:
            row |= score_rows(metrics, samples.statistics, additive=False)
        return row

    def state(self) -> dict[str, Any]:
        """All ranks' results, as data that a checkpoint may hold."""
        samples, by_rank = self._gathered()
        # plain tuples: a checkpoint is read with weights_only, which refuses other classes
        return {
            "samples": tuple(samples) if samples else None,
            "sums": [tuple(sums) if sums else None for sums in by_rank],
        }

    def load(self, state: Mapping[str, Any], rank: int) -> None:
        """Restores `state`: each rank its own sums, and the first all ranks' samples.

        `reduce` gathers them again. With another number of ranks the first one has all sums.
        """
        self.clear()
        if state["samples"]:
            samples = Samples(*state["samples"])
            self._numbers = samples.numbers(rank)
            if rank == 0:
                self._kept.add(samples)
        by_rank = [Sums(*sums) if sums else None for sums in state["sums"]]
        if len(by_rank) == _ranks():
            self._sums = by_rank[rank]
        elif rank == 0:
            self._sums = _sum_of(by_rank)
        gave_way = any(sums is not None for sums in by_rank)
        self.scored &= self.additive or not gave_way

    def _add_up(self, batch: Sums) -> None:
        if self._sums is None:
            self._sums = batch
            return
        if self._sums.loss.device != batch.loss.device:  # what a checkpoint restored
            self._sums = self._sums.to(batch.loss.device)
        self._sums.add_(batch)

    def _make_room(self) -> None:
        """The bound is passed: of train the loss is kept alone, other rows wait in host memory."""
        if self.split != "train":
            if not self._on_host:
                self._keep_on_host()
            return

        self.scored = False
        samples = self._kept.samples()
        if samples:
            self._add_up(Sums.of(samples.loss, samples.units, {}))
        self._kept = Kept()
        if not dist.is_initialized() or dist.get_rank() == 0:
            print(
                f"train: an epoch's statistics are more than {MOST_KEPT:,} numbers; "
                "its curve has the loss alone, validation's has all scores",
                flush=True,
            )

    def _keep_on_host(self) -> None:
        self._on_host = True
        samples = self._kept.samples()
        self._kept = Kept()
        if samples:
            self._kept.add(samples.to("cpu"))

    def _gathered(self) -> tuple[Samples | None, list[Sums | None]]:
        """The samples of all ranks, sorted by step and rank, or the sums of each rank.

        In a fixed order, so that sums of floats do not depend on which rank kept what.
        """
        samples = self._kept.samples()
        if not dist.is_initialized():
            return samples, [self._sums]
        mine = samples and samples.to("cpu"), self._sums and self._sums.to("cpu")
        gathered: list[Any] = [None] * _ranks()
        dist.all_gather_object(gathered, mine)

        parts = [samples for samples, _ in gathered if samples]
        sums = [rank_sums for _, rank_sums in gathered]
        if not self.additive and any(rank_sums is not None for rank_sums in sums):
            # one rank may pass the bound in a step in which another one does not
            self.scored = False
            return None, [*sums, *(Sums.of(part.loss, part.units, {}) for part in parts)]
        return in_order(parts), sums


def score_rows(
    metrics: Mapping[str, Score], statistics: Statistics, *, additive: bool
) -> dict[str, float]:
    """Each score of statistics (N, ...), which `additive` ones are given the sums of."""
    if additive:
        return score_sums(metrics, totals(statistics))
    return {name: float(score(statistics)) for name, score in metrics.items()}


def score_sums(metrics: Mapping[str, Score], sums: Statistics) -> dict[str, float]:
    """Each additive score of sums (...), as those of a single test set, (1, ...)."""
    single = {name: values.unsqueeze(0) for name, values in sums.items()}
    return {name: float(score(single)) for name, score in metrics.items()}


def totals(statistics: Statistics) -> Statistics:
    """Sums (...) of statistics (B, ...) over samples, in float64, by the weights that they have."""
    return {name: total(values) for name, values in weighed(statistics).items()}


def total(values: Tensor) -> Tensor:
    """The sum (...) of (B, ...) over samples in float64, in which counts are exact up to 2^53."""
    if values.device.type == "mps":  # which has no float64
        values = values.cpu()
    return values.sum(0, dtype=torch.float64)


def _sum_of(by_rank: Sequence[Sums | None]) -> Sums | None:
    """The sum in the order of ranks, in memory of its own; None where no rank has any."""
    summed: Sums | None = None
    for sums in by_rank:
        if sums is None:
            continue
        if summed is None:
            summed = _clone(sums)
        else:
            summed.add_(sums)
    return summed


def _clone(sums: Sums) -> Sums:
    statistics = {name: values.clone() for name, values in sums.statistics.items()}
    return Sums(sums.loss.clone(), sums.units.clone(), statistics)


def _ranks() -> int:
    return dist.get_world_size() if dist.is_initialized() else 1
