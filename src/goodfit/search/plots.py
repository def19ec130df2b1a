"""Pictures of a study for MLflow: history, curves, slices, parallel coordinates, importances.

Optuna's own are drawn for few trials: one bad trial flattens the rest, and every trial has a row in
the legend. Here scores are cut at a robust limit, the best trials are dark and on top, and pruned
ones are grey.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
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
    """Puts the plots into the run's folder `plots`; what a study has too few trials for is left
    out.
    """
    logging.getLogger("matplotlib").setLevel(
        logging.WARNING
    )  # it has remarks on choices that are numbers
    for name, figure in figures(study).items():
        run.client.log_figure(
            run.run_id,
            figure,
            f"plots/{name}.png",
            save_kwargs={"bbox_inches": "tight", "dpi": 110},
        )


def figures(study: optuna.Study) -> dict[str, Figure]:
    """A figure for each name, of a study with one direction."""
    from hydra_plugins.hydra_optuna_sweeper._progress import importances

    if not any(trial.state.name == "COMPLETE" for trial in study.get_trials(deepcopy=False)):
        return {}
    seen = _Seen.of(study)
    drawn: dict[str, Callable[[_Seen], Figure]] = {"history": history}
    if seen.keys:
        drawn |= {"slices": slices, "parallel_coordinates": parallel}
    if any(trial.intermediate_values for trial in seen.complete):
        drawn["curves"] = curves
    found = {name: draw(seen) for name, draw in drawn.items()}
    if shares := importances(study):
        found["importances"] = bars(shares)
    return found


@dataclass(frozen=True)
class _Seen:
    """A study's trials, best last; `limit` is where an axis of scores ends."""

    name: str
    complete: list[FrozenTrial]
    pruned: list[FrozenTrial]
    keys: list[str]
    maximize: bool
    limit: tuple[float, float]

    @classmethod
    def of(cls, study: optuna.Study) -> _Seen:
        maximize = study.direction.name == "MAXIMIZE"
        trials = study.get_trials(deepcopy=False)
        complete = [trial for trial in trials if trial.state.name == "COMPLETE"]
        complete.sort(key=_score, reverse=not maximize)
        pruned = [
            trial for trial in trials if trial.state.name == "PRUNED" and trial.intermediate_values
        ]
        keys = sorted({key for trial in complete for key in trial.params})
        return cls(
            study.study_name,
            complete,
            pruned,
            keys,
            maximize,
            _limit([_score(t) for t in complete], maximize),
        )

    @property
    def best(self) -> FrozenTrial:
        return self.complete[-1]

    def shade(self, place: int) -> tuple[float, float]:
        """How dark a trial is drawn, by its rank, and in which order."""
        rank = place / max(len(self.complete) - 1, 1)
        return 0.15 + 0.85 * rank**2, rank


def history(seen: _Seen) -> Figure:
    """Scores in the order of trials, and the best so far."""
    figure, (axes,) = _panels(1, 1, (8.0, 4.2))
    _dots(axes, [t.number for t in seen.complete], [_score(t) for t in seen.complete], seen)
    last = [
        (trial.number, trial.intermediate_values[max(trial.intermediate_values)])
        for trial in seen.pruned
    ]
    axes.plot(
        *zip(*last, strict=True), "x", color=_GREY, label="pruned, at its last validation"
    ) if last else None
    ordered = sorted(seen.complete, key=lambda trial: trial.number)
    choose = np.maximum if seen.maximize else np.minimum
    best = choose.accumulate([_score(trial) for trial in ordered])
    axes.step(
        [trial.number for trial in ordered], best, where="post", color=_RED, label="best so far"
    )
    axes.set(xlabel="trial", ylabel="objective", title=f"{seen.name}: history", ylim=seen.limit)
    axes.legend(frameon=False)
    return figure


def curves(seen: _Seen) -> Figure:
    """Each trial's validations; a cross is where it was pruned."""
    figure, (axes,) = _panels(1, 1, (8.0, 4.2))
    values = [value for trial in seen.complete for value in trial.intermediate_values.values()]
    for trial in seen.pruned:
        steps = sorted(trial.intermediate_values)
        axes.plot(steps, [trial.intermediate_values[step] for step in steps], color=_GREY, lw=0.8)
        axes.plot(steps[-1], trial.intermediate_values[steps[-1]], "x", color=_GREY, ms=5)
    for place, trial in enumerate(seen.complete):
        steps = sorted(trial.intermediate_values)
        shade, order = seen.shade(place)
        row = [trial.intermediate_values[step] for step in steps]
        axes.plot(steps, row, color=_BLUE, alpha=shade, lw=1 + order, zorder=2 + order)
    axes.plot([], [], color=_BLUE, lw=2, label=f"best: trial {seen.best.number}")
    axes.plot([], [], "x-", color=_GREY, label=f"pruned: {len(seen.pruned)}")
    limit = _limit(values, seen.maximize)
    axes.set(
        xlabel="validation",
        ylabel="objective",
        title=f"{seen.name}: curves of the trials",
        ylim=limit,
    )
    axes.legend(frameon=False)
    return figure


def slices(seen: _Seen) -> Figure:
    """Scores over each hyperparameter by itself."""
    rows = math.ceil(len(seen.keys) / _COLUMNS)
    figure, panels = _panels(rows, min(_COLUMNS, len(seen.keys)), (12.0, 2.9 * rows))
    for axes, key in zip(panels, seen.keys, strict=False):
        having = [trial for trial in seen.complete if key in trial.params]
        places, ticks = _places(having, key)
        _dots(axes, places, [_score(trial) for trial in having], seen)
        axes.set(xlabel=key, ylim=seen.limit)
        if ticks:
            axes.set_xticks(range(len(ticks)), ticks)
            axes.set_xlim(-0.5, len(ticks) - 0.5)
        else:
            _stretch(axes, having[0].distributions[key])
    for axes in panels[len(seen.keys) :]:
        axes.set_visible(False)
    figure.suptitle(f"{seen.name}: objective over each hyperparameter; darker is better")
    return figure


def parallel(seen: _Seen) -> Figure:
    """Each trial as a line through its values; the dark ones are the best."""
    figure, (axes,) = _panels(1, 1, (max(8.0, 1.6 * len(seen.keys)), 4.6))
    scales = {key: _scale([t for t in seen.complete if key in t.params], key) for key in seen.keys}
    for place, trial in enumerate(seen.complete):
        shade, order = seen.shade(place)
        row = [
            scales[key][0](trial.params[key]) if key in trial.params else math.nan
            for key in seen.keys
        ]
        axes.plot(row, "o-", color=_BLUE, alpha=shade, lw=1 + order, ms=3, zorder=2 + order)
    for column, key in enumerate(seen.keys):
        axes.axvline(column, color=_GREY, lw=0.8, zorder=1)
        for height, word in scales[key][1]:
            axes.text(column + 0.04, height, word, fontsize=8, color="#555555", zorder=9)
    axes.set_xticks(range(len(seen.keys)), [key.replace(".", ".\n") for key in seen.keys])
    axes.set(
        yticks=[],
        ylim=(-0.04, 1.04),
        xlim=(-0.1, len(seen.keys) - 0.5),
        title=f"{seen.name}: values of each trial; darker is better",
    )
    return figure


def bars(shares: dict[str, float]) -> Figure:
    """The share of each hyperparameter in the variance of the scores."""
    figure, (axes,) = _panels(1, 1, (8.0, 0.9 + 0.38 * len(shares)))
    drawn = axes.barh(list(shares)[::-1], list(shares.values())[::-1], color=_BLUE)
    axes.bar_label(drawn, fmt="%.2f", padding=3)
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


def _dots(axes: Axes, places: Any, scores: list[float], seen: _Seen) -> None:
    shades = [seen.shade(place)[0] for place in range(len(scores))]
    kept = np.clip(scores, *seen.limit)  # an outlier lies on the edge
    axes.scatter(places, kept, s=28, color=_BLUE, alpha=shades, zorder=3, clip_on=False)  # type: ignore[arg-type]


def _score(trial: FrozenTrial) -> float:
    return float(trial.values[0])


def _limit(scores: list[float], maximize: bool) -> tuple[float, float]:
    """From the best to a little beyond the third quartile by twice the distance to it: outliers
    fall off the edge.
    """
    ordered = np.sort(scores)[::-1] if maximize else np.sort(scores)
    best, quartile, worst = (
        float(ordered[0]),
        float(np.quantile(ordered, 0.25 if maximize else 0.75)),
        float(ordered[-1]),
    )
    reach = min(abs(worst - best), 3 * abs(quartile - best)) or abs(best) * 0.1 or 1.0
    low, high = (best - reach, best) if maximize else (best, best + reach)
    return low - 0.06 * reach, high + 0.06 * reach


def _stretch(axes: Axes, found: Any) -> None:
    """The axis shows the whole range that was searched, with a few round numbers."""
    from matplotlib.ticker import NullFormatter

    if found.log:
        axes.set_xscale("log")
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_xlim(found.low / 1.15, found.high * 1.15)
        return
    margin = 0.04 * (found.high - found.low)
    axes.set_xlim(found.low - margin, found.high + margin)
    axes.locator_params(axis="x", integer=isinstance(found, IntDistribution), nbins=5)


def _places(trials: list[FrozenTrial], key: str) -> tuple[list[Any], list[str]]:
    """Where each trial stands on the axis of `key`, and the names of the places where they are
    choices.
    """
    found = trials[0].distributions[key]
    if not isinstance(found, CategoricalDistribution):
        return [trial.params[key] for trial in trials], []
    return [found.choices.index(trial.params[key]) for trial in trials], [
        str(choice) for choice in found.choices
    ]


def _scale(
    trials: list[FrozenTrial], key: str
) -> tuple[Callable[[Any], float], list[tuple[float, str]]]:
    """A hyperparameter's values as heights from 0 to 1, and the words beside its axis."""
    found: Any = trials[0].distributions[key]
    if isinstance(found, CategoricalDistribution):
        last = max(len(found.choices) - 1, 1)
        words = [(place / last, str(choice)) for place, choice in enumerate(found.choices)]
        return lambda value: found.choices.index(value) / last, words
    form: Callable[[float], float] = math.log if found.log else float
    low, high = form(found.low), form(found.high)
    width = (high - low) or 1.0
    return lambda value: (form(value) - low) / width, [
        (0.0, f"{found.low:.3g}"),
        (1.0, f"{found.high:.3g}"),
    ]
