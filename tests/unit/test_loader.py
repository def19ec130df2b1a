"""Batches: every sample once an epoch, in an order that the seed and the epoch decide."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from goodfit.errors import UserError
from goodfit.store.arrays import Packed
from goodfit.store.loader import Batches, Shard
from goodfit.training import datamodule
from goodfit.training.datamodule import DataModule, fits

Prepared = Callable[[str], Path]


@pytest.fixture
def folder(prepared: Prepared) -> Path:
    return prepared("breast_cancer")


@pytest.fixture
def train(folder: Path) -> Packed:
    return Packed(folder, "train")


def order(data: Packed, seed: int, epoch: int, size: int = 7) -> list[int]:
    """The rows of an epoch's batches, one after the other."""
    rows = []
    for batch in Batches(data, size, seed=seed, epoch=lambda: epoch):
        rows += batch.rows.tolist()
    return rows


def test_every_sample_comes_once_an_epoch(train: Packed) -> None:
    assert sorted(order(train, 0, 3)) == list(range(len(train)))


def test_the_order_changes_with_the_epoch(train: Packed) -> None:
    assert order(train, 0, 0) != order(train, 0, 1)


def test_the_order_changes_with_the_seed(train: Packed) -> None:
    assert order(train, 0, 1) != order(train, 1, 1)


def test_the_order_is_the_same_for_equal_seed_and_epoch_whatever_was_drawn_before(
    train: Packed,
) -> None:
    first = order(train, 5, 2)
    torch.rand(100)
    assert order(train, 5, 2) == first


def test_the_order_does_not_depend_on_the_size_of_a_batch(train: Packed) -> None:
    assert order(train, 0, 0, size=7) == order(train, 0, 0, size=16)


def test_a_batch_equals_what_indexing_gives(train: Packed, folder: Path) -> None:
    batch = next(iter(Batches(train, 9, seed=0, epoch=lambda: 1)))
    arrays = {name: np.load(folder / "train" / f"{name}.npy") for name in ("numbers", "target")}
    rows = batch.rows.numpy()
    assert np.array_equal(batch.inputs["numbers"].numpy(), arrays["numbers"][rows])
    assert np.array_equal(batch.targets["target"].numpy(), arrays["target"][rows])


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
    rest = len(train) - size * batches
    sizes = [len(batch.rows) for batch in Batches(train, size, seed=0, epoch=lambda: 0)]
    assert sizes == [*[size] * (batches - 1), size + 1] if rest == 1 else [*[size] * batches, rest]
    assert sum(sizes) == len(train)


@pytest.mark.parametrize(
    ("size", "free", "answer"),
    [
        (25, 100, True),
        (26, 100, False),
        (2 * 10**9, 10**11, True),
        (2 * 10**9 + 1, 10**11, False),
        (1, 0, False),
    ],
)
def test_arrays_live_on_a_device_up_to_a_quarter_of_its_free_memory_and_two_gigabytes(
    size: int, free: int, answer: bool
) -> None:
    assert fits(size, free) is answer


def module(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    free: int,
    device: str = "cuda",
    workers: int = 0,
) -> DataModule:
    """Data for a trainer with a pretended device: "meta" tensors have shapes and no content."""
    move = Packed.to
    monkeypatch.setattr(datamodule, "_free_bytes", lambda device: free)
    monkeypatch.setattr(Packed, "to", lambda self, device: move(self, torch.device("meta")))
    data = DataModule(folder, batch_size=16, seed=0, workers=workers)
    strategy = SimpleNamespace(root_device=torch.device(device))
    data.trainer = SimpleNamespace(strategy=strategy)  # type: ignore[assignment]
    return data


def devices(data: DataModule) -> set[tuple[str, bool]]:
    """Of all arrays of both splits: the device, and whether their batches are to be pinned."""
    states = set()
    for batches in (data.train_dataloader(), data.val_dataloader()):
        for array in (*batches.data.inputs.values(), *batches.data.targets.values()):
            states.add((array.device.type, batches.pin))
    return states


@pytest.mark.parametrize(
    ("device", "free", "workers", "expected"),
    [
        ("cuda", 10**9, 0, ("meta", False)),
        ("mps", 10**9, 0, ("meta", False)),
        ("cpu", 10**9, 0, ("cpu", False)),
        ("cuda", 1000, 0, ("cpu", True)),
        ("mps", 1000, 0, ("cpu", False)),
        ("cuda", 10**9, 2, ("cpu", True)),
    ],
)
def test_small_data_live_on_the_gpu_and_others_are_pinned_for_it(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    device: str,
    free: int,
    workers: int,
    expected: tuple[str, bool],
) -> None:
    data = module(folder, monkeypatch, free=free, device=device, workers=workers)
    assert devices(data) == {expected}


def test_what_is_free_is_asked_for_before_the_first_split_takes_of_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = module(folder, monkeypatch, free=10**9)
    data.train_dataloader()
    monkeypatch.setattr(datamodule, "_free_bytes", lambda device: 0)
    assert data.val_dataloader().data.targets["target"].device.type == "meta"


def test_the_splits_stay_on_the_cpu_for_those_who_score_the_kept_weights(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = module(folder, monkeypatch, free=10**9)
    data.train_dataloader()
    assert data.train.targets["target"].device.type == "cpu"


def test_a_split_with_fewer_samples_than_parts_is_refused(folder: Path, train: Packed) -> None:
    """A part without a sample has a loss of NaN, which says nothing of its reason."""
    parts = len(train) + 1
    message = f"{len(train)} samples of train cannot be shared by {parts} devices and micro-batches"
    with pytest.raises(UserError, match=message):
        DataModule(folder, batch_size=parts, seed=0, shard=Shard(micro_batches=parts))


def test_workers_are_refused_where_arrays_lie_on_a_device(train: Packed) -> None:
    with pytest.raises(AssertionError, match="cannot read"):
        Batches(train.to(torch.device("meta")), 8, workers=1)


def test_rows_go_to_the_device_with_their_batch(folder: Path) -> None:
    """An augmentation draws its numbers from them, on the device of the images."""
    data = DataModule(folder, batch_size=16, seed=0)
    moved = data.transfer_batch_to_device(
        data.train.batch(torch.arange(3)), torch.device("meta"), 0
    )
    arrays = (*moved.inputs.values(), *moved.targets.values(), moved.rows)
    assert {array.device.type for array in arrays} == {"meta"}
    assert moved.weight == 1.0
