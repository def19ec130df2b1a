"""A chart is true to its numbers, and its intervals are those of the textbook."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from scipy.stats import binomtest, norm

from goodfit.errors import UserError
from goodfit.records import Chart
from goodfit.reporting import charts, error_charts
from goodfit.reporting.charts import Row


@pytest.mark.parametrize("may_overflow", [False, True])
def test_interval_plots_are_monotone_in_the_values(may_overflow: bool) -> None:
    rows = []
    for value in (-3.0, 0.1, 0.11, 0.5, 40.0):
        far = may_overflow and abs(value) > 1
        rows.append(Row(str(value), value, value - 0.01, value + 0.01, "", may_overflow=far))
    chart = ET.fromstring(charts.forest_plot("t", "d", rows, label="x"))  # noqa: S314
    pixels = [float(str(dot.get("cx"))) for dot in chart.iter("circle")]
    arrows = [item for item in chart.iter("polyline") if item.get("data-value")]
    assert pixels == sorted(pixels)
    assert all(0 <= pixel <= charts.WIDTH for pixel in pixels)
    assert (len(pixels), len(arrows)) == ((3, 2) if may_overflow else (5, 0))


@pytest.mark.parametrize(
    ("low", "high"), [(0.0, 1.0), (0.961, 0.993), (-7.0, 12_345.0), (1e-7, 3e-7), (3.0, 3.1)]
)
def test_ticks_lie_inside_and_their_labels_differ(low: float, high: float) -> None:
    values = charts.ticks(low, high)
    labels = charts.tick_labels(values)
    assert 2 <= len(values) <= 7
    assert all(low - 1e-9 <= value <= high + 1e-9 for value in values)
    assert len(set(labels)) == len(labels)


def test_wilson_interval_holds_the_share_and_shrinks_with_the_count() -> None:
    for share in (0.0, 0.3, 1.0):
        low, high = error_charts.wilson(share, 10)
        narrow_low, narrow_high = error_charts.wilson(share, 1000)
        assert 0 <= low <= narrow_low <= share <= narrow_high <= high <= 1


@pytest.mark.parametrize(("right", "count"), [(0, 1), (0, 10), (7, 10), (10, 10), (943, 1000)])
def test_wilson_interval_is_that_of_scipy(right: int, count: int) -> None:
    level = norm.cdf(error_charts.Z) - norm.cdf(-error_charts.Z)  # 95.0004 %: 1.96 is rounded
    expected = binomtest(right, count).proportion_ci(confidence_level=level, method="wilson")
    interval = error_charts.wilson(right / count, count)
    assert interval == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_a_chart_of_an_unknown_form_is_refused_by_its_name() -> None:
    chart = Chart("pie", "Shares", {})
    with pytest.raises(UserError, match="a chart of the form 'pie', which no report can draw"):
        error_charts.draw(chart, unit=None, step=None)


def test_curves_keep_their_order_in_a_file_though_keys_are_sorted(tmp_path: Path) -> None:
    """The network's curve is drawn first and in its colour, whatever the baselines are called."""
    errors = [("network", [1.0, 3.0]), ("a method", [2.0, 2.0])]
    written = Chart("by_step", "Error by step", {"errors": errors})
    written.write(tmp_path / "chart.json")
    drawn = error_charts.draw(Chart.read(tmp_path / "chart.json"), unit=None, step=None)
    assert "The network&#39;s error is largest at step 2: 3.00." in drawn.svg


@pytest.mark.parametrize(("title", "lines"), [("than the mean", 1), ("than " + 28 * "x", 2)])
def test_a_long_title_stands_above_its_numbers_not_in_them(title: str, lines: int) -> None:
    numbers = "0.0062 [-0.0078, 0.0195]"
    rows = [Row(title, 0.0062, -0.0078, 0.0195, numbers, strong=True)]
    chart = ET.fromstring(charts.forest_plot("t", "d", rows, label="x"))  # noqa: S314
    heights = {part.get("y") for part in chart.iter() if part.text in (title, numbers)}
    assert len(heights) == lines
