"""The arrays of a split, memory-mapped, and batches gathered from them.

Letters: N samples of the split, B samples of a batch.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from goodfit.contract import Batch, DataSpec

CLUSTERS = "clusters"  # the name of the file that numbers them, which no array may have


class Packed:
    """The arrays of one split, memory-mapped: `inputs[name]` and `targets[name]`, (N, ...) each."""

    def __init__(self, folder: Path, split: str) -> None:
        self._folder = folder / split
        spec = DataSpec.read(folder / "spec.json")
        self.inputs = {name: _load(folder / split / f"{name}.npy") for name in spec.inputs}
        self.targets = {name: _load(folder / split / f"{name}.npy") for name in spec.targets}

    def __len__(self) -> int:
        return len(self._any)

    def only(self, inputs: Collection[str]) -> Packed:
        """The same samples with these inputs alone: no other array is gathered, or moved."""
        selected = copy.copy(self)
        selected.inputs = {name: self.inputs[name] for name in inputs}
        return selected

    @property
    def size(self) -> int:
        """Bytes of all arrays."""
        return sum(array.nbytes for array in (*self.inputs.values(), *self.targets.values()))

    @property
    def clusters(self) -> Tensor:
        """The cluster of each sample, (N,): those of the same one depend on each other."""
        return _load(self._folder / f"{CLUSTERS}.npy")

    @property
    def device(self) -> torch.device:
        """Where the arrays lie."""
        return self._any.device

    @property
    def _any(self) -> Tensor:
        """One of the arrays: all have as many samples, and lie on the same device."""
        return next(iter((*self.inputs.values(), *self.targets.values())))

    def to(self, device: torch.device) -> Packed:
        """A copy of all arrays in the memory of `device`; the original stays where it is."""
        there = copy.copy(self)
        there.inputs, there.targets = moved(self.inputs, device), moved(self.targets, device)
        return there

    def batch(self, rows: Tensor, weight: float = 1.0, *, pin: bool = False) -> Batch:
        """The samples at `rows` (B,), in that order; `rows` lie on the device of the arrays."""
        gather: Callable[..., Tensor] = _gather_pinned if pin else Tensor.index_select
        inputs = {name: gather(array, 0, rows) for name, array in self.inputs.items()}
        targets = {name: gather(array, 0, rows) for name, array in self.targets.items()}
        return Batch(inputs, targets, rows, weight)


def moved(arrays: dict[str, Tensor], device: torch.device) -> dict[str, Tensor]:
    """Arrays (B, ...) on `device`; a copy from pinned memory goes on while the program does."""
    return {name: array.to(device, non_blocking=True) for name, array in arrays.items()}


def _gather_pinned(array: Tensor, dim: int, rows: Tensor) -> Tensor:
    """`index_select` into pinned memory, which torch keeps until a copy from it is done."""
    out = torch.empty((len(rows), *array.shape[1:]), dtype=array.dtype, pin_memory=True)
    return torch.index_select(array, dim, rows, out=out)


def _load(path: Path) -> Tensor:
    # mode "c": torch wants memory that it may write to; what it writes never reaches the file
    return torch.from_numpy(np.load(path, mmap_mode="c"))
