"""The cores and GPUs that this process may use, found without importing torch."""

from __future__ import annotations

import os
from pathlib import Path


def cores() -> list[int]:
    """The CPU's cores that this process may use, by their numbers."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def gpus() -> list[str]:
    """The GPUs that this process may use, by the names that CUDA_VISIBLE_DEVICES takes; found
    without CUDA.
    """
    if (named := os.environ.get("CUDA_VISIBLE_DEVICES")) is not None:
        return [name for name in named.split(",") if name.strip() not in ("", "-1")]
    folder = Path("/proc/driver/nvidia/gpus")
    return [str(place) for place in range(len(list(folder.iterdir())))] if folder.is_dir() else []
