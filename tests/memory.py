"""A limit on the memory of a process, by the kernel where it lets us, and what it held."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from benchmarks.processes import peak_memory

CGROUPS = Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup")  # of version 1, and of version 2
LIMITS = ("memory.limit_in_bytes", "memory.max")
_POLL_SECONDS = 0.02


class Held(NamedTuple):
    """How a process ended, and the most memory that it held besides mapped files, in bytes."""

    code: int
    errors: str
    peak: int


def run(command: list[str], folder: Path, limit: int, env: dict[str, str]) -> Held:
    """Runs `command` in `folder` with `limit` bytes: the kernel kills what takes more.

    Pages of mapped files count, but the kernel gives them up first. Where no control group can be
    made, nothing is killed, and `peak` alone tells.
    """
    errors = folder / "errors.txt"
    with _group(limit) as group, errors.open("w") as stream:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, **env},
            stderr=stream,
            text=True,
            preexec_fn=(lambda: _join(group)) if group else None,
        )
        peak = peak_memory(process)
    return Held(process.returncode, errors.read_text(), peak)


def _join(group: Path) -> None:
    (group / "cgroup.procs").write_text(str(os.getpid()))


def _empty(group: Path) -> None:
    """Until all processes of the group have ended by themselves.

    Raises:
        TimeoutError: one goes on, though the one that started it has ended.
    """
    deadline = time.monotonic() + 10
    while processes := (group / "cgroup.procs").read_text().split():
        if time.monotonic() > deadline:
            for process in processes:
                os.kill(int(process), signal.SIGKILL)
            time.sleep(1)
            raise TimeoutError(f"{len(processes)} processes have outlived the one that began them")
        time.sleep(_POLL_SECONDS)


@contextmanager
def _group(limit: int) -> Iterator[Path | None]:
    """A control group with a limit, None where this user may make none."""
    for root, name in zip(CGROUPS, LIMITS, strict=True):
        group = root / f"goodfit-{os.getpid()}"
        try:
            group.mkdir()
            (group / name).write_text(str(limit))
        except OSError:
            if group.exists():
                group.rmdir()
            continue
        try:
            yield group
        finally:
            _empty(group)
            group.rmdir()
        return
    yield None
