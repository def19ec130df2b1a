"""BatchNorm over the whole batch, on however many devices it lies. Letters: B batch, C channels.

On CUDA it is torch's own SyncBatchNorm. That one refuses CPUs, where the one here takes its part:
so a training on two processes of a CPU is the same as on one.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


class _SyncBatchNormCPU(nn.Module):
    """In training, mean and variance of the samples of all devices; the gradient flows through
    both.
    """

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
            return F.batch_norm(
                x, self.running_mean, self.running_var, self.weight, self.bias, False, 0.0, self.eps
            )
        affine = (self.weight, self.bias) if self.weight is not None else (None, None)
        result: Tensor
        result, mean, variance, count = _Normalize.apply(x.float(), *affine, self.eps)  # type: ignore[no-untyped-call]
        self._remember(mean, variance * count / (count - 1))
        return result.to(x.dtype)

    def _remember(self, mean: Tensor, variance: Tensor) -> None:
        if (
            self.running_mean is None
            or self.running_var is None
            or self.num_batches_tracked is None
        ):
            return
        self.num_batches_tracked.add_(1)
        share = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean, share)
        self.running_var.lerp_(variance, share)


class _Normalize(torch.autograd.Function):
    """BatchNorm by the mean and variance of all devices; one exchange forward and one back.

    With two processes on two cores an exchange takes as long as a convolution, however few numbers
    it holds, and gloo's all_reduce goes round twice where all_gather goes once.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """(B, C, ...) to the same, with mean (C,), variance (C,) and the count behind them."""
        # devices' means and squares about them (Chan, Golub and LeVeque 1979): a sum of squares
        # about 0 would lose what is small beside the mean
        mean, apart = torch.batch_norm_update_stats(
            x, None, None, 0.0
        )  # a third of the time of three passes
        found = _gather(torch.cat([mean, apart, mean.new_tensor([x.numel() / x.shape[1]])]))
        means, variances = found[:, :-1].chunk(2, 1)
        counts = found[:, -1:]
        count = counts.sum()
        mean = (means * counts).sum(0) / count
        variance = ((variances + (means - mean).square()) * counts).sum(0) / count
        ctx.save_for_backward(x, weight, mean, variance, count)
        ctx.mark_non_differentiable(mean, variance, count)
        ctx.eps = eps
        return F.batch_norm(x, mean, variance, weight, bias, eps=eps), mean, variance, count

    @staticmethod
    def backward(
        ctx: Any, gradient: Tensor, *_: Any
    ) -> tuple[Tensor, Tensor | None, Tensor | None, None]:
        """As if mean and variance were given, less what flows through them: they depend on all
        devices' samples.
        """
        x, weight, mean, variance, count = ctx.saved_tensors
        ones = torch.ones_like(mean) if weight is None else weight
        fixed = (x, ones, mean, variance, None, None, False, ctx.eps, [False, True, True])
        _, to_weight, to_bias = torch.ops.aten.native_batch_norm_backward(gradient, *fixed)
        total = _gather(torch.cat([to_weight, to_bias])).sum(0)
        scale = ones * (variance + ctx.eps).rsqrt()
        through = total.reshape(2, -1) * (-scale / count)
        # (x - mean) / deviation * through[0] + through[1] + gradient * scale, in two passes over x
        result = F.batch_norm(x, mean, variance, through[0], through[1], eps=ctx.eps)
        result.addcmul_(gradient, scale.reshape([1, -1, *[1] * (x.dim() - 2)]))
        return (result, None, None, None) if weight is None else (result, to_weight, to_bias, None)


def _gather(mine: Tensor) -> Tensor:
    """(N,) of each device, as (devices, N)."""
    each = [torch.empty_like(mine) for _ in range(dist.get_world_size())]
    dist.all_gather(each, mine)
    return torch.stack(each)


def synchronize_batchnorm(module: nn.Module, *, cuda: bool) -> None:
    """Exchanges each BatchNorm inside `module` for one over all ranks; names, weights and buffers
    stay.
    """
    for name, child in module.named_children():
        if not isinstance(child, _BatchNorm):
            synchronize_batchnorm(child, cuda=cuda)
        elif cuda:
            converted = nn.SyncBatchNorm.convert_sync_batchnorm(child)  # type: ignore[no-untyped-call]
            setattr(module, name, converted)
        else:
            setattr(module, name, _SyncBatchNormCPU(child))
