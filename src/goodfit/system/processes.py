"""Which process this is, in a way that outlives it: the kernel uses process ids again."""

from __future__ import annotations

import multiprocessing
import os
import socket
import threading
from multiprocessing.connection import wait
from pathlib import Path

import psutil


def identity(pid: int | None = None) -> str:
    """host:pid@birth of a process, of this one by default."""
    pid = os.getpid() if pid is None else pid
    return f"{socket.gethostname()}:{pid}@{_birth(pid)}"


def gone(identity: str) -> bool:
    """Whether that process ran on this machine and no longer does.

    False for a process of another machine, of which nothing is known here.
    """
    if not is_local(identity):
        return False
    try:
        return _birth(pid_of(identity)) != identity.rpartition("@")[2]
    except (psutil.Error, OSError, ValueError):
        return True


def is_local(identity: str) -> bool:
    """Whether that process runs, or ran, on this machine."""
    return identity.rpartition(":")[0] == socket.gethostname()


def pid_of(identity: str) -> int:
    """The process id in an identity."""
    return int(identity.rpartition(":")[2].partition("@")[0])


def alive(pid: int) -> bool:
    """Whether a process with this id runs; a zombie does not."""
    try:
        return _birth(pid) is not None
    except (psutil.Error, OSError):
        return False


def _birth(pid: int) -> str | None:
    """When the process began; None for a zombie.

    In ticks since boot where the kernel tells: a time of day moves with the clock.
    """
    if not Path("/proc/self/stat").exists():
        return f"{psutil.Process(pid).create_time():.0f}"

    stat = Path(f"/proc/{pid}/stat").read_text()
    fields = stat.rpartition(")")[2].split()  # behind the name, which may hold blanks
    state, start_time = fields[0], fields[19]
    # a zombie is dead; in a container whose first process is no init, nobody reaps it
    return None if state == "Z" else start_time


def exit_with_parent() -> None:
    """This process, which multiprocessing has started, ends once the one that started it is gone.

    A worker of a pool would wait for work for ever: of a parent that was killed by kill -9, or for
    want of memory, nothing tells it.
    """
    parent = multiprocessing.parent_process()
    assert parent is not None
    threading.Thread(target=_exit_after, args=(parent.sentinel,), daemon=True).start()


def _exit_after(sentinel: int) -> None:
    wait([sentinel])
    os._exit(1)  # the main thread may be in a call that no exception reaches
