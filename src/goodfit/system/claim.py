"""What one process at a time may do: the second is told who does it, and does not wait."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from goodfit.system.processes import identity

_WRITING = 1.0  # seconds that a process may take to write its identity into a file it has locked


@contextmanager
def claim(path: Path) -> Iterator[str | None]:
    """Yields None where no other process is in such a block, else the identity of that process.

    The file stays. The kernel frees it when the process ends, however; children that were forked in
    the block, and outlive their parent for a moment, do not hold it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # not "w": it would empty the file of the one that holds the lock
    with path.open("a+") as lock:
        try:
            fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):  # POSIX allows either
            yield holder(lock)
            return
        except OSError:  # a network file system without locks
            yield None
            return
        write_holder(lock)
        yield None


def write_holder(lock: TextIO) -> None:
    """Names this process in the file that it has locked."""
    lock.truncate(0)
    lock.write(identity())
    lock.flush()


def holder(lock: TextIO) -> str:
    """The process that has locked a file; it has a moment to write its identity there."""
    deadline = time.monotonic() + _WRITING
    while True:
        lock.seek(0)
        name = lock.read()
        if name or time.monotonic() > deadline:
            return name or "unknown"
        time.sleep(0.01)
