"""Two clocks, ways that take turns, and the table of what the clocks showed."""

from __future__ import annotations

import contextlib
import resource
import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypeVar

from rich.box import SIMPLE_HEAD
from rich.table import Table

from goodfit.errors import UserError, nearest

NAMES = (
    "cnn",
    "mlp",
    "lightning",
    "batches",
    "no-op",
    "checkpoints",
    "sampler",
    "ragged",
    "files",
    "rows",
    "devices",
    "gpu",
    "sweeps",
    "memory",
)
Clock = Literal["cpu", "wall"]
T = TypeVar("T")


class Seconds(NamedTuple):
    """What one turn took: of the CPU by all threads of the process, and by the clock."""

    cpu: float
    wall: float

    def by(self, clock: Clock) -> float:
        """One of the two."""
        return self.cpu if clock == "cpu" else self.wall


class Ratio(NamedTuple):
    """Ours by the other way: smallest by smallest, and the median of the ratios of neighbours."""

    smallest: float
    median: float


class Unit(NamedTuple):
    """How a table prints a time: `scale` of the unit `name` are a second."""

    name: str
    scale: float


Turns = list[Seconds]


@dataclass(frozen=True)
class Result:
    """The turns of both ways, and what was equal; the goal, if any, is for the ratio by `clock`."""

    name: str
    ours: Turns
    plain: Turns
    goal: float | None
    unit: Unit
    equal: str
    clock: Clock = "cpu"

    def ratio(self, clock: Clock) -> Ratio:
        """Below 1 where ours is faster."""
        ours = [turn.by(clock) for turn in self.ours]
        plain = [turn.by(clock) for turn in self.plain]
        return ratio_of(ours, plain)


def ratio_of(ours: Sequence[float], other: Sequence[float]) -> Ratio:
    """The ratio of two ways that took turns."""
    neighbours = [a / b for a, b in zip(ours, other, strict=True)]
    return Ratio(min(ours) / min(other), statistics.median(neighbours))


def chosen(names: Sequence[str]) -> list[str]:
    """The comparisons that are asked for, all where none is named.

    Raises:
        UserError: no comparison has that name.
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

    @property
    def seconds(self) -> Seconds:
        """What was counted so far."""
        return Seconds(self.cpu, self.wall)

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Counts the block; children count once they have ended."""
        cpu, wall = _cpu(), time.perf_counter()
        self._depth += 1
        yield
        self._depth -= 1
        if self._depth == 0:
            self.cpu += _cpu() - cpu
            self.wall += time.perf_counter() - wall

    def around(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, counted."""

        def counted(*args: Any, **more: Any) -> Any:
            with self.running():
                return function(*args, **more)

        return counted


def timed(action: Callable[[], T]) -> tuple[T, Seconds]:
    """What an action gave, and what it took."""
    watch = Stopwatch()
    with watch.running():
        value = action()
    return value, watch.seconds


def take_turns(
    turns: int, ours: Callable[[], object], plain: Callable[[], object]
) -> tuple[Turns, Turns]:
    """Runs both ways one after the other, so that other work on the machine slows both alike."""
    times: tuple[Turns, Turns] = ([], [])
    for _ in range(turns):
        for way, action in zip(times, (ours, plain), strict=True):
            way.append(timed(action)[1])
    return times


def smallest(turns: Iterable[Seconds], clock: Clock) -> float:
    """The quickest turn, in seconds: what other work on the machine disturbed least."""
    return min(turn.by(clock) for turn in turns)


def table(results: Sequence[Result]) -> Table:
    """A row for each comparison, by the clock of its goal; red is a goal that was missed."""
    rows = Table("", "ours", "plain", "CPU ratio", "wall ratio", "goal", "equal", box=SIMPLE_HEAD)
    for result in results:
        sides = []
        for turns in (result.ours, result.plain):
            time_of_side = smallest(turns, result.clock) * result.unit.scale
            sides.append(f"{time_of_side:.3g} {result.unit.name}")
        cpu, wall = _ratio_cell(result, "cpu"), _ratio_cell(result, "wall")
        goal = ""
        if result.goal is not None:
            goal = f"{result.goal:g} {'wall' if result.clock == 'wall' else 'CPU'}"
        rows.add_row(f"[bold]{result.name}", *sides, cpu, wall, goal, result.equal)
    return rows


def _ratio_cell(result: Result, clock: Clock) -> str:
    ratio = result.ratio(clock)
    text = f"{ratio.smallest:.2f}"
    if result.goal is not None and clock == result.clock:
        text = coloured(text, good=ratio.smallest <= result.goal)
    return f"{text} ({ratio.median:.2f})"


def coloured(text: str, *, good: bool) -> str:
    """Green, or red for a goal that was missed."""
    return f"[{'green' if good else 'red'}]{text}[/]"


def _cpu() -> float:
    """Seconds of this process and of its children that ended."""
    uses = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(use.ru_utime + use.ru_stime for use in uses)
