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
        normalized, mean, variance, count = _Normalize.apply(x, self.eps)  # type: ignore[no-untyped-call]
        self._remember(mean, variance * count / (count - 1))
        if self.weight is not None:
            shape = _along(x)
            normalized = torch.addcmul(self.bias.reshape(shape), normalized, self.weight.reshape(shape))
        result: Tensor = normalized.to(x.dtype)
        return result

    def _remember(self, mean: Tensor, variance: Tensor) -> None:
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        self.num_batches_tracked.add_(1)
        share = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean, share)
        self.running_var.lerp_(variance, share)


class _Normalize(torch.autograd.Function):
    """Standard scores by the mean and variance of all devices; one exchange forward and one back.

    With two processes on two cores an exchange takes as long as a convolution, however few numbers it holds.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, eps: float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """(B, C, ...) to the same in float32, with mean (C,), variance (C,) and the count behind them."""
        wide, dims, shape = x.float(), _others(x), _along(x)
        # devices' means and squares about them (Chan, Golub and LeVeque 1979): a sum of squares about 0 would lose
        # what is small beside the mean
        mean = wide.mean(dims)
        apart = (wide - mean.reshape(shape)).square_().mean(dims)  # torch.var_mean takes ten times as long on a CPU
        mine = torch.cat([mean, apart, mean.new_tensor([wide.numel() / wide.shape[1]])])
        each = [torch.empty_like(mine) for _ in range(dist.get_world_size())]
        dist.all_gather(each, mine)
        found = torch.stack(each)
        means, variances = found[:, :-1].chunk(2, 1)
        counts = found[:, -1:]
        count = counts.sum()
        mean = (means * counts).sum(0) / count
        variance = ((variances + (means - mean).square()) * counts).sum(0) / count
        normalized = F.batch_norm(wide, mean, variance, eps=eps)
        ctx.save_for_backward(normalized, (variance + eps).rsqrt(), count)
        ctx.mark_non_differentiable(mean, variance, count)
        return normalized, mean, variance, count

    @staticmethod
    def backward(ctx: Any, gradient: Tensor, *_: Any) -> tuple[Tensor, None]:
        """Each device's loss depends on mean and variance, so their gradients are the sums over all."""
        normalized, scale, count = ctx.saved_tensors
        dims, shape = _others(gradient), _along(gradient)
        total = torch.cat([gradient.sum(dims), (gradient * normalized).sum(dims)])
        dist.all_reduce(total)
        first, second = (total / count).chunk(2)
        result = torch.addcmul(gradient - first.reshape(shape), normalized, second.reshape(shape), value=-1)
        return result.mul_(scale.reshape(shape)), None


def _others(x: Tensor) -> list[int]:
    """All dimensions but that of the channels."""
    return [dim for dim in range(x.dim()) if dim != 1]


def _along(x: Tensor) -> list[int]:
    """A shape in which one number for each channel meets `x`."""
    return [1, -1, *[1] * (x.dim() - 2)]


def everywhere(module: nn.Module) -> None:
    """Exchanges each BatchNorm in `module` for one over all devices; names, weights and buffers stay."""
    for name, child in module.named_children():
        if isinstance(child, _BatchNorm):
            setattr(module, name, _Everywhere(child))
        else:
            everywhere(child)
