"""A broken loss or gradient ends the training, with weights that are still whole."""

from __future__ import annotations

import pytorch_lightning as pl

from goodfit.checkpoint import Keeper
from goodfit.errors import NonFiniteLossError
from goodfit.guard.base import Guard
from goodfit.kept import steps as checkpoints


class Stop(Guard):
    """Raises NonFiniteLossError before the optimizer could touch the weights."""

    def broken(self, trainer: pl.Trainer, pl_module: pl.LightningModule, fault: str) -> None:
        kept = [
            path
            for each in trainer.checkpoint_callbacks
            if isinstance(each, Keeper)
            for path in checkpoints(each.folder)
        ]
        last = f"last good checkpoint {kept[0]}" if kept else "no checkpoint yet"
        raise NonFiniteLossError(
            f"{fault}; before the optimizer step; {last}. "
            "Try a smaller optimizer.lr or trainer.gradient_clip_val, or guard=skip."
        )
