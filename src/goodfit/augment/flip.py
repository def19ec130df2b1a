"""Left for right. Letters: B batch, C channels, H height, W width, M boxes of an image."""

from __future__ import annotations

import torch

from goodfit.augment.base import Augment
from goodfit.augment.per_sample_random import PerSampleRandom
from goodfit.contract import Batch


class Flip(Augment):
    """Half of the images are mirrored, and their boxes with them.

    For what means the same in a mirror: animals and trees, not digits and words.
    """

    inputs = ("image",)
    targets = ("target", "boxes", "classes")

    def __call__(self, batch: Batch, numbers: PerSampleRandom) -> Batch:
        """Images (B, C, H, W) of any number type; targets `boxes` (B, M, 4) in pixels."""
        image = batch.inputs["image"]
        is_flipped = numbers(1)[:, 0] < 0.5
        flipped = torch.where(is_flipped[:, None, None, None], image.flip(3), image)
        batch = batch._replace(inputs={**batch.inputs, "image": flipped})
        if "boxes" not in batch.targets:
            return batch
        boxes = batch.targets["boxes"]
        left, top, right, bottom = boxes.unbind(2)
        mirrored = torch.stack([image.shape[3] - right, top, image.shape[3] - left, bottom], 2)
        # behind the last box lies padding
        there = torch.arange(boxes.shape[1], device=boxes.device)
        is_there = there < batch.targets["boxes_length"][:, None]
        is_moved = (is_flipped[:, None] & is_there)[..., None]
        boxes = torch.where(is_moved, mirrored, boxes)
        return batch._replace(targets={**batch.targets, "boxes": boxes})
