"""What a second process gains on a CPU, and what an epoch on a GPU takes beside a plain loop."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytorch_lightning as pl
import torch
import torch.nn.functional as F
from omegaconf import DictConfig
from rich.box import SIMPLE_HEAD
from rich.table import Table

from benchmarks import made
from benchmarks.measure import Ratio, coloured, ratio_of
from benchmarks.processes import run_python
from goodfit import build
from goodfit.augment.per_sample_random import PerSampleRandom
from goodfit.config import tree
from goodfit.config.compose import compose
from goodfit.contract import Batch, DataSpec
from goodfit.launch.fit import fit
from goodfit.paths import Paths
from goodfit.records import Training

PROTOCOL = """\
devices   The training of the CNN alone: five epochs with validation and checkpoints, after a first
          one that warms up. Two processes (gloo) of one thread each, on two cores, against one
          process of one thread: the same work for each core, so that 2 would be perfect; the goal
          is for this, with 256 samples for each process. Also against one process with as many
          threads as it takes by itself, which is what one would do without: its threads share the
          cores already. In turns; the ratio of the smallest, in brackets the median of neighbours.
          Equal: the largest difference between the curves of the validation loss, without dropout.
gpu       60,000 images of 28 x 28, the CNN four times as wide (model.width=64), 512 samples a step,
          bf16. An epoch with validation, on one GPU, against a loop by hand of the same steps that
          validates nothing, keeps nothing and never waits for the GPU. Also the share of our epoch
          in which a kernel or a copy runs, by torch's profiler.
"""
_TRACKING = "tracking.uri='sqlite:///mlflow.db'"
_CNN = ("experiment=mnist", "trainer.max_epochs=6", "early_stopping.patience=99", _TRACKING)
_BATCH_SIZES = (128, 512)  # samples of a step
# dropout would be another on each device, and a steep start makes much of the last digits
_EQUAL = ("model.dropout=0", "optimizer=sgd", "optimizer.lr=0.0003")
_WIDE = (
    "experiment=mnist",
    "name=gpu",
    "trainer=gpu",
    "trainer.devices=1",
    "trainer.max_epochs=3",
    "model.width=64",
    "loader.batch_size=512",
    "early_stopping.patience=99",
    _TRACKING,
)
_GPU_GOAL = 1.25  # times an epoch of the loop by hand


class Way(NamedTuple):
    """How a training is distributed: overrides, and variables of its environment."""

    overrides: Sequence[str]
    environment: Mapping[str, str]


_WAYS = {
    "two": Way(("trainer=ddp", "trainer.accelerator=cpu"), {"OMP_NUM_THREADS": "1"}),
    "one": Way(("trainer=cpu",), {"OMP_NUM_THREADS": "1"}),
    "threads": Way(("trainer=cpu",), {}),
}


@dataclass(frozen=True)
class Speedup:
    """Seconds of both ways in each turn, the least ratio that is the goal, and what was equal."""

    name: str
    ours: list[float]
    other: list[float]
    goal: float | None
    equal: str

    @property
    def ratio(self) -> Ratio:
        """Above 1 where ours is faster."""
        return ratio_of(self.other, self.ours)


def devices(root: Path, turns: int) -> list[Speedup]:
    """Two processes against one, which has one thread or as many as it takes."""
    folder = Paths("mnist").prepared
    if not folder.exists():
        made.images(folder, tree.data_section(compose(root, _CNN)))
    speedups = []
    for size in _BATCH_SIZES:
        speedups += _speedups(root, turns, size)
    return speedups


def _speedups(root: Path, turns: int, size: int) -> list[Speedup]:
    seconds: dict[str, list[float]] = {name: [] for name in _WAYS}
    differences = dict.fromkeys(_WAYS, 0.0)
    for turn in range(turns):
        curves = {}
        for name, way in _WAYS.items():
            overrides = [*_CNN, *_EQUAL, f"loader.batch_size={size}", *way.overrides]
            content = tree.frozen(compose(root, overrides))
            took, curves[name] = _trained(content, name, way.environment)
            seconds[name].append(took)
        for name, curve in curves.items():
            differences[name] = max(differences[name], _largest_difference(curve, curves["two"]))
        times = ", ".join(f"{name} {values[-1]:.2f} s" for name, values in seconds.items())
        print(f"devices, {size} samples, {turn + 1}/{turns}: {times}", flush=True)
    assert max(differences.values()) < 1e-3, f"the curves differ: {differences}"

    threads = torch.get_num_threads()
    others = {"one": "one thread", "threads": f"{threads} thread{'s' * (threads > 1)}"}
    speedups = []
    for name, words in others.items():
        has_goal = name == "one" and size == max(_BATCH_SIZES)
        speedups.append(
            Speedup(
                name=f"two processes : one of {words}, {size}",
                ours=seconds["two"],
                other=seconds[name],
                goal=1.3 if has_goal else None,
                equal=f"val/loss differs by {differences[name]:.0e}",
            )
        )
    return speedups


def _largest_difference(curve: Sequence[float], other: Sequence[float]) -> float:
    return max(abs(a - b) for a, b in zip(curve, other, strict=True))


def _trained(
    content: dict[str, Any], name: str, environment: Mapping[str, str]
) -> tuple[float, list[float]]:
    """Seconds of a training after its first epoch, and its validation losses, in a new process."""
    Path(f"{name}.json").write_text(json.dumps(content))
    # each way says itself how many threads it has
    inherited = {key: value for key, value in os.environ.items() if key != "OMP_NUM_THREADS"}
    code = f"from benchmarks.devices import train; train({name!r})"
    run_python("-c", code, environment={**inherited, **environment})

    with Path(name, "history.csv").open() as stream:
        epochs = list(csv.DictReader(stream))
    seconds = Training.read(Path(name, "train.json")).cost.seconds
    warm = seconds - float(epochs[0]["epoch_seconds"])
    return warm, [float(epoch["val/loss"]) for epoch in epochs]


def train(name: str) -> None:
    """Trains by `<name>.json`, into the folder `name`."""
    fit(tree.load(Path(f"{name}.json")), out=Path(name))


class _Epochs(pl.Callback):
    """The first epoch warms up, the second is timed, the third is profiled; times in seconds."""

    def __init__(self) -> None:
        self.wall = self.busy = 0.0
        self._started = 0.0
        self._profiler: Any = None

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        torch.cuda.synchronize()  # kernels run behind: what came before must not count
        self._started = time.perf_counter()
        if trainer.current_epoch == 2:
            cuda = torch.profiler.ProfilerActivity.CUDA
            self._profiler = torch.profiler.profile(activities=[cuda], acc_events=True)
            self._profiler.__enter__()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        torch.cuda.synchronize()
        if trainer.current_epoch == 1:
            self.wall = time.perf_counter() - self._started
        if self._profiler is None:
            return
        self._profiler.__exit__(None, None, None)
        spans = []
        for event in self._profiler.events():
            if event.device_type.name == "CUDA":
                spans.append((event.time_range.start, event.time_range.end))
        self.busy = covered(spans) / 1e6  # the profiler counts microseconds
        self._profiler = None


def covered(spans: Iterable[tuple[float, float]]) -> float:
    """The length of all spans together; what several of them cover counts once."""
    total, reached = 0.0, float("-inf")
    for start, end in sorted(spans):
        total += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return total


class OnGpu(NamedTuple):
    """Seconds: an epoch, that part of it in which the GPU works, an epoch of the loop by hand."""

    ours: float
    busy: float
    by_hand: float


def gpu(root: Path) -> OnGpu | None:
    """What an epoch takes on one GPU, and a loop by hand; None where there is no GPU."""
    if not torch.cuda.is_available():
        return None
    cfg = compose(root, _WIDE)
    count = 70_000
    images = np.random.default_rng(0).integers(0, 256, (count, 1, 28, 28), np.uint8)
    made.pack(
        Paths("gpu").prepared,
        {"image": images},
        np.arange(count) % 10,
        classes=10,
        train=60_000,
        section=tree.data_section(cfg),
    )
    epochs = _Epochs()
    with contextlib.redirect_stdout(io.StringIO()):
        fit(cfg, callbacks=[epochs], keep=False)
    measured = OnGpu(epochs.wall, epochs.busy, _by_hand(cfg, Paths("gpu").prepared))
    print(f"gpu: an epoch {measured.ours:.2f} s, by hand {measured.by_hand:.2f} s", flush=True)
    return measured


def _by_hand(cfg: DictConfig, folder: Path) -> float:
    """Seconds of the second of two epochs of training alone, by hand, on arrays in GPU memory."""
    spec = DataSpec.read(folder / "spec.json")
    task = build.task(cfg, spec).cuda().train()
    augment = build.augment(cfg)
    optimizer = torch.optim.AdamW(task.model.parameters(), lr=cfg.optimizer.lr, fused=True)
    images, labels = (
        torch.from_numpy(np.load(folder / "train" / f"{name}.npy")).cuda()
        for name in ("image", "target")
    )
    seconds = 0.0
    for epoch in range(2):
        torch.cuda.synchronize()
        started = time.perf_counter()
        order = torch.randperm(len(labels), device="cuda")
        for rows in order.split(cfg.loader.batch_size):  # type: ignore[no-untyped-call]
            batch = Batch({"image": images[rows]}, {"target": labels[rows]}, rows, 1.0)
            batch = augment(batch, PerSampleRandom(rows, seed=cfg.seed, epoch=epoch))
            with torch.autocast("cuda", torch.bfloat16):
                loss = F.cross_entropy(task.model(**batch.inputs), batch.targets["target"])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(task.model.parameters(), 1.0)
            optimizer.step()
        torch.cuda.synchronize()
        seconds = time.perf_counter() - started
    return seconds


def table(speedups: Sequence[Speedup]) -> Table:
    """A row for each comparison; red is a goal that was missed."""
    rows = Table("", "ours", "other", "speed-up", "goal", "equal", box=SIMPLE_HEAD)
    for speedup in speedups:
        ratio = speedup.ratio
        best, goal = f"{ratio.smallest:.2f}", ""
        if speedup.goal is not None:
            best = coloured(best, good=ratio.smallest >= speedup.goal)
            goal = f"at least {speedup.goal:g}"
        sides = [f"{min(side):.2f} s" for side in (speedup.ours, speedup.other)]
        cell = f"{best} ({ratio.median:.2f})"
        rows.add_row(f"[bold]{speedup.name}", *sides, cell, goal, speedup.equal)
    return rows


def gpu_line(measured: OnGpu | None) -> str:
    """One line about the GPU."""
    if measured is None:
        return "no GPU here"
    ratio = measured.ours / measured.by_hand
    times = coloured(f"{ratio:.2f}", good=ratio <= _GPU_GOAL)
    share = measured.busy / measured.ours
    return (
        f"an epoch on the GPU takes {times} times as long as by hand; goal: at most {_GPU_GOAL:g}. "
        f"The GPU works {share:.0%} of it"
    )
