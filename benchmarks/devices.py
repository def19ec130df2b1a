"""What a second process gains on a CPU, and how much of an epoch a GPU works."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from rich.box import SIMPLE_HEAD
from rich.table import Table

from benchmarks import made
from goodfit.config import tree
from goodfit.config.compose import compose
from goodfit.launch.fit import fit
from goodfit.paths import Paths
from goodfit.system.files import read_json

PROTOCOL = """\
devices   The training of the CNN alone: five epochs with validation and checkpoints, after a first one that warms up.
          Two processes (gloo) of one thread each, on two cores, against one process of one thread: the same work for
          each core, so that 2 would be perfect; the goal is for this, with 256 samples for each process. Also against
          one process with as many threads as it takes by itself, which is what one would do without: its threads
          share the cores already. In turns; the ratio of the smallest, in brackets the median of neighbours. Equal:
          the largest difference between the curves of the validation loss, without dropout.
gpu       60,000 images of 28 x 28, the CNN four times as wide (model.width=64), 512 samples a step, bf16. The time in
          which a kernel or a copy runs in one epoch, by torch's profiler, as a share of the time of an epoch without
          the profiler, validation included.
"""
_CNN = ["experiment=mnist", "trainer.max_epochs=6", "early_stopping.patience=99"]
_SIZES = (128, 512)  # samples of a step
# dropout would be another on each device, and a steep start makes much of the last digits
_EQUAL = [
    "model.dropout=0",
    "optimizer=sgd",
    "optimizer.lr=0.0003",
    "tracking.uri='sqlite:///mlflow.db'",
]
_WAYS: dict[str, tuple[list[str], dict[str, str]]] = {
    "two": (["trainer=ddp", "trainer.accelerator=cpu"], {"OMP_NUM_THREADS": "1"}),
    "one": (["trainer=cpu"], {"OMP_NUM_THREADS": "1"}),
    "threads": (["trainer=cpu"], {}),
}


@dataclass(frozen=True)
class Speedup:
    """Seconds of both ways in each turn, the least ratio that we promise if any, and what was
    equal.
    """

    name: str
    ours: list[float]
    other: list[float]
    goal: float | None
    equal: str

    @property
    def ratio(self) -> tuple[float, float]:
        """Smallest by smallest and median of neighbours."""
        pairs = zip(self.other, self.ours, strict=True)
        return min(self.other) / min(self.ours), statistics.median(
            other / ours for other, ours in pairs
        )


def devices(root: Path, turns: int) -> list[Speedup]:
    """Two processes against one, which has one thread or as many as it takes."""
    folder = Paths("mnist").prepared
    if not folder.exists():
        made.images(folder, tree.data_section(compose(root, _CNN)))
    return [one for size in _SIZES for one in _speedups(root, turns, size)]


def _speedups(root: Path, turns: int, size: int) -> list[Speedup]:
    seconds: dict[str, list[float]] = {name: [] for name in _WAYS}
    apart = dict.fromkeys(_WAYS, 0.0)
    for turn in range(turns):
        curves = {}
        for name, (overrides, environment) in _WAYS.items():
            cfg = compose(root, [*_CNN, *_EQUAL, f"loader.batch_size={size}", *overrides])
            took, curves[name] = _trained(tree.frozen(cfg), name, environment)
            seconds[name].append(took)
        for name, curve in curves.items():
            apart[name] = max(
                apart[name], *(abs(a - b) for a, b in zip(curve, curves["two"], strict=True))
            )
        said = ", ".join(f"{name} {values[-1]:.2f} s" for name, values in seconds.items())
        print(f"devices, {size} samples, {turn + 1}/{turns}: {said}", flush=True)
    assert max(apart.values()) < 1e-3, f"the curves differ: {apart}"
    threads = torch.get_num_threads()
    names = {"one": "one thread", "threads": f"{threads} thread{'s' * (threads > 1)}"}
    return [
        Speedup(
            f"two processes : one of {words}, {size}",
            seconds["two"],
            seconds[name],
            1.3 if name == "one" and size == max(_SIZES) else None,
            f"val/loss differs by {apart[name]:.0e}",
        )
        for name, words in names.items()
    ]


def _trained(
    content: dict[str, Any], name: str, environment: dict[str, str]
) -> tuple[float, list[float]]:
    """Seconds of the training after its first epoch, and its validation losses, from a new process."""
    Path(f"{name}.json").write_text(json.dumps(content))
    plain = {key: value for key, value in os.environ.items() if key != "OMP_NUM_THREADS"}
    code = f"from benchmarks.devices import train; train({name!r})"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=plain | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    with Path(name, "history.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    whole = read_json(Path(name) / "train.json")["cost"]["seconds"]
    return whole - float(rows[0]["epoch_seconds"]), [float(row["val/loss"]) for row in rows]


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
        torch.cuda.synchronize()
        self._started = time.perf_counter()
        if trainer.current_epoch == 2:
            self._profiler = torch.profiler.profile(
                activities=[torch.profiler.ProfilerActivity.CUDA]
            )
            self._profiler.__enter__()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        torch.cuda.synchronize()
        if trainer.current_epoch == 1:
            self.wall = time.perf_counter() - self._started
        if self._profiler is not None:
            self._profiler.__exit__(None, None, None)
            events = [
                event for event in self._profiler.events() if event.device_type.name == "CUDA"
            ]
            self.busy = (
                covered((event.time_range.start, event.time_range.end) for event in events) / 1e6
            )
            self._profiler = None


def covered(spans: Iterable[tuple[float, float]]) -> float:
    """The length of all spans together, what several of them cover counted once."""
    total, reached = 0.0, float("-inf")
    for start, end in sorted(spans):
        total += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return total


def gpu(root: Path) -> float | None:
    """The share of an epoch in which the GPU works; None where there is none."""
    if not torch.cuda.is_available():
        return None
    wide = [
        "experiment=mnist",
        "trainer=gpu",
        "trainer.devices=1",
        "model.width=64",
        "loader.batch_size=512",
    ]
    ends = [
        "trainer.max_epochs=3",
        "early_stopping.patience=99",
        "tracking.uri='sqlite:///mlflow.db'",
        "name=gpu",
    ]
    cfg = compose(root, [*wide, *ends])
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (70_000, 1, 28, 28), np.uint8)
    made_with = tree.data_section(cfg)
    made.pack(
        Paths("gpu").prepared, {"image": images}, np.arange(70_000) % 10, 10, 60_000, made_with
    )
    epochs = _Epochs()
    with contextlib.redirect_stdout(io.StringIO()):
        fit(cfg, callbacks=[epochs], keep=False)
    print(f"gpu: works {epochs.busy:.2f} s of an epoch of {epochs.wall:.2f} s", flush=True)
    return epochs.busy / epochs.wall


def shown(found: list[Speedup]) -> Table:
    """A row for each comparison; red is a goal that was missed."""
    table = Table("", "ours", "other", "speed-up", "goal", "equal", box=SIMPLE_HEAD)
    for one in found:
        best, median = one.ratio
        colour = "default" if one.goal is None else "green" if best >= one.goal else "red"
        sides = [f"{min(side):.2f} s" for side in (one.ours, one.other)]
        goal = "" if one.goal is None else f"at least {one.goal:g}"
        table.add_row(
            f"[bold]{one.name}", *sides, f"[{colour}]{best:.2f}[/] ({median:.2f})", goal, one.equal
        )
    return table


def told(share: float | None) -> str:
    """One line about the GPU."""
    if share is None:
        return "no GPU here"
    return f"the GPU works [{'green' if share >= 0.9 else 'red'}]{share:.0%}[/] of an epoch; goal: at least 90%"
