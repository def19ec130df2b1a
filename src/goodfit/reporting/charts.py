"""Charts as inline SVG: numbers in, text out, coloured by the page's CSS variables, no library and
no script.

All are WIDTH wide: about a phone's width, so that text keeps its size there. Every text passes
`element`, which escapes it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from markupsafe import Markup, escape

from goodfit.reporting.words import fixed

WIDTH = 400.0
LEFT, RIGHT = 46.0, 388.0
LETTER = 6.3  # mean width of a letter at 12 px: SVG cannot measure text without a script


class Scale(NamedTuple):
    """Maps data from [low, high] to pixels from [start, end]."""

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        """The pixel of a value."""
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)


@dataclass(frozen=True)
class Line:
    """A curve; `look` is a CSS class: accent, truth, muted, other."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    look: str


@dataclass(frozen=True)
class Row:
    """One line of an interval plot: a value with its bounds, and how they are written.

    `strong` is what the plot is about; `aside` may lie outside the plot, where an arrow points at
    it.
    """

    title: str
    value: float
    low: float
    high: float
    text: str
    strong: bool = False
    aside: bool = False


def element(name: str, *children: object, **attributes: object) -> Markup:
    """One SVG element; `class_` and `text_anchor` become class and text-anchor, floats get one
    decimal.
    """
    pairs = Markup("").join(
        Markup(' {}="{}"').format(key.rstrip("_").replace("_", "-"), _plain(value))
        for key, value in attributes.items()
        if value is not None
    )
    inside = Markup("").join(escape(child) for child in children)
    return Markup("<{0}{1}>{2}</{0}>").format(Markup(name), pairs, inside)  # noqa: S704 - names are ours


def picture(
    title: str, description: str, height: float, *parts: object, width: float = WIDTH
) -> Markup:
    """The whole SVG with its title and description, which screen readers tell."""
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


def text(x: float, y: float, content: str, look: str = "", anchor: str | None = None) -> Markup:
    """A line of text; `anchor` is middle or end."""
    return element("text", content, x=x, y=y, class_=look or None, text_anchor=anchor)


def cut(name: str, most: int) -> str:
    """A name of at most so many letters, its end replaced where it is longer."""
    return name if len(name) <= most else name[: max(0, most - 1)] + "\N{HORIZONTAL ELLIPSIS}"


def ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Round values within [low, high], at most `most` of them."""
    rough = (high - low) / max(1, most - 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(
        factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough * (1 - 1e-9)
    )
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [place * step for place in range(first, last + 1)]


def labels(values: Sequence[float]) -> list[str]:
    """Ticks as text, all with the decimals that their distance needs."""
    step = values[1] - values[0] if len(values) > 1 else abs(values[0]) or 1.0
    places = next(
        (some for some in range(9) if math.isclose(round(step, some), step, rel_tol=1e-6)), 9
    )
    return [fixed(value, places) for value in values]


def span(values: Iterable[float], pad: float = 0.04, zero: bool = False) -> tuple[float, float]:
    """The range of all finite values, a little wider, and never of no width."""
    finite = [value for value in values if math.isfinite(value)] + ([0.0] if zero else [])
    low, high = (min(finite), max(finite)) if finite else (0.0, 1.0)
    room = (high - low) * pad or abs(high) * 0.1 or 1.0
    return (low if zero and low == 0 else low - room), (high if zero and high == 0 else high + room)


def axis_x(
    scale: Scale, top: float, bottom: float, label: str, most: int = 6, whole: bool = False
) -> list[Markup]:
    """Ticks below a plot with faint lines up through it, and the axis' name."""
    values = ticks(scale.low, scale.high, most)
    values = [value for value in values if not whole or abs(value - round(value)) < 1e-9]
    parts = [
        element("line", x1=scale.at(v), x2=scale.at(v), y1=top, y2=bottom, class_="grid")
        for v in values
    ]
    parts += [
        text(scale.at(value), bottom + 16, name, "small", "middle")
        for value, name in zip(values, labels(values), strict=True)
    ]
    return [*parts, text((scale.start + scale.end) / 2, bottom + 34, label, "small", "middle")]


def axis_y(scale: Scale, right: float = RIGHT, most: int = 5) -> list[Markup]:
    """Ticks left of a plot with faint lines through it."""
    values = ticks(scale.low, scale.high, most)
    parts = [
        element("line", x1=LEFT, x2=right, y1=scale.at(v), y2=scale.at(v), class_="grid")
        for v in values
    ]
    return parts + [
        text(LEFT - 6, scale.at(value) + 4, name, "small", "end")
        for value, name in zip(values, labels(values), strict=True)
    ]


def lines(
    title: str,
    description: str,
    curves: Sequence[Line],
    *,
    x_label: str,
    y_label: str,
    mark: tuple[float, str] | None = None,
    zero: bool = False,
    height: float = 256.0,
    width: float = WIDTH,
) -> Markup:
    """Curves over one axis; `mark` is a vertical line with a text, and a dot on each curve it
    meets.
    """
    top, bottom = (64.0 if mark else 48.0), height - 42
    low, high = min(curve.x[0] for curve in curves), max(curve.x[-1] for curve in curves)
    x = Scale(low, high if high > low else low + 1, LEFT, width - 12)
    y = Scale(*span((value for curve in curves for value in curve.y), zero=zero), bottom, top)
    parts = [
        *axis_y(y, x.end),
        *axis_x(x, top, bottom, x_label, whole=True),
        text(4, 14, y_label, "strong"),
    ]
    parts += _legend(curves, 34, width)
    if mark:
        place = x.at(mark[0])
        late = mark[0] > (x.low + x.high) / 2
        parts.append(
            element(
                "line", x1=place, x2=place, y1=top - 6, y2=bottom, class_="mark", data_at=mark[0]
            )
        )
        parts.append(
            text(place + (-5 if late else 5), top - 2, mark[1], "small", "end" if late else None)
        )
    for curve in sorted(curves, key=lambda curve: curve.look == "accent"):  # the network on top
        parts += _path(curve, x, y)
        parts += [
            element("circle", cx=x.at(a), cy=y.at(b), r=3.5, class_=f"dot {curve.look}")
            for a, b in zip(curve.x, curve.y, strict=True)
            if mark and a == mark[0] and math.isfinite(b)
        ]
    return picture(title, description, height, *parts, width=width)


def forest(
    title: str, description: str, rows: Sequence[Row], *, label: str, zero: bool = False
) -> Markup:
    """Intervals below one another on one axis; their names stand above them, so long ones need no
    column.
    """
    step, top = 44.0, 6.0
    bottom = top + step * len(rows) + 4
    x = Scale(*span(_near(rows, zero), 0.05), 10, WIDTH - 10)
    parts = axis_x(x, top, bottom, label)
    guide = 0.0 if zero else next((row.value for row in rows if row.strong), None)
    for place, row in enumerate(rows):
        middle = top + step * place + 31
        look = "accent" if row.strong else "truth"
        if guide is not None:  # not through the names
            parts.append(
                element(
                    "line",
                    x1=x.at(guide),
                    x2=x.at(guide),
                    y1=middle - 9,
                    y2=middle + 9,
                    class_="mark",
                )
            )
        parts += [
            text(4, middle - 14, row.title, "strong halo" if row.strong else "halo"),
            text(WIDTH - 4, middle - 14, row.text, "strong halo" if row.strong else "halo", "end"),
            *_interval(row, x, middle, look),
        ]
    return picture(title, description, bottom + 42, *parts)


def strip(title: str, description: str, rows: Sequence[Row]) -> Markup:
    """A forest plot for a table's cell: no axis, no text, only the order and overlap of intervals."""
    x = Scale(
        *span([bound for row in rows for bound in (row.low, row.high, row.value)], 0.06), 6, 154
    )
    parts = []
    for place, row in enumerate(rows):
        parts += _interval(row, x, 10 + 16 * place, "accent" if row.strong else "truth")
    return picture(title, description, 4 + 16 * len(rows), *parts, width=160)


def _near(rows: Sequence[Row], zero: bool) -> list[float]:
    """The values that an interval plot must show: those aside only where they do not squeeze the
    others.
    """
    core = [bound for row in rows if not row.aside for bound in (row.low, row.high, row.value)]
    core += [0.0] if zero or not core else []
    room = 1.5 * (max(core) - min(core))
    aside = [
        row
        for row in rows
        if row.aside and min(core) - room <= row.low and row.high <= max(core) + room
    ]
    return core + [bound for row in aside for bound in (row.low, row.high)]


def _interval(row: Row, x: Scale, y: float, look: str) -> list[Markup]:
    if not x.low <= row.value <= x.high:
        way = 1 if row.value > x.high else -1
        tip = x.end if way > 0 else x.start
        points = (
            f"{tip - 9 * way:.0f},{y - 5:.0f} {tip:.0f},{y:.0f} {tip - 9 * way:.0f},{y + 5:.0f}"
        )
        side = "end" if way > 0 else None
        return [
            element(
                "polyline", points=points, class_=f"curve {look}", data_value=f"{row.value:.6g}"
            ),
            text(tip - 16 * way, y + 4, "beyond the axis", "small halo", side),
        ]
    return [
        element("line", x1=x.at(row.low), x2=x.at(row.high), y1=y, y2=y, class_=f"bar {look}"),
        element(
            "circle",
            cx=x.at(row.value),
            cy=y,
            r=5,
            class_=f"dot {look}",
            data_value=f"{row.value:.6g}",
        ),
    ]


def _legend(curves: Sequence[Line], y: float, width: float) -> list[Markup]:
    parts, x = [], 4.0
    for curve in curves:
        parts.append(
            element("line", x1=x, x2=x + 18, y1=y - 4, y2=y - 4, class_=f"curve {curve.look}")
        )
        name = cut(curve.name, int((width - x - 23) / LETTER))
        parts.append(text(x + 23, y, name, "small"))
        x += 23 + LETTER * len(name) + 14
    return parts


def _path(curve: Line, x: Scale, y: Scale) -> list[Markup]:
    """One polyline for each stretch of finite values."""
    parts: list[Markup] = []
    stretch: list[str] = []
    for a, b in [*zip(curve.x, curve.y, strict=True), (0.0, math.nan)]:
        if math.isfinite(b):
            stretch.append(f"{x.at(a):.1f},{y.at(b):.1f}")
        elif stretch:
            parts.append(
                element("polyline", points=" ".join(stretch), class_=f"curve {curve.look}")
            )
            stretch = []
    return parts


def _plain(value: object) -> str:
    return f"{value:.1f}".removesuffix(".0") if isinstance(value, float) else str(value)
