"""A guard looks at loss and gradient before each step; a subclass decides about broken ones."""

from __future__ import annotations

import math
from abc import abstractmethod
from itertools import chain
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor
from typing_extensions import override


class Guard(pl.Callback):
    """Calls `on_non_finite` before a loss or a gradient that is not finite can change the weights.

    It looks at the loss () of each micro-batch before its backward pass, and at the norm () of the
    whole gradient before each optimizer step. The loss is this rank's own; the gradient is shared
    by all ranks when it is looked at, so there all decide alike.

    A subclass must implement `on_non_finite`, and may add hooks of Lightning's; where it overrides
    one of those here, or `__init__`, it calls that of `super()` first. What it counts over a whole
    training belongs into `state_dict`. A broken step must leave weights, optimizer and buffers
    finite.

    One number is read from the device for the loss and one for the gradient: torch.isfinite is 20
    times as slow.
    """

    def __init__(self) -> None:
        self._rows: list[Tensor] = []  # (B,) of each micro-batch of the step

    @abstractmethod
    def on_non_finite(self, trainer: pl.Trainer, pl_module: pl.LightningModule, fault: str) -> None:
        """Raises, or sees to it that the step which would follow changes nothing.

        `fault` says what is not finite, in which epoch and step, and of which training samples.
        """

    @override
    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        first_of_step = batch_idx % trainer.accumulate_grad_batches == 0
        if first_of_step:
            self._rows.clear()
        self._rows.append(batch.rows)

    @override
    def on_before_backward(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, loss: Tensor
    ) -> None:
        # here and at the norm a step waits for the device, and nowhere else
        number = loss.item()
        if not math.isfinite(number):
            self.on_non_finite(trainer, pl_module, self._describe(trainer, f"loss ({number})"))

    @override
    def on_before_optimizer_step(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, optimizer: torch.optim.Optimizer
    ) -> None:
        weights = chain.from_iterable(group["params"] for group in optimizer.param_groups)
        norm = torch.nn.utils.get_total_norm([w.grad for w in weights if w.grad is not None])
        pl_module.gradient_norm = norm  # clipping takes it, instead of computing it again
        # under trainer=fsdp it is a DTensor, of which each rank holds a part
        value = float(norm.full_tensor() if hasattr(norm, "full_tensor") else norm)
        if not math.isfinite(value):
            self.on_non_finite(
                trainer, pl_module, self._describe(trainer, f"gradient (norm {value})")
            )

    def _describe(self, trainer: pl.Trainer, what: str) -> str:
        rows = torch.cat(self._rows).tolist()
        samples = ", ".join(map(str, rows[:10])) + (", ..." if len(rows) > 10 else "")
        # `ready` counts this batch already
        step = trainer.fit_loop.epoch_loop.batch_progress.current.ready - 1
        where = f"epoch {trainer.current_epoch} step {step}"
        return f"non-finite {what} at {where}; training samples [{samples}]"
