"""What a sweep shows: a line for each trial that ended, a summary that stays below, a table at the end."""

from __future__ import annotations

import time
import warnings
from collections.abc import Sequence
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from hydra_plugins.hydra_optuna_sweeper import _study as studies

_BEST = 5  # rows of the table
_WORDS = {TrialState.COMPLETE: "complete", TrialState.PRUNED: "pruned", TrialState.FAIL: "failed"}
_COLOURS = {TrialState.COMPLETE: "green", TrialState.PRUNED: "yellow", TrialState.FAIL: "red"}


class Progress:
    """Lines on the terminal, or in the file that the output is piped to."""

    def __init__(self, study: optuna.Study, n_trials: int, timeout: float | None) -> None:
        self.study, self.n_trials, self.timeout = study, n_trials, timeout
        self.console = Console(soft_wrap=True, highlight=False)
        self._started, self._before = time.monotonic(), studies.done(studies.counts(study))
        # no thread that could hold a lock when a worker is forked, no stdout that a worker would inherit
        self._live = Live(
            console=self.console,
            auto_refresh=False,
            redirect_stdout=False,
            redirect_stderr=False,
            get_renderable=self._summary,
        )

    def __enter__(self) -> Progress:
        if self.console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_error: object) -> None:
        if self.console.is_terminal:
            self._live.stop()
        else:
            self.console.print(self._summary())

    def ended(self, trial: FrozenTrial) -> None:
        """One line; into a file, with the summary behind it."""
        values = f"{_value(trial.values)}" if trial.state == TrialState.COMPLETE else _why(trial)
        line = Text(f"trial {trial.number:>3}  ")
        line.append(f"{_WORDS[trial.state]:<8}", _COLOURS[trial.state])
        line.append(f"  {values}  {_point(trial)}  {_seconds(trial)} s")
        if not self.console.is_terminal:
            line.append(f"  [{self._summary()}]")
        self.console.print(line)
        if self.console.is_terminal:
            self._live.refresh()

    def _summary(self) -> Text:
        found = studies.counts(self.study)
        parts = [f"{studies.done(found)}/{self.n_trials} trials"]
        names = {"complete": "complete", "pruned": "pruned", "fail": "failed", "cut": "cut and tried again"}
        parts += [f"{found[key]} {name}" for key, name in names.items() if found[key] or key == "complete"]
        if best := _best(self.study):
            parts.append(f"best {_value(best.values)} (trial {best.number})")
        if left := self._left(studies.done(found)):
            parts.append(left)
        return Text(", ".join(parts), style="dim")

    def _left(self, done: int) -> str:
        passed, here = time.monotonic() - self._started, done - self._before
        if not here or done >= self.n_trials:
            return ""
        seconds = passed / here * (self.n_trials - done)
        if self.timeout is not None:
            seconds = min(seconds, max(0.0, self.timeout - passed))
        return f"about {_duration(seconds)} left"

    def end(self) -> None:
        """The best trials, what mattered, and how many there were of each kind."""
        if len(self.study.directions) > 1:
            self._table("solutions that no other is better than in everything", self.study.best_trials)
            return
        complete = self.study.get_trials(deepcopy=False, states=[TrialState.COMPLETE])
        maximize = self.study.direction == optuna.study.StudyDirection.MAXIMIZE
        ordered = sorted(complete, key=lambda trial: trial.values[0], reverse=maximize)
        self._table("best trials", ordered[:_BEST])
        if found := importances(self.study):
            shares = "  ".join(f"{key} {share:.2f}" for key, share in found.items())
            self.console.print(f"importance of each hyperparameter (they sum to 1): {shares}")

    def _table(self, title: str, trials: Sequence[FrozenTrial]) -> None:
        """A column for each trial: there may be many hyperparameters."""
        table = Table("trial", box=SIMPLE_HEAD, title=title, title_justify="left")
        for trial in trials:
            table.add_column(str(trial.number), justify="right")
        table.add_row("value", *(_value(trial.values) for trial in trials))
        for key in dict.fromkeys(key for trial in trials for key in trial.params):
            table.add_row(key, *(_short(trial.params[key]) if key in trial.params else "" for trial in trials))
        table.add_row(
            "seconds", *(f"{trial.duration.total_seconds():.1f}" if trial.duration else "" for trial in trials)
        )
        Console(width=max(self.console.width, 100), highlight=False).print(table)


def importances(study: optuna.Study) -> dict[str, float]:
    """The share of each hyperparameter in the variance of the results (fANOVA, Hutter et al. 2014).

    Empty where there are fewer than four complete trials, or where all of them have the same value.
    """
    complete = study.get_trials(deepcopy=False, states=[TrialState.COMPLETE])
    if len(study.directions) > 1 or len(complete) < 4 or len({trial.values[0] for trial in complete}) == 1:
        return {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
            return optuna.importance.get_param_importances(study, evaluator=evaluator)
        except (ValueError, RuntimeError):  # conditional spaces may leave no hyperparameter that all trials have
            return {}


def _seconds(trial: FrozenTrial) -> str:
    return f"{trial.duration.total_seconds():.1f}" if trial.duration else ""


def _best(study: optuna.Study) -> FrozenTrial | None:
    try:
        return study.best_trial if len(study.directions) == 1 else None
    except ValueError:
        return None


def _why(trial: FrozenTrial) -> str:
    if trial.state == TrialState.PRUNED:
        said = trial.user_attrs.get("pruned", f"after step {trial.last_step}")
    else:
        said = trial.user_attrs.get(studies.REASON, "")
    words = str(said).split("\n")[0][:160]
    return "".join(letter for letter in words if letter.isprintable())  # a job's error may hold colours


def _point(trial: FrozenTrial) -> str:
    return " ".join(f"{key}={_short(value)}" for key, value in trial.params.items())


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _value(values: Sequence[float] | None) -> str:
    return " ".join(f"{value:.6g}" for value in values or [])


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
