"""What a training runs on: how many devices of which kind, on how many machines.

Decided before torch is imported, whose import takes seconds.
"""

from __future__ import annotations

import os
import sys
from typing import NamedTuple

from omegaconf import DictConfig, OmegaConf

from goodfit.errors import UserError
from goodfit.system.hardware import cores, cpu_lacks_bf16, gpus, unseen_accelerators
from goodfit.system.signals import WORKER

_NAMES = {"cpu": "CPU", "gpu": "GPU", "mps": "Apple GPU", "tpu": "TPU"}


class Ranks(NamedTuple):
    """The rank of this process, and how many a training has; rank 0 writes for all."""

    rank: int = 0
    world: int = 1


def ranks() -> Ranks:
    """What the launcher has told a worker; any other process is alone, also under srun."""
    if WORKER not in os.environ:
        return Ranks()
    return Ranks(int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"]))


def resolved(cfg: DictConfig) -> DictConfig:
    """`cfg` with trainer.accelerator and trainer.devices decided by what the machine has.

    "auto" takes all GPUs that this process may see, or one CPU: Lightning would take every GPU too,
    but not say so.

    Raises:
        UserError: more GPUs are asked for than there are.
    """
    trainer = cfg.trainer
    available = gpus()
    accelerator = trainer.accelerator
    # on a Mac Lightning decides: whether it has Apple's GPU, torch alone knows
    if accelerator == "auto" and (available or sys.platform != "darwin"):
        accelerator = "gpu" if available else "cpu"

    count = trainer.devices
    if count == "auto":
        count = len(available) if accelerator == "gpu" else 1
    if accelerator == "gpu" and not 0 < count <= len(available):
        raise UserError(_too_few_gpus(trainer.devices, len(available)))

    chosen = {"trainer": {"accelerator": accelerator, "devices": count}}
    return OmegaConf.merge(cfg, chosen)  # type: ignore[return-value]


def unseen_accelerator_hint(asked: DictConfig, chosen: DictConfig) -> str | None:
    """How to use an accelerator that "auto" did not look for before it chose the CPU.

    `chosen` is `asked`, resolved. None where the CPU was asked for, or nothing else is here.
    """
    if asked.trainer.accelerator != "auto" or chosen.trainer.accelerator != "cpu":
        return None
    return _hint("auto")


def slow_precision_hint(cfg: DictConfig) -> str | None:
    """What is slow about the precision of a resolved training on this machine, None where nothing.

    On a CPU without instructions for bfloat16, steps in it took 8 to 40 times as long as in
    float32.
    """
    precision = str(cfg.trainer.precision)
    if cfg.trainer.accelerator != "cpu" or "bf16" not in precision or not cpu_lacks_bf16():
        return None
    return (
        f"trainer.precision={precision} is many times slower than 32-true on this CPU, "
        "which has no instructions for bfloat16; trainer.precision=32-true is quick here"
    )


def nodes(cfg: DictConfig) -> int:
    """All machines of a training."""
    return int(cfg.trainer.get("num_nodes", 1))


def world(cfg: DictConfig) -> int:
    """All processes of a resolved training."""
    return int(cfg.trainer.devices) * nodes(cfg)


def describe(cfg: DictConfig) -> str:
    """One line about where a resolved training runs."""
    trainer = cfg.trainer
    name = _NAMES.get(trainer.accelerator, trainer.accelerator)
    machines = f" on each of {nodes(cfg)} machines" if nodes(cfg) > 1 else ""

    if trainer.devices == 1:
        devices = f"one {name}"
    elif name == "CPU":
        shared = "one core" if len(cores()) == 1 else f"{len(cores())} cores"
        devices = f"{trainer.devices} processes on {shared}"
    else:
        devices = f"{trainer.devices} {name}s"
    return f"{devices}{machines}, {trainer.precision}"


def pin_to_cores() -> None:
    """Keeps this rank and the threads that it will start on its own share of the machine's cores.

    Else a rank that is woken by another one's message may find itself on a core where a third
    computes, and waits for the end of its time slice, a few milliseconds: ten times in a step, if
    the network has five BatchNorms. Nothing happens where there are more ranks than cores.
    """
    rank, count = int(os.environ["LOCAL_RANK"]), int(os.environ["LOCAL_WORLD_SIZE"])
    available = cores()
    if count <= len(available) and hasattr(os, "sched_setaffinity"):  # not on macOS
        first, end = rank * len(available) // count, (rank + 1) * len(available) // count
        os.sched_setaffinity(0, available[first:end])


def _too_few_gpus(asked: object, available: int) -> str:
    here = {0: "no GPU is", 1: "one GPU is"}.get(available, f"{available} GPUs are")
    message = f"trainer.devices={asked} on GPUs, but {here} here; trainer=cpu trains without"
    hint = None if available else _hint("gpu")
    return f"{message}\n{hint}" if hint else message


def _hint(accelerator: str) -> str | None:
    unseen = unseen_accelerators()
    if not unseen:
        return None
    # "an" fits each of their names: an AMD GPU, an NVIDIA GPU
    return (
        f"an {' and an '.join(unseen)} is here, which trainer.accelerator={accelerator} does not "
        "look for; CUDA_VISIBLE_DEVICES=0 before the command uses it"
    )
