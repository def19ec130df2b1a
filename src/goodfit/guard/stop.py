"""A broken loss or gradient ends the training, with weights that are still whole."""

from __future__ import annotations

import pytorch_lightning as pl

from goodfit.errors import NonFiniteLossError
from goodfit.guard.base import Guard


class Stop(Guard):
    """Raises NonFiniteLossError before the optimizer could touch the weights."""

    def broken(self, trainer: pl.Trainer, pl_module: pl.LightningModule, fault: str) -> None:
        raise NonFiniteLossError(
            f"{fault}; before the optimizer step. "
            "Try a smaller optimizer.lr or trainer.gradient_clip_val, or guard=skip."
        )
