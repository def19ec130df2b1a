"""What a sweep must know of processes: which one it is, what it may use, who else is at work.

The plugin serves any Hydra application, so all of this is its own.
"""

from __future__ import annotations

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil


def identity() -> str:
    """host:pid@birth is this process and no later one: the kernel uses a pid again."""
    return f"{socket.gethostname()}:{os.getpid()}@{_birth(os.getpid())}"


def is_gone(identity: str) -> bool:
    """Whether that process ran on this machine and has ended; False for one on another machine."""
    host, _, rest = identity.rpartition(":")
    pid, _, birth = rest.partition("@")
    if host != socket.gethostname():
        return False

    try:
        return _birth(int(pid)) != birth
    except (psutil.Error, OSError, ValueError):
        return True


@contextmanager
def file_lock(path: Path) -> Iterator[None]:
    """One process at a time is in a block with the same `path`, an empty file that stays.

    The kernel releases the lock of a process that is killed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def usable_cores() -> int:
    """The number of CPU cores that this process may use; all where the system has no affinity."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def usable_gpus() -> list[str]:
    """The GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them, without CUDA."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [name for name in visible.split(",") if name.strip() not in ("", "-1")]

    driver = Path("/proc/driver/nvidia/gpus")
    if not driver.is_dir():
        return []
    return [str(index) for index, _ in enumerate(driver.iterdir())]


def _birth(pid: int) -> str:
    """When the process began: ticks since boot where the kernel tells, for clocks are set."""
    if not Path("/proc/self/stat").exists():
        return f"{psutil.Process(pid).create_time():.0f}"

    stat = Path(f"/proc/{pid}/stat").read_text()
    fields = stat.rpartition(")")[2].split()  # behind the name, which may hold blanks
    state, start_time = fields[0], fields[19]
    # a zombie is dead; in a container whose first process is no init, nobody reaps it
    return "" if state == "Z" else start_time
