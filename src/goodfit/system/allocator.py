"""Memory and garbage of a process that trains: freed pages stay, new tensors are not filled."""

from __future__ import annotations

import contextlib
import ctypes
import gc
from functools import cache

# options of mallopt, in glibc's malloc.h
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_LARGEST_INT = 2**31 - 1
_THRESHOLDS = gc.get_threshold()
_FULL_COLLECTIONS = 1000  # collections of the middle generation for each full one; by default 10


@cache
def spare_imports() -> None:
    """From now on garbage is hardly ever sought in all objects, until `freeze_imports`.

    What libraries make when they are imported stays. To look through it nine times took 1.6 of the
    10 s of CPU in which a training starts.
    """
    if not gc.get_freeze_count():
        gc.set_threshold(*_THRESHOLDS[:2], _FULL_COLLECTIONS)


# cached: to count what is frozen, as `freeze_imports` does, takes 0.04 s, a tenth of a short trial
@cache
def tune() -> None:
    """All three of this file, for a process that trains; a second call does nothing more."""
    keep_freed_memory()
    leave_new_tensors_unfilled()
    freeze_imports()


def keep_freed_memory() -> None:
    """From now on glibc's malloc gives no memory back to the kernel before the process ends.

    By itself it returns each larger tensor of a step and takes it again page by page: 5,000 page
    faults a step of the CNN with 64 images, 26 ms of CPU instead of 18 (one thread).
    """
    # macOS, musl and Windows have no mallopt
    with contextlib.suppress(OSError, AttributeError):
        malloc = ctypes.CDLL(None)
        for option in (_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD):
            malloc.mallopt(option, _LARGEST_INT)


def leave_new_tensors_unfilled() -> None:
    """Under deterministic algorithms torch no longer writes NaN over each new tensor.

    It does so to show who reads what was never written. Nothing here does: without, an epoch of the
    CNN takes 5 % less (two cores), and its weights are the same bit by bit.
    """
    from torch.utils import deterministic

    deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


def freeze_imports() -> None:
    """What is alive at the first call is never searched for garbage again.

    Called before a network is made, it covers the imports alone, which live anyway: Python's
    collector took 0.35 s to look through them, some epochs after the start. A warm process calls
    this for each training; only the first call counts, so no earlier network is kept alive.
    """
    if not gc.get_freeze_count():
        gc.freeze()
        gc.set_threshold(*_THRESHOLDS)
