"""Two clocks, and the table of what they showed."""

from __future__ import annotations

import contextlib
import resource
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

from goodfit.errors import UserError, nearest

NAMES = ("cnn", "mlp", "batches", "no-op", "checkpoints", "sampler", "devices", "gpu", "sweeps")
Turns = list[tuple[float, float]]  # CPU and wall seconds of each turn


@dataclass(frozen=True)
class Result:
    """The turns of both ways, their unit with its seconds, the goal for the ratio if any, and what
    was equal.

    The goal is for the CPU's time, or with `clock` 1 for the wall's.
    """

    name: str
    ours: Turns
    plain: Turns
    goal: float | None
    unit: tuple[str, float]
    equal: str
    clock: int = 0

    def ratio(self, clock: int) -> tuple[float, float]:
        """Smallest by smallest and median of neighbours; `clock` 0 is CPU, 1 wall."""
        ours, plain = [turn[clock] for turn in self.ours], [turn[clock] for turn in self.plain]
        return min(ours) / min(plain), statistics.median(
            a / b for a, b in zip(ours, plain, strict=True)
        )


def chosen(names: Sequence[str]) -> list[str]:
    """The comparisons that are asked for, all where none is named; raises UserError for an unknown
    name.
    """
    for name in names:
        if name not in NAMES:
            raise UserError(f"no comparison is named '{name}'.{nearest(name, NAMES)}")
    return [name for name in NAMES if not names or name in names]


class Stopwatch:
    """CPU and wall seconds spent inside `running` blocks; a block in a block is counted once."""

    def __init__(self) -> None:
        self.cpu = self.wall = 0.0
        self._depth = 0

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Counts the block; children count once they have ended."""
        cpu, wall, self._depth = _cpu(), time.perf_counter(), self._depth + 1
        yield
        self._depth -= 1
        if not self._depth:
            self.cpu, self.wall = self.cpu + _cpu() - cpu, self.wall + time.perf_counter() - wall

    def around(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, counted."""

        def counted(*args: Any, **more: Any) -> Any:
            with self.running():
                return function(*args, **more)

        return counted


def shown(results: list[Result]) -> Table:
    """A row for each comparison, by the clock that its goal is for; red is a goal that was missed."""
    table = Table("", "ours", "plain", "CPU ratio", "wall ratio", "goal", "equal", box=SIMPLE_HEAD)
    for result in results:
        (word, scale), clock = result.unit, result.clock
        sides = [
            f"{min(turn[clock] for turn in side) * scale:.3g} {word}"
            for side in (result.ours, result.plain)
        ]
        ratios, goal = (
            [f"{best:.2f} ({median:.2f})" for best, median in map(result.ratio, (0, 1))],
            "",
        )
        if result.goal is not None:
            colour = "green" if result.ratio(clock)[0] <= result.goal else "red"
            best, _, median = ratios[clock].partition(" ")
            ratios[clock], goal = (
                f"[{colour}]{best}[/] {median}",
                f"{result.goal:g} {'wall' if clock else 'CPU'}",
            )
        table.add_row(f"[bold]{result.name}", *sides, *ratios, goal, result.equal)
    return table


def _cpu() -> float:
    """Seconds of this process and of its children that ended."""
    uses = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(use.ru_utime + use.ru_stime for use in uses)
