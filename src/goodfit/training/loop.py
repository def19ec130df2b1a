"""The loop: trains a network, from its start or from a checkpoint, and measures its best weights.

It knows a folder for checkpoints, a checkpoint to go on from and a recorder; nothing of MLflow, DVC
or sweeps.
"""

from __future__ import annotations

import math
import resource
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pytorch_lightning as pl
import torch
from lightning_fabric.utilities.exceptions import MisconfigurationException
from omegaconf import DictConfig
from pytorch_lightning.callbacks import Callback, EarlyStopping, WeightAveraging
from torch import Tensor

from goodfit import build
from goodfit.contract import SAMPLE_WEIGHT, DataSpec
from goodfit.errors import UserError
from goodfit.metrics.weighted_arrays import effective
from goodfit.predictor import Predictor
from goodfit.records import Cost
from goodfit.store.arrays import Packed
from goodfit.store.loader import Shard
from goodfit.store.suited import check_targets
from goodfit.task.base import Task
from goodfit.task.epoch import score_rows
from goodfit.training import features
from goodfit.training.averaging import moving_average
from goodfit.training.batchnorm import synchronize_batchnorm
from goodfit.training.checkpoint import BestAndLatest, load
from goodfit.training.checkpoint_files import read_note
from goodfit.training.datamodule import DataModule
from goodfit.training.ending import ValidateAtMaxSteps
from goodfit.training.freezing import Freezing, freeze, trainable
from goodfit.training.lightning_task import LightningTask, task_state
from goodfit.training.pretrained import start_from
from goodfit.training.progress import LearningCurves
from goodfit.training.randomness import SeedEachStep
from goodfit.training.share import rows_of_train
from goodfit.training.trainer import make_trainer

Row = dict[str, float]  # metrics by name


class Recorder(Protocol):
    """Whoever keeps rows of metrics; a run in MLflow does."""

    def log(self, row: Mapping[str, float], step: int = 0) -> None:
        """Keeps the row of a step; here a step is an epoch, counted from zero."""


@dataclass(frozen=True)
class Optimized:
    """A training that came to its end: every epoch's metrics, and where its best weights lie.

    `best_value` is the `monitor` of that checkpoint's epoch; `seconds` counts all processes that
    had a part in the training.
    """

    history: list[Row]
    monitor: str
    best: Path
    best_value: float
    steps: int
    seconds: float


@dataclass(frozen=True)
class Measured:
    """The best weights, from which epoch, and what they score without dropout and augmentation."""

    task: Task
    epoch: int
    scores: Row
    cost: Cost


def prepare(
    cfg: DictConfig, folder: Path, shard: Shard, *, resumes: bool = False
) -> tuple[Task, DataModule]:
    """A network before its first step, and this rank's part of the data.

    Its weights are those that the seed decides, or pretrained ones, which are not read where the
    training `resumes` from a checkpoint.

    Raises:
        UserError: network and data do not fit, the task does not suit the targets, pretrained
            weights do not fit the network, or a batch cannot be shared as `shard` asks.
    """
    pl.seed_everything(cfg.seed, verbose=False)
    task = build.task(cfg, DataSpec.read(folder / "spec.json"))
    build.check_optimizer(task)
    rows = rows_of_train(cfg, folder)
    targets = check_targets(task, folder, "train", rows)
    held_out = check_targets(task, folder, "validation")
    task.learn(targets, held_out=_told_by(held_out))
    if not resumes:
        taken = start_from(task.model, build.pretrained(cfg))
        if taken and shard.rank == 0:
            print(taken, flush=True)
    data = DataModule(
        folder,
        batch_size=cfg.loader.batch_size,
        workers=cfg.loader.workers,
        seed=cfg.seed,
        shard=shard,
        augment=build.augment(cfg),
        inputs=task.inputs,
        rows=rows,
        units=task.units,
        mixable=task.mixable,
    )
    if shard.ranks > 1:
        synchronize_batchnorm(task, cuda=cfg.trainer.accelerator in ("gpu", "cuda"))
    return task, data


def optimize(
    cfg: DictConfig,
    task: Task,
    data: DataModule,
    *,
    folder: Path,
    checkpoint: Path | None,
    recorder: Recorder,
    callbacks: Sequence[Callback] = (),
) -> Optimized:
    """Trains to the end, from `checkpoint` if there is one; checkpoints go to `folder`.

    Raises:
        UserError: no epoch had a finite score, or Lightning refuses the section `trainer`.
        NonFiniteLossError: before the optimizer step that would have destroyed the weights.
        NoRoomError: the disk is full when a checkpoint is written.
        SystemExit: told to stop, after a step and with a checkpoint.
    """
    curves = LearningCurves(recorder.log, cfg.loader.batch_size)
    monitor = f"val/{task.monitor}"
    checkpoints = BestAndLatest(
        folder, monitor=monitor, mode=task.mode(task.monitor), seconds=cfg.checkpoint.seconds
    )
    trainer = make_trainer(
        cfg,
        folder,
        world=data.shard.ranks,
        micro_batches=data.shard.micro_batches,
        # what is saved after an epoch holds its row: curves come before checkpoints
        callbacks=[*_callbacks(cfg, task), *callbacks, curves, checkpoints],
    )

    freeze(task.model, build.parameter_rules(cfg), _epoch(checkpoint))
    try:
        module = LightningTask(task, cfg.sharpness)
        trainer.fit(module, datamodule=data, ckpt_path=checkpoint, weights_only=True)
    except MisconfigurationException as error:
        raise UserError(f"the section trainer does not fit the data: {error}") from error
    checkpoints.stop_clock()

    if checkpoints.best is None:
        raise UserError(f"no epoch had a finite {monitor}; nothing was kept")
    return Optimized(
        history=curves.history,
        monitor=monitor,
        best=folder / checkpoints.best.file,
        best_value=checkpoints.best.value,
        steps=trainer.global_step,
        seconds=checkpoints.trained,
    )


def measure(cfg: DictConfig, data: DataModule, optimized: Optimized) -> Measured:
    """The best weights in a network made anew, as any reader of the model would make it.

    Raises:
        UserError: the checkpoint of the best weights fails its checksum.
    """
    checkpoint = load(optimized.best)
    task = build.task(cfg, data.spec)
    task.load_state_dict(task_state(checkpoint))
    with features.kept(task, data):
        if task.calibrates:
            task.to(data.device)
            Predictor(task, task.spec).calibrate(data.validation, data.eval_batch_size)

        # an epoch's own scores of train were taken with dropout, augmentation and weights that
        # changed meanwhile (decision 0004)
        scores = score_kept_weights(task, data)
    cost = Cost(
        seconds=round(optimized.seconds, 2),
        parameters=sum(weight.numel() for weight in task.parameters()),
        trainable=trainable(task.model, build.parameter_rules(cfg)),
        peak_memory_mb=round(_peak_memory()),  # of scoring, too
    )
    return Measured(task, int(checkpoint["epoch"]), scores, cost)


def score_kept_weights(task: Task, data: DataModule) -> Row:
    """Loss and scores on train and validation, without dropout and augmentation, and their gap.

    A task that `feeds` its network generates, which takes many passes: of train it is given as many
    samples as validation has, evenly spaced. The network computes where it was trained: a CPU may
    take longer for one pass than a GPU for the training.
    """
    task.to(data.device)
    row = _score(task, data.train, "train", data.eval_batch_size, _rows_of_train(task, data))
    row |= _score(task, data.validation, "val", data.eval_batch_size)
    task.cpu()

    for name in ("loss", *task.watched, *task.scores):
        row[f"gap/{name}"] = row[f"val/{name}"] - row[f"train/{name}"]
    return row


def _told_by(targets: Mapping[str, Any]) -> int:
    """How many samples of equal weight would tell as much as those of targets (N, ...)."""
    weight = targets.get(SAMPLE_WEIGHT)
    return len(next(iter(targets.values()))) if weight is None else effective(weight)


def _epoch(checkpoint: Path | None) -> int:
    """The epoch that a checkpoint was written in, the first without one."""
    if checkpoint is None:
        return 0
    note = read_note(checkpoint)
    assert note is not None  # whoever goes on from it has verified it
    return note.epoch


def _callbacks(cfg: DictConfig, task: Task) -> list[Callback]:
    # seeded before anything else of a step may draw a random number
    callbacks = [SeedEachStep(cfg.seed), build.guard(cfg)]
    if cfg.trainer.get("max_steps", -1) >= 0:
        callbacks.append(ValidateAtMaxSteps())
    rules = build.parameter_rules(cfg)
    if rules.freeze or rules.freeze_batch_norm or rules.train != "all":
        callbacks.append(Freezing(rules))
    if features.are_fixed(cfg, task.model):
        callbacks.append(features.FeaturesOnce())
    if cfg.average:
        callbacks.append(WeightAveraging(avg_fn=moving_average(cfg.average)))
    return [*callbacks, *_early_stopping(cfg, task)]


def _early_stopping(cfg: DictConfig, task: Task) -> list[Callback]:
    """The end of a training that does not get better, or nothing where the user wants none."""
    patience = cfg.early_stopping.patience
    if patience is None:
        return []
    if patience < 1:
        patience = math.ceil(patience * cfg.trainer.max_epochs)
    return [
        EarlyStopping(
            f"val/{task.monitor}",
            mode=task.mode(task.monitor),
            patience=patience,
            min_delta=cfg.early_stopping.min_delta,
        )
    ]


def _rows_of_train(task: Task, data: DataModule) -> Tensor | None:
    """The samples (N,) of train that are scored, None for all of them."""
    samples, most = len(data.train), len(data.validation)
    if not task.feeds or samples <= most:
        return None
    # not the first ones: a split keeps the order of its raw file, which may be that of a source
    return torch.arange(most) * samples // most


def _score(task: Task, split: Packed, name: str, size: int, rows: Tensor | None = None) -> Row:
    """Loss and scores of a split, or of its samples at `rows` (N,)."""
    measured = Predictor(task, task.spec).measure(split, size, rows)
    scores = score_rows(task.metrics(), measured.statistics, additive=task.additive)
    if task.watched:
        watched = score_rows(task.watch_metrics(), measured.watched, additive=task.additive)
        scores = watched | scores
    return {f"{name}/{key}": value for key, value in {"loss": measured.mean_loss, **scores}.items()}


def _peak_memory() -> float:
    """The most memory that this process has held so far, in MB; of the GPU, where it used one."""
    if torch.cuda.is_available() and torch.cuda.max_memory_allocated():
        return torch.cuda.max_memory_allocated() / 1e6
    unit = 1 if sys.platform == "darwin" else 1024  # macOS counts bytes, Linux kilobytes
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6
