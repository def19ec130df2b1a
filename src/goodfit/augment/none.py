"""Training on the samples as they are."""

from __future__ import annotations

from goodfit.augment.base import Augment
from goodfit.augment.per_sample_random import PerSampleRandom
from goodfit.contract import Batch


class Nothing(Augment):
    """Every batch stays as it is."""

    inputs = ()
    targets = ("target", "boxes", "classes", "text")

    def __call__(self, batch: Batch, numbers: PerSampleRandom) -> Batch:
        """The batch itself."""
        return batch
