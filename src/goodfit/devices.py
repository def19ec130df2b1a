"""What a training runs on, decided before torch is imported: how many devices of which kind, on how many machines."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import NamedTuple

from omegaconf import DictConfig, OmegaConf

from goodfit.errors import UserError


class Ranks(NamedTuple):
    """This process among those of a training: `rank` of `world`; number 0 speaks for all."""

    rank: int = 0
    world: int = 1


def ranks() -> Ranks:
    """As the launcher has told a worker; alone in any other process, also under srun."""
    if "GOODFIT_WORKER" not in os.environ:
        return Ranks()
    return Ranks(int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"]))


def resolved(cfg: DictConfig) -> DictConfig:
    """`cfg` with trainer.accelerator and trainer.devices decided by what the machine has.

    "auto" takes all GPUs that this process may see, or one CPU: Lightning would take every GPU too, but not say so.
    """
    trainer = cfg.trainer
    found = gpus()
    kind = trainer.accelerator
    if kind == "auto" and (found or sys.platform != "darwin"):
        kind = "gpu" if found else "cpu"
    count = trainer.devices
    if count == "auto":
        count = len(found) if kind == "gpu" else 1
    if kind == "gpu" and not 0 < count <= len(found):
        here = {0: "no GPU is", 1: "one GPU is"}.get(len(found), f"{len(found)} GPUs are")
        raise UserError(f"trainer.devices={trainer.devices} on GPUs, but {here} here; trainer=cpu trains without")
    return OmegaConf.merge(cfg, {"trainer": {"accelerator": kind, "devices": count}})  # type: ignore[return-value]


def nodes(cfg: DictConfig) -> int:
    """All machines of a training."""
    return int(cfg.trainer.get("num_nodes", 1))


def world(cfg: DictConfig) -> int:
    """All processes of a resolved training."""
    return int(cfg.trainer.devices) * nodes(cfg)


def said(cfg: DictConfig) -> str:
    """One line about where a resolved training runs."""
    trainer = cfg.trainer
    where = f" on each of {nodes(cfg)} machines" if nodes(cfg) > 1 else ""
    names = {"cpu": "CPU", "gpu": "GPU", "mps": "Apple GPU", "tpu": "TPU"}
    name = names.get(trainer.accelerator, trainer.accelerator)
    shared = "one core" if len(cores()) == 1 else f"{len(cores())} cores"
    plural = f"processes on {shared}" if name == "CPU" else f"{name}s"
    return f"{f'{trainer.devices} {plural}' if trainer.devices > 1 else f'one {name}'}{where}, {trainer.precision}"


def cores() -> list[int]:
    """The CPU's cores that this process may use, by their numbers."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def settle() -> None:
    """Keeps this worker and the threads that it will start on its own share of the machine's cores.

    Else a rank that an answer wakes may find itself on a core where another one computes, and waits for the end of
    its time slice, a few milliseconds: ten times in a step, if the network has five BatchNorms.
    """
    place, count, all_ = int(os.environ["LOCAL_RANK"]), int(os.environ["LOCAL_WORLD_SIZE"]), cores()
    if count <= len(all_) and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, all_[place * len(all_) // count : (place + 1) * len(all_) // count])


def gpus() -> list[str]:
    """The GPUs that this process may use, by the names that CUDA_VISIBLE_DEVICES takes; found without CUDA."""
    if (named := os.environ.get("CUDA_VISIBLE_DEVICES")) is not None:
        return [name for name in named.split(",") if name.strip() not in ("", "-1")]
    folder = Path("/proc/driver/nvidia/gpus")
    return [str(place) for place in range(len(list(folder.iterdir())))] if folder.is_dir() else []
