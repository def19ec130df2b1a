"""How a task takes a step of its optimizer: what of it is not Lightning's own.

Letters: B batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

_SMALLEST = 1e-12  # norm of a gradient that is divided by


class Stepping(pl.LightningModule):
    """A step with less overhead, with the guard's norm, and on request by a sharper gradient.

    With `sharpness` rho a step at the weights w takes the gradient at w + rho g / |g|, where g is
    that of w over all parameters: sharpness-aware minimization (SAM, Foret et al. 2021, arXiv
    2010.01412, algorithm 1). Both are gradients of the same samples with the same dropout; ranks
    have averaged each of them.
    """

    sharpness: float
    # whether the weights are for now those of the second gradient
    is_ascended: bool = False
    # the norm () of the step's gradient, which the guard has computed and clipping takes
    gradient_norm: Tensor | None = None

    def optimizer_step(
        self,
        epoch: int,
        batch_idx: int,
        optimizer: Any,
        optimizer_closure: Callable[[], Any] | None = None,
    ) -> None:
        """The optimizer's step; `optimizer_closure` leaves a gradient in every parameter."""
        if not self.sharpness or optimizer_closure is None:
            optimizer.step(closure=optimizer_closure)
            return
        weights = [weight for group in optimizer.param_groups for weight in group["params"]]

        def closure() -> Any:
            with _same_dropout(self.device):
                result = optimizer_closure()
            with self._ascended(weights):
                optimizer_closure()
            return result

        optimizer.step(closure=closure)

    @contextmanager
    def _ascended(self, weights: list[nn.Parameter]) -> Iterator[None]:
        """In the block, weights lie `sharpness` up their gradient; then they are as before."""
        moving = [weight for weight in weights if weight.grad is not None]
        before = [weight.detach().clone() for weight in moving]
        ascend(moving, self.sharpness)
        self.is_ascended = True
        try:
            # the second pass sees the same samples: their means would count twice
            with _frozen_statistics(self):
                yield
        finally:
            self.is_ascended = False
            with torch.no_grad():
                torch._foreach_copy_(list[Tensor](moving), before)

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


@torch.no_grad()
def ascend(weights: list[nn.Parameter], radius: float) -> None:
    """Moves weights up their gradients, all together by `radius`."""
    gradients = [weight.grad for weight in weights if weight.grad is not None]
    norm = torch.nn.utils.get_total_norm(gradients)
    factor = radius / (norm + _SMALLEST)  # a tensor: a number would wait for the device
    steps = [gradient * factor for gradient in gradients]
    torch._foreach_add_(list[Tensor](weights), steps)


@contextmanager
def _same_dropout(device: torch.device) -> Iterator[None]:
    """After the block, random numbers of CPU and `device` are those from before it once more."""
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices, device_type="cuda"):
        yield


@contextmanager
def _frozen_statistics(network: nn.Module) -> Iterator[None]:
    """In the block, means and variances that normalization keeps do not move."""
    # a module has attributes that its type does not know
    kept: list[Any] = [each for each in network.modules() if getattr(each, "momentum", None)]
    momentum = [module.momentum for module in kept]
    for module in kept:
        module.momentum = 0.0
    try:
        yield
    finally:
        for module, value in zip(kept, momentum, strict=True):
            module.momentum = value
