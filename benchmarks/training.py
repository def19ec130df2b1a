"""A tracked training by `fit` against a loop of thirty lines that computes the same weights.

Letters: B samples of a batch, N samples of a split.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import pytorch_lightning as pl
import torch
import torch.nn.functional as F
from omegaconf import DictConfig
from torch import Tensor, nn

from benchmarks import made
from benchmarks.measure import Result, Seconds, Stopwatch, Turns, Unit, timed
from goodfit import build
from goodfit.augment.per_sample_random import PerSampleRandom
from goodfit.config import tree
from goodfit.config.compose import compose
from goodfit.contract import Batch, DataSpec, random_key
from goodfit.launch.fit import fit
from goodfit.paths import Paths
from goodfit.records import Training
from goodfit.schedule.cosine import cosine
from goodfit.store.arrays import Packed
from goodfit.tracking import runs

PROTOCOL = """\
training  From Trainer.fit's first line to its last and the sending of metrics to MLflow (sqlite),
          with validation, early stopping, augmentation, clipping, schedule and checkpoints, against
          a loop of 30 lines that sees the same batches. Equal: the largest difference between the
          weights that both keep.
"""
_COMMON = ("trainer=cpu", "early_stopping.patience=99", "tracking.uri='sqlite:///mlflow.db'")
# what a run costs once, such as its first checkpoint, weighs as in a real one
CNN = ("experiment=mnist", "trainer.max_epochs=8", *_COMMON)
MLP = (
    "experiment=breast_cancer",
    "model.width=64",
    "loader.batch_size=128",
    "trainer.max_epochs=3",
    *_COMMON,
)

Weights = Mapping[str, Tensor]


class Tracked(NamedTuple):
    """What a tracked training took, the weights that it kept, and its number of steps."""

    seconds: Seconds
    weights: Weights
    steps: int


class ByHand(NamedTuple):
    """The best validation loss of the loop, and the weights of that epoch."""

    loss: float
    weights: Weights


def cnn(root: Path) -> Result:
    """Convolutions on grey images: a step is long."""
    return _compare("training, CNN", root, 1.1, 3, made.images, CNN)


def mlp(root: Path) -> Result:
    """A small network on a table: a step is short, so what surrounds it shows."""
    return _compare("training, MLP", root, 1.25, 5, made.table, MLP)


def _compare(
    name: str,
    root: Path,
    goal: float,
    turns: int,
    make_data: Callable[[Path, made.Section], None],
    overrides: Sequence[str],
) -> Result:
    cfg = compose(root, overrides)
    folder = Paths(cfg.name).prepared
    make_data(folder, tree.data_section(cfg))
    tracked(cfg)  # imports MLflow, makes its database

    ours: Turns = []
    plain: Turns = []
    difference, steps = 0.0, 1
    for turn in range(turns):
        training = tracked(cfg)
        by_hand, seconds = timed(lambda: loop(cfg, folder))
        ours.append(training.seconds)
        plain.append(seconds)
        steps = training.steps
        # a comparison of speeds counts only between ways to the same result
        difference = max(difference, largest_difference(training.weights, by_hand.weights))
        assert difference < 1e-5, f"{name}: the weights differ by {difference}"
        print(
            f"{name} {turn + 1}/{turns}: {training.seconds.wall:.1f} s and {seconds.wall:.1f} s, "
            f"val/loss {by_hand.loss:.5f}",
            flush=True,
        )
    unit = Unit("ms a step", 1e3 / steps)
    return Result(name, ours, plain, goal, unit, f"weights differ by {difference:.0e}")


def largest_difference(weights: Weights, others: Weights) -> float:
    """Between two sets of weights of the same names."""
    return max(
        float((weights[name].float() - others[name].float()).abs().max()) for name in weights
    )


def tracked(cfg: DictConfig) -> Tracked:
    """`fit`, with the time of its training and of the sending of metrics alone."""
    watch = Stopwatch()
    counted_fit = patch.object(pl.Trainer, "fit", watch.around(pl.Trainer.fit))
    counted_flush = patch.object(runs.Run, "flush", watch.around(runs.Run.flush))
    with counted_fit, counted_flush, contextlib.redirect_stdout(io.StringIO()):
        trained = fit(cfg)
    assert trained is not None
    assert trained.folder is not None
    weights = torch.load(trained.folder / "weights.pt", weights_only=True)
    return Tracked(watch.seconds, weights, Training.read(trained.folder / "train.json").steps)


def loop(cfg: DictConfig, folder: Path) -> ByHand:
    """The training as one would write it without a framework."""
    torch.manual_seed(cfg.seed)
    train, validation = Packed(folder, "train"), Packed(folder, "validation")
    model: nn.Module = build.task(cfg, DataSpec.read(folder / "spec.json")).model
    optimizer = plain_optimizer(cfg, model)
    size, epochs = cfg.loader.batch_size, cfg.trainer.max_epochs
    total_steps = -(-len(train) // size) * epochs
    schedule = cosine(optimizer, total_steps=total_steps, warmup=cfg.schedule.warmup)
    best = ByHand(float("inf"), {})

    for epoch in range(epochs):
        model.train()
        for batch in batches(cfg, train, epoch):
            output = model(**batch.inputs)
            loss = F.cross_entropy(
                output, batch.targets["target"], label_smoothing=cfg.task.label_smoothing
            )
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(model.parameters(), cfg.trainer.gradient_clip_val)
            optimizer.step()
            schedule.step()

        validation_loss, _accuracy = scores(model, validation, 4 * size)
        if validation_loss < best.loss:
            weights = {name: value.clone() for name, value in model.state_dict().items()}
            best = ByHand(validation_loss, weights)
            torch.save(weights, "loop.pt")  # ours saves its best, too
    return best


def plain_optimizer(cfg: DictConfig, model: nn.Module) -> torch.optim.Optimizer:
    """AdamW as the configuration has it; norms and biases do not decay."""
    options = {key: value for key, value in cfg.optimizer.items() if not key.startswith("_")}
    matrices = [weight for weight in model.parameters() if weight.ndim > 1]
    others = [weight for weight in model.parameters() if weight.ndim <= 1]
    groups: list[dict[str, Any]] = [{"params": matrices}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, **options)


def batches(cfg: DictConfig, train: Packed, epoch: int) -> Iterator[Batch]:
    """As Batches, DataModule and SeedEachStep do: order, augmentation and dropout are equal."""
    augment = build.augment(cfg)
    generator = torch.Generator().manual_seed(random_key(cfg.seed, epoch))
    order = torch.randperm(len(train), generator=generator)
    for step, rows in enumerate(torch.split(order, cfg.loader.batch_size)):
        torch.default_generator.manual_seed(random_key(cfg.seed, epoch, step))
        yield augment(train.batch(rows), PerSampleRandom(rows, seed=cfg.seed, epoch=epoch))


@torch.no_grad()
def scores(model: nn.Module, data: Packed, size: int) -> tuple[float, float]:
    """Mean loss and accuracy of a whole split (N samples), in batches of `size`."""
    model.eval()
    loss, right = 0.0, 0
    for rows in torch.split(torch.arange(len(data)), size):
        batch = data.batch(rows)
        output = model(**batch.inputs)
        loss += float(F.cross_entropy(output, batch.targets["target"])) * len(rows)
        right += int((output.argmax(1) == batch.targets["target"]).sum())
    return loss / len(data), right / len(data)
