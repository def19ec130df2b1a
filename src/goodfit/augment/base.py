"""What every augmentation is: a function of a batch and a generator, so that a run can be repeated."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import torch

from goodfit.contract import Batch


class Augment(ABC):
    """Changes whole batches; draws from the generator that it is given and from nothing else.

    `inputs` are those that it changes.
    """

    inputs: ClassVar[tuple[str, ...]]

    @abstractmethod
    def __call__(self, batch: Batch, generator: torch.Generator) -> Batch:
        """A batch of the same shapes."""
