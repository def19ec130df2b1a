"""The picture of a learning curve for MLflow and a folder: points, power laws, twice the data."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from goodfit.records.curve import LearningCurve, MethodCurve

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLOURS = ("#1f5fa8", "#c0392b", "#6b7280", "#8a6d3b", "#4b7f52")  # the network, the strong one
_DPI = 110


def save(found: LearningCurve, path: Path) -> None:
    """Writes the picture as a PNG."""
    # it has remarks on fonts
    logging.getLogger("matplotlib").setLevel(logging.WARNING)
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.6, 4.6), layout="constrained")
    axes = figure.subplots()
    for index, method in enumerate(found.methods):
        _draw(axes, found, method, index)
    _label(axes, found)
    figure.savefig(path, dpi=_DPI)


def _draw(axes: Axes, found: LearningCurve, method: MethodCurve, index: int) -> None:
    """The means with their intervals, the curve through them, and its band."""
    colour = _COLOURS[index % len(_COLOURS)]
    is_main = index < 2
    # beside each other, where they would hide each other
    samples = [
        size.samples * 1.015 ** (index - 0.5 * (len(found.methods) - 1)) for size in found.sizes
    ]
    values = [mean.value for mean in method.means]
    below = [mean.value - mean.low for mean in method.means]
    above = [mean.high - mean.value for mean in method.means]
    axes.errorbar(
        samples,
        values,
        yerr=[below, above],
        fmt="o",
        color=colour,
        ms=5 if is_main else 3,
        lw=1.2 if is_main else 0.7,
        capsize=2,
        label=method.title,
        zorder=3,
    )
    measured = [point for point in method.curve if point.samples <= found.sizes[-1].samples * 1.001]
    for points, style in ((measured, "-"), (method.curve[len(measured) - 1 :], "--")):
        xs, ys = [point.samples for point in points], [point.score.value for point in points]
        axes.plot(xs, ys, style, color=colour, lw=1.6 if is_main else 0.9)
    if is_main:
        xs = [point.samples for point in method.curve]
        low = [point.score.low for point in method.curve]
        high = [point.score.high for point in method.curve]
        axes.fill_between(xs, low, high, color=colour, alpha=0.13, lw=0)


def _label(axes: Axes, found: LearningCurve) -> None:
    """Scales, the place of all of train, and what is foretold of twice the data."""
    from matplotlib.ticker import NullFormatter

    whole, doubled = found.doubled / 2, found.doubled
    axes.set_xscale("log")
    marks = [*(size.samples for size in found.sizes), doubled]
    axes.set_xticks(marks, [f"{mark:,.0f}" for mark in marks])
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.tick_params(axis="x", which="minor", length=0)
    axes.axvline(whole, color="#999999", lw=0.8, ls=":")
    _limit(axes, found)
    ends = axes.get_ylim()
    axes.text(whole, ends[1], " foretold", va="top", ha="left", color="#666666", fontsize=8)
    axes.set_xlabel("samples of train (log scale)")
    axes.set_ylabel(f"{found.score} on validation")
    seeds = f"{len(found.seeds)} seed{'s' * (len(found.seeds) != 1)}"
    axes.set_title(
        f"{found.experiment}: what more data bring, {seeds}, 95 % intervals", fontsize=11
    )
    axes.grid(axis="y", color="#e5e5e5", lw=0.6)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.legend(frameon=False, loc="best", fontsize=9)


def _limit(axes: Axes, found: LearningCurve) -> None:
    """The axis ends a little beyond all means and their intervals: a wide band runs out of it."""
    means = [mean for method in found.methods for mean in method.means]
    bounds = [mean.low for mean in means] + [mean.high for mean in means]
    bounds += [point.score.value for method in found.methods[:2] for point in method.curve]
    margin = 0.06 * (max(bounds) - min(bounds) or 1.0)
    axes.set_ylim(min(bounds) - margin, max(bounds) + margin)
