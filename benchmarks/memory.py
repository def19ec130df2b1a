"""The most memory that a process holds as the data grow, beside a loop that holds all of them.

Letters: B samples of a batch, N samples, K classes.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from rich.box import SIMPLE_HEAD
from rich.table import Table
from torch import nn

from benchmarks import made_rows, noise
from benchmarks.measure import coloured
from benchmarks.processes import peak_memory, with_python_path
from goodfit.config.compose import compose
from goodfit.store.loader import Shard
from goodfit.system import allocator
from goodfit.task.epoch import EpochResults
from goodfit.task.kept import Samples
from goodfit.training import loop
from goodfit.training.trainer import quiet_lightning

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PROTOCOL = """\
memory    The most that a process of its own holds besides pages of files, imports included. Samples
          of 80 kB are prepared, by two processes more where that takes ten seconds, and trained on
          for an epoch; by hand they are loaded whole. The growth is that from the smallest data to
          the largest. Scores of 100,000 predictions of 1,000 classes, in steps of 500: from sums,
          from samples up to the bound of an epoch, and from a list of all that is joined. Parquet
          files of 250 columns of numbers are prepared, and by hand read by pandas, without anything
          else. Both are drawn as build/memory.svg.
"""
_MEGABYTES = (150, 300, 600, 1200, 2400)
_MEGABYTES_OF_ROWS, _COLUMNS = (50, 100, 200), 250
_GOAL = 1.5
_SAMPLES, _CLASSES, _STEP = 100_000, 1_000, 500
_BATCH = 64
_WAYS = {"prepare": "prepare", "epoch": "an epoch", "by_hand": "loaded whole"}
_WAYS_OF_ROWS = {"prepare": "prepare", "by_hand": "read whole"}
_COLOURS = {"prepare": "#1b7f79", "epoch": "#2f5d9b", "by_hand": "#a05a2c"}
_APART = 12  # points between the names of two curves that end at about the same height

Peaks = dict[str, int]  # the most bytes that each way held


@dataclass(frozen=True)
class Memory:
    """The peaks of `_WAYS` by the size of the data in megabytes, of tables, and of predictions."""

    of_data: dict[int, Peaks]
    of_rows: dict[int, Peaks]
    of_predictions: Peaks


def bench(root: Path) -> Memory:
    """Each way in a process of its own, in the present folder: two minutes on two free cores."""
    of_data = {}
    for megabytes in _MEGABYTES:
        folder = f"data-{megabytes}"
        samples = megabytes * 10**6 // (4 * noise.WIDTH)
        of_data[megabytes] = {
            "prepare": _held("noise.prepared", folder, samples),
            "epoch": _held("memory.epoch", folder, str(root)),
            "by_hand": _held("memory.by_hand", folder),
        }
        told = ", ".join(f"{_WAYS[way]} {_mb(peak)}" for way, peak in of_data[megabytes].items())
        print(f"memory, {megabytes} MB of data: {told} MB", flush=True)
    ways = ("sums", "samples", "list")
    of_predictions = {way: _held("memory.predictions", way) for way in ways}
    memory = Memory(of_data, _of_rows(), of_predictions)
    draw(memory, root / "build/memory.svg")
    return memory


def _of_rows() -> dict[int, Peaks]:
    """The peaks of prepare, and of pandas's reader, by the size of a Parquet file."""
    peaks = {}
    for megabytes in _MEGABYTES_OF_ROWS:
        raw = f"rows-{megabytes}.parquet"
        made_rows.write_numbers(Path(raw), megabytes * 10**6 // (8 * _COLUMNS), _COLUMNS)
        peaks[megabytes] = {
            "prepare": _held("made_rows.prepared", raw, f"rows-{megabytes}"),
            "by_hand": _held("made_rows.read", raw),
        }
        told = ", ".join(
            f"{_WAYS_OF_ROWS[way]} {_mb(peak)}" for way, peak in peaks[megabytes].items()
        )
        print(f"memory, a Parquet file of {megabytes} MB: {told} MB", flush=True)
    return peaks


def tables(memory: Memory) -> list[Table]:
    """A row for each size of data and of tables, and one for each way to keep predictions."""
    data = Table("MB held with ... MB of data", *_WAYS.values(), box=SIMPLE_HEAD)
    for megabytes, peaks in memory.of_data.items():
        data.add_row(f"[bold]{megabytes:,}", *(_mb(peaks[way]) for way in _WAYS))
    first, last = memory.of_data[min(memory.of_data)], memory.of_data[max(memory.of_data)]
    grown = {way: last[way] / first[way] for way in _WAYS}
    cells = {way: f"{grown[way]:.2f}" for way in _WAYS}
    cells["epoch"] = coloured(cells["epoch"], good=grown["epoch"] <= _GOAL)
    data.add_row(f"growth (goal of an epoch: {_GOAL:g})", *cells.values())

    title = "MB held with a Parquet file of ... MB"
    rows = Table(title, *_WAYS_OF_ROWS.values(), box=SIMPLE_HEAD)
    for megabytes, peaks in memory.of_rows.items():
        rows.add_row(f"[bold]{megabytes:,}", *(_mb(peaks[way]) for way in _WAYS_OF_ROWS))

    predictions = Table("MB held of predictions", *memory.of_predictions, box=SIMPLE_HEAD)
    predictions.add_row("", *map(_mb, memory.of_predictions.values()))
    return [data, rows, predictions]


def draw(memory: Memory, path: Path) -> None:
    """The curves of `_WAYS` beside those of tables as a picture."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    path.parent.mkdir(parents=True, exist_ok=True)
    # a fixed salt and no date: the same numbers give the same file
    with rc_context({"svg.hashsalt": "memory", "font.size": 10}):
        figure = Figure(figsize=(9.6, 3.4), layout="constrained")
        left, right = figure.subplots(1, 2)
        _curves(left, memory.of_data, _WAYS)
        left.set(xlabel="MB of samples", ylabel="MB held at most")
        _curves(right, memory.of_rows, _WAYS_OF_ROWS)
        right.set_xlabel("MB of a Parquet file")
        figure.savefig(path, metadata={"Date": None})


def _curves(axes: Axes, peaks: Mapping[int, Peaks], ways: Mapping[str, str]) -> None:
    """A curve for each of `ways`, with its name behind the last point."""
    sizes = list(peaks)
    ends = {way: peaks[sizes[-1]][way] / 1e6 for way in ways}
    axes.set_ylim(0, 1.06 * max(peaks[size][way] for size in sizes for way in ways) / 1e6)
    axes.set_xlim(0, sizes[-1] * 1.28)
    axes.spines[["top", "right"]].set_visible(False)
    lowest = -np.inf
    for way in sorted(ways, key=ends.__getitem__):
        held = [peaks[size][way] / 1e6 for size in sizes]
        axes.plot(sizes, held, marker="o", color=_COLOURS[way])
        # in points of the picture, of which the axes have about 200
        lowest = max(200 * ends[way] / axes.get_ylim()[1], lowest + _APART)
        rise = lowest - 200 * ends[way] / axes.get_ylim()[1] - 3
        name, end = ways[way], (sizes[-1], ends[way])
        axes.annotate(name, end, (7, rise), textcoords="offset points", color=_COLOURS[way])


def epoch(folder: str, root: str, accuracy: float = 0.0) -> None:
    """Trains on prepared data for an epoch, as a session does; it reaches at least `accuracy`."""
    quiet_lightning()
    allocator.tune()
    options = ("trainer=cpu", "trainer.max_epochs=1", "model.width=4", "average=null")
    cfg = compose(Path(root), ["experiment=breast_cancer", *options, f"loader.batch_size={_BATCH}"])
    task, data = loop.prepare(cfg, Path(folder), Shard())
    checkpoints = Path(f"{folder}-checkpoints")
    optimized = loop.optimize(
        cfg, task, data, folder=checkpoints, checkpoint=None, recorder=_Printed()
    )
    assert optimized.history[-1]["val/accuracy"] >= accuracy, optimized.history


class _Printed:
    def log(self, row: Any, step: int = 0) -> None:
        print(row, flush=True)


def by_hand(folder: str) -> None:
    """The same epoch on an array that is loaded whole."""
    numbers = torch.from_numpy(np.load(Path(folder) / "train/numbers.npy"))
    target = torch.from_numpy(np.load(Path(folder) / "train/target.npy"))
    model = nn.Sequential(nn.Linear(noise.WIDTH, 4), nn.ReLU(), nn.Linear(4, 2))
    optimizer = torch.optim.AdamW(model.parameters())
    for rows in torch.split(torch.randperm(len(target)), _BATCH):
        loss = F.cross_entropy(model(numbers[rows]), target[rows])
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()


def predictions(way: str) -> None:
    """An epoch of steps whose predictions (B, K) are kept for its scores, one way or another."""
    allocator.tune()
    results = EpochResults("train", additive=way == "sums")
    listed = []
    for step in range(_SAMPLES // _STEP):
        prediction = torch.rand(_STEP, _CLASSES).softmax(1)
        target = torch.randint(_CLASSES, (_STEP,))
        if way == "list":
            listed.append(prediction)
            continue
        kept = {"right": (prediction.argmax(1) == target).float()}
        if way == "samples":
            kept = {"prediction": prediction, "target": target}
        loss = F.nll_loss(prediction.log(), target, reduction="none")
        results.add(Samples.of_step(step, 0, loss, torch.ones(_STEP), kept))
    if listed:
        torch.cat(listed)
    else:
        results.reduce({}, torch.device("cpu"))


def _held(function: str, *arguments: str | int) -> int:
    """The most bytes that a process held which called a function of this folder."""
    module = function.partition(".")[0]
    listed = ", ".join(repr(argument) for argument in arguments)
    process = subprocess.Popen(
        [sys.executable, "-c", f"from benchmarks import {module}; {function}({listed})"],
        env=with_python_path(os.environ),
        stdout=subprocess.DEVNULL,
        text=True,
    )
    peak = peak_memory(process)
    assert process.returncode == 0, f"{function} ended with {process.returncode}"
    return peak


def _mb(size: int) -> str:
    return f"{size / 1e6:,.0f}"
