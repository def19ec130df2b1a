"""What the launcher and the ranks of a training leave each other in the job's folder."""

from __future__ import annotations

import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from goodfit.errors import OutOfMemory
from goodfit.launch.resume import Plan
from goodfit.records import Job, Record


@dataclass(frozen=True, kw_only=True)
class RankJob(Record):
    """What every rank does; `launcher` is the process that waits for them."""

    config: dict[str, Any]
    job: Job
    micro_batches: int
    plan: Plan | None  # None for a training that leaves nothing behind
    launcher: str


@dataclass(frozen=True, kw_only=True)
class RankError(Record):
    """How a rank failed, and when; a machine that is lost has rank -1."""

    when: float
    rank: int
    kind: str
    message: str
    exit_code: int = 1
    micro_batches: int = 0
    traceback: str = ""

    @classmethod
    def of_exception(cls, rank: int, error: BaseException) -> RankError:
        """What the launcher needs to know of an exception."""
        return cls(
            when=time.time(),
            rank=rank,
            kind=type(error).__name__,
            message=str(error),
            exit_code=exit_code(error),
            micro_batches=error.micro_batches if isinstance(error, OutOfMemory) else 0,
            traceback="".join(traceback.format_exception(error)),
        )

    @staticmethod
    def path(folder: Path, rank: int) -> Path:
        """Where a rank leaves its error; a lost machine's is left for it by the launcher."""
        return folder / (f"error-{rank}.json" if rank >= 0 else "error-machine.json")

    @classmethod
    def read_all(cls, folder: Path) -> tuple[RankError, ...]:
        """The errors of all ranks of this machine."""
        return tuple(cls.read(path) for path in sorted(folder.glob("error-*.json")))


@dataclass(frozen=True, kw_only=True)
class Killed(Record):
    """The signal that ended each rank that could leave no error, by its number."""

    ranks: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class MachineEnd(Record):
    """How the ranks of one machine ended."""

    exit_code: int
    errors: tuple[RankError, ...]
    killed: dict[str, str]


def exit_code(error: BaseException) -> int:
    """The code that a process ends with after this exception."""
    code = getattr(error, "code", 1)
    return code if isinstance(error, SystemExit) and isinstance(code, int) else 1


def first_error(ends: Sequence[MachineEnd]) -> RankError | None:
    """Of all machines the error that came first: those after it are mostly its echo."""
    errors = [error for end in ends for error in end.errors]
    return min(errors, key=lambda error: error.when, default=None)
