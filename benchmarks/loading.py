"""Batches from a memory map against torch's loader, and an order that can be entered anywhere."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import BatchSampler, DataLoader, Dataset, RandomSampler

from benchmarks import made
from benchmarks.measure import Result, Unit, smallest, take_turns
from goodfit.contract import Batch
from goodfit.paths import Paths
from goodfit.store import ragged as store
from goodfit.store.arrays import Packed
from goodfit.store.loader import Batches
from goodfit.store.ragged import Ragged

PROTOCOL = """\
batches   An epoch of 20,000 images, 3 x 32 x 32 bytes, in batches of 128, from a memory map,
          against torch's DataLoader over a Dataset, in the same shuffled order. Equal: every batch.
sampler   An epoch of 60,000 images of 28 x 28 bytes in batches of 64, in the order that can be
          entered anywhere, against torch's RandomSampler and BatchSampler with the same gathering.
          Equal: every batch, also after a cut.
ragged    10,000 texts of 1 to 64 tokens, 16 in the mean, in batches of 96, from values and offsets,
          against an array padded to the longest text, of which a batch takes as much as its own
          longest text has. Equal: every batch. Few: as they are; many: as if a padded copy of them
          were too large to keep in memory.
"""


class _Samples(Dataset[tuple[Tensor, Tensor]]):
    """One sample after the other, as tutorials write it."""

    def __init__(self, data: Packed) -> None:
        images, targets = data.inputs["image"], data.targets["target"]
        assert isinstance(images, Tensor)
        assert isinstance(targets, Tensor)
        self.images, self.targets = images, targets

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, row: int) -> tuple[Tensor, Tensor]:
        return self.images[row], self.targets[row]


def batches(turns: int) -> Result:
    """An epoch of our batches against torch's DataLoader."""
    count, size = 20_000, 128
    data = _images("bytes", (count, 3, 32, 32))
    packed = Batches(data, size, seed=0, epoch=lambda: 0)
    order = torch.randperm(count, generator=torch.Generator().manual_seed(0)).tolist()
    loader = DataLoader(_Samples(data), size, sampler=order)
    for ours, (image, target) in zip(packed, loader, strict=True):
        assert torch.equal(ours.inputs["image"], image)
        assert torch.equal(ours.targets["target"], target)

    times = take_turns(turns, lambda: _exhaust(packed), lambda: _exhaust(loader))
    rates = [count / smallest(side, "cpu") for side in times]
    print(f"batches: {rates[0]:,.0f} and {rates[1]:,.0f} images/s", flush=True)
    unit = Unit("µs an image", 1e6 / count)
    return Result("batches, 32 x 32", *times, 0.33, unit, "every batch")


def sampler(turns: int) -> Result:
    """An epoch in an order that can be entered anywhere, against one in torch's own."""
    count, size = 60_000, 64
    data = _images("sampler", (count, 1, 28, 28))

    def ours(begin: int = 0) -> Iterator[Batch]:
        return iter(Batches(data, size, seed=0, epoch=lambda: 0, begin=lambda: begin))

    def plain() -> Iterator[Batch]:
        order = RandomSampler(range(count), generator=torch.Generator().manual_seed(0))
        for rows in BatchSampler(order, size, drop_last=False):
            yield data.batch(torch.tensor(rows))

    for batch, other in zip(ours(), plain(), strict=True):
        assert _equal(batch, other)
    whole = [batch.rows for batch in ours()]
    # entered after a cut at its second, its middle and its last batch
    for begin in (1, len(whole) // 2, len(whole) - 1):
        rest = [batch.rows for batch in ours(begin)]
        assert all(torch.equal(*pair) for pair in zip(rest, whole[begin:], strict=True))

    times = take_turns(turns, lambda: _exhaust(ours()), lambda: _exhaust(plain()))
    best = [1e3 * smallest(side, "cpu") for side in times]
    print(f"sampler: {best[0]:.1f} and {best[1]:.1f} ms an epoch", flush=True)
    return Result("order of samples", *times, 1.05, Unit("ms an epoch", 1e3), "every batch")


def ragged(turns: int) -> list[Result]:
    """Batches of texts of different lengths against those of texts that are padded alike.

    Of texts that are few enough for a padded copy in memory, and of texts that are not.
    """
    count, size = 10_000, 96
    lengths = torch.from_numpy(np.random.default_rng(0).geometric(1 / 16, count).clip(max=64))
    texts = [torch.randint(3, 3000, (length,)) for length in lengths.tolist()]
    padded = torch.nn.utils.rnn.pad_sequence(texts, batch_first=True)
    behind = torch.zeros(padded.shape[1], dtype=torch.int64)  # see `Ragged`
    offsets = torch.cat([torch.zeros(1, dtype=torch.int64), lengths.cumsum(0)])
    values = torch.cat([*texts, behind])
    steps = torch.split(torch.randperm(count), size)

    def plain(rows: Tensor) -> tuple[Tensor, Tensor]:
        of_batch = lengths.index_select(0, rows)
        return padded[:, : of_batch.max().item()].index_select(0, rows), of_batch

    def result(name: str, goal: float | None) -> Result:
        data = Ragged(values, offsets, fill=0)
        for rows in steps:
            pairs = zip(data.gather(rows), plain(rows), strict=True)
            assert all(torch.equal(ours, theirs) for ours, theirs in pairs)
        times = take_turns(
            turns, lambda: _exhaust(map(data.gather, steps)), lambda: _exhaust(map(plain, steps))
        )
        unit = Unit("µs a batch", 1e6 / len(steps))
        return Result(f"ragged, {name}", *times, goal, unit, "every batch")

    few = result("few texts", 1.3)
    with patch.object(store, "MOST_PADDED", 0):
        return [few, result("many texts", None)]


def _images(name: str, shape: tuple[int, ...]) -> Packed:
    """Images of random bytes, all of them for training."""
    count, folder = shape[0], Paths(name).prepared
    pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    digits = np.arange(count) % 10
    made.pack(folder, {"image": pixels}, digits, classes=10, train=count, section={})
    return Packed(folder, "train")


def _exhaust(iterable: Iterable[object]) -> None:
    # as in training, a batch lives until the next one is there
    for _item in iterable:
        pass


def _equal(batch: Batch, other: Batch) -> bool:
    return torch.equal(batch.inputs["image"], other.inputs["image"]) and torch.equal(
        batch.targets["target"], other.targets["target"]
    )
