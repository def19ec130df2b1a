"""What a rank keeps of its steps: a row of numbers for each sample, in memory that lasts.

Letters: B batch, N samples of several steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from goodfit.system.tensors import GrowingTensors, on_device

if TYPE_CHECKING:
    from goodfit.task.scores import Statistics


class Samples(NamedTuple):
    """Of the samples of one or more steps: loss (N,), units (N,) and statistics (N, ...).

    `steps` are these steps in order: the number of each, its rank and how many samples it had.
    """

    steps: list[tuple[int, int, int]]
    loss: Tensor
    units: Tensor
    statistics: Statistics

    @classmethod
    def of_step(
        cls, step: int, rank: int, loss: Tensor, units: Tensor, statistics: Statistics
    ) -> Samples:
        """Of one step on one rank: loss (B,), units (B,) and statistics (B, ...)."""
        # detached: what is the output itself would keep the activations of every step
        kept = {name: values.detach() for name, values in statistics.items()}
        return cls([(step, rank, len(loss))], loss.detach(), units, kept)

    def to(self, device: torch.device | str) -> Samples:
        """The same, with its tensors on `device`."""
        return self._replace(
            loss=self.loss.to(device),
            units=self.units.to(device),
            statistics=on_device(self.statistics, device),
        )

    def numbers(self, rank: int | None = None) -> int:
        """How many numbers the statistics are: of a rank's samples, of all where it is None."""
        samples = sum(count for _, of, count in self.steps if rank is None or of == rank)
        return samples * sum(values.shape[1:].numel() for values in self.statistics.values())


class Kept:
    """The samples of one rank's steps so far, each step's after those of the one before.

    To store a step takes 20 microseconds; no tensor of it lives on (see `GrowingTensors`).
    """

    def __init__(self) -> None:
        self._steps: list[tuple[int, int, int]] = []
        self._losses = GrowingTensors()
        self._statistics = GrowingTensors()

    def __len__(self) -> int:
        return len(self._steps)

    def add(self, samples: Samples) -> None:
        """Those of further steps."""
        self._steps += samples.steps
        self._losses.append({"loss": samples.loss, "units": samples.units})
        self._statistics.append(samples.statistics)

    def samples(self) -> Samples | None:
        """A copy of all samples so far, None where there is no step."""
        if not self._steps:
            return None
        statistics = self._statistics.tensors()
        return Samples(list(self._steps), **self._losses.tensors(), statistics=statistics)

    def clear(self) -> None:
        """No samples; the memory stays for those of the next epoch."""
        self._steps.clear()
        self._losses.clear()
        self._statistics.clear()


def in_order(parts: Sequence[Samples]) -> Samples | None:
    """The samples of all parts, sorted by step and rank; None where there is no part."""
    if not parts:
        return None
    steps = [step for part in parts for step in part.steps]
    order = sorted(range(len(steps)), key=lambda index: steps[index][:2])
    sizes = [samples for _, _, samples in steps]
    blocks = torch.split(torch.arange(sum(sizes)), sizes)
    rows = torch.cat([blocks[index] for index in order])

    statistics = {}
    for name in parts[0].statistics:
        statistics[name] = torch.cat([part.statistics[name] for part in parts])[rows]
    return Samples(
        [steps[index] for index in order],
        torch.cat([part.loss for part in parts])[rows],
        torch.cat([part.units for part in parts])[rows],
        statistics,
    )
