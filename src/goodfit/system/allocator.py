"""What a step frees stays with the process, what it takes is not filled, imports are not searched
for garbage.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc

_TRIM, _MMAP = -1, -3  # of glibc's malloc.h: M_TRIM_THRESHOLD, M_MMAP_THRESHOLD
_BYTES = 2**31 - 1


def tune() -> None:
    """All three, for a process that trains; each again does nothing more."""
    keep()
    unfilled()
    freeze()


def keep() -> None:
    """Tells glibc's malloc to give nothing back to the kernel before the process ends; other
    systems have no such call.

    By itself it returns each larger tensor of a step and takes it again page by page: 5,000 page
    faults a step of the CNN with 64 images, 26 ms of CPU instead of 18 (one thread).
    """
    with contextlib.suppress(OSError, AttributeError):
        malloc = ctypes.CDLL(None)
        for parameter in (_TRIM, _MMAP):
            malloc.mallopt(parameter, _BYTES)


def unfilled() -> None:
    """With deterministic algorithms torch writes NaN over each new tensor, to show who reads what
    was never written.

    Nothing here does: without, an epoch of the CNN takes 5 % less (two cores), and its weights are
    the same bit by bit.
    """
    from torch.utils import deterministic

    deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


def freeze() -> None:
    """What is alive at the first call is never searched for garbage again; a warm process calls it
    for each training.

    Called before a network is made, it keeps the imports alone, which live anyway: Python's
    collector took 0.35 s to look through them, some epochs after the start.
    """
    if not gc.get_freeze_count():
        gc.freeze()
