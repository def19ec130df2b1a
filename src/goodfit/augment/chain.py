"""Several augmentations, one after the other. Letters: B batch."""

from __future__ import annotations

from collections.abc import Sequence

from goodfit.augment.base import Augment
from goodfit.augment.per_sample_random import PerSampleRandom
from goodfit.contract import Batch


class Chain(Augment):
    """Those that change samples by themselves in the given order, then those that mix them.

    A partner is changed as it is in its own place, whichever part of the step it belongs to: what
    comes out is a function of (seed, epoch, sample, partner).
    """

    inputs = ()

    def __init__(self, parts: Sequence[Augment]) -> None:
        self._alone = [part for part in parts if not part.mixes]
        self._mixing = [part for part in parts if part.mixes]
        self.mixes = bool(self._mixing)  # type: ignore[misc]

    def __call__(self, batch: Batch, numbers: PerSampleRandom) -> Batch:
        """The batch (B, ...) as the network sees it.

        Without partners it is the whole step: each sample's is the next one, the last's the first.
        """
        partner = batch.partner
        batch = self._changed(batch, numbers)
        if not self._mixing:
            return batch
        if partner is None:
            partner = _next(batch)
        else:
            partner = self._changed(partner, numbers.of(partner.rows))
        batch = batch._replace(partner=partner)
        for part in self._mixing:
            batch = part(batch, numbers)
        return batch._replace(partner=None)

    def _changed(self, batch: Batch, numbers: PerSampleRandom) -> Batch:
        for part in self._alone:
            batch = part(batch, numbers)
        return batch


def _next(batch: Batch) -> Batch:
    """The batch (B, ...) moved on by one sample."""
    return Batch(
        inputs={name: values.roll(-1, 0) for name, values in batch.inputs.items()},
        targets={name: values.roll(-1, 0) for name, values in batch.targets.items()},
        rows=batch.rows.roll(-1, 0),
    )
