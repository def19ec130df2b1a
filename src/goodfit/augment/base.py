"""What every augmentation is: a function of a batch and of random numbers for its samples.

Letters: B batch.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from goodfit.augment.per_sample_random import PerSampleRandom
from goodfit.contract import Batch


class Augment(ABC):
    """Changes training batches, each sample as a function of (seed, epoch, sample) alone.

    So the number of devices, the batch size and a resume change nothing of what a network sees
    (decision 0013).

    A subclass must name in `inputs` the inputs that it changes, as a literal: the configuration is
    checked against the data set by them. It must implement `__call__`, with `numbers` as its only
    source of chance, and keep no state. A keyword-only parameter of `__init__` with a type of
    `schema.py` is a key of its YAML.
    """

    inputs: ClassVar[tuple[str, ...]]

    @abstractmethod
    def __call__(self, batch: Batch, numbers: PerSampleRandom) -> Batch:
        """A batch of new tensors where they change, each of the shape (B, ...) that it had.

        The tensors of `batch` stay as they are. `numbers(6)` draws (B, 6) numbers in [0, 1) for
        the samples, on their device; no sample's change may look at another sample. Targets may
        change, too, in value and type, as far as the task's loss takes them.
        """
