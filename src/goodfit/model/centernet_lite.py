"""The detector without anchors on top of EfficientNet-Lite0 (Zhou et al. 2019; Tan & Le 2019).

Letters: B batch, C channels, H height, W width, O numbers of a cell.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from goodfit.contract import DataSpec
from goodfit.model.efficientnet import EfficientNetLite0
from goodfit.model.pyramid import Pyramid, convolution
from goodfit.schema import Count


class CenterNetLite(nn.Module):
    """As `CenterNet`, with an encoder whose weights can be those of ImageNet (`pretrained`).

    Its images are colours from 0 to 255. The four maps of the encoder are brought to `width`
    features, twice, four and eight times as many.
    """

    output_form = "map"

    def __init__(self, spec: DataSpec, *, width: Count) -> None:
        super().__init__()
        self.backbone = EfficientNetLite0(spec.inputs["image"].shape[0] or 0)
        widths = [width * 2**level for level in range(len(self.backbone.features))]
        self.neck = nn.ModuleList()
        for features, out_features in zip(self.backbone.features, widths, strict=True):
            self.neck.append(convolution(features, out_features, kernel=1))
        self.decoder = Pyramid(widths, outputs=spec.outputs, classes=len(spec.labels))
        # channels last in memory: faster on a CPU with oneDNN, as in the CNN
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, image: Tensor) -> Tensor:
        """(B, C, H, W) of any number type to (B, O, H / 4, W / 4)."""
        levels = self.backbone(image.contiguous(memory_format=torch.channels_last))
        maps = [neck(level) for neck, level in zip(self.neck, levels, strict=True)]
        output: Tensor = self.decoder(maps)
        return output
