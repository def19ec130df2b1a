"""Can a network learn sixteen samples by heart? One that cannot will not learn thousands.

A broken loss, a gradient that does not arrive, or steps of a wrong size show here in seconds, and
in a training after hours (Karpathy 2019, "A Recipe for Training Neural Networks": overfit one
batch). Letters: B samples of the batch, N samples of train.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from omegaconf import DictConfig
from torch import Tensor, nn

from goodfit.contract import Batch
from goodfit.store.loader import Shard
from goodfit.store.mapped import read_targets
from goodfit.system.units import counted, number
from goodfit.task.base import Task
from goodfit.training import loop
from goodfit.training.plain_steps import steps

SAMPLES = 16
MOST_STEPS = 600
_BY_HEART = 0.1  # of the first loss: sixteen answers of two classes are then right with 93 %
_FALLS = 0.9  # of the first loss: above, nothing is learned
_LAST = 5  # steps that must all be as good: one may be luck
_LISTED = 5  # parameters that a sentence names


@dataclass(frozen=True)
class FirstBatch:
    """How the loss of one batch went: its values, and the parameters that no step has moved.

    The last loss is not finite where the training broke.
    """

    samples: int
    losses: tuple[float, ...]
    without_gradient: tuple[str, ...]

    @property
    def fault(self) -> str | None:
        """What is wrong, and where to look; None of a network that learns the batch by heart."""
        first, last = self.losses[0], self.losses[-1]
        if not math.isfinite(last):
            return (
                f"the loss is {last} at step {len(self.losses)}: look for a division by zero, a "
                "logarithm of zero, or take smaller steps (optimizer.lr)"
            )
        if self.without_gradient:
            return (
                f"no gradient reaches {_listed(self.without_gradient)}: a layer that forward does "
                "not use, an activation that is zero for all samples, or a detached tensor"
            )
        now = max(self.losses[-_LAST:])
        fell = f"the loss of {self.samples} samples {_fell(first, now)}"
        if now > _FALLS * first:
            return (
                f"{fell} in {counted(len(self.losses), 'step')}: it does not learn; look at the "
                "loss and at optimizer.lr, 10 times larger and 10 times smaller"
            )
        if now > _BY_HEART * first:
            return (
                f"{fell} in {counted(len(self.losses), 'step')}, and not below a tenth: steps too "
                "small or too large (optimizer.lr), a network too small, or inputs that do not "
                "tell these samples apart"
            )
        return None

    def line(self) -> str:
        """What was found of a network that learns the batch by heart."""
        fell = _fell(self.losses[0], self.losses[-1])
        return (
            f"it learns {self.samples} samples by heart: the loss {fell} in "
            f"{counted(len(self.losses), 'step')}, and a gradient reaches every parameter"
        )


def first_batch(cfg: DictConfig, folder: Path) -> FirstBatch:
    """Trains on sixteen samples of train, in `folder`, until they are known by heart, or for long.

    Raises:
        UserError: network and data do not fit.
    """
    task, data = loop.prepare(cfg, folder, Shard())
    rows = chosen(task, folder, len(data.train))
    return learned(cfg, task, data.train.batch(rows))


def learned(cfg: DictConfig, task: Task, batch: Batch) -> FirstBatch:
    """How the loss of one batch (B) goes, by the experiment's optimizer, in at most 600 steps."""
    untouched = {name for name, _ in task.model.named_parameters()}
    losses: list[float] = []
    for loss in steps(cfg, task, itertools.repeat(batch, MOST_STEPS)):
        losses.append(loss)
        untouched -= set(_touched(task.model))
        if not math.isfinite(loss) or _knows(losses):
            break
    never = tuple(name for name, _ in task.model.named_parameters() if name in untouched)
    return FirstBatch(len(batch.rows), tuple(losses), never)


def chosen(task: Task, folder: Path, samples: int) -> Tensor:
    """Rows (B,) of train, evenly spaced over its targets: of rare labels some, too."""
    targets = read_targets(folder / "train", task.spec)
    only = next(iter(targets.values()))
    is_plain = isinstance(only, np.ndarray) and only.ndim == 1
    order = only.argsort(kind="stable") if is_plain else np.arange(samples)
    count = min(SAMPLES, samples)
    return torch.from_numpy(order[np.arange(count) * samples // count].copy())


def _touched(model: nn.Module) -> Iterator[str]:
    """Names of parameters whose gradient is not all zero, and of those that are frozen."""
    for name, weight in model.named_parameters():
        gradient = weight.grad
        if not weight.requires_grad or (gradient is not None and bool(gradient.any())):
            yield name


def _knows(losses: list[float]) -> bool:
    return len(losses) >= _LAST and max(losses[-_LAST:]) <= _BY_HEART * losses[0]


def _fell(first: float, last: float) -> str:
    word = "falls" if last < first else "goes"
    return f"{word} from {number(first, 3)} to {number(last, 3)}"


def _listed(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return f"{', '.join(names[:_LISTED])}{more}"
