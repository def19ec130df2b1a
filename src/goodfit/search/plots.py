"""Plots of a study for MLflow: history, curves, slices, parallel coordinates, importances.

Optuna's own suit few trials: one bad trial flattens the rest, and every trial has a row in the
legend. Here scores are cut at a robust limit, the best trials are dark and on top, and pruned ones
are grey.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from optuna.distributions import CategoricalDistribution, IntDistribution

if TYPE_CHECKING:
    import optuna
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from optuna.trial import FrozenTrial

    from goodfit.tracking.runs import Run

_COLUMNS = 4  # of slices
_GREY, _BLUE, _RED = "#b8b8b8", "#1f5fa8", "#c0392b"


def log(run: Run, study: optuna.Study) -> None:
    """Puts the plots into the run's folder `plots`, less those for which trials are too few."""
    # it has remarks on choices that are numbers
    logging.getLogger("matplotlib").setLevel(logging.WARNING)
    for name, figure in figures(study).items():
        run.client.log_figure(
            run.run_id,
            figure,
            f"plots/{name}.png",
            save_kwargs={"bbox_inches": "tight", "dpi": 110},
        )


def figures(study: optuna.Study) -> dict[str, Figure]:
    """The plots of a study with one direction by their names; none without a complete trial."""
    from hydra_plugins.hydra_optuna_sweeper._progress import importances

    trials = StudyTrials.of(study)
    if not trials.complete:
        return {}

    drawn = {"history": history(trials)}
    if trials.keys:
        drawn["slices"] = slices(trials)
        drawn["parallel_coordinates"] = parallel_coordinates(trials)
    if any(trial.intermediate_values for trial in trials.complete):
        drawn["curves"] = curves(trials)
    shares = importances(study)
    if shares:
        drawn["importances"] = importance_bars(shares)
    return drawn


@dataclass(frozen=True)
class StudyTrials:
    """A study's trials as they are drawn; `keys` are the hyperparameters of any of them."""

    name: str
    complete: list[FrozenTrial]  # best last, so that it is drawn on top
    pruned: list[FrozenTrial]  # that have a validation
    keys: list[str]
    maximize: bool

    @classmethod
    def of(cls, study: optuna.Study) -> StudyTrials:
        """Reads them from the study."""
        maximize = study.direction.name == "MAXIMIZE"
        trials = study.get_trials(deepcopy=False)
        complete = [trial for trial in trials if trial.state.name == "COMPLETE"]
        complete.sort(key=_score, reverse=not maximize)
        pruned = [trial for trial in trials if trial.state.name == "PRUNED"]
        return cls(
            name=study.study_name,
            complete=complete,
            pruned=[trial for trial in pruned if trial.intermediate_values],
            keys=sorted({key for trial in complete for key in trial.params}),
            maximize=maximize,
        )

    @property
    def best(self) -> FrozenTrial:
        """The complete trial with the best score."""
        return self.complete[-1]

    @property
    def score_limits(self) -> tuple[float, float]:
        """The ends of an axis of scores."""
        return _limits([_score(trial) for trial in self.complete], self.maximize)

    def ranks(self) -> dict[int, float]:
        """From 0 for the worst complete trial to 1 for the best, by the trial's number."""
        last = max(len(self.complete) - 1, 1)
        return {trial.number: index / last for index, trial in enumerate(self.complete)}


def history(trials: StudyTrials) -> Figure:
    """Scores in the order of trials, and the best so far."""
    figure, (axes,) = _panels(1, 1, (8.0, 4.2))
    _scatter_scores(axes, [trial.number for trial in trials.complete], trials.complete, trials)
    if trials.pruned:
        numbers = [trial.number for trial in trials.pruned]
        last_values = [_curve(trial)[1][-1] for trial in trials.pruned]
        label = "pruned, at its last validation"
        axes.plot(numbers, last_values, "x", color=_GREY, label=label)

    by_number = sorted(trials.complete, key=lambda trial: trial.number)
    better = np.maximum if trials.maximize else np.minimum
    best = better.accumulate([_score(trial) for trial in by_number])
    numbers = [trial.number for trial in by_number]
    axes.step(numbers, best, where="post", color=_RED, label="best so far")

    axes.set(xlabel="trial", ylabel="objective", title=f"{trials.name}: history")
    axes.set_ylim(trials.score_limits)
    axes.legend(frameon=False)
    return figure


def curves(trials: StudyTrials) -> Figure:
    """The validations of each trial; a cross is where it was pruned."""
    figure, (axes,) = _panels(1, 1, (8.0, 4.2))
    for trial in trials.pruned:
        steps, values = _curve(trial)
        axes.plot(steps, values, color=_GREY, lw=0.8)
        axes.plot(steps[-1], values[-1], "x", color=_GREY, ms=5)

    ranks = trials.ranks()
    all_values: list[float] = []
    for trial in trials.complete:
        steps, values = _curve(trial)
        all_values += values
        axes.plot(steps, values, **_line_style(ranks[trial.number]))

    axes.plot([], [], color=_BLUE, lw=2, label=f"best: trial {trials.best.number}")
    axes.plot([], [], "x-", color=_GREY, label=f"pruned: {len(trials.pruned)}")
    axes.set(xlabel="validation", ylabel="objective", title=f"{trials.name}: curves of the trials")
    axes.set_ylim(_limits(all_values, trials.maximize))
    axes.legend(frameon=False)
    return figure


def slices(trials: StudyTrials) -> Figure:
    """Scores over each hyperparameter by itself."""
    rows = math.ceil(len(trials.keys) / _COLUMNS)
    columns = min(_COLUMNS, len(trials.keys))
    figure, panels = _panels(rows, columns, (12.0, 2.9 * rows))
    for axes, key in zip(panels, trials.keys, strict=False):
        _draw_slice(axes, key, trials)
    for axes in panels[len(trials.keys) :]:
        axes.set_visible(False)
    figure.suptitle(f"{trials.name}: objective over each hyperparameter; darker is better")
    return figure


def parallel_coordinates(trials: StudyTrials) -> Figure:
    """Each trial as a line through its values; the dark ones are the best."""
    width = max(8.0, 1.6 * len(trials.keys))
    figure, (axes,) = _panels(1, 1, (width, 4.6))
    coordinates = [Coordinate.of(trials.complete, key) for key in trials.keys]
    ranks = trials.ranks()
    for trial in trials.complete:
        heights = [coordinate.height(trial) for coordinate in coordinates]
        axes.plot(heights, marker="o", ms=3, **_line_style(ranks[trial.number]))

    for column, coordinate in enumerate(coordinates):
        axes.axvline(column, color=_GREY, lw=0.8, zorder=1)
        for height, label in coordinate.labels:
            axes.text(column + 0.04, height, label, fontsize=8, color="#555555", zorder=9)
    # a line for each part of a dotted name
    axes.set_xticks(range(len(trials.keys)), [key.replace(".", ".\n") for key in trials.keys])
    axes.set(
        yticks=[],
        ylim=(-0.04, 1.04),
        xlim=(-0.1, len(trials.keys) - 0.5),
        title=f"{trials.name}: values of each trial; darker is better",
    )
    return figure


@dataclass(frozen=True)
class Coordinate:
    """A hyperparameter's axis among parallel ones, from 0 at its foot to 1 at its top."""

    key: str
    scale: Callable[[Any], float]  # a value's height
    labels: list[tuple[float, str]]  # each at its height

    @classmethod
    def of(cls, trials: Sequence[FrozenTrial], key: str) -> Coordinate:
        """The axis of the range that `key` was searched in."""
        distribution = _distribution(trials, key)
        if isinstance(distribution, CategoricalDistribution):
            choices = distribution.choices
            last = max(len(choices) - 1, 1)
            labels = [(index / last, str(choice)) for index, choice in enumerate(choices)]
            return cls(key, lambda value: choices.index(value) / last, labels)

        transform: Callable[[float], float] = math.log if distribution.log else float
        low = transform(distribution.low)
        width = (transform(distribution.high) - low) or 1.0
        ends = [(0.0, f"{distribution.low:.3g}"), (1.0, f"{distribution.high:.3g}")]
        return cls(key, lambda value: (transform(value) - low) / width, ends)

    def height(self, trial: FrozenTrial) -> float:
        """Where the trial's line crosses the axis; NaN, a gap, if it has no such hyperparameter."""
        return self.scale(trial.params[self.key]) if self.key in trial.params else math.nan


def importance_bars(shares: dict[str, float]) -> Figure:
    """The share of each hyperparameter in the variance of the scores."""
    figure, (axes,) = _panels(1, 1, (8.0, 0.9 + 0.38 * len(shares)))
    bars = axes.barh(list(shares)[::-1], list(shares.values())[::-1], color=_BLUE)
    axes.bar_label(bars, fmt="%.2f", padding=3)
    axes.set(xlim=(0, 1.1 * max(shares.values())), title="importance (fANOVA; the shares sum to 1)")
    axes.grid(visible=False)
    return figure


def _panels(rows: int, columns: int, size: tuple[float, float]) -> tuple[Figure, list[Axes]]:
    """A figure of its own, not pyplot's: nothing to close, no backend to choose."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")
    panels = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axes in panels:
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(color="#eeeeee")
        axes.set_axisbelow(True)
    return figure, panels


def _draw_slice(axes: Axes, key: str, trials: StudyTrials) -> None:
    having = [trial for trial in trials.complete if key in trial.params]
    distribution = _distribution(having, key)
    values = [trial.params[key] for trial in having]
    if isinstance(distribution, CategoricalDistribution):
        choices = distribution.choices
        _scatter_scores(axes, [choices.index(value) for value in values], having, trials)
        axes.set_xticks(range(len(choices)), [str(choice) for choice in choices])
        axes.set_xlim(-0.5, len(choices) - 0.5)
    else:
        _scatter_scores(axes, values, having, trials)
        _show_whole_range(axes, distribution)
    axes.set(xlabel=key)
    axes.set_ylim(trials.score_limits)


def _scatter_scores(
    axes: Axes, positions: Sequence[float], drawn: Sequence[FrozenTrial], trials: StudyTrials
) -> None:
    """A dot for each trial of `drawn`; an outlier lies on the edge."""
    ranks = trials.ranks()
    opacities = [_opacity(ranks[trial.number]) for trial in drawn]
    scores = np.clip([_score(trial) for trial in drawn], *trials.score_limits)
    axes.scatter(positions, scores, s=28, color=_BLUE, alpha=opacities, zorder=3, clip_on=False)  # type: ignore[arg-type]


def _line_style(rank: float) -> dict[str, Any]:
    """Better trials are darker, thicker and on top."""
    return {"color": _BLUE, "alpha": _opacity(rank), "lw": 1 + rank, "zorder": 2 + rank}


def _opacity(rank: float) -> float:
    return 0.15 + 0.85 * rank**2


def _score(trial: FrozenTrial) -> float:
    return float(trial.values[0])


def _curve(trial: FrozenTrial) -> tuple[list[int], list[float]]:
    """Steps and values of the trial's validations."""
    steps = sorted(trial.intermediate_values)
    return steps, [trial.intermediate_values[step] for step in steps]


def _distribution(trials: Sequence[FrozenTrial], key: str) -> Any:
    """The range that a hyperparameter was searched in, by the first trial that has it."""
    return next(trial.distributions[key] for trial in trials if key in trial.params)


def _limits(scores: Sequence[float], maximize: bool) -> tuple[float, float]:
    """The ends of an axis: from the best score to three times the distance of the third quartile.

    It ends at the worst score where that is nearer; outliers lie on the edge.
    """
    ordered = np.sort(scores)[::-1] if maximize else np.sort(scores)
    best = float(ordered[0])
    worst = float(ordered[-1])
    quartile = float(np.quantile(ordered, 0.25 if maximize else 0.75))

    reach = min(abs(worst - best), 3 * abs(quartile - best))
    if reach == 0:  # all scores that count are equal
        reach = abs(best) * 0.1 or 1.0
    low, high = (best - reach, best) if maximize else (best, best + reach)
    margin = 0.06 * reach
    return low - margin, high + margin


def _show_whole_range(axes: Axes, distribution: Any) -> None:
    """The axis shows all that was searched, with a few round numbers."""
    from matplotlib.ticker import NullFormatter

    if distribution.log:
        axes.set_xscale("log")
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_xlim(distribution.low / 1.15, distribution.high * 1.15)
        return
    margin = 0.04 * (distribution.high - distribution.low)
    axes.set_xlim(distribution.low - margin, distribution.high + margin)
    is_whole = isinstance(distribution, IntDistribution)
    axes.locator_params(axis="x", integer=is_whole, nbins=5)
