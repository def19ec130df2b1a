"""Which process this is, in a way that outlives it: numbers of processes are used again."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import psutil


def identity(number: int | None = None) -> str:
    """host:number@birth of a process, this one where none is named."""
    number = os.getpid() if number is None else number
    return f"{socket.gethostname()}:{number}@{_birth(number)}"


def gone(identity: str) -> bool:
    """Whether that process ran on this machine and does so no longer; False for one on another
    machine.
    """
    host, _, rest = identity.rpartition(":")
    number, _, birth = rest.partition("@")
    if host != socket.gethostname():
        return False
    try:
        return _birth(int(number)) != birth
    except (psutil.Error, OSError, ValueError):
        return True


def alive(number: int) -> bool:
    """Whether a process of this number runs; a zombie does not."""
    try:
        return _birth(number) != ""
    except (psutil.Error, OSError):
        return False


def _birth(number: int) -> str:
    """When the process began: ticks since boot where the kernel tells, for a time of day moves with
    the clock.
    """
    if Path("/proc/self/stat").exists():
        fields = (
            Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()
        )  # a name may hold blanks
        # a zombie is dead; in a container whose first process is no init, nobody buries it
        return "" if fields[0] == "Z" else fields[19]
    return f"{psutil.Process(number).create_time():.0f}"
