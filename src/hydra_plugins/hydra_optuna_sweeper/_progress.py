"""What a sweep shows: a line for each trial that ended, a summary below, a table at the end."""

from __future__ import annotations

import os
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

_TABLE_ROWS = 5  # best trials
_FILE_WIDTH = 100
_UNLIMITED = 10_000
_MIN_TRIALS = 4  # complete ones, for importances
_LABELS = {
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
}
_COLOURS = {TrialState.COMPLETE: "green", TrialState.PRUNED: "yellow", TrialState.FAIL: "red"}


class Progress:
    """Lines on the terminal, or in the file that the output is piped to."""

    def __init__(self, study: optuna.Study, n_trials: int, timeout: float | None) -> None:
        self.study = study
        self.n_trials = n_trials
        self.timeout = timeout
        # no markup: a value such as [relu,tanh] would be taken for a style, and not be shown
        self.console = Console(soft_wrap=True, highlight=False, markup=False)
        self._start_time = time.monotonic()
        self._n_before = studies.counts(study).finished
        # no thread that could hold a lock when a worker is forked, no stdout that a worker would
        # inherit
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

    def trial_ended(self, trial: FrozenTrial) -> None:
        """Prints one line; into a file, with the summary behind it."""
        is_complete = trial.state == TrialState.COMPLETE
        result = _format_values(trial.values) if is_complete else _reason(trial)
        line = Text(f"trial {trial.number:>3}  ")
        line.append(f"{_LABELS[trial.state]:<8}", _COLOURS[trial.state])
        line.append(f"  {result}  {_format_params(trial)}  {_format_seconds(trial)} s")

        if self.console.is_terminal:
            self.console.print(line)
            self._live.refresh()
        else:
            line.append(f"  [{self._summary()}]")
            self.console.print(line)

    def print_results(self) -> None:
        """The best trials, and the importance of each hyperparameter."""
        if len(self.study.directions) > 1:
            self._print_table("Pareto-optimal trials", self.study.best_trials)
            return

        complete = self.study.get_trials(deepcopy=False, states=[TrialState.COMPLETE])
        maximize = self.study.direction == optuna.study.StudyDirection.MAXIMIZE
        ordered = sorted(complete, key=lambda trial: trial.values[0], reverse=maximize)
        self._print_table("best trials", ordered[:_TABLE_ROWS])

        shares = importances(self.study)
        if shares:
            text = "  ".join(f"{key} {share:.2f}" for key, share in shares.items())
            self.console.print(f"importance of each hyperparameter (they sum to 1): {text}")

    def _summary(self) -> Text:
        counts = studies.counts(self.study)
        parts = [f"{counts.finished}/{self.n_trials} trials", f"{counts.complete} complete"]
        others = {
            "pruned": counts.pruned,
            "failed": counts.failed,
            "interrupted and retried": counts.interrupted,
        }
        parts += [f"{count} {label}" for label, count in others.items() if count]

        best = _best_trial(self.study)
        if best:
            parts.append(f"best {_format_values(best.values)} (trial {best.number})")
        seconds = self._seconds_left(counts.finished)
        if seconds is not None:
            parts.append(f"about {_format_duration(seconds)} left")
        return Text(", ".join(parts), style="dim")

    def _seconds_left(self, n_finished: int) -> float | None:
        """Estimated from this sweep's own trials; None before the first and after the last one."""
        elapsed = time.monotonic() - self._start_time
        n_here = n_finished - self._n_before
        if not n_here or n_finished >= self.n_trials:
            return None

        seconds = elapsed / n_here * (self.n_trials - n_finished)
        if self.timeout is not None:
            seconds = min(seconds, max(0.0, self.timeout - elapsed))
        return seconds

    def _print_table(self, title: str, trials: Sequence[FrozenTrial]) -> None:
        """As many of the trials as the terminal is wide for; nobody says how wide a file is."""
        told = self.console.is_terminal or os.environ.get("COLUMNS")
        width = self.console.width if told else max(self.console.width, _FILE_WIDTH)
        console = Console(width=width, highlight=False, markup=False)
        unlimited = console.options.update(max_width=_UNLIMITED)

        shown = len(trials)
        while shown > 1:
            if console.measure(_table(title, trials[:shown]), options=unlimited).maximum <= width:
                break
            shown -= 1
        console.print(_table(title, trials[:shown]))


def _table(title: str, trials: Sequence[FrozenTrial]) -> Table:
    """A column for each trial: there may be many hyperparameters."""
    table = Table(box=SIMPLE_HEAD, title=title, title_justify="left")
    table.add_column("trial", overflow="fold")
    for trial in trials:
        table.add_column(str(trial.number), justify="right", overflow="fold")

    table.add_row("value", *(_format_values(trial.values) for trial in trials))
    for key in dict.fromkeys(key for trial in trials for key in trial.params):
        table.add_row(key, *(_format_param(trial, key) for trial in trials))
    table.add_row("seconds", *(_format_seconds(trial) for trial in trials))
    return table


def importances(study: optuna.Study) -> dict[str, float]:
    """The share of each hyperparameter in the variance of the results (fANOVA, Hutter et al. 2014).

    Empty where there are several objectives, fewer than four complete trials, or only one value, or
    where scikit-learn, which Optuna uses for it, is not installed.
    """
    complete = study.get_trials(deepcopy=False, states=[TrialState.COMPLETE])
    if len(study.directions) > 1 or len(complete) < _MIN_TRIALS:
        return {}
    if len({trial.values[0] for trial in complete}) == 1:
        return {}

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
            return optuna.importance.get_param_importances(study, evaluator=evaluator)
        # conditional spaces may leave no hyperparameter that all trials have
        except (ImportError, ValueError, RuntimeError):
            return {}


def _best_trial(study: optuna.Study) -> FrozenTrial | None:
    if len(study.directions) > 1:
        return None
    try:
        return study.best_trial
    except ValueError:  # none is complete
        return None


def _reason(trial: FrozenTrial) -> str:
    """Why it was pruned or failed, on one line."""
    if trial.state == TrialState.PRUNED:
        reason = trial.user_attrs.get("pruned", f"after step {trial.last_step}")
    else:
        reason = trial.user_attrs.get(studies.REASON, "")
    line = str(reason).split("\n")[0][:160]
    return "".join(letter for letter in line if letter.isprintable())  # an error may hold colours


def _format_params(trial: FrozenTrial) -> str:
    return " ".join(f"{key}={_format_param(trial, key)}" for key in trial.params)


def _format_param(trial: FrozenTrial, key: str) -> str:
    """Nothing where the trial has no such hyperparameter."""
    value: Any = trial.params.get(key, "")
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _format_values(values: Sequence[float] | None) -> str:
    return " ".join(f"{value:.6g}" for value in values or [])


def _format_seconds(trial: FrozenTrial) -> str:
    return f"{trial.duration.total_seconds():.1f}" if trial.duration else ""


def _format_duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
