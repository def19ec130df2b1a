"""Records that the launcher and the ranks of a training leave each other in the job's folder."""

from __future__ import annotations

import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from goodfit.errors import LostMachineError, OutOfMemory
from goodfit.launch.resume import Plan
from goodfit.records import Job
from goodfit.system.record import Record


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
    """How a rank failed, and when; `rank` is None where a whole machine was lost."""

    when: float  # seconds since 1970, by the clock of its machine
    rank: int | None
    kind: str  # name of the exception's class
    message: str
    exit_code: int = 1
    micro_batches: int = 0  # of a step that ran out of memory
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

    @classmethod
    def of_lost_machine(cls, machine: int, reason: str, seconds_ago: float = 0.0) -> RankError:
        """What the launcher of another machine knows, `seconds_ago` after it last heard of it."""
        return cls(
            when=time.time() - seconds_ago,
            rank=None,
            kind=LostMachineError.__name__,
            message=f"machine {machine} {reason}; the same command goes on",
        )

    @staticmethod
    def path(folder: Path, rank: int | None) -> Path:
        """Where a rank leaves its error, or the launcher that of a lost machine."""
        return folder / f"error-{'machine' if rank is None else rank}.json"

    @classmethod
    def read_all(cls, folder: Path) -> tuple[RankError, ...]:
        """The errors of all ranks of this machine."""
        return tuple(cls.read(path) for path in sorted(folder.glob("error-*.json")))


@dataclass(frozen=True, kw_only=True)
class KilledRanks(Record):
    """The signal that ended each rank that could leave no error, by its number."""

    signals: dict[str, str] = field(default_factory=dict)

    @staticmethod
    def path(folder: Path) -> Path:
        """Where it lies in a job's folder."""
        return folder / "killed.json"


@dataclass(frozen=True, kw_only=True)
class MachineExit(Record):
    """How the ranks of one machine ended; `killed` is that of `KilledRanks`."""

    exit_code: int
    errors: tuple[RankError, ...]
    killed: dict[str, str]

    @classmethod
    def of_folder(cls, folder: Path, code: int) -> MachineExit:
        """What the ranks of this machine left in the job's folder; `code` is that of elastic."""
        path = KilledRanks.path(folder)
        killed = KilledRanks.read(path).signals if path.exists() else {}
        return cls(exit_code=code, errors=RankError.read_all(folder), killed=killed)

    @classmethod
    def of_lost_machine(cls, error: RankError) -> MachineExit:
        """Stands for what a lost machine did not report."""
        return cls(exit_code=1, errors=(error,), killed={})


def exit_code(error: BaseException) -> int:
    """The code that a rank ends with: that of SystemExit, 1 after any other exception."""
    if isinstance(error, SystemExit) and isinstance(error.code, int):
        return error.code
    return 1


def first_error(exits: Sequence[MachineExit]) -> RankError | None:
    """The earliest error on any machine: those after it are mostly its consequence."""
    errors = [error for machine in exits for error in machine.errors]
    return min(errors, key=lambda error: error.when, default=None)
