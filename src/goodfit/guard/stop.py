"""A broken loss or gradient ends the training, with weights that are still whole."""

from __future__ import annotations

import pytorch_lightning as pl
from typing_extensions import override

from goodfit.errors import NonFiniteLossError
from goodfit.guard.base import Guard


class Stop(Guard):
    """Ends the training at the first loss or gradient that is not finite."""

    @override
    def on_non_finite(self, trainer: pl.Trainer, pl_module: pl.LightningModule, fault: str) -> None:
        """Does not return.

        Raises:
            NonFiniteLossError: always, before the optimizer step; it names the fault.
        """
        raise NonFiniteLossError(
            f"{fault}; before the optimizer step. "
            "Try a smaller optimizer.lr or trainer.gradient_clip_val, or guard=skip."
        )
