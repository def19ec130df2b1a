"""What outlives a step takes no room in the heap that its batch would need."""

from __future__ import annotations

import subprocess
import sys
import weakref

import pytest
import torch

from goodfit.system.tensors import GrowingTensors
from goodfit.task.kept import Kept, Samples, in_order

# prints the most memory that 200 steps took, in batches of 5 MB; as in a training, nothing of a
# step lives on but what is kept of its samples
STEPS = """
import resource
import torch
from goodfit.system import allocator
from goodfit.task.kept import Kept, Samples

def held():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

allocator.keep_freed_memory()
before, kept = held(), Kept()
for step in range(200):
    batch = torch.zeros(64, 20_000)
    loss, units = batch.sum(1), torch.ones(64)
    statistics = {"prediction": batch[:, :2].clone(), "target": batch[:, 2].clone()}
    kept.add(Samples.of_step(step, 0, loss, units, statistics))
    size = batch.nbytes
    del batch, loss, units, statistics
print((held() - before) / size)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="counts the kilobytes of Linux")
def test_of_200_batches_no_more_than_a_few_are_held() -> None:
    printed = subprocess.run(
        [sys.executable, "-c", STEPS], capture_output=True, text=True, check=True
    ).stdout
    # as a list of small tensors, what is kept held the places of 190 batches
    assert float(printed) < 6


def test_no_tensor_of_a_step_lives_on() -> None:
    # true of every heap, where what 200 batches hold depends on how this one lays them out
    kept = Kept()
    for step in range(3):
        loss, units, statistics = torch.ones(4), torch.ones(4), {"target": torch.ones(4, 2)}
        tensors = [weakref.ref(tensor) for tensor in (loss, units, statistics["target"])]
        kept.add(Samples.of_step(step, 0, loss, units, statistics))
        del loss, units, statistics
        assert [tensor() for tensor in tensors] == [None] * 3


def rows(*sizes: int) -> list[dict[str, torch.Tensor]]:
    """Parts of the numbers from 0, by two names."""
    numbers = torch.arange(sum(sizes))
    return [
        {"one": part, "pairs": torch.stack([part, -part], 1).float()}
        for part in torch.split(numbers, list(sizes))
    ]


def test_rows_are_those_that_were_added_in_order() -> None:
    parts, whole = rows(5, 1, 0, 8, 2, 2, 9), rows(27)[0]
    growing = GrowingTensors()
    for _ in range(2):  # a second time in the room of the first
        growing.clear()
        for part in parts:
            growing.append(part)
        assert len(growing) == 27
        tensors = growing.tensors()
        for name, values in whole.items():
            assert torch.equal(tensors[name], values)
            assert tensors[name].dtype == values.dtype


@pytest.mark.parametrize(
    "part",
    [
        {"one": torch.ones(2)},  # "pairs" would keep what the room held
        {"one": torch.ones(2), "pairs": torch.ones(2, 1)},
        {"one": torch.ones(2), "pairs": torch.ones(1, 2)},
        {"one": torch.ones(2), "pairs": torch.ones(2, 2).double()},
    ],
)
def test_rows_of_another_form_are_never_stored(part: dict[str, torch.Tensor]) -> None:
    growing = GrowingTensors()
    growing.append({"one": torch.zeros(5), "pairs": torch.zeros(5, 2)})
    growing.clear()  # so that there is room for them
    with pytest.raises(AssertionError):
        growing.append(part)


def test_what_was_given_out_is_a_copy_without_room_behind_it() -> None:
    growing = GrowingTensors()
    growing.append(rows(10)[0])
    growing.append(rows(1)[0])
    given = growing.tensors()["one"]
    growing.clear()
    growing.append(rows(3)[0])
    assert given.tolist() == [*range(10), 0]
    assert given.untyped_storage().nbytes() == given.nbytes


def test_rows_that_inference_mode_has_seen_may_be_written_outside_of_it() -> None:
    growing = GrowingTensors()
    with torch.inference_mode():
        growing.append(rows(4)[0])
    growing.clear()  # the room stays
    growing.append(rows(2)[0])
    assert growing.tensors()["one"].tolist() == [0, 1]


def test_samples_stand_in_the_order_of_their_steps() -> None:
    kept = Kept()
    assert kept.samples() is None
    for step in range(40):
        values = torch.full((3,), float(step))
        kept.add(Samples.of_step(step, 0, values, values, {"target": values}))
    samples = kept.samples()
    assert samples is not None
    assert samples.steps == [(step, 0, 3) for step in range(40)]
    assert samples.loss.tolist() == [float(step) for step in range(40) for _ in range(3)]
    assert torch.equal(samples.statistics["target"], samples.loss)
    assert samples.numbers(rank=0) == 120
    assert samples.numbers(rank=1) == 0


def test_samples_of_ranks_are_sorted_by_step_and_rank() -> None:
    parts = []
    for rank, steps in enumerate([(0, 1, 4), (0, 2, 4)]):
        kept = Kept()
        for step in steps:
            values = torch.full((step + 1,), float(10 * step + rank))
            kept.add(Samples.of_step(step, rank, values, values + 0.5, {"target": -values}))
        samples = kept.samples()
        assert samples is not None
        parts.append(samples)

    whole = in_order(parts[::-1])
    assert whole is not None
    assert whole.steps == [(0, 0, 1), (0, 1, 1), (1, 0, 2), (2, 1, 3), (4, 0, 5), (4, 1, 5)]
    assert whole.loss.tolist() == [0, 1, 10, 10, 21, 21, 21, *[40] * 5, *[41] * 5]
    assert torch.equal(whole.units, whole.loss + 0.5)
    assert torch.equal(whole.statistics["target"], -whole.loss)
    assert in_order([]) is None
