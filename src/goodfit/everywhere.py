"""BatchNorm over the whole batch, on however many devices it lies.

torch's own SyncBatchNorm refuses CPUs, so that nothing of it could be tested without two GPUs.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


class _Everywhere(nn.Module):
    """In training, mean and variance of the samples of all devices; the gradient flows through both."""

    def __init__(self, plain: _BatchNorm) -> None:
        super().__init__()
        self.eps, self.momentum = plain.eps, plain.momentum
        self.weight, self.bias = plain.weight, plain.bias
        self.running_mean: Tensor | None
        self.running_var: Tensor | None
        self.num_batches_tracked: Tensor | None
        for name in ("running_mean", "running_var", "num_batches_tracked"):
            self.register_buffer(name, getattr(plain, name))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, ...) to the same."""
        if not (self.training and dist.is_initialized()):
            return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, False, 0.0, self.eps)
        wide = x.float()
        dims = [dim for dim in range(x.dim()) if dim != 1]
        shape = [1, -1, *[1] * (x.dim() - 2)]
        count = torch.tensor([wide.numel() / wide.shape[1]], device=x.device)
        total = _sum(torch.cat([wide.sum(dims), count]))
        count = total[-1].detach()
        mean = total[:-1] / count
        centred = wide - mean.reshape(shape)
        variance = _sum(centred.square().sum(dims)) / count
        self._remember(mean.detach(), variance.detach() * count / (count - 1))
        scaled = centred * (variance + self.eps).rsqrt().reshape(shape)
        if self.weight is not None:
            scaled = scaled * self.weight.reshape(shape) + self.bias.reshape(shape)
        result: Tensor = scaled.to(x.dtype)
        return result

    def _remember(self, mean: Tensor, variance: Tensor) -> None:
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        self.num_batches_tracked.add_(1)
        share = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean, share)
        self.running_var.lerp_(variance, share)


class _Total(torch.autograd.Function):
    """The sum over all devices. Each device's loss depends on it, so its gradient is the sum of theirs."""

    @staticmethod
    def forward(ctx: Any, mine: Tensor) -> Tensor:
        total = mine.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        total = gradient.clone()
        dist.all_reduce(total)
        return total


def _sum(mine: Tensor) -> Tensor:
    total: Tensor = _Total.apply(mine)  # type: ignore[no-untyped-call]
    return total


def everywhere(module: nn.Module) -> None:
    """Exchanges each BatchNorm in `module` for one over all devices; names, weights and buffers stay."""
    for name, child in module.named_children():
        if isinstance(child, _BatchNorm):
            setattr(module, name, _Everywhere(child))
        else:
            everywhere(child)
