"""Lightning alone, with nothing of ours around it, against the loop of thirty lines."""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
import torch.nn.functional as F
from omegaconf import DictConfig
from torch import Tensor, nn

from benchmarks import made
from benchmarks.measure import Result, Seconds, Turns, Unit, timed
from benchmarks.training import MLP, Weights, batches, largest_difference, loop, plain_optimizer
from goodfit import build
from goodfit.config import tree
from goodfit.config.compose import compose
from goodfit.contract import Batch, DataSpec, random_key
from goodfit.schedule.cosine import cosine
from goodfit.store.arrays import Packed
from goodfit.system import allocator

PROTOCOL = """\
lightning The MLP of above in a LightningModule with validation and the best weights, without
          logger, checkpoints, scores and callbacks of ours: what Lightning costs by itself.
"""


class _Module(pl.LightningModule):
    """The network with what Lightning asks for, and no more."""

    def __init__(self, cfg: DictConfig, model: nn.Module, total_steps: int) -> None:
        super().__init__()
        self.cfg, self.model, self.total_steps = cfg, model, total_steps
        self.best: Weights = {}
        self._best_loss = math.inf
        self._losses: list[Tensor] = []

    def training_step(self, batch: Batch, index: int) -> Tensor:
        # not as the batch is made: Lightning asks for one more before this step's dropout
        seed = random_key(self.cfg.seed, self.current_epoch, index)
        torch.default_generator.manual_seed(seed)
        output = self.model(**batch.inputs)
        smoothing = self.cfg.task.label_smoothing
        return F.cross_entropy(output, batch.targets["target"], label_smoothing=smoothing)

    def validation_step(self, batch: Batch, _index: int) -> None:
        output = self.model(**batch.inputs)
        self._losses.append(F.cross_entropy(output, batch.targets["target"], reduction="sum"))

    def on_validation_epoch_end(self) -> None:
        loss = float(torch.stack(self._losses).sum())
        self._losses.clear()
        if loss < self._best_loss:
            self._best_loss = loss
            self.best = {name: value.clone() for name, value in self.model.state_dict().items()}

    def configure_optimizers(self) -> Any:
        optimizer = plain_optimizer(self.cfg, self.model)
        schedule = cosine(optimizer, total_steps=self.total_steps, warmup=self.cfg.schedule.warmup)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }


class _Loader:
    """As many batches as `size`, those that `of_epoch` gives for the number of the epoch."""

    def __init__(self, size: int, of_epoch: Callable[[int], Iterable[Batch]]) -> None:
        self.size, self.of_epoch, self.epoch = size, of_epoch, 0

    def __len__(self) -> int:
        return self.size

    def __iter__(self) -> Iterator[Batch]:
        # before the first batch: Lightning does not ask a loader of known size for its end
        self.epoch += 1
        yield from self.of_epoch(self.epoch - 1)


def mlp(root: Path) -> Result:
    """Lightning with a small network on a table: a step is short, so what surrounds it shows."""
    cfg = compose(root, MLP)
    folder = Path("lightning")
    made.table(folder, tree.data_section(cfg))
    # as our training does, so that both sides have the same heap
    allocator.tune()
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="pytorch_lightning")
    _alone(cfg, folder)

    ours: Turns = []
    plain: Turns = []
    difference, steps = 0.0, 1
    for _ in range(5):
        weights, seconds, steps = _alone(cfg, folder)
        by_hand, hand_seconds = timed(lambda: loop(cfg, folder))
        ours.append(seconds)
        plain.append(hand_seconds)
        difference = max(difference, largest_difference(weights, by_hand.weights))
        assert difference < 1e-5, f"Lightning: the weights differ by {difference}"
    unit = Unit("ms a step", 1e3 / steps)
    equal = f"weights differ by {difference:.0e}"
    return Result("Lightning alone, MLP", ours, plain, None, unit, equal)


def _alone(cfg: DictConfig, folder: Path) -> tuple[Weights, Seconds, int]:
    """The best weights, what `Trainer.fit` took, and the number of steps."""
    torch.manual_seed(cfg.seed)
    train, validation = Packed(folder, "train"), Packed(folder, "validation")
    model: nn.Module = build.task(cfg, DataSpec.read(folder / "spec.json")).model
    steps_per_epoch = -(-len(train) // cfg.loader.batch_size)
    steps = steps_per_epoch * cfg.trainer.max_epochs
    to_train = _Loader(steps_per_epoch, lambda epoch: batches(cfg, train, epoch))
    parts = torch.split(torch.arange(len(validation)), 4 * cfg.loader.batch_size)
    to_validate = _Loader(len(parts), lambda _: map(validation.batch, parts))
    module = _Module(cfg, model, steps)
    trainer = pl.Trainer(
        accelerator="cpu",
        max_epochs=cfg.trainer.max_epochs,
        gradient_clip_val=cfg.trainer.gradient_clip_val,
        num_sanity_val_steps=0,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    _, seconds = timed(lambda: trainer.fit(module, to_train, to_validate))
    return module.best, seconds, steps
