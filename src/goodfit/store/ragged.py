"""Samples of different lengths: their values one after the other, and where each begins.

Letters: N samples of the split, B samples of a batch, V elements of all samples, L elements of the
longest sample of a batch.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor


@dataclass(frozen=True)
class Ragged:
    """Sample i is values[offsets[i] : offsets[i + 1]], of values (V, ...) and offsets (N + 1,).

    Behind the last sample follow as many elements as the longest one has.
    """

    values: Tensor
    offsets: Tensor
    fill: float

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def nbytes(self) -> int:
        """Bytes of values and offsets."""
        return self.values.nbytes + self.offsets.nbytes

    @property
    def device(self) -> torch.device:
        """Where the values lie."""
        return self.values.device

    @property
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
        first = self.offsets.index_select(0, rows)
        lengths = self.offsets.index_select(0, rows + 1) - first
        longest = int(lengths.max()) if len(rows) else 0

        # every stretch of `longest` values as a view: a sample is copied in one piece, as fast as
        # from a padded array (element by element, 64 x 512 numbers take 4 times as long); what
        # follows it in its stretch is overwritten
        shape = (len(self.values) - longest + 1, longest, *self.values.shape[1:])
        stride = self.values.stride()
        stretches = self.values.as_strided(shape, (stride[0], *stride))
        padded = _empty((len(rows), *shape[1:]), self.values, pin)
        torch.index_select(stretches, 0, first, out=padded)

        # on a device it is asked for the longest alone: each number that it tells is a wait
        if len(rows) and (rows.device.type != "cpu" or int(lengths.min()) < longest):
            behind = torch.arange(longest, device=rows.device) >= lengths[:, None]
            padded.masked_fill_(behind.reshape(*behind.shape, *[1] * (padded.dim() - 2)), self.fill)
        return padded, lengths.pin_memory() if pin else lengths


def _empty(shape: tuple[int, ...], like: Tensor, pin: bool) -> Tensor:
    return torch.empty(shape, dtype=like.dtype, device=like.device, pin_memory=pin)
