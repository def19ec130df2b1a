"""Lightning's module, without what it would do anew in each step."""

from __future__ import annotations

from itertools import chain
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.optim import Optimizer


class LeanModule(pl.LightningModule):
    """A LightningModule whose hooks cost a step less.

    `gradient_norm` () is that of the step's gradient, which the guard has computed and clipping
    takes.
    """

    gradient_norm: Tensor | None = None

    def optimizer_zero_grad(self, epoch: int, batch_idx: int, optimizer: Optimizer) -> None:
        """No parameter has a gradient; torch's own method also looks for a profiler."""
        for group in optimizer.param_groups:
            for weight in group["params"]:
                weight.grad = None

    def configure_gradient_clipping(
        self,
        optimizer: Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Lightning's own clipping, with the norm that the guard has computed."""
        norm, self.gradient_norm = self.gradient_norm, None
        by_norm = gradient_clip_algorithm in (None, "norm")
        if norm is None or not gradient_clip_val or not by_norm:
            super().configure_gradient_clipping(
                optimizer, gradient_clip_val, gradient_clip_algorithm
            )
            return
        weights = chain.from_iterable(group["params"] for group in optimizer.param_groups)
        torch.nn.utils.clip_grads_with_norm_(weights, gradient_clip_val, norm)

    def __setattr__(self, name: str, value: Any) -> None:
        # Lightning notes the name of each hook, 40 times a step, and torch looks whether the text
        # is a parameter
        if name == "_current_fx_name":
            object.__setattr__(self, name, value)
        else:
            super().__setattr__(name, value)
