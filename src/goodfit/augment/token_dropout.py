"""Texts with words that one has not caught. Letters: B batch, S tokens of a text."""

from __future__ import annotations

from goodfit.augment.base import Augment
from goodfit.augment.per_sample_random import PerSampleRandom
from goodfit.contract import END, PAD, UNKNOWN, Batch
from goodfit.schema import Fraction


class TokenDropout(Augment):
    """Each token of a source becomes the unknown one with probability `share`; its end stays.

    Word dropout on the source side (Sennrich, Haddow and Birch 2016, WMT16, section 2.3).
    """

    inputs = ("source",)
    targets = ("text",)

    def __init__(self, *, share: Fraction) -> None:
        self.share = share

    def __call__(self, batch: Batch, numbers: PerSampleRandom) -> Batch:
        """Tokens (B, S) of int64."""
        source = batch.inputs["source"]
        is_dropped = numbers(source.shape[1]) < self.share
        is_word = (source != PAD) & (source != END)
        dropped = source.masked_fill(is_dropped & is_word, UNKNOWN)
        return batch._replace(inputs={**batch.inputs, "source": dropped})
