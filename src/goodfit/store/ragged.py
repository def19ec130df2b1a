"""Samples of different lengths: their values one after the other, and where each begins.

Letters: N samples of the split, B samples of a batch, V elements of all samples, L elements of the
longest sample of a batch.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property

import torch
from torch import Tensor

# bytes that all samples may take in memory, each padded to the longest: gathered from such a copy,
# 96 texts of up to 64 tokens take 11 microseconds, and 46 from their stretches, where overwriting
# what follows a sample is more than half of the work. To make the copy takes a tenth of a second
MOST_PADDED = 64 * 2**20


@dataclass(frozen=True)
class Ragged:
    """Sample i is values[offsets[i] : offsets[i + 1]], of values (V, ...) and offsets (N + 1,).

    Behind the last sample follow as many elements as the longest one has. Where all samples padded
    alike take at most `MOST_PADDED` bytes, a copy of that form is made for the first batch.
    """

    values: Tensor
    offsets: Tensor
    fill: float
    # of the padded copy, by L: to make a view takes 2 microseconds, as long as the lengths
    _views: dict[int, Tensor] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def nbytes(self) -> int:
        """Bytes of values and offsets, and of the padded copy where there will be one."""
        padded = self._padded_bytes if self._padded_bytes <= MOST_PADDED else 0
        return self.values.nbytes + self.offsets.nbytes + padded

    @property
    def device(self) -> torch.device:
        """Where the values lie."""
        return self.values.device

    @cached_property
    def lengths(self) -> Tensor:
        """The number of elements of each sample, (N,)."""
        return self.offsets.diff()

    def to(self, device: torch.device, *, non_blocking: bool = False) -> Ragged:
        """The same on `device`."""
        return replace(
            self,
            values=self.values.to(device, non_blocking=non_blocking),
            offsets=self.offsets.to(device, non_blocking=non_blocking),
        )

    def gather(self, rows: Tensor, *, pin: bool = False) -> tuple[Tensor, Tensor]:
        """The samples at `rows` (B,), padded with `fill`, (B, L, ...), and their lengths (B,).

        `rows` lie on the device of the values; `pin` puts both into pinned memory.
        """
        lengths = self.lengths.index_select(0, rows)
        longest = _longest(lengths)
        if self._padded is None:
            padded = self._gather_stretches(rows, lengths, longest, pin=pin)
        else:
            view = self._views.get(longest)
            if view is None:
                view = self._views[longest] = self._padded[:, :longest]
            padded = select(view, rows, pin=pin)
        return padded, lengths.pin_memory() if pin else lengths

    @cached_property
    def _padded_bytes(self) -> int:
        """Bytes of all samples (N, L, ...), each padded to the longest."""
        return len(self) * _longest(self.lengths) * self.values[:1].nbytes

    @cached_property
    def _padded(self) -> Tensor | None:
        """All samples, padded, (N, L, ...); None where they would take too much."""
        if self._padded_bytes > MOST_PADDED:
            return None
        rows = torch.arange(len(self), device=self.device)
        return self._gather_stretches(rows, self.lengths, _longest(self.lengths))

    def _gather_stretches(
        self, rows: Tensor, lengths: Tensor, longest: int, *, pin: bool = False
    ) -> Tensor:
        """The samples at `rows` (B,) of `lengths` (B,), padded to the `longest`, (B, L, ...)."""
        # every stretch of `longest` values as a view: a sample is copied in one piece, as fast as
        # from a padded array (element by element, 64 x 512 numbers take 4 times as long); what
        # follows it in its stretch is overwritten
        shape = (len(self.values) - longest + 1, longest, *self.values.shape[1:])
        stride = self.values.stride()
        stretches = self.values.as_strided(shape, (stride[0], *stride))
        padded = select(stretches, self.offsets.index_select(0, rows), pin=pin)

        # on a device it is asked for the longest alone: each number that it tells is a wait
        on_cpu = rows.device.type == "cpu"
        shortest = int(lengths.min()) if on_cpu and len(rows) else 0
        if shortest < longest:
            behind = torch.arange(shortest, longest, device=rows.device) >= lengths[:, None]
            behind = behind.reshape(*behind.shape, *[1] * (padded.dim() - 2))
            padded[:, shortest:].masked_fill_(behind, self.fill)
        return padded


def _longest(lengths: Tensor) -> int:
    """The largest of the lengths (B,), 0 where there is none."""
    return int(lengths.max().item()) if lengths.numel() else 0


def select(array: Tensor, rows: Tensor, *, pin: bool) -> Tensor:
    """The rows (B,) of an array (N, ...): (B, ...), in pinned memory where asked for.

    Torch keeps pinned memory until a copy from it is done.
    """
    if not pin:
        return array.index_select(0, rows)
    out = torch.empty((len(rows), *array.shape[1:]), dtype=array.dtype, pin_memory=True)
    return torch.index_select(array, 0, rows, out=out)
