"""What a sweep costs beside a process for each trial and beside a loop; what pruning saves."""

from __future__ import annotations

import contextlib
import copy
import io
import shutil
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import optuna
import pytorch_lightning as pl
from hydra.utils import instantiate
from omegaconf import DictConfig
from optuna.pruners import BasePruner, NopPruner
from optuna.trial import TrialState
from rich.box import SIMPLE_HEAD
from rich.table import Table

from benchmarks import made
from benchmarks.measure import coloured
from benchmarks.processes import run_python
from goodfit.config import tree
from goodfit.config.compose import compose
from goodfit.launch.fit import fit
from goodfit.paths import Paths
from goodfit.search.candidate import interval
from goodfit.task.base import Task
from hydra_plugins.hydra_optuna_sweeper import trial as trials
from hydra_plugins.hydra_optuna_sweeper.config import PRUNERS

PROTOCOL = """\
sweeps    Tracked trainings by `pipelines/train.py -m search=custom`, trials a minute by the study's
          own times, from the first trial's start to the last one's end. Against one process for
          each trial, by the clock, with trials of 2 epochs; against study.optimize around the same
          objective in one process, with 15 epochs: ours also composes and checks each trial, which
          costs the same however long it is. In turns; the ratio of medians.
pruning   Recorded: 120 random configurations are trained once for 15 epochs. Replayed with 20
          seeds: 30 of them in random order, with the default pruner and without; both arms try the
          same points. The mean over the seeds of the share of epochs used, with a 95 % t-interval,
          and of the loss of the best score.
"""
_FIXED = ("experiment=breast_cancer", "trainer=cpu", "loader.batch_size=128")
_SHORT, _LONG = "trainer.max_epochs=2", "trainer.max_epochs=15"
_WIDTHS = (16, 32, 64)
_RATES = (1e-3, 1e-1)
_SPACE = ("model.width=choice(16,32,64)", "optimizer.lr=tag(log,interval(1e-3,1e-1))")
_STUDY = "s"
_TRIALS_A_TURN = 16  # of each worker
# of the replay
_EPOCHS, _RECORDED, _TRIALS, _SEEDS = 15, 120, 30, 20


@dataclass(frozen=True)
class Rate:
    """Trials a minute of both ways in each turn, and the least ratio that is the goal."""

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
    """For each seed: the share of epochs that were trained, and the loss of the best score."""

    shares: list[float]
    losses: list[float]
    goal: float = 0.6


def bench(root: Path, turns: int) -> tuple[list[Rate], Pruned]:
    """Both comparisons in the present folder, about six minutes on two free cores."""
    # else a line for each of the replayed studies
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    # a copy: pipelines/train.py works in the folder above its own, and would write into this one
    app = Path("app").resolve()
    skip = shutil.ignore_patterns("__pycache__", "tuned")
    for name in ("conf", "pipelines", "src"):
        shutil.copytree(root / name, app / name, ignore=skip)
    with contextlib.chdir(app):
        cfg = compose(Path(), [*_FIXED, _LONG])
        numbers, classes = made.labelled_numbers(2_500)
        made.pack(
            Paths("breast_cancer").prepared,
            {"numbers": numbers},
            classes,
            classes=4,
            train=2_000,
            section=tree.data_section(cfg),
        )
        return rates(turns), pruning(cfg)


def rates(turns: int) -> list[Rate]:
    """Each way once, one after the other, `turns` times."""
    paces: dict[str, list[float]] = {name: [] for name in _WAYS}
    for turn in range(turns):
        for name, pace in _WAYS.items():
            paces[name].append(pace(turn))
        latest = ", ".join(f"{name} {values[-1]:.0f}" for name, values in paces.items())
        print(f"trials a minute {turn + 1}/{turns}: {latest}", flush=True)

    short, processes, loop_by_hand = paces["short"], paces["processes"], paces["loop"]
    return [
        Rate("short trials, one worker : a process each", short, processes, 20.0),
        Rate("one worker : a loop by hand", paces["one"], loop_by_hand, 0.9),
        Rate("two workers : a loop by hand", paces["two"], loop_by_hand, 1.6),
    ]


def _sweep(workers: int, epochs: str) -> Callable[[int], float]:
    """The pace of a sweep, as a function of the turn."""

    def pace(turn: int) -> float:
        url = f"sqlite:///sweep-{workers}-{epochs.partition('=')[2]}-{turn}.db"
        sweeper = {
            "n_jobs": workers,
            "n_trials": _TRIALS_A_TURN * workers,
            "storage": url,
            "study_name": _STUDY,
            "listener.top": 0,
            "listener.seeds": 3,
        }
        keys = [f"hydra.sweeper.{key}={value}" for key, value in sweeper.items()]
        choice = ["search=custom", "hydra/sweeper/pruner=none"]
        run_python("pipelines/train.py", "-m", *_FIXED, epochs, *_SPACE, *choice, *keys)
        return _pace(url)

    return pace


def _processes(turn: int) -> float:
    """The pace of trainings by hand, each in a process of its own."""
    widths = _WIDTHS[:2]
    started = time.monotonic()
    for width in widths:
        run_python("pipelines/train.py", *_FIXED, _SHORT, f"model.width={width}", f"seed={turn}")
    return 60 * len(widths) / (time.monotonic() - started)


def _loop(turn: int) -> float:
    url = f"sqlite:///loop-{turn}.db"
    run_python("-c", f"from benchmarks.sweeps import loop; loop({url!r})")
    return _pace(url)


_WAYS: dict[str, Callable[[int], float]] = {
    "short": _sweep(1, _SHORT),
    "processes": _processes,
    "one": _sweep(1, _LONG),
    "loop": _loop,
    "two": _sweep(2, _LONG),
}


def loop(url: str) -> None:
    """A plain study around the same objective in one process, with the same sampler."""
    from goodfit.search.objective import objective

    base = compose(Path(), [*_FIXED, _LONG])
    pruner = {"_target_": "optuna.pruners.NopPruner"}

    def score(trial: optuna.Trial) -> float:
        cfg = copy.deepcopy(base)
        cfg.model.width = trial.suggest_categorical("model.width", _WIDTHS)
        cfg.optimizer.lr = trial.suggest_float("optimizer.lr", *_RATES, log=True)
        running = trials.running(trial, url, pruner=pruner, constraints=[])
        with contextlib.redirect_stdout(io.StringIO()), running:
            value = objective(cfg, [])
        assert value is not None, "one machine trains"
        return value

    sampler = optuna.samplers.TPESampler(seed=0)
    study = optuna.create_study(storage=url, study_name=_STUDY, sampler=sampler, pruner=NopPruner())
    study.optimize(score, n_trials=_TRIALS_A_TURN)


def _pace(url: str) -> float:
    """Trials a minute, by the times that the study has of them."""
    study = optuna.load_study(study_name=_STUDY, storage=url)
    starts = [trial.datetime_start for trial in study.trials if trial.datetime_start]
    ends = [trial.datetime_complete for trial in study.trials if trial.datetime_complete]
    assert len(ends) == len(study.trials), "a trial did not end"
    assert all(trial.state == TrialState.COMPLETE for trial in study.trials), "a trial failed"
    return 60 * len(study.trials) / (max(ends) - min(starts)).total_seconds()


def pruning(cfg: DictConfig) -> Pruned:
    """Replays recorded trainings with the sweeper's default pruner and without."""
    recorded = _record(cfg)
    shares, losses = [], []
    for seed in range(_SEEDS):
        order = np.random.default_rng(seed).choice(len(recorded), _TRIALS, replace=False)
        curves = [recorded[number] for number in order]
        default = instantiate(
            {"_target_": "optuna.pruners.MedianPruner", **PRUNERS["MedianPruner"]}
        )
        epochs, best = _replay(curves, default)
        all_epochs, reference = _replay(curves, NopPruner())
        shares.append(epochs / all_epochs)
        losses.append(best / reference - 1)
    return Pruned(shares, losses)


def _replay(curves: Sequence[Sequence[float]], pruner: BasePruner) -> tuple[int, float]:
    """Epochs used and the best score; that of a trial is its best epoch's, as in a training."""
    study = optuna.create_study(pruner=pruner)
    epochs = 0
    for curve in curves:
        trial = study.ask()
        for step, value in enumerate(curve):
            epochs += 1
            trial.report(value, step)
            if step + 1 < len(curve) and trial.should_prune():
                study.tell(trial, state=TrialState.PRUNED)
                break
        else:  # no break: it was not pruned
            study.tell(trial, min(curve))
    return epochs, study.best_value


def _record(cfg: DictConfig) -> list[list[float]]:
    """The monitored score after each epoch, of trainings with random values."""
    random = np.random.default_rng(0)
    curves = []
    for number in range(1, _RECORDED + 1):
        job = copy.deepcopy(cfg)
        job.model.width = int(random.choice(_WIDTHS))
        job.model.dropout = float(random.uniform(0, 0.5))
        job.optimizer.lr = float(np.exp(random.uniform(np.log(1e-4), np.log(3e-1))))
        job.early_stopping.patience = _EPOCHS  # all curves are of the same length
        validations = _Validations()
        with contextlib.redirect_stdout(io.StringIO()):
            fit(job, callbacks=[validations], keep=False)
        curves.append(validations.values)
        if number % 20 == 0:
            print(f"pruning: {number}/{_RECORDED} recorded", flush=True)
    return curves


class _Validations(pl.Callback):
    """The monitored score after each epoch."""

    def __init__(self) -> None:
        self.values: list[float] = []

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        assert isinstance(pl_module, Task)
        self.values.append(float(trainer.callback_metrics[f"val/{pl_module.monitor}"]))


def table(rates: Sequence[Rate], pruned: Pruned) -> Table:
    """A row for each comparison; red is a goal that was missed."""
    rows = Table("", "ours", "other", "ratio", "goal", box=SIMPLE_HEAD)
    for rate in rates:
        sides = [
            f"{statistics.median(side):.0f} trials a minute" for side in (rate.ours, rate.other)
        ]
        ratio = coloured(f"{rate.ratio:.2f}", good=rate.ratio >= rate.goal)
        rows.add_row(f"[bold]{rate.name}", *sides, ratio, f"at least {rate.goal:g}")

    share = statistics.fmean(pruned.shares)
    text = _mean(pruned.shares)
    ratio = coloured(text, good=share <= pruned.goal)
    rows.add_row("[bold]epochs with the pruner", text, "1", ratio, f"at most {pruned.goal:g}")

    same = f"same in {sum(loss == 0 for loss in pruned.losses)} of {len(pruned.losses)}"
    # else the epochs were saved at a price
    price = coloured(_mean(pruned.losses), good=interval(pruned.losses)[0] <= 0)
    rows.add_row("[bold]loss of the best score", same, "", price, "no worse")
    return rows


def _mean(values: Sequence[float]) -> str:
    low, high = interval(values)
    return f"{statistics.fmean(values):.3f} ({low:.3f} to {high:.3f})"
