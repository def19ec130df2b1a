"""The arrays of a split, memory-mapped, and batches gathered from them.

Letters: N samples of the split, B samples of a batch, L elements of the longest of them.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from goodfit.contract import LENGTH, Batch, DataSpec, Field
from goodfit.data.base import Encoded
from goodfit.store.manifest import CLUSTERS, OFFSETS, WEIGHTS
from goodfit.store.ragged import Ragged, select
from goodfit.system import paging

# of the memory: what arrays may take before the kernel is told which rows to read, and to read no
# others. Under a limit of 600 MB, rows of 80 kB out of 1.9 GB came at 70 in a second without, and
# at 8,000 with it; for arrays that stay in memory it would cost 10 microseconds a row
_LARGEST_SHARE = 0.5

Column = Tensor | Ragged  # the values of a field for all samples


class Packed:
    """The arrays of one split, memory-mapped: `inputs[name]` and `targets[name]`, N samples each.

    A dense one is a tensor (N, ...); a ragged one has its values and offsets. `sample_weight` (N,)
    is how much each sample counts; None where all count alike. A `part` of it has fewer samples.
    """

    def __init__(self, folder: Path, split: str) -> None:
        self._folder = folder / split
        self._part: Tensor | None = None  # the rows (N,) of the arrays that are its samples
        spec = DataSpec.read(folder / "spec.json")
        self.inputs = _columns(self._folder, spec.inputs)
        self.targets = _columns(self._folder, spec.targets)
        self.sample_weight = None
        if spec.weighed_by:
            self.sample_weight = _load(self._folder / f"{WEIGHTS}.npy")
        self._arguments = frozenset(spec.arguments(spec.inputs))
        self._exceeds_memory = self.size > _LARGEST_SHARE * paging.memory_limit()
        if self._exceeds_memory:
            for array in self._all:
                paging.disable_readahead(_values(array))

    def __len__(self) -> int:
        return len(self._any) if self._part is None else len(self._part)

    def only(self, inputs: Collection[str]) -> Packed:
        """The same samples with these inputs alone: no other array is gathered, or moved.

        The length of a ragged input, `<name>_length`, is an input of its own.
        """
        selected = copy.copy(self)
        wanted = {name.removesuffix(LENGTH) if name not in self.inputs else name for name in inputs}
        selected.inputs = {name: self.inputs[name] for name in self.inputs if name in wanted}
        selected._arguments = frozenset(inputs)
        return selected

    def part(self, rows: Tensor | None) -> Packed:
        """The samples at `rows` (M,) alone, counted from 0 on in that order; all where it is None.

        Nothing is copied: `inputs` and `targets` stay the arrays of the whole split.
        """
        if rows is None:
            return self
        taken = copy.copy(self)
        taken._part = self._rows_at(rows)
        if self.sample_weight is not None:
            taken.sample_weight = self.sample_weight[rows]
        return taken

    def given(self, inputs: dict[str, Tensor]) -> Packed:
        """The same samples with other inputs, (N, ...) each, which lie in memory."""
        other = copy.copy(self)
        other.inputs = {name: self._spread(values) for name, values in inputs.items()}
        other._arguments = frozenset(inputs)
        return other

    @property
    def size(self) -> int:
        """Bytes of all arrays."""
        return sum(array.nbytes for array in self._all)

    @property
    def clusters(self) -> Tensor:
        """The cluster of each sample, (N,): those of the same one depend on each other."""
        clusters = _load(self._folder / f"{CLUSTERS}.npy")
        return clusters if self._part is None else clusters[self._part]

    @property
    def lengths(self) -> Tensor | None:
        """The elements of each sample's ragged arrays, (N,); None where all samples are alike."""
        ragged = [array.lengths for array in self._all if isinstance(array, Ragged)]
        if not ragged:
            return None
        lengths = torch.stack(ragged).sum(0)
        return lengths if self._part is None else lengths[self._part]

    @property
    def device(self) -> torch.device:
        """Where the arrays lie."""
        return self._any.device

    @property
    def _any(self) -> Column:
        """One of the arrays: all have as many samples, and lie on the same device."""
        return self._all[0]

    @property
    def _all(self) -> tuple[Column, ...]:
        return (*self.inputs.values(), *self.targets.values())

    def to(self, device: torch.device) -> Packed:
        """A copy of all arrays in the memory of `device`; the original stays where it is."""
        there = copy.copy(self)
        there._exceeds_memory = False
        there.inputs = {name: array.to(device) for name, array in self.inputs.items()}
        there.targets = {name: array.to(device) for name, array in self.targets.items()}
        if self.sample_weight is not None:
            there.sample_weight = self.sample_weight.to(device)
        if self._part is not None:
            there._part = self._part.to(device)
        return there

    def batch(self, rows: Tensor, weight: float = 1.0, *, pin: bool = False) -> Batch:
        """The samples at `rows` (B,), in that order; `rows` lie on the device of the arrays.

        A ragged array `text` becomes `text` (B, L, ...) and `text_length` (B,).
        """
        counts = self.sample_weight
        if counts is not None:
            counts = select(counts, rows, pin=pin)
        rows = self._rows_at(rows)
        if self._exceeds_memory:
            for array in self._all:
                _prefetch(array, rows)
        inputs = _gather(self.inputs, rows, pin)
        for name in inputs.keys() - self._arguments:
            del inputs[name]
        return Batch(inputs, _gather(self.targets, rows, pin), rows, weight, counts)

    def _spread(self, values: Tensor) -> Tensor:
        """Values (M, ...) of a part, each where it lies in the whole (N, ...), zeros elsewhere."""
        if self._part is None:
            return values
        whole = values.new_zeros((len(self._any), *values.shape[1:]))
        whole[self._part] = values
        return whole

    def _rows_at(self, rows: Tensor) -> Tensor:
        """Which rows of the arrays the samples at `rows` (B,) are."""
        return rows if self._part is None else self._part[rows]


def collate(encoded: Mapping[str, Encoded], fields: Mapping[str, Field]) -> dict[str, Tensor]:
    """What `DataSet.encode` gave for B rows, as a batch holds it: (B, ...), padded where ragged."""
    batch = {}
    for name, field in fields.items():
        samples = encoded[name]
        if not field.is_ragged:
            batch[name] = torch.from_numpy(samples)
            continue
        parts = [torch.from_numpy(sample) for sample in samples]
        empty = torch.empty(field.sized(0), dtype=getattr(torch, field.dtype))
        # pad_sequence refuses an empty list
        batch[name] = pad_sequence([*parts, empty], batch_first=True, padding_value=field.fill)[:-1]
        batch[f"{name}{LENGTH}"] = torch.tensor([len(part) for part in parts], dtype=torch.int64)
    return batch


def moved(arrays: dict[str, Tensor], device: torch.device) -> dict[str, Tensor]:
    """Arrays (B, ...) on `device`; a copy from pinned memory goes on while the program does."""
    return {name: array.to(device, non_blocking=True) for name, array in arrays.items()}


def _values(column: Column) -> Tensor:
    return column.values if isinstance(column, Ragged) else column


def _prefetch(column: Column, rows: Tensor) -> None:
    if isinstance(column, Ragged):
        starts, lengths = column.offsets[rows], column.lengths[rows]
        paging.prefetch(column.values, starts, lengths)
    else:
        paging.prefetch(column, rows, torch.ones_like(rows))


def _gather(columns: Mapping[str, Column], rows: Tensor, pin: bool) -> dict[str, Tensor]:
    gathered = {}
    for name, column in columns.items():
        if isinstance(column, Ragged):
            gathered[name], gathered[f"{name}{LENGTH}"] = column.gather(rows, pin=pin)
        else:
            gathered[name] = select(column, rows, pin=pin)
    return gathered


def _columns(folder: Path, fields: Mapping[str, Field]) -> dict[str, Column]:
    columns: dict[str, Column] = {}
    for name, field in fields.items():
        values = _load(folder / f"{name}.npy")
        if field.is_ragged:
            offsets = _load(folder / f"{name}{OFFSETS}.npy")
            columns[name] = Ragged(values, offsets, field.fill)
        else:
            columns[name] = values
    return columns


def _load(path: Path) -> Tensor:
    # mode "c": torch wants memory that it may write to; what it writes never reaches the file
    return torch.from_numpy(np.load(path, mmap_mode="c"))
