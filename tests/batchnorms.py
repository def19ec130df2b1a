"""A network with BatchNorm on several levels, and how two ranks are compared with one.

Letters: B batch, H height, W width.
"""

from __future__ import annotations

from pathlib import Path

import ranks
import torch
from torch import Tensor, nn

from goodfit.training.batchnorm import synchronize_batchnorm

NAMES = ("features.0", "head.norm", "head.last.0")  # of the modules that are BatchNorm


class Network(nn.Module):
    """BatchNorm of one and two dimensions, on three levels.

    There is no convolution: on a GPU it computes in TF32, which has three digits.
    """

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.BatchNorm2d(3), nn.ReLU())
        self.head = nn.ModuleDict(
            {
                "linear": nn.Linear(3, 5, bias=False),  # its gradient would be 0
                "norm": nn.BatchNorm1d(5),
                "last": nn.ModuleList([nn.BatchNorm1d(5, momentum=None)]),
            }
        )

    def forward(self, image: Tensor) -> Tensor:
        """(B, 3, H, W) to (B, 5)."""
        pooled = self.features(image).mean((2, 3))
        normalized = self.head["norm"](self.head["linear"](pooled))
        output: Tensor = self.head["last"][0](normalized.relu())  # type: ignore[index]
        return output


def network() -> Network:
    """One whose running means and variances have moved."""
    torch.manual_seed(0)
    made = Network()
    made(torch.randn(6, 3, 8, 8))
    return made


def normalize(images: Tensor, module: nn.Module) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """What belongs to the samples, (B, ...) each, and what the samples add up to.

    That is output and gradient of images (B, 3, H, W), and the gradients of all weights.
    """
    images = images.clone().requires_grad_()
    output = module(images)
    output.exp().sum().backward()  # of a sum of squares, which is fixed, the gradient would be 0

    of_samples = {"output": output.detach().cpu(), "gradient": _gradient(images)}
    return of_samples, {name: _gradient(weight) for name, weight in module.named_parameters()}


def compare_ranks_with_one(folder: Path, cuda: bool) -> None:
    """Two ranks, whose shares differ in size, give what one gives for all images."""
    torch.manual_seed(1)
    images = torch.randn(8, 3, 8, 8) + 4.0
    alone = network()
    of_samples, sums = normalize(images, alone)
    first, second = ranks.on_two_ranks(_normalize_share, folder, images, cuda)

    for name, expected in of_samples.items():
        both = torch.cat([first["of_samples"][name], second["of_samples"][name]])
        torch.testing.assert_close(both, expected, rtol=1e-4, atol=1e-5)
    for name, expected in sums.items():
        both = first["sums"][name] + second["sums"][name]
        torch.testing.assert_close(both, expected, rtol=1e-4, atol=1e-5)
    for name, expected in alone.named_buffers():
        torch.testing.assert_close(first["buffers"][name], expected, rtol=1e-4, atol=1e-5)
        assert torch.equal(first["buffers"][name], second["buffers"][name])


def _normalize_share(rank: int, images: Tensor, cuda: bool) -> dict[str, dict[str, Tensor]]:
    """The part of one of two ranks: 5 of 8 images, or 3."""
    device = torch.device("cuda" if cuda else "cpu")
    module = network()
    synchronize_batchnorm(module, cuda=cuda)
    of_samples, sums = normalize(images.split([5, 3])[rank].to(device), module.to(device))
    buffers = {name: buffer.cpu() for name, buffer in module.named_buffers()}
    return {"of_samples": of_samples, "sums": sums, "buffers": buffers}


def _gradient(tensor: Tensor) -> Tensor:
    assert tensor.grad is not None
    return tensor.grad.cpu()
