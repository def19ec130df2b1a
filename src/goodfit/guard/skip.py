"""A broken loss or gradient costs its batch; too many of them end the training."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor
from typing_extensions import override

from goodfit.errors import NonFiniteLossError
from goodfit.guard.base import Guard
from goodfit.schema import Count


class Skip(Guard):
    """Leaves out a step whose loss or gradient is not finite, up to `most` times in a training.

    Nothing of its batch stays: the gradient is dropped, and buffers (BatchNorm's averages) go back
    to what they were before it. The learning rate goes on as planned.
    """

    def __init__(self, *, most: Count) -> None:
        super().__init__()
        self.most = most
        self.skipped = 0
        self._faults: list[str] = []  # of this step, on this rank
        self._buffers: dict[str, Tensor] = {}  # as they were before this step

    @override
    def state_dict(self) -> dict[str, Any]:
        return {"skipped": self.skipped}

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.skipped = state_dict["skipped"]

    @override
    def on_non_finite(self, trainer: pl.Trainer, pl_module: pl.LightningModule, fault: str) -> None:
        """Notes the fault, no more: a rank whose own loss is finite cannot know of it yet."""
        self._faults.append(fault)

    @override
    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        super().on_train_batch_start(trainer, pl_module, batch, batch_idx)
        first_of_step = batch_idx % trainer.accumulate_grad_batches == 0
        if first_of_step:
            self._buffers = {name: value.clone() for name, value in pl_module.named_buffers()}

    @override
    def on_before_optimizer_step(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, optimizer: torch.optim.Optimizer
    ) -> None:
        """Takes the step back on all ranks where any of them has seen a fault in it.

        Raises:
            NonFiniteLossError: more than `most` steps are broken.
        """
        super().on_before_optimizer_step(trainer, pl_module, optimizer)
        if not self._any_rank_has_a_fault(trainer, pl_module.device):
            return

        self.skipped += 1
        fault = self._faults[0] if self._faults else "non-finite loss on another rank"
        self._faults.clear()
        if self.skipped > self.most:
            raise NonFiniteLossError(
                f"{fault}; guard.most={self.most} batches have been skipped before"
            )
        print(f"skipped a step, {self.skipped} of at most {self.most}: {fault}", flush=True)

        # without gradients the optimizer changes nothing, not even its own averages
        optimizer.zero_grad(set_to_none=True)
        for name, value in pl_module.named_buffers():
            value.copy_(self._buffers[name])

    def _any_rank_has_a_fault(self, trainer: pl.Trainer, device: torch.device) -> bool:
        faulty = torch.tensor([float(bool(self._faults))], device=device)
        # all ranks leave the step out, or none: else their weights would part
        if trainer.world_size > 1:
            faulty = trainer.strategy.reduce(faulty, reduce_op="max")
        return bool(faulty.item())
