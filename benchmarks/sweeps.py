"""What a sweep costs beside a process for each trial and beside a loop by hand, and what pruning
saves.
"""

from __future__ import annotations

import contextlib
import copy
import io
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytorch_lightning as pl
from hydra.utils import instantiate
from omegaconf import DictConfig
from rich.box import SIMPLE_HEAD
from rich.table import Table

from benchmarks import made
from goodfit.config import tree
from goodfit.config.compose import compose
from goodfit.launch.fit import fit
from goodfit.paths import Paths
from goodfit.search.confirm import interval
from goodfit.task.base import Task
from hydra_plugins.hydra_optuna_sweeper import trial as trials

PROTOCOL = """\
sweeps    Tracked trainings by `pipelines/train.py -m search=custom`, trials a minute by the study's own times, from the
          first trial's start to the last one's end. Against one process for each trial, by the clock, with trials of
          2 epochs; against study.optimize around the same objective in one process, with 15 epochs: ours also
          composes and checks each trial, which costs the same however long it is. In turns; the ratio of medians.
pruning   Recorded: 120 random configurations are trained once for 15 epochs. Replayed with 20 seeds: 30 of them in
          random order, with the default pruner and without; both arms try the same points. The mean over the seeds
          of the share of epochs used, with a 95 % t-interval, and of the loss of the best score."""
_FIXED = ["experiment=breast_cancer", "trainer=cpu", "loader.batch_size=128"]
_SHORT, _LONG = "trainer.max_epochs=2", "trainer.max_epochs=15"
_WIDTHS, _RATES = (16, 32, 64), (1e-3, 1e-1)
_SPACE = ["model.width=choice(16,32,64)", "optimizer.lr=tag(log,interval(1e-3,1e-1))"]
_EPOCHS, _POOL, _TRIALS, _SEEDS, _TURN = 15, 120, 30, 20, 16


@dataclass(frozen=True)
class Rate:
    """Trials a minute of both ways in each turn, and the least ratio that we promise."""

    name: str
    ours: list[float]
    other: list[float]
    goal: float

    @property
    def ratio(self) -> float:
        """Of medians."""
        return statistics.median(self.ours) / statistics.median(self.other)


@dataclass(frozen=True)
class Pruned:
    """For each seed: the share of epochs that the pruner left, and how much worse the best score
    became.
    """

    shares: list[float]
    losses: list[float]
    goal: float = 0.6


def bench(root: Path, turns: int) -> tuple[list[Rate], Pruned]:
    """Both comparisons in the present folder, about six minutes on two free cores."""
    optuna.logging.set_verbosity(
        optuna.logging.WARNING
    )  # else a line for each of the replayed studies
    app = Path("app").resolve()
    for name in ("conf", "pipelines", "src"):
        shutil.copytree(
            root / name, app / name, ignore=shutil.ignore_patterns("__pycache__", "tuned")
        )
    with contextlib.chdir(app):
        cfg = compose(Path(), [*_FIXED, _LONG])
        _data(Paths("breast_cancer").prepared, tree.data_section(cfg))
        found = rates(turns)
        return found, pruning(cfg)


def rates(turns: int) -> list[Rate]:
    """Each way once, one after the other, `turns` times."""
    seen: dict[str, list[float]] = {name: [] for name in _WAYS}
    for turn in range(turns):
        for name, measure in _WAYS.items():
            seen[name].append(measure(turn))
        said = ", ".join(f"{name} {values[-1]:.0f}" for name, values in seen.items())
        print(f"trials a minute {turn + 1}/{turns}: {said}", flush=True)
    return [
        Rate("short trials, one worker : a process each", seen["short"], seen["processes"], 20.0),
        Rate("one worker : a loop by hand", seen["one"], seen["loop"], 0.9),
        Rate("two workers : a loop by hand", seen["two"], seen["loop"], 1.6),
    ]


def _ours(workers: int, epochs: str) -> Callable[[int], float]:
    def measure(turn: int) -> float:
        url = f"sqlite:///sweep-{workers}-{epochs.partition('=')[2]}-{turn}.db"
        options = [
            f"n_jobs={workers}",
            f"n_trials={_TURN * workers}",
            f"storage={url}",
            "study_name=s",
        ]
        keys = [
            f"hydra.sweeper.{option}" for option in [*options, "listener.top=0", "listener.seeds=3"]
        ]
        fixed = [*_FIXED, epochs, *_SPACE, "search=custom", "hydra/sweeper/pruner=none"]
        _python("pipelines/train.py", "-m", *fixed, *keys)
        return _pace(url)

    return measure


def _processes(turn: int) -> float:
    started = time.monotonic()
    for width in _WIDTHS[:2]:
        _python("pipelines/train.py", *_FIXED, _SHORT, f"model.width={width}", f"seed={turn}")
    return 60 * 2 / (time.monotonic() - started)


def _loop(turn: int) -> float:
    url = f"sqlite:///loop-{turn}.db"
    _python("-c", f"from benchmarks.sweeps import loop; loop({url!r})")
    return _pace(url)


_WAYS: dict[str, Callable[[int], float]] = {
    "short": _ours(1, _SHORT),
    "processes": _processes,
    "one": _ours(1, _LONG),
    "loop": _loop,
    "two": _ours(2, _LONG),
}


def loop(url: str) -> None:
    """A plain study around the same objective in one process, with the same sampler."""
    from goodfit.search.objective import objective

    base = compose(Path(), [*_FIXED, _LONG])

    def score(trial: optuna.Trial) -> float:
        cfg = copy.deepcopy(base)
        cfg.model.width = trial.suggest_categorical("model.width", _WIDTHS)
        cfg.optimizer.lr = trial.suggest_float("optimizer.lr", *_RATES, log=True)
        pruner = {"_target_": "optuna.pruners.NopPruner"}
        with (
            contextlib.redirect_stdout(io.StringIO()),
            trials.running(trial, url, pruner=pruner, constraints=[]),
        ):
            value = objective(cfg, [])
        assert value is not None, "one machine trains"
        return value

    study = optuna.create_study(
        storage=url,
        study_name="s",
        sampler=optuna.samplers.TPESampler(seed=0),
        pruner=optuna.pruners.NopPruner(),
    )
    study.optimize(score, n_trials=_TURN)


def _pace(url: str) -> float:
    trials = optuna.load_study(study_name="s", storage=url).trials
    starts = [trial.datetime_start for trial in trials if trial.datetime_start]
    ends = [trial.datetime_complete for trial in trials if trial.datetime_complete]
    assert len(ends) == len(trials), "a trial did not end"
    assert all(trial.state.name == "COMPLETE" for trial in trials), "a trial failed"
    return 60 * len(trials) / (max(ends) - min(starts)).total_seconds()


def pruning(cfg: DictConfig) -> Pruned:
    """Replays recorded trainings with the sweeper's default pruner and without."""
    from hydra_plugins.hydra_optuna_sweeper.config import PRUNERS

    pool = _recorded(cfg)
    shares, losses = [], []
    for seed in range(_SEEDS):
        order = np.random.default_rng(seed).choice(len(pool), _TRIALS, replace=False)
        rows = [pool[place] for place in order]
        pruner = instantiate({"_target_": "optuna.pruners.MedianPruner", **PRUNERS["MedianPruner"]})
        (used, best), (whole, reference) = (
            _replayed(rows, pruner),
            _replayed(rows, optuna.pruners.NopPruner()),
        )
        shares.append(used / whole)
        losses.append(best / reference - 1)
    return Pruned(shares, losses)


def _replayed(rows: list[list[float]], pruner: optuna.pruners.BasePruner) -> tuple[int, float]:
    """Epochs used and the best score; a trial's score is that of its best epoch, as in a training."""
    study = optuna.create_study(pruner=pruner)
    epochs = 0
    for row in rows:
        trial = study.ask()
        for step, value in enumerate(row):
            epochs += 1
            trial.report(value, step)
            if step + 1 < len(row) and trial.should_prune():
                study.tell(trial, state=optuna.trial.TrialState.PRUNED)
                break
        else:
            study.tell(trial, min(row))
    return epochs, study.best_value


def _recorded(cfg: DictConfig) -> list[list[float]]:
    random = np.random.default_rng(0)
    found = []
    for place in range(_POOL):
        job = copy.deepcopy(cfg)
        job.model.width = int(random.choice(_WIDTHS))
        job.model.dropout = float(random.uniform(0, 0.5))
        job.optimizer.lr = float(np.exp(random.uniform(np.log(1e-4), np.log(3e-1))))
        job.early_stopping.patience = _EPOCHS
        seen = _Validations()
        with contextlib.redirect_stdout(io.StringIO()):
            fit(job, callbacks=[seen], keep=False)
        found.append(seen.values)
        if place % 20 == 19:
            print(f"pruning: {place + 1}/{_POOL} recorded", flush=True)
    return found


class _Validations(pl.Callback):
    """The monitored score after each epoch."""

    def __init__(self) -> None:
        self.values: list[float] = []

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        assert isinstance(pl_module, Task)
        self.values.append(float(trainer.callback_metrics[f"val/{pl_module.monitor}"]))


def _data(folder: Path, made_with: made.Made) -> None:
    random = np.random.default_rng(0)
    numbers = random.normal(size=(2_500, 32)).astype(np.float32)
    classes = (
        np.tanh(numbers @ random.normal(size=(32, 4))) + random.normal(size=(2_500, 4))
    ).argmax(1)
    made.pack(folder, {"numbers": numbers}, classes, 4, 2_000, made_with)


def _python(*arguments: str) -> None:
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def shown(rates: list[Rate], pruned: Pruned) -> Table:
    """A row for each comparison; red is a goal that was missed."""
    table = Table("", "ours", "other", "ratio", "goal", box=SIMPLE_HEAD)
    for rate in rates:
        colour = "green" if rate.ratio >= rate.goal else "red"
        sides = [
            f"{statistics.median(side):.0f} trials a minute" for side in (rate.ours, rate.other)
        ]
        table.add_row(
            f"[bold]{rate.name}",
            *sides,
            f"[{colour}]{rate.ratio:.2f}[/]",
            f"at least {rate.goal:g}",
        )
    words: list[Any] = []
    for values in (pruned.shares, pruned.losses):
        low, high = interval(values)
        words.append(f"{statistics.fmean(values):.3f} ({low:.3f} to {high:.3f})")
    colour = "green" if statistics.fmean(pruned.shares) <= pruned.goal else "red"
    table.add_row(
        "[bold]epochs with the pruner",
        words[0],
        "1",
        f"[{colour}]{words[0]}[/]",
        f"at most {pruned.goal:g}",
    )
    same = sum(loss == 0 for loss in pruned.losses)
    colour = (
        "green" if interval(pruned.losses)[0] <= 0 else "red"
    )  # else the epochs were saved at a price
    price = f"[{colour}]{words[1]}[/]"
    table.add_row(
        "[bold]loss of the best score",
        f"same in {same} of {len(pruned.losses)}",
        "",
        price,
        "no worse",
    )
    return table
