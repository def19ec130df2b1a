"""Samples between two samples, and labels between their labels. Letters: B batch."""

from __future__ import annotations

from torch import Tensor

from goodfit.augment.base import Mixing, weighed
from goodfit.augment.per_sample_random import PerSampleRandom
from goodfit.contract import Batch


class Mixup(Mixing):
    """lambda x + (1 - lambda) x', and so the targets; lambda of Beta(alpha, alpha).

    mixup (Zhang, Cisse, Dauphin and Lopez-Paz 2018, arXiv 1710.09412), with a lambda for each
    sample instead of one for a batch.
    """

    inputs = ("image", "numbers")

    def mixed(
        self, batch: Batch, partner: Batch, own: Tensor, numbers: PerSampleRandom
    ) -> tuple[dict[str, Tensor], Tensor]:
        """Means (B, ...) of inputs, in float32, in which the sample weighs `own` (B,)."""
        inputs = {}
        for name, values in batch.inputs.items():
            inputs[name] = weighed(values.float(), partner.inputs[name].float(), own)
        return inputs, own
