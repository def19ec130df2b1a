"""BatchNorm over the samples of all ranks. Letters: B batch, C channels, R ranks, N numbers.

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
    """In training it normalizes by mean and variance of all ranks' samples.

    The gradient flows through both. In evaluation it normalizes by the running ones, as BatchNorm.
    """

    def __init__(self, plain: _BatchNorm) -> None:
        super().__init__()
        self.eps = plain.eps
        self.momentum = plain.momentum
        # the same tensors under the same names: a checkpoint, and the model, fit both
        self.weight = plain.weight
        self.bias = plain.bias
        self.running_mean: Tensor | None
        self.running_var: Tensor | None
        self.num_batches_tracked: Tensor | None
        for name in ("running_mean", "running_var", "num_batches_tracked"):
            self.register_buffer(name, getattr(plain, name))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, ...) to the same shape and type."""
        if not (self.training and dist.is_initialized()):
            return F.batch_norm(
                x,
                self.running_mean,
                self.running_var,
                self.weight,
                self.bias,
                training=self.running_mean is None,  # as BatchNorm: without them, by the batch's
                eps=self.eps,
            )

        # a sum over a batch in half precision loses its small terms
        dtype = torch.promote_types(x.dtype, torch.float32)
        weight = None if self.weight is None else self.weight.to(dtype)
        bias = None if self.bias is None else self.bias.to(dtype)
        normalized: Tensor
        normalized, mean, variance, count = _Normalize.apply(  # type: ignore[no-untyped-call]
            x.to(dtype), weight, bias, self.eps
        )
        # the running variance is the unbiased one, as torch's is; two ranks have two samples
        self._update_running(mean, variance * count / (count - 1))
        return normalized.to(x.dtype)

    def _update_running(self, mean: Tensor, variance: Tensor) -> None:
        """Moves the running mean and variance towards those of a batch, (C,) each."""
        if (
            self.running_mean is None
            or self.running_var is None
            or self.num_batches_tracked is None
        ):
            return  # track_running_stats=False

        self.num_batches_tracked.add_(1)
        momentum = self.momentum
        if momentum is None:  # torch's sign for the mean of all batches so far
            momentum = 1 / float(self.num_batches_tracked)
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), momentum)
        self.running_var.lerp_(variance.to(self.running_var.dtype), momentum)


class _Normalize(torch.autograd.Function):
    """BatchNorm by mean and variance of all ranks; one exchange forward and one back.

    With two processes on two cores an exchange takes as long as a convolution, however few numbers
    it holds, and gloo's all_reduce goes round twice where all_gather goes once.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """(B, C, ...) to the same, with mean (C,), variance (C,) and the count () behind them."""
        # mean and mean square about it in one pass over x: a third of the time of three passes
        local_mean, local_variance = torch.batch_norm_update_stats(x, None, None, 0.0)
        local_count = local_mean.new_tensor([x.numel() / x.shape[1]])
        by_rank = _gather(torch.cat([local_mean, local_variance, local_count]))  # (R, 2 C + 1)
        means, variances = by_rank[:, :-1].chunk(2, dim=1)
        counts = by_rank[:, -1:]

        # ranks' squares about their own means are put together by the means' distances (Chan, Golub
        # and LeVeque 1979): a sum of squares about 0 would lose what is small beside the mean
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
        """The gradient at x, (B, C, ...), and this rank's at weight and bias, (C,) each.

        With z = (x - mean) / deviation and sums over the samples of all ranks (Ioffe and Szegedy
        2015): weight / deviation * (gradient - sum(gradient) / count - z * sum(gradient z) / count)
        """
        x, weight, mean, variance, count = ctx.saved_tensors
        ones = torch.ones_like(mean) if weight is None else weight

        # sum(gradient z) and sum(gradient) of this rank, as if mean and variance were given
        only_sums = [False, True, True]
        _, weight_gradient, bias_gradient = torch.ops.aten.native_batch_norm_backward(
            gradient, x, ones, mean, variance, None, None, False, ctx.eps, only_sums
        )
        sums = _gather(torch.cat([weight_gradient, bias_gradient])).sum(0)

        # z * slope + offset + gradient * scale, in two passes over x
        scale = ones * (variance + ctx.eps).rsqrt()
        slope, offset = sums.reshape(2, -1) * (-scale / count)
        result = F.batch_norm(x, mean, variance, slope, offset, eps=ctx.eps)
        result.addcmul_(gradient, scale.reshape([1, -1, *[1] * (x.dim() - 2)]))
        if weight is None:
            return result, None, None, None
        return result, weight_gradient, bias_gradient, None  # DDP takes the mean over ranks


def _gather(local: Tensor) -> Tensor:
    """(N,) of each rank to (R, N), the same on all."""
    by_rank = [torch.empty_like(local) for _ in range(dist.get_world_size())]
    dist.all_gather(by_rank, local)
    return torch.stack(by_rank)


def synchronize_batchnorm(module: nn.Module, *, cuda: bool) -> None:
    """Every BatchNorm inside `module` becomes one over all ranks, with its weights and buffers.

    Names stay as they are, so checkpoints fit before and after.
    """
    for name, child in module.named_children():
        if not isinstance(child, _BatchNorm):
            synchronize_batchnorm(child, cuda=cuda)
        elif cuda:
            converted = nn.SyncBatchNorm.convert_sync_batchnorm(child)  # type: ignore[no-untyped-call]
            setattr(module, name, converted)
        else:
            setattr(module, name, _SyncBatchNormCPU(child))
