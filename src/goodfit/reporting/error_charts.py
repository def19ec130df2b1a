"""Charts of where a model errs: confusion, calibration, residuals, error by step, forecasts."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from markupsafe import Markup

from goodfit.errors import UserError
from goodfit.records import Chart
from goodfit.reporting import words
from goodfit.reporting.charts import (
    LEFT,
    RIGHT,
    WIDTH,
    Line,
    Scale,
    axis_x,
    axis_y,
    cut,
    element,
    lines,
    picture,
    span,
    text,
)
from goodfit.reporting.facts import Experiment
from goodfit.reporting.words import MINUS, fixed, number, share

Z = 1.96  # 95 % of a normal distribution


class Drawn(NamedTuple):
    """A chart with its title, and what a reader should look for in it."""

    title: str
    picture: Markup
    caption: str


def draw(chart: Chart, experiment: Experiment) -> Drawn:
    """The picture that belongs to the form of a chart."""
    numbers, unit, step = chart.data, experiment.unit, experiment.step
    match chart.form:
        case "confusion":
            return Drawn(
                chart.title,
                confusion(numbers["counts"], numbers["labels"]),
                "Shade: the square root of the share of the row, so that rare errors can be seen.",
            )
        case "reliability":
            caption = (
                f"Expected calibration error {numbers['ece']:.3f}: the mean distance of confidence and "
                "accuracy. Below the dashed line the network is too sure of itself. Bars are 95 % intervals."
            )
            return Drawn(chart.title, reliability(numbers), caption)
        case "residuals":
            return Drawn(chart.title, residuals(numbers, unit), _spread(numbers))
        case "scatter":
            caption = "Each dot is a test sample; on the dashed line the prediction is right."
            return Drawn(chart.title, scatter(numbers, unit), caption)
        case "by_step":
            caption = "Where in the horizon the network wins or loses."
            return Drawn(chart.title, by_step(numbers["errors"], unit, step), caption)
        case "forecast":
            name = f"Test sample {numbers['row']}"
            picture_ = forecast(name, numbers["curves"], unit=unit, step=step)
            return Drawn(chart.title, picture_, chart.title)
    raise UserError(f"a task asks for a chart of the form '{chart.form}', which no report can draw")


def _spread(found: Mapping[str, Any]) -> str:
    """How large the errors are, in a sentence."""
    shares = []
    for part, size in found["within"].items():
        shares.append(f"{share(float(part), 1)} lie within ±{number(size)}")
    mean = number(found["mean"], sign=True)
    return f"Of all errors {', '.join(shares)}. Their mean, the bias, is {mean}."


def _of(step: str | None) -> str:
    return f" of {step}" if step else ""


def confusion(counts: Sequence[Sequence[int]], labels: Sequence[str]) -> Markup:
    """Counts as a heat map, shaded by the share of the row; right and wrong have different colours."""
    names = [cut(label, 14) for label in labels]
    left = 20 + max(14.0, 6.6 * max(map(len, names)))
    side = min(124.0, (WIDTH - left - 6) / len(labels))
    tilted = max(map(len, names)) * 6.6 > side
    top = 42.0 + (max(map(len, names)) * 4.8 if tilted else 0)
    parts = [text(left + side * len(names) / 2, 12, "prediction", "small", "middle")]
    parts.append(text(left - 8, top - 8, "truth", "small", "end"))
    for place, name in enumerate(names):
        middle = (place + 0.5) * side
        parts.append(text(left - 8, top + middle + 4, name, "label", "end"))
        turn = f"rotate(-45 {left + middle:.1f} {top - 8:.1f})" if tilted else None
        parts.append(
            element(
                "text",
                name,
                x=left + middle - (4 if tilted else 0),
                y=top - 8,
                class_="label",
                text_anchor=None if tilted else "middle",
                transform=turn,
            )
        )
    for row, line in enumerate(counts):
        for column, count in enumerate(line):
            corner = left + column * side, top + row * side
            parts += _cell(
                count,
                sum(line),
                *corner,
                side,
                row == column,
                f"{labels[row]} taken for {labels[column]}",
            )
    right = sum(line[place] for place, line in enumerate(counts))
    total = sum(map(sum, counts))
    told = f"{right:,} of {total:,} test samples are right. Rows are the truth, columns the prediction."
    return picture("Confusion matrix", told, top + side * len(labels) + 6, *parts)


def reliability(found: Mapping[str, Any]) -> Markup:
    """Accuracy against confidence with 95 % Wilson intervals, and how many samples each bin holds."""
    bins = [
        (confidence, accuracy, int(count))
        for confidence, accuracy, count in zip(
            found["confidence"], found["accuracy"], found["count"], strict=True
        )
        if count
    ]
    low = 0.5 if all(confidence >= 0.5 for confidence, _, _ in bins) else 0.0
    x, y = Scale(low, 1, LEFT, RIGHT), Scale(0, 1, 210, 34)
    size = Scale(0, max((count for _, _, count in bins), default=1), 292, 250)
    parts = [text(4, 14, "accuracy of the samples in a bin", "strong"), *axis_y(y)]
    parts += axis_x(x, 34, 292, "confidence: the probability of the predicted class")
    parts.append(element("line", x1=x.at(low), y1=y.at(low), x2=x.at(1), y2=y.at(1), class_="mark"))
    parts.append(text(4, 234, "samples", "small"))
    width = (x.at(low + 0.1) - x.at(low)) * 0.7
    for confidence, accuracy, count in bins:
        bottom, top = wilson(accuracy, count)
        at = x.at(confidence)
        middle = x.at(min(math.floor(confidence * 10 + 1e-6), 9) / 10 + 0.05)
        parts += [
            element("line", x1=at, x2=at, y1=y.at(bottom), y2=y.at(top), class_="bar accent thin"),
            element("circle", cx=at, cy=y.at(accuracy), r=4, class_="dot accent"),
            element(
                "rect",
                x=middle - width / 2,
                width=width,
                y=size.at(count),
                height=size.start - size.at(count),
                class_="fill truth",
            ),
            text(middle, size.at(count) - 4, f"{count:,}", "small", "middle"),
        ]
    told = f"Expected calibration error {fixed(found['ece'], 3)}; points on the dashed line are calibrated."
    return picture("Reliability diagram", told, 334, *parts)


def wilson(share_right: float, count: int) -> tuple[float, float]:
    """The 95 % interval of a share; unlike the normal one it is honest for few samples and shares
    near 1.
    """
    spread = Z * math.sqrt(share_right * (1 - share_right) / count + Z**2 / (4 * count**2))
    middle, scale = share_right + Z**2 / (2 * count), 1 + Z**2 / count
    return max(0.0, (middle - spread) / scale), min(1.0, (middle + spread) / scale)


def residuals(found: Mapping[str, Any], unit: str | None) -> Markup:
    """A histogram of prediction minus truth."""
    counts, edges = found["counts"], found["edges"]
    x = Scale(edges[0], edges[-1], LEFT, RIGHT)
    y = Scale(0, max(counts) * 1.05 or 1, 214, 34)
    parts = [text(4, 14, "number of errors", "strong"), *axis_y(y)]
    parts += axis_x(x, 34, 214, f"prediction {MINUS} truth{words.unit(unit)}", most=5)
    for count, low, high in zip(counts, edges[:-1], edges[1:], strict=True):
        width = max(1.0, x.at(high) - x.at(low) - 1)
        parts.append(
            element(
                "rect",
                x=x.at(low) + 0.5,
                width=width,
                y=y.at(count),
                height=y.start - y.at(count),
                class_="fill accent",
            )
        )
    if edges[0] <= 0 <= edges[-1]:
        parts.append(element("line", x1=x.at(0), x2=x.at(0), y1=28, y2=214, class_="mark zero"))
    told = f"{sum(counts):,} errors from {number(edges[0])} to {number(edges[-1])}, mean {number(found['mean'])}."
    return picture("Residuals", told, 256, *parts)


def by_step(errors: Mapping[str, Sequence[float]], unit: str | None, step: str | None) -> Markup:
    """Mean absolute error at each step of the horizon, the network's first."""
    looks = dict(zip(errors, ("accent", "truth", "muted", "other"), strict=False))
    curves = [
        Line(name, range(1, len(values) + 1), values, looks[name])
        for name, values in errors.items()
        if name in looks
    ]
    network = curves[0].y
    hardest = max(range(len(network)), key=lambda place: network[place])
    told = f"The network's error is largest at step {hardest + 1}: {number(network[hardest])}."
    return lines(
        "Error by step of the horizon",
        told,
        curves,
        zero=True,
        x_label=f"steps{_of(step)} ahead",
        y_label=f"mean absolute error{words.unit(unit)}",
    )


def scatter(found: Mapping[str, Any], unit: str | None) -> Markup:
    """Predicted against true numbers; of many samples an evenly spaced part, in the order of test."""
    shown = list(zip(found["target"], found["prediction"], strict=True))
    bounds = span([value for pair in shown for value in pair])
    x, y = Scale(*bounds, LEFT, RIGHT), Scale(*bounds, 274, 34)
    parts = [text(4, 14, f"prediction{words.unit(unit)}", "strong"), *axis_y(y)]
    parts += axis_x(x, 34, 274, f"truth{words.unit(unit)}", most=5)
    parts.append(element("line", x1=x.start, y1=y.start, x2=x.end, y2=y.end, class_="mark"))
    parts += [
        element("circle", cx=x.at(a), cy=y.at(b), r=2.5, class_="spot accent") for a, b in shown
    ]
    told = (
        f"{len(shown):,} of {found['samples']:,} test samples; points on the dashed line are right."
    )
    return picture("Prediction against truth", told, 316, *parts)


def forecast(
    name: str,
    curves: Mapping[str, Sequence[float]],
    past: Sequence[float] = (),
    *,
    unit: str | None,
    step: str | None,
) -> Markup:
    """One test sample: its past left of zero, then truth and forecasts."""
    looks = {"truth": "ink", "network": "accent"}
    drawn = [Line("past", range(-len(past) + 1, 1), past, "muted")] if len(past) else []
    for title, values in curves.items():
        # a forecast drawn from the last known value on leaves no hole in the curve
        joined = [past[-1], *values] if len(past) else list(values)
        start = 0 if len(past) else 1
        drawn.append(
            Line(title, range(start, start + len(joined)), joined, looks.get(title, "other"))
        )
    distances = [abs(a - b) for a, b in zip(curves["network"], curves["truth"], strict=True)]
    error = statistics.fmean(distances)
    return lines(
        name,
        f"The network's mean absolute error is {number(error)}.",
        drawn,
        y_label=f"value{words.unit(unit)}",
        x_label=f"steps{_of(step)} from the last known value",
        mark=(0, "forecast begins") if len(past) else None,
        height=220,
        width=320,
    )


def _cell(
    count: int, total: int, x: float, y: float, side: float, right: bool, pair: str
) -> list[Markup]:
    """The root of the share, for one error in a hundred to be seen beside ninety-nine hits."""
    depth = math.sqrt(count / total) if total else 0.0
    size = "small" if side < 44 else "label"
    look = f"{size} on" if depth > 0.8 else size if count else f"{size} faint"
    parts = [
        element(
            "rect",
            element("title", f"{pair}: {count:,} ({share(count, total)} of the row)"),
            x=x + 0.5,
            y=y + 0.5,
            width=side - 1,
            height=side - 1,
            rx=2,
            class_=f"fill {'empty' if not count else 'accent' if right else 'bad'}",
            fill_opacity=f"{max(0.2, 0.95 * depth):.2f}" if count else None,
        ),
        text(x + side / 2, y + side / 2 + (0 if side > 60 else 4), f"{count:,}", look, "middle"),
    ]
    if side > 60:
        parts.append(text(x + side / 2, y + side / 2 + 16, share(count, total), look, "middle"))
    return parts
