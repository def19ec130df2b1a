"""Looks at loss and gradient before each step; what to do with a broken one is a subclass's
decision.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor
from typing_extensions import override


class Guard(pl.Callback):
    """Sees each loss and the norm of each gradient; calls `broken` where one is not finite.

    One number is read from the device for the loss and one for the gradient: torch.isfinite is 20
    times as slow. With several devices the gradient is the one that all share, so all decide alike.
    """

    def __init__(self) -> None:
        self._rows: list[Tensor] = []
        self._loss = 0.0

    @abstractmethod
    def broken(self, trainer: pl.Trainer, pl_module: pl.LightningModule, fault: str) -> None:
        """Decides about the step that would follow; `fault` says what is not finite, where, of
        which samples.
        """

    @override
    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        if batch_idx % trainer.accumulate_grad_batches == 0:
            self._rows.clear()
        self._rows.append(batch.rows)

    @override
    def on_before_backward(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, loss: Tensor
    ) -> None:
        self._loss = loss.item()
        if not math.isfinite(self._loss):
            self.broken(trainer, pl_module, self._describe(trainer, f"loss ({self._loss})"))

    @override
    def on_before_optimizer_step(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, optimizer: torch.optim.Optimizer
    ) -> None:
        gradients = [weight.grad for weight in pl_module.parameters() if weight.grad is not None]
        norm = torch.nn.utils.get_total_norm(gradients)
        value = float(norm.full_tensor() if hasattr(norm, "full_tensor") else norm)
        if not math.isfinite(value):
            self.broken(trainer, pl_module, self._describe(trainer, f"gradient (norm {value})"))

    def _describe(self, trainer: pl.Trainer, what: str) -> str:
        rows = torch.cat(self._rows).tolist()
        listed = ", ".join(map(str, rows[:10])) + (", ..." if len(rows) > 10 else "")
        step = trainer.fit_loop.epoch_loop.batch_progress.current.ready - 1
        return f"non-finite {what} at epoch {trainer.current_epoch} step {step}; training samples [{listed}]"
