"""What detectors find: pictures with boxes, precision over recall, precision by overlap."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from markupsafe import Markup

from goodfit.records import Box
from goodfit.reporting.charts import Line, element, line_chart, svg
from goodfit.reporting.words import fixed, number, probability

_CSS_CLASSES = ("accent", "truth", "muted", "other")  # of methods, the network first


def picture(title: str, address: str, size: tuple[int, int], boxes: Sequence[Box]) -> Markup:
    """A photo with the boxes of truth and network; a hit is drawn through, an error dashed.

    `address` is that of the photo, `size` its width and height in pixels.
    """
    width, height = size
    truths = [box.hit for box in boxes if box.who == "truth"]
    found = [box.hit for box in boxes if box.who == "network"]
    description = (
        f"{sum(truths)} of {len(truths)} true boxes are found; "
        f"{found.count(False)} of {len(found)} found boxes are no true ones"
    )
    photo = element("image", href=address, width=width, height=height, class_="photo")
    # the truth last, on top: where both agree it must not vanish
    ordered = sorted(boxes, key=lambda box: box.who == "truth")
    drawn = [_rectangle(box) for box in ordered]
    return svg(title, f"{description}.", height, photo, *drawn, width=width)


def precision_recall(curves: Mapping[str, Sequence[float]]) -> Markup:
    """Precision of methods at recalls of 0 to 100 %; the first counts as the network."""
    lines = []
    # not strict: there are colours for four methods, and there may be fewer
    for (title, values), css_class in zip(curves.items(), _CSS_CLASSES, strict=False):
        lines.append(Line(title, range(len(values)), [100 * value for value in values], css_class))
    reached = sum(value > 0 for value in lines[0].y) - 1
    return line_chart(
        "Precision over recall",
        f"The network finds at most {max(0, reached)} % of the true boxes.",
        lines,
        include_zero=True,
        x_label="recall: true boxes that are found, in %",
        y_label="precision: found boxes that are true, in %",
    )


def by_overlap(areas: Mapping[str, Sequence[float]], overlaps: Sequence[float]) -> Markup:
    """Average precision of methods by the overlap that makes a hit; the first is the network."""
    lines = []
    percent = [round(100 * overlap) for overlap in overlaps]
    for (title, values), css_class in zip(areas.items(), _CSS_CLASSES, strict=False):
        lines.append(Line(title, percent, values, css_class))
    first, last = lines[0].y[0], lines[0].y[-1]
    return line_chart(
        "Average precision by overlap",
        f"The network's falls from {number(first)} to {number(last)}.",
        lines,
        include_zero=True,
        x_label="overlap with the true box that makes a hit, in %",
        y_label="average precision",
    )


def _rectangle(box: Box) -> Markup:
    left, top, right, bottom = box.corners
    size = f"{fixed(right - left, 0)} \N{MULTIPLICATION SIGN} {fixed(bottom - top, 0)} pixels"
    score = "" if box.score is None else f", {probability(box.score)}"
    meaning = {
        ("truth", True): "found",
        ("truth", False): "missed",
        ("network", True): "a hit",
        ("network", False): "a false alarm",
    }[box.who, box.hit]
    return element(
        "rect",
        element("title", f"{box.who}: {box.label}, {meaning}, {size}{score}"),
        x=left,
        y=top,
        width=right - left,
        height=bottom - top,
        class_=f"box {box.who} {'hit' if box.hit else 'miss'}",
    )
