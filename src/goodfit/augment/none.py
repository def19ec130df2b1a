"""Training on the samples as they are."""

from __future__ import annotations

import torch

from goodfit.augment.base import Augment
from goodfit.contract import Batch


class Nothing(Augment):
    """Gives every batch back unchanged."""

    inputs = ()

    def __call__(self, batch: Batch, generator: torch.Generator) -> Batch:
        return batch
