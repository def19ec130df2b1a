"""All that is random in a step is a function of (seed, epoch, step, rank), decision 0013."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
import torch
from typing_extensions import override

from goodfit.contract import random_key


class SeedEachStep(pl.Callback):
    """Seeds each step: what a network draws in it, dropout for example, follows.

    A training that goes on after a cut then draws what it would have drawn, so no generator's state
    is stored. Augmentation has numbers of its own, which belong to the samples.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed

    @override
    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        # some ten microseconds of a step; by Lightning's own way of resuming, none of 20 steps was
        # that of the training which nobody cut
        key = random_key(self.seed, trainer.current_epoch, batch_idx, trainer.global_rank)
        torch.manual_seed(key)
