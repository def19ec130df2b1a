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
        # by Lightning's own way of resuming, none of 20 steps was that of the training which nobody
        # cut
        key = random_key(self.seed, trainer.current_epoch, batch_idx, trainer.global_rank)
        seed_generators(key, trainer.strategy.root_device)


def seed_generators(key: int, device: torch.device) -> None:
    """Seeds the generators of the CPU and of `device`, as torch.manual_seed does.

    That one seeds all types of device: for each that is not in use it keeps the call for later,
    with the stack as text. In Lightning's depth this took 0.7 ms, as long as a small step.
    """
    torch.default_generator.manual_seed(key)
    if device.type in ("cuda", "mps", "xpu"):
        getattr(torch, device.type).manual_seed(key)
