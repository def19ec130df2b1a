"""Charts as inline SVG: numbers in, markup out, coloured by the page's CSS variables.

No library and no script, so a page is one file. Charts are WIDTH wide, about a phone's width, so
that text keeps its size there. Every text passes `element`, which escapes it. Lengths are in
pixels, and y grows downwards.
Docs: docs/decisions/0019-two-ways-to-draw.md.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from markupsafe import Markup, escape

from goodfit.reporting.words import fixed

WIDTH = 400.0
LEFT, RIGHT = 46.0, 388.0  # ends of a horizontal axis
LETTER = 6.3  # mean width of a letter at 12 px: SVG cannot measure text without a script
STRONG_LETTER = 7.2  # of a strong one
ROUND_STEPS = (1, 2, 2.5, 5, 10)  # distances of ticks, times a power of ten


class Scale(NamedTuple):
    """Maps data from [low, high] to pixels from [start, end]."""

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        """The pixel of a value."""
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)


class Marker(NamedTuple):
    """A vertical line at a value of x, with a label."""

    x: float
    label: str


@dataclass(frozen=True)
class Line:
    """A curve; `css_class` is one of accent, truth, muted, other, ink, band.

    One without a name belongs to the one before it, and has no place in the legend.
    """

    name: str
    x: Sequence[float]
    y: Sequence[float]
    css_class: str


@dataclass(frozen=True)
class Row:
    """One line of a forest plot: a value with its bounds, and how they are written.

    `strong` is what the plot is about. A row that `may_overflow` may lie outside the plot, where an
    arrow points at it, so that a far one does not squeeze the others.
    """

    title: str
    value: float
    low: float
    high: float
    text: str
    strong: bool = False
    may_overflow: bool = False

    @property
    def css_class(self) -> str:
        """The colour of the interval: the page's accent, or grey."""
        return "accent" if self.strong else "truth"


def element(name: str, *children: object, **attributes: object) -> Markup:
    """One SVG element with escaped attributes and children; an attribute that is None is left out.

    `class_` and `text_anchor` become class and text-anchor; floats get one decimal.
    """
    pairs = Markup("").join(
        Markup(' {}="{}"').format(key.rstrip("_").replace("_", "-"), _attribute(value))
        for key, value in attributes.items()
        if value is not None
    )
    inside = Markup("").join(escape(child) for child in children)
    return Markup("<{0}{1}>{2}</{0}>").format(Markup(name), pairs, inside)  # noqa: S704 - names are ours


def svg(
    title: str, description: str, height: float, *parts: object, width: float = WIDTH
) -> Markup:
    """The whole chart with its title and description, which screen readers read out."""
    return element(
        "svg",
        element("title", title),
        element("desc", description),
        *parts,
        viewBox=f"0 0 {width:.0f} {height:.0f}",
        class_="chart",
        role="img",
        aria_label=f"{title}. {description}",
    )


def text(
    x: float, y: float, content: str, css_class: str | None = None, anchor: str | None = None
) -> Markup:
    """A line of text; `anchor` is middle or end, None for the start."""
    return element("text", content, x=x, y=y, class_=css_class, text_anchor=anchor)


def horizontal(x1: float, x2: float, y: float, css_class: str) -> Markup:
    """A horizontal line."""
    return element("line", x1=x1, x2=x2, y1=y, y2=y, class_=css_class)


def vertical(x: float, y1: float, y2: float, css_class: str, **attributes: object) -> Markup:
    """A vertical line."""
    return element("line", x1=x, x2=x, y1=y1, y2=y2, class_=css_class, **attributes)


def dot(x: float, y: float, radius: float, css_class: str, **attributes: object) -> Markup:
    """A filled circle."""
    return element("circle", cx=x, cy=y, r=radius, class_=css_class, **attributes)


def truncate(name: str, length: int) -> str:
    """A name of at most `length` letters; an ellipsis replaces the end of a longer one."""
    if len(name) <= length:
        return name
    return name[: max(0, length - 1)] + "\N{HORIZONTAL ELLIPSIS}"


def ticks(low: float, high: float, max_ticks: int = 6) -> list[float]:
    """Round values within [low, high], about `max_ticks` of them at most."""
    rough = (high - low) / max(1, max_ticks - 1)
    power = 10.0 ** math.floor(math.log10(rough))
    # the tolerances let 0.30000000000000004 pass for 0.3
    steps = [factor * power for factor in ROUND_STEPS]
    step = next(step for step in steps if step >= rough * (1 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [multiple * step for multiple in range(first, last + 1)]


def tick_labels(values: Sequence[float]) -> list[str]:
    """Ticks as text, all with the decimals that their distance needs."""
    step = values[1] - values[0] if len(values) > 1 else abs(values[0]) or 1.0
    exact = (n for n in range(9) if math.isclose(round(step, n), step, rel_tol=1e-6))
    decimals = next(exact, 9)
    return [fixed(value, decimals) for value in values]


def padded_range(
    values: Iterable[float], padding: float = 0.04, include_zero: bool = False
) -> tuple[float, float]:
    """The range of all finite values, wider by a share `padding` at both ends, never of no width.

    A zero that was included as an end stays the end: bars and errors stand on it.
    """
    finite = [value for value in values if math.isfinite(value)]
    if include_zero:
        finite.append(0.0)
    low, high = (min(finite), max(finite)) if finite else (0.0, 1.0)

    margin = (high - low) * padding or abs(high) * 0.1 or 1.0
    starts_at_zero = include_zero and low == 0
    ends_at_zero = include_zero and high == 0 and low < 0  # zeros alone stand on it, too
    return low if starts_at_zero else low - margin, high if ends_at_zero else high + margin


def axis_x(
    scale: Scale,
    top: float,
    bottom: float,
    label: str,
    max_ticks: int = 6,
    integers_only: bool = False,
) -> list[Markup]:
    """Ticks below a plot with faint lines up through it, and the axis' label."""
    values = ticks(scale.low, scale.high, max_ticks)
    if integers_only:
        values = [value for value in values if abs(value - round(value)) < 1e-9]
    parts = [vertical(scale.at(value), top, bottom, "grid") for value in values]
    for value, name in zip(values, tick_labels(values), strict=True):
        parts.append(text(scale.at(value), bottom + 16, name, "small", "middle"))
    parts.append(text((scale.start + scale.end) / 2, bottom + 34, label, "small", "middle"))
    return parts


def axis_y(scale: Scale, right: float = RIGHT, max_ticks: int = 5) -> list[Markup]:
    """Ticks left of a plot with faint lines through it."""
    values = ticks(scale.low, scale.high, max_ticks)
    parts = [horizontal(LEFT, right, scale.at(value), "grid") for value in values]
    for value, name in zip(values, tick_labels(values), strict=True):
        parts.append(text(LEFT - 6, scale.at(value) + 4, name, "small", "end"))
    return parts


def line_chart(
    title: str,
    description: str,
    curves: Sequence[Line],
    *,
    x_label: str,
    y_label: str,
    marker: Marker | None = None,
    include_zero: bool = False,
    height: float = 256.0,
    width: float = WIDTH,
) -> Markup:
    """Curves over one axis of whole numbers; a marker has a dot on each curve that it meets."""
    top = 64.0 if marker else 48.0  # the marker's label has a line of its own
    bottom = height - 42
    low = min(curve.x[0] for curve in curves)
    high = max(curve.x[-1] for curve in curves)
    x = Scale(low, high if high > low else low + 1, LEFT, width - 12)  # one epoch has no width
    values = [value for curve in curves for value in curve.y]
    y = Scale(*padded_range(values, include_zero=include_zero), bottom, top)

    parts = axis_y(y, x.end)
    parts += axis_x(x, top, bottom, x_label, integers_only=True)
    parts.append(text(4, 14, y_label, "strong"))
    parts += _legend(curves, 34, width)
    if marker:
        parts += _marker_line(marker, x, top, bottom)
    # SVG paints in this order: the network's curve comes last, on top
    for curve in sorted(curves, key=lambda curve: curve.css_class == "accent"):
        parts += _polylines(curve, x, y)
        if marker:
            parts += _marker_dots(marker, curve, x, y)
    return svg(title, description, height, *parts, width=width)


def forest_plot(
    title: str, description: str, rows: Sequence[Row], *, label: str, include_zero: bool = False
) -> Markup:
    """Intervals below one another on one axis, each under its title.

    A dashed line in each row repeats what they are compared with: zero where it is included, else
    the value of the strong row.
    """
    extra = 16.0 if any(_is_wide(row) for row in rows) else 0.0
    step, top = 44.0 + extra, 6.0
    bottom = top + step * len(rows) + 4
    x = Scale(*padded_range(_values_to_show(rows, include_zero), 0.05), 10, WIDTH - 10)
    reference = 0.0 if include_zero else next((row.value for row in rows if row.strong), None)

    parts = axis_x(x, top, bottom, label)
    for index, row in enumerate(rows):
        middle = top + step * index + 31 + extra
        title_class = "strong halo" if row.strong else "halo"
        if reference is not None:
            # a short line in each row instead of one through all: it would cross the titles
            parts.append(vertical(x.at(reference), middle - 9, middle + 9, "mark"))
        # titles stand above intervals: a column for long ones would leave a phone no plot
        parts.append(text(4, middle - 14 - extra, row.title, title_class))
        parts.append(text(WIDTH - 4, middle - 14, row.text, title_class, "end"))
        parts += _interval(row, x, middle)
    return svg(title, description, bottom + 42, *parts)


def _is_wide(row: Row) -> bool:
    """Whether the title and the numbers of a row do not fit into one line with a gap of two."""
    return STRONG_LETTER * (len(row.title) + len(row.text) + 2) > WIDTH - 8


def small_forest_plot(title: str, description: str, rows: Sequence[Row]) -> Markup:
    """A forest plot for a table's cell: no axis and no text, only order and overlap."""
    bounds = [bound for row in rows for bound in (row.low, row.high, row.value)]
    x = Scale(*padded_range(bounds, 0.06), 6, 154)
    parts = []
    for index, row in enumerate(rows):
        parts += _interval(row, x, 10 + 16 * index)
    return svg(title, description, 4 + 16 * len(rows), *parts, width=160)


def _values_to_show(rows: Sequence[Row], include_zero: bool) -> list[float]:
    """The values that a forest plot must hold.

    A row that may overflow is among them only where it does not squeeze the others: where it is
    nearer to them than one and a half times their range.
    """
    fixed_rows = [row for row in rows if not row.may_overflow]
    values = [bound for row in fixed_rows for bound in (row.low, row.high, row.value)]
    if include_zero or not values:
        values.append(0.0)

    reach = 1.5 * (max(values) - min(values))
    lowest, highest = min(values) - reach, max(values) + reach
    near = [row for row in rows if row.may_overflow and lowest <= row.low and row.high <= highest]
    return values + [bound for row in near for bound in (row.low, row.high)]


def _interval(row: Row, x: Scale, y: float) -> list[Markup]:
    """A bar with a dot, or an arrow at the edge where the value lies outside the plot."""
    value = f"{row.value:.6g}"
    if x.low <= row.value <= x.high:
        return [
            horizontal(x.at(row.low), x.at(row.high), y, f"bar {row.css_class}"),
            dot(x.at(row.value), y, 5, f"dot {row.css_class}", data_value=value),
        ]

    above = row.value > x.high
    sign = 1 if above else -1
    tip = x.end if above else x.start
    back = tip - 9 * sign
    points = f"{back:.0f},{y - 5:.0f} {tip:.0f},{y:.0f} {back:.0f},{y + 5:.0f}"
    return [
        element("polyline", points=points, class_=f"curve {row.css_class}", data_value=value),
        text(tip - 16 * sign, y + 4, "beyond the axis", "small halo", "end" if above else None),
    ]


def _legend(curves: Sequence[Line], y: float, width: float) -> list[Markup]:
    """A stroke and a name for each curve, in one line; a name ends where the chart does."""
    parts, x = [], 4.0
    for curve in (curve for curve in curves if curve.name):
        parts.append(horizontal(x, x + 18, y - 4, f"curve {curve.css_class}"))
        name = truncate(curve.name, int((width - x - 23) / LETTER))
        parts.append(text(x + 23, y, name, "small"))
        x += 23 + LETTER * len(name) + 14
    return parts


def _marker_line(marker: Marker, x: Scale, top: float, bottom: float) -> list[Markup]:
    """The line and its label, which stands on the side that has more room."""
    at = x.at(marker.x)
    line = vertical(at, top - 6, bottom, "mark", data_at=marker.x)
    if marker.x > (x.low + x.high) / 2:
        return [line, text(at - 5, top - 2, marker.label, "small", "end")]
    return [line, text(at + 5, top - 2, marker.label, "small")]


def _marker_dots(marker: Marker, curve: Line, x: Scale, y: Scale) -> list[Markup]:
    dots = []
    for a, b in zip(curve.x, curve.y, strict=True):
        if a == marker.x and math.isfinite(b):
            dots.append(dot(x.at(a), y.at(b), 3.5, f"dot {curve.css_class}"))
    return dots


def _polylines(curve: Line, x: Scale, y: Scale) -> list[Markup]:
    """One polyline for each stretch of finite values."""
    parts: list[Markup] = []
    stretch: list[str] = []
    # the NaN at the end closes the last stretch
    for a, b in [*zip(curve.x, curve.y, strict=True), (0.0, math.nan)]:
        if math.isfinite(b):
            stretch.append(f"{x.at(a):.1f},{y.at(b):.1f}")
        elif stretch:
            points = " ".join(stretch)
            parts.append(element("polyline", points=points, class_=f"curve {curve.css_class}"))
            stretch = []
    return parts


def _attribute(value: object) -> str:
    """One decimal is a tenth of a pixel, and keeps pages small."""
    return f"{value:.1f}".removesuffix(".0") if isinstance(value, float) else str(value)
