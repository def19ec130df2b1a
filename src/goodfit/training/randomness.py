"""All that is random in a step is a function of (seed, epoch, step, rank), decision 0013."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
import torch
from typing_extensions import override

from goodfit.augment.base import Augment
from goodfit.augment.per_sample_random import PerSampleRandom
from goodfit.contract import Batch, random_key


class SeedEachStep(pl.Callback):
    """Seeds each step, and augments its batch with numbers that belong to the samples.

    A training that goes on after a cut then draws what it would have drawn, so no generator's state
    is stored.
    """

    def __init__(self, augment: Augment, seed: int) -> None:
        self.augment, self.seed = augment, seed

    @override
    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        # some ten microseconds of a step; by Lightning's own way of resuming, none of 20 steps was
        # that of the training which nobody cut
        key = random_key(self.seed, trainer.current_epoch, batch_idx, trainer.global_rank)
        torch.manual_seed(key)

        numbers = PerSampleRandom(batch.rows, seed=self.seed, epoch=trainer.current_epoch)
        _replace(batch, self.augment(batch, numbers))


def _replace(batch: Batch, changed: Batch) -> None:
    """Puts the changed tensors into `batch` itself: Lightning's hook cannot return another one."""
    batch.inputs.update(changed.inputs)  # the dictionary is this step's own
    if changed.target is not batch.target:
        # copied into integers, soft labels would become zeros without a word
        same = changed.target.dtype == batch.target.dtype
        assert same, f"augmented targets are {changed.target.dtype}, expected {batch.target.dtype}"
        batch.target.copy_(changed.target)
