"""Ranks agree about once a second, after the same step, on what any of them wants."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import ranks
import torch

from goodfit.training import agreement
from goodfit.training.agreement import MAX_STEPS, Agreement

CPU = torch.device("cpu")


class Clock:
    """Stands for the module `time`: it goes on when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(agreement, "time", made)
    return made


@pytest.fixture
def group() -> Iterator[None]:
    """A real exchange, of one rank with itself."""
    with ranks.alone():
        yield


def steps_until_due(agreed: Agreement, clock: Clock, seconds: float) -> int:
    """How many steps of so many seconds pass until the ranks agree."""
    steps = 0
    while True:
        clock.now += seconds
        agreed.count_step()
        steps += 1
        if agreed.is_due():
            return steps


@pytest.mark.usefixtures("group")
@pytest.mark.parametrize(
    ("seconds", "fewest", "most"),
    [(3.0, 1, 1), (1.0, 1, 1), (0.1, 9, 10), (0.001, 990, 1000), (1e-6, 1000, 1000)],
)
def test_ranks_agree_about_once_a_second(
    clock: Clock, seconds: float, fewest: int, most: int
) -> None:
    """After each step that takes longer, and after 1,000 steps at most."""
    agreed = Agreement()
    for _ in range(3):
        assert agreed.is_due() is False
        steps_until_due(agreed, clock, seconds)
        agreed.reach(False, 0, CPU)
    assert fewest <= steps_until_due(agreed, clock, seconds) <= most


@pytest.mark.usefixtures("group")
def test_the_first_agreement_is_after_the_first_step(clock: Clock) -> None:
    assert steps_until_due(Agreement(), clock, 1e-6) == 1


@pytest.mark.usefixtures("group")
def test_the_interval_follows_steps_that_become_slower(clock: Clock) -> None:
    agreed = Agreement()
    for seconds in (0.001, 0.5):
        steps_until_due(agreed, clock, seconds)
        agreed.reach(False, 0, CPU)
    assert steps_until_due(agreed, clock, 0.5) == 2


@pytest.mark.usefixtures("group")
def test_whether_it_is_due_is_a_matter_of_counting(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A clock of its own would have one rank wait in an exchange that the others do not enter."""
    agreed = Agreement()
    steps_until_due(agreed, clock, 0.25)
    agreed.reach(False, 0, CPU)
    clock.now += 1e6
    assert not agreed.is_due()

    monkeypatch.setattr(agreement, "time", None)
    due = []
    for _ in range(4):
        agreed.count_step()
        due.append((agreed.is_due(), agreed.is_due()))
    assert due == [(False, False)] * 3 + [(True, True)]


@pytest.mark.usefixtures("group")
@pytest.mark.parametrize("wanted", [(False, 0), (True, 0), (False, 15), (True, 2)])
def test_what_a_rank_wants_is_agreed(wanted: tuple[bool, int]) -> None:
    assert Agreement().reach(*wanted, CPU) == wanted


def train(rank: int) -> list[tuple[int, bool, int, int]]:
    """Steps of two ranks, of which the second takes longer and gets a signal during its third."""
    agreed = Agreement()
    reached = []
    for step in range(3 * MAX_STEPS):
        time.sleep(0.1 * rank)
        agreed.count_step()
        if not agreed.is_due():
            continue
        save = rank == 0 and step == 0
        stop = signal.SIGTERM if rank == 1 and step >= 2 else 0
        save, stop = agreed.reach(save, stop, CPU)
        reached.append((step, save, stop, agreed.interval))
        if stop:
            break
    return reached


@pytest.mark.slow
def test_two_ranks_save_and_stop_after_the_same_step(tmp_path: Path) -> None:
    first, second = ranks.on_two_ranks(train, tmp_path)
    assert first == second
    assert [save for _, save, _, _ in first] == [True, False]
    assert [stop for _, _, stop, _ in first] == [0, signal.SIGTERM]
    # the slower rank's steps of 0.1 s decide: the other one's alone would give 1,000
    interval = first[0][3]
    assert 1 <= interval <= 10
    assert first[1][0] == interval
