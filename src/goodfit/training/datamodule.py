"""Batches of train and validation as Lightning takes them, on the device that computes.

Letters: N samples of a split, B samples of a batch.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import cached_property
from pathlib import Path

import pytorch_lightning as pl
import torch
from torch import Tensor

from goodfit.augment.base import Augment
from goodfit.augment.none import Nothing
from goodfit.augment.per_sample_random import PerSampleRandom
from goodfit.contract import Batch, DataSpec
from goodfit.errors import UserError
from goodfit.schema import Count, Whole
from goodfit.store.arrays import Packed, moved
from goodfit.store.loader import Batches, Shard

# what arrays may take of a device: the rest is for the network and its activations
_LARGEST_SHARE, _LARGEST_BYTES = 0.25, 2 * 10**9


def fits(size: int, free: int) -> bool:
    """Whether arrays of `size` bytes may live on a device with `free` bytes.

    They take at most a quarter of it, and at most 2 GB.
    """
    return size <= min(_LARGEST_SHARE * free, _LARGEST_BYTES)


class DataModule(pl.LightningDataModule):
    """Batches of train and validation; it has no test data, which only evaluate may open.

    They hold the `inputs` that are named, all where none are, and of train the samples at `rows`
    (M,), all where it is None. `units` says what the loss counts of each sample, (B,), by its
    targets; 1 by default. `mixable` makes targets whose mean has a meaning, for mixing them.

    Raises:
        UserError: a batch or a split has fewer samples than there are parts to divide it into.
    """

    def __init__(
        self,
        folder: Path,
        *,
        batch_size: Count,
        workers: Whole = 0,
        seed: int,
        shard: Shard = Shard(),  # noqa: B008 - immutable
        augment: Augment = Nothing(),  # noqa: B008 - without a state
        inputs: Collection[str] | None = None,
        rows: Tensor | None = None,
        units: Callable[..., Tensor] | None = None,
        mixable: Callable[[dict[str, Tensor]], dict[str, Tensor]] = dict,
    ) -> None:
        super().__init__()
        self.folder, self.batch_size, self.workers = folder, batch_size, workers
        self.seed, self.shard, self.augment = seed, shard, augment
        self._mixable = mixable
        self.spec = DataSpec.read(folder / "spec.json")
        self.train, self.validation = (
            Packed(folder, split).only(
                self.spec.arguments(self.spec.inputs) if inputs is None else inputs
            )
            for split in ("train", "validation")
        )
        self.train = self.train.part(rows)
        if batch_size < shard.parts:
            raise UserError(
                f"loader.batch_size={batch_size} cannot be shared "
                f"by {shard.parts} devices and micro-batches"
            )
        # a part without a sample would have a loss of NaN
        if len(self.train) < shard.parts:
            raise UserError(
                f"{len(self.train)} samples of train cannot be shared "
                f"by {shard.parts} devices and micro-batches"
            )
        if len(self.validation) < shard.ranks:
            raise UserError(
                f"{len(self.validation)} samples of validation cannot be shared "
                f"by {shard.ranks} devices"
            )

        self._train_units = None
        if units and shard.parts > 1:  # a whole step's weight is 1 whatever it counts
            whole = Batches(self.train.only([]), self.eval_batch_size)
            self._train_units = torch.cat([units(**batch.targets) for batch in whole])
            if self.train.sample_weight is not None:
                self._train_units *= self.train.sample_weight

    def train_dataloader(self) -> Batches:
        """Shuffled anew in each epoch; a resumed training continues within its epoch."""
        return Batches(
            self._on_device(self.train),
            self.batch_size,
            seed=self.seed,
            epoch=self._epoch,
            begin=self._batches_done,
            shard=self.shard,
            units=self._train_units,
            paired=self.augment.mixes,
            workers=self.workers,
            pin=self._pins(),
        )

    def val_dataloader(self) -> Batches:
        """In the order of the file."""
        return Batches(
            self._on_device(self.validation),
            self.eval_batch_size * self.shard.ranks,  # a step is that of all ranks together
            shard=self.shard._replace(micro_batches=1),
            workers=self.workers,
            pin=self._pins(),
        )

    def take(self, train: Packed, validation: Packed) -> None:
        """The same samples with other inputs, also in the loaders that the trainer has already."""
        self.train, self.validation = train, validation
        if self.trainer is None:
            return
        made = (self.trainer.train_dataloader, self.trainer.val_dataloaders)
        for loader, split in zip(made, (train, validation), strict=True):
            if isinstance(loader, Batches):
                loader.data = self._on_device(split)

    @property
    def eval_batch_size(self) -> int:
        """Samples that a device takes at once where no gradients are kept.

        Four times those of training, so fewer, too, once memory has run out and there are
        micro-batches.
        """
        return max(4 * self.batch_size // self.shard.parts, 1)

    @property
    def device(self) -> torch.device:
        """The trainer's; the CPU before there is one."""
        return self.trainer.strategy.root_device if self.trainer else torch.device("cpu")

    def transfer_batch_to_device(
        self, batch: Batch, device: torch.device, dataloader_idx: int
    ) -> Batch:
        """The batch (B, ...) on `device`, unchanged where it is there.

        Lightning's own method searches the batch for tensors: 14 microseconds a step with nothing
        to move.
        """
        if batch.rows.device == device:
            return batch
        weights, partner = batch.sample_weight, batch.partner
        if weights is not None:
            weights = weights.to(device, non_blocking=True)
        if partner is not None:
            partner = self.transfer_batch_to_device(partner, device, dataloader_idx)
        return Batch(
            inputs=moved(batch.inputs, device),
            targets=moved(batch.targets, device),
            # rows, too: an augmentation's random numbers are a function of them
            rows=batch.rows.to(device, non_blocking=True),
            weight=batch.weight,
            sample_weight=weights,
            partner=partner,
        )

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        """The batch, augmented in training with numbers that belong to its samples."""
        trainer = self.trainer
        if trainer is None or not trainer.training:
            return batch
        if self.augment.mixes:
            batch = self._with_mixable_targets(batch)
        numbers = PerSampleRandom(batch.rows, seed=self.seed, epoch=trainer.current_epoch)
        return self.augment(batch, numbers)

    def _with_mixable_targets(self, batch: Batch) -> Batch:
        partner = batch.partner
        if partner is not None:
            partner = self._with_mixable_targets(partner)
        return batch._replace(targets=self._mixable(batch.targets), partner=partner)

    def _epoch(self) -> int:
        return self.trainer.current_epoch if self.trainer else 0

    def _batches_done(self) -> int:
        if not self.trainer:
            return 0
        return int(self.trainer.fit_loop.epoch_loop.batch_progress.current.ready)

    @cached_property
    def _resident(self) -> bool:
        """Whether both splits live on the GPU; decided before the first of them takes memory."""
        if self.workers or self.device.type == "cpu":
            return False
        return fits(self.train.size + self.validation.size, _free_bytes(self.device))

    def _on_device(self, split: Packed) -> Packed:
        """The split with its arrays on the GPU if they live there, else itself."""
        return split.to(self.device) if self._resident else split

    def _pins(self) -> bool:
        """Whether batches start from pinned memory: those that have to go to a GPU of CUDA."""
        return self.device.type == "cuda" and not self._resident


def _free_bytes(device: torch.device) -> int:
    """Memory of a device that is not in use; 0 where it cannot be asked."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    if device.type == "mps":
        return int(torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory())
    return 0
