"""Rows of a table with gaps. Letters: B batch, F numbers of a row."""

from __future__ import annotations

import torch

from goodfit.augment.base import Augment
from goodfit.augment.per_sample_random import PerSampleRandom
from goodfit.contract import Batch
from goodfit.schema import Fraction


class FeatureDropout(Augment):
    """Each number becomes 0, the mean of train, with probability `share`.

    So no answer hangs on one column alone. The others are not scaled, unlike in dropout of hidden
    units (Srivastava et al. 2014, section 10 drops inputs, too): a mean is a value that rows have.
    """

    inputs = ("numbers",)

    def __init__(self, *, share: Fraction) -> None:
        self.share = share

    def __call__(self, batch: Batch, numbers: PerSampleRandom) -> Batch:
        """Numbers (B, F) of float32, standardized."""
        values = batch.inputs["numbers"]
        is_kept = numbers(values.shape[1]) >= self.share
        dropped = torch.where(is_kept, values, 0.0)
        return batch._replace(inputs={**batch.inputs, "numbers": dropped})
