"""Batches: every sample once an epoch, in an order that the seed and the epoch decide."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from goodfit.data.packed import Batches, DataModule, Packed

Prepared = Callable[[str], Path]


@pytest.fixture
def folder(prepared: Prepared) -> Path:
    return prepared("breast_cancer")


@pytest.fixture
def train(folder: Path) -> Packed:
    return Packed(folder, "train")


def order(data: Packed, seed: int, epoch: int, size: int = 7) -> list[int]:
    return [row for batch in Batches(data, size, seed=seed, epoch=lambda: epoch) for row in batch.rows.tolist()]


def test_every_sample_comes_once_an_epoch(train: Packed) -> None:
    assert sorted(order(train, 0, 3)) == list(range(len(train)))


def test_the_order_changes_with_the_epoch(train: Packed) -> None:
    assert order(train, 0, 0) != order(train, 0, 1)


def test_the_order_changes_with_the_seed(train: Packed) -> None:
    assert order(train, 0, 1) != order(train, 1, 1)


def test_the_order_is_the_same_for_equal_seed_and_epoch_whatever_was_drawn_before(train: Packed) -> None:
    first = order(train, 5, 2)
    torch.rand(100)
    assert order(train, 5, 2) == first


def test_the_order_does_not_depend_on_the_size_of_a_batch(train: Packed) -> None:
    assert order(train, 0, 0, size=7) == order(train, 0, 0, size=16)


def test_a_batch_equals_what_indexing_gives(train: Packed, folder: Path) -> None:
    batch = next(iter(Batches(train, 9, seed=0, epoch=lambda: 1)))
    arrays = {name: np.load(folder / "train" / f"{name}.npy") for name in ("numbers", "target")}
    for place, row in enumerate(batch.rows.tolist()):
        assert np.array_equal(batch.inputs["numbers"][place].numpy(), arrays["numbers"][row])
        assert int(batch.target[place]) == arrays["target"][row]


def test_the_length_is_the_number_of_batches(train: Packed) -> None:
    for size in (1, 7, len(train), len(train) + 1):
        batches = Batches(train, size)
        assert len(batches) == len(list(batches))


def test_writing_into_a_batch_never_reaches_the_file(folder: Path) -> None:
    before = (folder / "train" / "numbers.npy").read_bytes()
    data = Packed(folder, "train")
    data.inputs["numbers"].zero_()
    assert (folder / "train" / "numbers.npy").read_bytes() == before


def test_the_data_module_has_no_test_data(folder: Path) -> None:
    data = DataModule(folder, batch_size=16, seed=0)
    assert not hasattr(data, "test")
    with pytest.raises(Exception, match="test_dataloader"):
        data.test_dataloader()


@pytest.mark.parametrize("batches", [1, 2, 3])
def test_a_sample_left_alone_joins_the_last_batch(train: Packed, batches: int) -> None:
    """BatchNorm finds no variance in one sample; dropping it would train on less than the data."""
    size = (len(train) - 1) // batches
    found = [len(batch.rows) for batch in Batches(train, size, seed=0, epoch=lambda: 0)]
    rest = len(train) - size * batches
    assert found == [*[size] * (batches - 1), size + 1] if rest == 1 else [*[size] * batches, rest]
    assert sum(found) == len(train)
