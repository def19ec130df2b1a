"""What every augmentation is: a function of a batch and of random numbers for its samples.

Letters: B batch.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor

from goodfit.augment.per_sample_random import PerSampleRandom
from goodfit.contract import Batch
from goodfit.schema import Proportion

_TRIES = 24  # pairs of numbers of each sample


class Augment(ABC):
    """Changes training batches, each sample as a function of (seed, epoch, sample) alone.

    So the number of devices, the batch size and a resume change nothing of what a network sees
    (decision 0013).

    A subclass must name in `inputs` the inputs that it changes, as a literal: the configuration is
    checked against the data set by them, and against its targets by `targets`, the names of those
    that stay true beside the changed inputs. It must implement `__call__`, with `numbers` as its
    only source of chance, and keep no state. A keyword-only parameter of `__init__` with a type of
    `schema.py` is a key of its YAML.
    """

    inputs: ClassVar[tuple[str, ...]]
    targets: ClassVar[tuple[str, ...]] = ("target",)
    mixes: ClassVar[bool] = False

    @abstractmethod
    def __call__(self, batch: Batch, numbers: PerSampleRandom) -> Batch:
        """A batch of new tensors where they change, each of the shape (B, ...) that it had.

        The tensors of `batch` stay as they are. `numbers(6)` draws (B, 6) numbers in [0, 1) for
        the samples, on their device; no sample's change may look at another sample. Targets may
        change, too, in value and type, as far as the task's loss takes them.
        """


class Mixing(Augment):
    """Mixes each sample with its partner, inputs and targets alike.

    `inputs` are all that the network may be given: what it also sees unmixed would tell the label.
    The task makes targets (B, ...) whose mean has a meaning before (`Task.mixable`). `share` is the
    probability that a sample is mixed. A batch without partners stays as it is.
    """

    mixes = True

    def __init__(self, *, alpha: Proportion, share: Proportion) -> None:
        self.alpha, self.share = alpha, share

    def __call__(self, batch: Batch, numbers: PerSampleRandom) -> Batch:
        """Samples (B, ...) with their partners (B, ...), each by a share of its own."""
        if batch.partner is None:
            return batch
        own = beta(numbers, self.alpha)
        own = torch.where(numbers(1)[:, 0] < self.share, own, 1.0)
        inputs, own = self.mixed(batch, batch.partner, own, numbers)
        targets = {}
        for name, target in batch.targets.items():
            targets[name] = weighed(target, batch.partner.targets[name], own)
        return batch._replace(inputs=inputs, targets=targets)

    @abstractmethod
    def mixed(
        self, batch: Batch, partner: Batch, own: Tensor, numbers: PerSampleRandom
    ) -> tuple[dict[str, Tensor], Tensor]:
        """Inputs (B, ...) of which about `own` (B,) is the sample's; that share exactly, (B,)."""


def beta(numbers: PerSampleRandom, alpha: float) -> Tensor:
    """Numbers (B,) of the distribution Beta(alpha, alpha), for an alpha of at most 1.

    Johnk 1964: x = u^(1/alpha) and y = v^(1/alpha), of the first pair whose sum is at most one,
    give x / (x + y). At least half of the pairs are such; of 24, one in 16 million has none, and
    its last pair is taken.
    """
    logarithms = (numbers(2, _TRIES) + 2**-25).log() / alpha  # (B, 2, tries): log x and log y
    is_taken = logarithms.exp().sum(1) <= 1
    is_taken[:, -1] = True
    first = is_taken.long().argmax(1, keepdim=True)  # (B, 1)
    differences = logarithms[:, 0] - logarithms[:, 1]
    # x / (x + y), where both may be below the smallest float
    return differences.gather(1, first)[:, 0].sigmoid()


def weighed(values: Tensor, others: Tensor, own: Tensor) -> Tensor:
    """The mean of values and others (B, ...) in which the first weigh `own` (B,)."""
    return others.lerp(values, own.reshape(-1, *[1] * (values.ndim - 1)).to(values.dtype))
