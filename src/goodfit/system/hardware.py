"""The cores and GPUs that this process may use, found without importing torch."""

from __future__ import annotations

import os
from pathlib import Path

_NVIDIA_GPUS = Path("proc/driver/nvidia/gpus")
# WSL2 has one device for GPUs of all makers; NVIDIA's driver for Windows adds the library
_WSL_GPU = Path("dev/dxg")
_WSL_CUDA = Path("usr/lib/wsl/lib/libcuda.so.1")
_AMD_COMPUTE = Path("dev/kfd")
_CPU = Path("proc/cpuinfo")
_BF16 = {"avx512_bf16", "amx_bf16", "bf16", "svebf16"}  # the first two of x86, the others of ARM


def cores() -> list[int]:
    """The CPU cores that this process may use, by their numbers."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def gpus(root: Path = Path("/")) -> list[str]:
    """The GPUs that this process may use, by the names that CUDA_VISIBLE_DEVICES takes.

    They are those of that variable, or else all of NVIDIA's Linux driver, which lists them below
    `root` without CUDA; see `unseen_accelerators` for what it does not list.
    """
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [name for name in visible.split(",") if name.strip() not in ("", "-1")]

    driver = root / _NVIDIA_GPUS
    if not driver.is_dir():
        return []
    return [str(index) for index, _ in enumerate(driver.iterdir())]


def unseen_accelerators(root: Path = Path("/")) -> list[str]:
    """Accelerators whose device files are below `root`, though `gpus` does not look for them.

    Empty where CUDA_VISIBLE_DEVICES is set: it has decided what is used. Setting it to 0 is also
    how such a GPU is used.
    """
    if "CUDA_VISIBLE_DEVICES" in os.environ:
        return []

    unseen = []
    if (root / _WSL_GPU).exists() and (root / _WSL_CUDA).exists():
        unseen.append("NVIDIA GPU (WSL2)")
    if (root / _AMD_COMPUTE).exists():
        unseen.append("AMD GPU (ROCm)")
    return unseen


def cpu_lacks_bf16(root: Path = Path("/")) -> bool:
    """Whether the CPU is known to have no instructions for bfloat16, by what lies below `root`.

    Without them each number is converted in software.
    """
    try:
        words = set((root / _CPU).read_text().split())
    except OSError:  # macOS has no such file
        return False
    return not words & _BF16
