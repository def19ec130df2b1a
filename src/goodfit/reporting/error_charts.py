"""Charts of where a model errs: confusion, calibration, residuals, error by step, forecasts.

Letters: N test samples, K classes, T steps of the horizon. Data come as the lists of a `Chart`.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from markupsafe import Markup

from goodfit.errors import UserError
from goodfit.records import Chart
from goodfit.reporting import box_charts, words
from goodfit.reporting.charts import (
    LEFT,
    RIGHT,
    WIDTH,
    Line,
    Marker,
    Scale,
    axis_x,
    axis_y,
    dot,
    element,
    line_chart,
    padded_range,
    svg,
    text,
    truncate,
    vertical,
)
from goodfit.reporting.words import MINUS, fixed, number, share

Z = 1.96  # 95 % of a normal distribution
_NAME_LETTER = 6.6  # width of a letter of a class name, in pixels
_TILTED_LETTER = 4.8  # height of such a letter's share of a name at 45 degrees
_METHODS = ("accent", "truth", "muted", "other")  # colours of curves, the network's first


class Figure(NamedTuple):
    """A chart with its title, and what a reader should look for in it."""

    title: str
    svg: Markup
    caption: str


class _Bin(NamedTuple):
    """Answers of like confidence: its mean, the share that is right, and how many they are.

    They tell as much as `told` of equal weight.
    """

    confidence: float
    accuracy: float
    answers: int
    told: float

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the share that is right."""
        return wilson(self.accuracy, self.told)


def draw(chart: Chart, *, unit: str | None, step: str | None) -> Figure:
    """The chart as a figure; `unit` is the target's, `step` the length of a step of a series.

    Raises:
        UserError: the chart has a form that is not drawn here.
    """
    data = chart.data
    match chart.form:
        case "confusion":
            drawing = confusion(data["counts"], data["labels"])
            caption = (
                "Shade: the square root of the share of the row, so that rare errors can be seen."
            )
        case "reliability":
            drawing = reliability(data)
            caption = _calibration(data)
        case "residuals":
            drawing = residuals(data, unit)
            caption = _spread(data)
        case "scatter":
            drawing = scatter(data, unit)
            caption = "Each dot is a test sample; on the dashed line the prediction is right."
        case "by_step":
            drawing = by_step(dict(data["errors"]), unit, step)
            caption = "Where in the horizon the network wins or loses."
        case "precision_recall":
            drawing = box_charts.precision_recall(dict(data["curves"]))
            caption = (
                "At an overlap of 50 %, from the surest box on. Where a curve ends at zero, no box "
                "finds the others."
            )
        case "by_overlap":
            drawing = box_charts.by_overlap(dict(data["areas"]), data["overlaps"])
            caption = (
                "How exact boxes are: the curve of a method that misses their edges falls early."
            )
        case "curves":
            drawing = curves(chart.title, data)
            caption = data["caption"]
        case "forecast":
            name = f"Test sample {data['row']}"
            drawing = forecast(name, dict(data["curves"]), unit=unit, step=step)
            caption = chart.title
        case _:
            raise UserError(
                f"a task asks for a chart of the form '{chart.form}', which no report can draw"
            )
    return Figure(chart.title, drawing, caption)


def confusion(counts: Sequence[Sequence[int]], labels: Sequence[str]) -> Markup:
    """Counts (K, K) as a heat map; rows are the truth, and hits and errors differ in colour."""
    names = [truncate(label, 14) for label in labels]
    longest = max(map(len, names))
    left = 20 + max(14.0, _NAME_LETTER * longest)
    side = min(124.0, (WIDTH - left - 6) / len(labels))
    tilted = longest * _NAME_LETTER > side
    top = 42.0 + (longest * _TILTED_LETTER if tilted else 0)

    parts = [
        text(left + side * len(names) / 2, 12, "prediction", "small", "middle"),
        text(left - 8, top - 8, "truth", "small", "end"),
    ]
    for index, name in enumerate(names):
        middle = (index + 0.5) * side
        parts.append(text(left - 8, top + middle + 4, name, "label", "end"))
        parts.append(_column_name(name, left + middle, top - 8, tilted))

    for row, row_counts in enumerate(counts):
        for column, count in enumerate(row_counts):
            pair = f"{labels[row]} taken for {labels[column]}"
            x, y = left + column * side, top + row * side
            parts += _cell(count, sum(row_counts), x, y, side, row == column, pair)

    right = sum(row_counts[row] for row, row_counts in enumerate(counts))
    total = sum(map(sum, counts))
    description = (
        f"{right:,} of the {total:,} test samples shown are right. "
        "Rows are the truth, columns the prediction."
    )
    return svg("Confusion matrix", description, top + side * len(labels) + 6, *parts)


def reliability(data: Mapping[str, Any]) -> Markup:
    """Accuracy against confidence in bins, with 95 % Wilson intervals, after and before scaling."""
    stages = {name: _bins(numbers) for name, numbers in data["curves"]}
    every = [bin_ for bins in stages.values() for bin_ in bins]
    # both axes alike, so that the diagonal is one; tenths, so that points near 1 stand apart
    least = min(min(bin_.confidence, bin_.interval[0]) for bin_ in every)
    low = min(0.9, math.floor(10 * least) / 10)
    x, y = Scale(low, 1, LEFT, RIGHT), Scale(low, 1, 246, 34)

    parts = [text(4, 14, "accuracy of the answers in a bin", "strong"), *axis_y(y)]
    parts += axis_x(x, 34, 246, "confidence: the probability of the likeliest class")
    parts.append(element("line", x1=x.at(low), y1=y.at(low), x2=x.at(1), y2=y.at(1), class_="mark"))
    # the one in use last, above the other
    for name, bins in reversed(stages.items()):
        for bin_ in bins:
            parts += _reliability_bin(bin_, x, y, "accent" if name == "after" else "truth", name)

    errors = ", ".join(f"{fixed(part['ece'], 3)} {name} scaling" for name, part in data["curves"])
    description = f"Expected calibration error: {errors}. Points on the dashed line are calibrated."
    return svg("Reliability diagram", description, 290, *parts)


def wilson(share_right: float, count: float) -> tuple[float, float]:
    """The 95 % interval of a share (Wilson 1927).

    Unlike the normal one it is honest for few samples and for shares near 0 and 1.
    """
    # scipy.stats.binomtest has it too, but importing scipy.stats takes more than a second
    spread = Z * math.sqrt(share_right * (1 - share_right) / count + Z**2 / (4 * count**2))
    middle, scale = share_right + Z**2 / (2 * count), 1 + Z**2 / count
    return max(0.0, (middle - spread) / scale), min(1.0, (middle + spread) / scale)


def residuals(data: Mapping[str, Any], unit: str | None) -> Markup:
    """A histogram of prediction minus truth."""
    counts, edges = data["counts"], data["edges"]
    x = Scale(edges[0], edges[-1], LEFT, RIGHT)
    y = Scale(0, max(counts) * 1.05 or 1, 214, 34)

    parts = [text(4, 14, "number of errors", "strong"), *axis_y(y)]
    parts += axis_x(x, 34, 214, f"prediction {MINUS} truth{words.unit(unit)}", max_ticks=5)
    for count, low, high in zip(counts, edges[:-1], edges[1:], strict=True):
        width = max(1.0, x.at(high) - x.at(low) - 1)
        parts.append(_bar(x.at(low) + 0.5, width, y, count, "accent"))
    if edges[0] <= 0 <= edges[-1]:
        parts.append(vertical(x.at(0), 28, 214, "mark zero"))

    low, high, mean = (number(value) for value in (edges[0], edges[-1], data["mean"]))
    description = f"{sum(counts):,} errors from {low} to {high}, mean {mean}."
    return svg("Residuals", description, 256, *parts)


def by_step(errors: Mapping[str, Sequence[float]], unit: str | None, step: str | None) -> Markup:
    """Mean absolute error (T,) of up to four methods by step; the first counts as the network."""
    lines = []
    # not strict: there are colours for four methods, and there may be fewer
    for (title, values), css_class in zip(errors.items(), _METHODS, strict=False):
        lines.append(Line(title, range(1, len(values) + 1), values, css_class))

    network = lines[0].y
    worst = max(range(len(network)), key=lambda index: network[index])
    return line_chart(
        "Error by step of the horizon",
        f"The network's error is largest at step {worst + 1}: {number(network[worst])}.",
        lines,
        include_zero=True,
        x_label=f"steps{_of(step)} ahead",
        y_label=f"mean absolute error{words.unit(unit)}",
    )


def curves(title: str, data: Mapping[str, Any]) -> Markup:
    """A score of up to four methods at some values of `x`; the first counts as the network."""
    x = data["x"]
    lines = []
    for (name, values), css_class in zip(data["curves"], _METHODS, strict=False):
        lines.append(Line(name, x, values, css_class))

    first, last = (number(lines[0].y[index]) for index in (0, -1))
    description = f"The network's is {first} at {number(x[0])} and {last} at {number(x[-1])}."
    return line_chart(
        title,
        description,
        lines,
        include_zero=True,
        x_label=data["x_label"],
        y_label=data["y_label"],
    )


def scatter(data: Mapping[str, Any], unit: str | None) -> Markup:
    """Predictions against targets; of many samples an evenly spaced part, in the order of test."""
    pairs = list(zip(data["target"], data["prediction"], strict=True))
    # one range for both axes, so that the diagonal is the line of right predictions
    bounds = padded_range([*data["target"], *data["prediction"]])
    x, y = Scale(*bounds, LEFT, RIGHT), Scale(*bounds, 274, 34)

    parts = [text(4, 14, f"prediction{words.unit(unit)}", "strong"), *axis_y(y)]
    parts += axis_x(x, 34, 274, f"truth{words.unit(unit)}", max_ticks=5)
    parts.append(element("line", x1=x.start, y1=y.start, x2=x.end, y2=y.end, class_="mark"))
    parts += [dot(x.at(a), y.at(b), 2.5, "spot accent") for a, b in pairs]
    description = (
        f"{len(pairs):,} of {data['samples']:,} test samples; points on the dashed line are right."
    )
    return svg("Prediction against truth", description, 316, *parts)


def forecast(
    title: str,
    curves: Mapping[str, Sequence[float]],
    past: Sequence[float] = (),
    *,
    unit: str | None,
    step: str | None,
) -> Markup:
    """One test sample: its past at steps up to 0, then truth, forecasts and interval from 1."""
    css_classes = {"truth": "ink", "network": "accent", "low": "band", "high": "band"}
    names = {"low": "interval", "high": ""}
    lines = []
    if len(past):
        lines.append(Line("past", range(1 - len(past), 1), past, "muted"))
    for name, values in curves.items():
        # a forecast drawn from the last known value on leaves no hole in the curve
        joined = [past[-1], *values] if len(past) else list(values)
        start = 0 if len(past) else 1
        steps = range(start, start + len(joined))
        css_class = css_classes.get(name, "other")
        lines.append(Line(names.get(name, name), steps, joined, css_class))

    distances = [abs(a - b) for a, b in zip(curves["network"], curves["truth"], strict=True)]
    error = statistics.fmean(distances)
    return line_chart(
        title,
        f"The network's mean absolute error is {number(error)}.",
        lines,
        y_label=f"value{words.unit(unit)}",
        x_label=f"steps{_of(step)} from the last known value",
        marker=Marker(0, "forecast begins") if len(past) else None,
        height=220,
        width=320,
    )


def _calibration(data: Mapping[str, Any]) -> str:
    """How far confidence is from accuracy, and how the diagram is read."""
    stages, temperature = dict(data["curves"]), number(data["temperature"])
    after, before = stages["after"], stages.get("before")
    low, high = after["chance"]
    said = "Temperature 1: scaling gained nothing on validation. "
    if before:
        said = f"Logits are divided by the temperature {temperature}, which validation chose. "
    was = f", before it {fixed(before['ece'], 3)} (grey)" if before else ""
    sizes = sorted({min(after["count"]), max(after["count"])})
    answers = " to ".join(f"{size:,}" for size in sizes)
    return (
        f"{said}Expected calibration error {fixed(after['ece'], 3)}{was}: the mean distance of "
        f"confidence and accuracy over {len(after['count'])} bins of {answers} answers. A "
        f"calibrated network would show {fixed(low, 3)} to {fixed(high, 3)} (95 %) by chance. "
        "Below the dashed line it is too sure of itself. Bars are 95 % intervals."
    )


def _spread(data: Mapping[str, Any]) -> str:
    """How large the errors are, in two sentences."""
    shares = []
    for part, size in data["within"].items():
        shares.append(f"{share(float(part), 1)} lie within ±{number(size)}")
    mean = number(data["mean"], sign=True)
    return f"Of all errors {', '.join(shares)}. Their mean, the bias, is {mean}."


def _of(step: str | None) -> str:
    """` of 30 min`, behind the word steps; nothing where the data do not say."""
    return f" of {step}" if step else ""


def _bar(x: float, width: float, y: Scale, value: float, css_class: str) -> Markup:
    """A vertical bar from the start of `y` to a value."""
    top = y.at(value)
    height = y.start - top
    return element("rect", x=x, width=width, y=top, height=height, class_=f"fill {css_class}")


def _column_name(name: str, middle: float, y: float, tilted: bool) -> Markup:
    """A class name above its column, tilted where names are wider than columns."""
    if not tilted:
        return text(middle, y, name, "label", "middle")
    return element(
        "text",
        name,
        x=middle - 4,
        y=y,
        class_="label",
        transform=f"rotate(-45 {middle:.1f} {y:.1f})",
    )


def _cell(
    count: int, total: int, x: float, y: float, side: float, right: bool, pair: str
) -> list[Markup]:
    """A cell of the confusion matrix, with its share of the row where there is room for it."""
    # the root of the share: one error in a hundred must be seen beside ninety-nine hits
    depth = math.sqrt(count / total) if total else 0.0
    middle_x, middle_y = x + side / 2, y + side / 2
    size = "small" if side < 44 else "label"
    roomy = side > 60

    fill, css_class = ("accent" if right else "bad"), size
    if not count:
        fill, css_class = "empty", f"{size} faint"
    elif depth > 0.8:
        css_class = f"{size} on"  # the colour of text on the accent

    square = element(
        "rect",
        element("title", f"{pair}: {count:,} ({share(count, total)} of the row)"),
        x=x + 0.5,
        y=y + 0.5,
        width=side - 1,
        height=side - 1,
        rx=2,
        class_=f"fill {fill}",
        fill_opacity=f"{max(0.2, 0.95 * depth):.2f}" if count else None,
    )
    label = text(middle_x, middle_y + (0 if roomy else 4), f"{count:,}", css_class, "middle")
    if not roomy:
        return [square, label]
    return [square, label, text(middle_x, middle_y + 16, share(count, total), css_class, "middle")]


def _bins(numbers: Mapping[str, Any]) -> list[_Bin]:
    columns = (numbers[key] for key in ("confidence", "accuracy", "count", "told"))
    return [_Bin(*row) for row in zip(*columns, strict=True)]


def _reliability_bin(bin_: _Bin, x: Scale, y: Scale, colour: str, stage: str) -> list[Markup]:
    """Accuracy with its interval at the mean confidence of a bin."""
    low, high = bin_.interval
    at = x.at(bin_.confidence)
    told = (
        f"{stage}: {bin_.answers:,} answers of confidence {bin_.confidence:.3f}, "
        f"{bin_.accuracy:.3f} right [{low:.3f}, {high:.3f}]"
    )
    return [
        vertical(at, y.at(low), y.at(high), f"bar {colour} thin"),
        element("g", element("title", told), dot(at, y.at(bin_.accuracy), 4, f"dot {colour}")),
    ]
