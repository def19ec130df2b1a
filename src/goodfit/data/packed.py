"""Prepared data as a few packed arrays, and batches gathered from them with one call for each array.

One `index_select` a batch is 3 to 7 times as fast as a Dataset that is asked for one sample after the other (32 x 32
images, two cores; `make bench` measures it). For a GPU, small arrays move there once and are gathered there.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from goodfit.contract import Batch, DataSpec
from goodfit.errors import UserError
from goodfit.kinds import Count, Whole

FEW = 8
SHARE, MOST = 0.25, 2 * 10**9  # of a device's free memory, and bytes: what is left is for network and activations


def fits(size: int, free: int) -> bool:
    """Whether arrays of `size` bytes may live on a device with `free` bytes: at most a quarter of them, and 2 GB."""
    return size <= min(SHARE * free, MOST)


class Packed:
    """The arrays of one split, memory-mapped: `inputs[name]` and `target`, the samples first."""

    def __init__(self, folder: Path, split: str) -> None:
        spec = DataSpec.read(folder / "spec.json")
        self.inputs = {name: _load(folder / split / f"{name}.npy") for name in spec.inputs}
        self.target = _load(folder / split / "target.npy")

    def __len__(self) -> int:
        return len(self.target)

    @property
    def size(self) -> int:
        """Bytes of all arrays."""
        return sum(array.nbytes for array in (*self.inputs.values(), self.target))

    def to(self, device: torch.device) -> Packed:
        """The same samples, with all arrays in the memory of `device`; this one stays where it is."""
        moved = copy.copy(self)
        moved.inputs = {name: array.to(device) for name, array in self.inputs.items()}
        moved.target = self.target.to(device)
        return moved

    def batch(self, rows: Tensor, weight: float = 1.0, *, pin: bool = False) -> Batch:
        """The samples at `rows` (B,), in that order; `rows` lie where the arrays do."""
        take: Callable[..., Tensor] = _pinned if pin else Tensor.index_select
        inputs = {name: take(array, 0, rows) for name, array in self.inputs.items()}
        return Batch(inputs, take(self.target, 0, rows), rows, weight)


class Share(NamedTuple):
    """Which part of each batch is this process's: it is number `rank` of `ranks`, and takes `parts` bites."""

    rank: int = 0
    ranks: int = 1
    parts: int = 1


class Batches:
    """An epoch of batches in an order that depends on the seed and the epoch alone.

    Lightning takes any iterable with a length. That the order is a pure function of (seed, epoch) makes two
    runs see the same batches, whatever else draws random numbers, and lets `begin` enter an epoch in its
    midst. `size` samples make a step, however many processes and bites share them. The order is drawn on the
    CPU, whatever device the arrays lie on. `pin` puts batches into memory from which a GPU copies by itself.
    """

    def __init__(
        self,
        data: Packed,
        size: int,
        *,
        seed: int = 0,
        epoch: Callable[[], int] | None = None,
        begin: Callable[[], int] | None = None,
        share: Share = Share(),  # noqa: B008 - it cannot be changed
        workers: int = 0,
        pin: bool = False,
    ) -> None:
        self.data, self.size, self.seed, self.epoch, self.begin = data, size, seed, epoch, begin
        self.share, self.workers, self.pin = share, workers, pin
        assert not workers or data.target.device.type == "cpu", "processes cannot read what lies on a device"

    def __len__(self) -> int:
        return len(self._sizes()) * self.share.parts

    def __iter__(self) -> Iterator[Batch]:
        if self.epoch is None:
            order = torch.arange(len(self.data))
        else:
            generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch())
            order = torch.randperm(len(self.data), generator=generator)
        order = order.to(self.data.target.device)
        if self.pin and not self.workers:
            order = order.pin_memory()
        pieces = self._pieces(order)[self.begin() if self.begin else 0 :]
        if self.workers:  # each fetches whole batches; their order is that of the list
            ahead: Any = {
                "batch_size": None,
                "num_workers": self.workers,
                "collate_fn": _as_it_is,
                "pin_memory": self.pin,
            }
            yield from DataLoader(self, sampler=pieces, **ahead)  # type: ignore[arg-type]
            return
        for piece in pieces:
            yield self[piece]

    def __getitem__(self, piece: tuple[Tensor, float]) -> Batch:
        return self.data.batch(*piece, pin=self.pin and not self.workers)  # workers may not; DataLoader does it

    def state_dict(self) -> dict[str, Any]:
        """Empty: where an epoch was cut is the trainer's own count. Lightning warns of loaders without this method."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Nothing to load; see `begin`."""

    def _pieces(self, order: Tensor) -> list[tuple[Tensor, float]]:
        """This process's rows of each step and bite, with their weight."""
        rank, ranks, parts = self.share
        steps = torch.split(order, self._sizes())
        if ranks * parts == 1:
            return [(rows, 1.0) for rows in steps]
        shared = [(rows, torch.tensor_split(rows, ranks * parts)) for rows in steps]
        return [
            (bites[part * ranks + rank], len(bites[part * ranks + rank]) * ranks * parts / len(rows))
            for rows, bites in shared
            for part in range(parts)
        ]

    def _sizes(self) -> list[int]:
        """All alike but the last; a few samples left over join it.

        BatchNorm finds no variance in a single one, and with up to FEW devices each must get one, whatever
        their number, so that it does not change the steps.
        """
        whole, rest = divmod(len(self.data), self.size)
        if rest < max(FEW, self.share.ranks * self.share.parts) and whole:
            return [self.size] * (whole - 1) + [self.size + rest]
        return [self.size] * whole + [rest] * (rest > 0)


class DataModule(pl.LightningDataModule):
    """Batches of train and validation; it has no test data to give, since only evaluate may open them."""

    def __init__(
        self,
        folder: Path,
        *,
        batch_size: Count,
        workers: Whole = 0,
        seed: int,
        share: Share = Share(),  # noqa: B008
    ) -> None:
        super().__init__()
        self.folder, self.batch_size, self.workers, self.seed, self.share = folder, batch_size, workers, seed, share
        self.spec = DataSpec.read(folder / "spec.json")
        self.train, self.validation = Packed(folder, "train"), Packed(folder, "validation")
        if batch_size < (least := share.ranks * share.parts):
            raise UserError(f"loader.batch_size={batch_size} cannot be shared by {least} devices and micro-batches")
        if len(self.validation) < share.ranks:
            raise UserError(f"{len(self.validation)} samples of validation cannot be shared by {share.ranks} devices")

    def train_dataloader(self) -> Batches:
        """Shuffled anew in each epoch; a training that goes on enters the epoch where it was cut."""
        return Batches(
            self._near(self.train),
            self.batch_size,
            seed=self.seed,
            epoch=lambda: self.trainer.current_epoch if self.trainer else 0,
            begin=lambda: self.trainer.fit_loop.epoch_loop.batch_progress.current.ready if self.trainer else 0,
            share=self.share,
            workers=self.workers,
            pin=self._pins(),
        )

    def val_dataloader(self) -> Batches:
        """In the order of the file."""
        return Batches(
            self._near(self.validation),
            self.roomy * self.share.ranks,
            share=self.share._replace(parts=1),
            workers=self.workers,
            pin=self._pins(),
        )

    @property
    def roomy(self) -> int:
        """Samples that a device takes at once where no gradients are kept: more, but fewer where memory ran out."""
        return max(4 * self.batch_size // (self.share.parts * self.share.ranks), 1)

    @property
    def device(self) -> torch.device:
        """Where the trainer computes; the CPU before there is one."""
        return self.trainer.strategy.root_device if self.trainer else torch.device("cpu")

    @cached_property
    def _resident(self) -> bool:
        """Whether both splits live on the GPU; decided before the first of them takes its memory."""
        size, device = self.train.size + self.validation.size, self.device
        return not self.workers and device.type != "cpu" and fits(size, _free(device))

    def _near(self, split: Packed) -> Packed:
        return split.to(self.device) if self._resident else split

    def _pins(self) -> bool:
        """Batches that still have to go to a GPU of CUDA start from pinned memory."""
        return self.device.type == "cuda" and not self._resident

    def transfer_batch_to_device(self, batch: Batch, device: torch.device, dataloader_idx: int) -> Batch:
        """Lightning's own way searches the batch for tensors: 14 microseconds a step with nothing to move."""
        if batch.target.device == device:
            return batch
        inputs = {name: array.to(device, non_blocking=True) for name, array in batch.inputs.items()}
        target, rows = (array.to(device, non_blocking=True) for array in (batch.target, batch.rows))
        return Batch(inputs, target, rows, batch.weight)  # rows too: numbers for an augmentation are drawn from them


def _free(device: torch.device) -> int:
    """Bytes that nobody uses on a device; 0 where nobody can say."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    if device.type == "mps":
        return int(torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory())
    return 0


def _pinned(array: Tensor, dim: int, rows: Tensor) -> Tensor:
    """`index_select` into pinned memory, which torch keeps until a copy from it is done."""
    out = torch.empty((len(rows), *array.shape[1:]), dtype=array.dtype, pin_memory=True)
    return torch.index_select(array, dim, rows, out=out)


def _as_it_is(batch: Batch) -> Batch:
    return batch


def _load(path: Path) -> Tensor:
    # mode "c": torch wants memory that it may write to; what it writes never reaches the file
    return torch.from_numpy(np.load(path, mmap_mode="c"))
