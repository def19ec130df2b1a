"""What every augmentation is: a function of a batch and of numbers drawn for its samples."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from goodfit.augment.per_sample_random import PerSampleRandom
from goodfit.contract import Batch


class Augment(ABC):
    """Changes whole batches; what is random comes from `draws` and from nothing else.

    `inputs` are those that it changes.
    """

    inputs: ClassVar[tuple[str, ...]]

    @abstractmethod
    def __call__(self, batch: Batch, draws: PerSampleRandom) -> Batch:
        """A batch of the same shapes."""
