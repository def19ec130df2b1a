"""The name of a run, from its network and from what was changed by hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from omegaconf import DictConfig

from goodfit.records import Job
from goodfit.system import experiment

if TYPE_CHECKING:
    from goodfit.task.base import Task  # imports torch and Lightning, which change loggers


def of(cfg: DictConfig, task: Task, job: Job) -> str:
    """The network, the overrides or DVC's experiment, the seed, unless the user named the run."""
    if cfg.tracking.run_name:
        return str(cfg.tracking.run_name)
    network = type(task.model).__name__
    told = changed(job.overrides) or experiment.name()
    title = f"{network} {told}" if told else network
    return f"{title} (seed {cfg.seed})"


def changed(overrides: Sequence[str]) -> str | None:
    """The overrides that say more than which experiment it is, None where there are none."""
    telling = [item for item in overrides if not item.startswith(("experiment=", "search="))]
    return ", ".join(telling) or None
