"""Files in memory that are larger than it: which of their pages the kernel reads, and when.

Letters: N samples of an array, B samples of a batch.
"""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # prepare asks for the limit, and imports no torch
    from torch import Tensor

# advice of madvise, in Linux's and macOS's sys/mman.h
_RANDOM = 1
_WILL_NEED = 3
_LIMITS = ("memory.max", "memory.limit_in_bytes")  # of control groups of version 2, and of 1


def memory_limit(root: Path = Path("/")) -> int:
    """The bytes of memory that this process may use: those of the machine, or of its container."""
    physical = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return min([physical, *_limits(root)])


def _limits(root: Path) -> list[int]:
    """The limits of the control groups around this process; where there is none stands `max`."""
    limits = []
    with contextlib.suppress(FileNotFoundError):  # not on macOS
        for line in (root / "proc/self/cgroup").read_text().splitlines():
            _, controllers, group = line.split(":", 2)
            if controllers not in ("", "memory"):
                continue
            mount = root / "sys/fs/cgroup" / ("memory" if controllers else "")
            inner = mount / group.lstrip("/")
            # Slurm limits the job, not its step; a container sees its own group as the root
            for folder in [inner, *inner.parents[: len(inner.parts) - len(mount.parts)]]:
                for name in _LIMITS:
                    with contextlib.suppress(OSError, ValueError):
                        limits.append(int((folder / name).read_text()))
    return limits


def disable_readahead(array: Tensor) -> None:
    """The kernel reads no pages of a mapped file (N, ...) around those that are touched.

    Of rows at random it would read as much around each as the disk's setting says: 8 MB for 80 kB
    here, and under a limit of memory the rest is gone before its turn comes.
    """
    _advise(array, 0, array.nbytes, _RANDOM)


def prefetch(array: Tensor, starts: Tensor, lengths: Tensor) -> None:
    """The kernel begins to read elements of a mapped file's first dimension (N, ...).

    From each of `starts` (B,) as many as `lengths` (B,) says. It does so in the background: whoever
    touches a page that is still on its way waits for that page alone, and all of a batch are on
    their way at once.
    """
    size = array.stride(0) * array.element_size()
    for start, length in zip(starts.tolist(), lengths.tolist(), strict=True):
        _advise(array, start * size, length * size, _WILL_NEED)


def _advise(array: Tensor, start: int, size: int, advice: int) -> None:
    """Advice about `size` bytes from `start` of an array, rounded to whole pages."""
    address = array.data_ptr() + start
    before = address % mmap.PAGESIZE
    # it is advice: where a system does not take it, reading is slower and nothing else
    _LIBC.madvise(ctypes.c_void_p(address - before), ctypes.c_size_t(size + before), advice)


_LIBC = ctypes.CDLL(None)
