"""Pictures with boxes and the curves of detectors, as the report draws them."""

from __future__ import annotations

import base64
import io
import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from PIL import Image

from goodfit.records import Box, Chart
from goodfit.reporting import error_charts
from goodfit.reporting.box_charts import by_overlap, picture, precision_recall

BOXES = (
    Box("truth", (10.0, 20.0, 30.0, 50.0), "Tree", True),
    Box("network", (11.0, 20.0, 30.0, 49.0), "Tree", True, 0.91),
    Box("truth", (60.0, 60.0, 80.0, 80.0), "Tree & <shrub>", False),
    Box("network", (1.0, 2.0, 9.0, 9.0), "Tree", False, 0.4),
    Box("network", (40.0, 2.0, 49.0, 9.0), "Tree", False, 0.35),
)


def address() -> str:
    stream = io.BytesIO()
    Image.fromarray(np.zeros((90, 120, 3), np.uint8)).save(stream, "PNG")
    return f"data:image/png;base64,{base64.b64encode(stream.getvalue()).decode()}"


def elements(drawing: str, name: str) -> list[ET.Element]:
    return [item for item in ET.fromstring(drawing).iter() if item.tag == name]  # noqa: S314 - ours


def test_each_box_lies_on_the_picture_where_it_belongs() -> None:
    drawing = picture("Test sample 3", address(), (120, 90), BOXES)
    rectangles = elements(drawing, "rect")
    corners = set()
    for item in rectangles:
        x, y, width, height = (float(item.attrib[key]) for key in ("x", "y", "width", "height"))
        corners.add((x, y, x + width, y + height, item.attrib["class"]))
    expected = set()
    for box in BOXES:
        expected.add((*box.corners, f"box {box.who} {'hit' if box.hit else 'miss'}"))
    assert corners == expected
    # the truth is drawn last: a box of the network that covers it would hide it
    assert [item.attrib["class"].split()[1] for item in rectangles] == ["network"] * 3 + [
        "truth"
    ] * 2
    (photo,) = elements(drawing, "image")
    assert (photo.attrib["width"], photo.attrib["height"]) == ("120", "90")
    assert photo.attrib["href"] == address()


def test_a_picture_says_in_words_what_it_shows() -> None:
    drawing = picture("Test sample 3", address(), (120, 90), BOXES)
    (description,) = elements(drawing, "desc")
    assert description.text == "1 of 2 true boxes are found; 2 of 3 found boxes are no true ones."
    titles = [item.text for item in elements(drawing, "title")]
    assert "truth: Tree & <shrub>, missed, 20 \N{MULTIPLICATION SIGN} 20 pixels" in titles
    assert "network: Tree, a hit, 19 \N{MULTIPLICATION SIGN} 29 pixels, 0.910" in titles
    assert sum("a false alarm" in (title or "") for title in titles) == 2


def test_curves_are_drawn_in_percent() -> None:
    values = [1.0] * 31 + [0.5] * 10 + [0.0] * 60
    curves = {"network": values, "HOG windows": [0.2] * 101}
    drawing = precision_recall(curves)
    (description,) = elements(drawing, "desc")
    assert description.text == "The network finds at most 40 % of the true boxes."
    assert len(elements(drawing, "polyline")) >= 2
    areas = {"network": [0.5, 0.25, 0.125], "HOG windows": [0.1, 0.05, 0.0]}
    (description,) = elements(by_overlap(areas, [0.5, 0.55, 0.6]), "desc")
    assert description.text == "The network's falls from 0.500 to 0.125."


@pytest.mark.parametrize(
    "chart",
    [
        Chart("precision_recall", "P", {"curves": [["network", [0.0] * 101]]}),
        Chart("by_overlap", "O", {"areas": [["network", [0.0, 0.0]]], "overlaps": [0.5, 0.55]}),
    ],
)
def test_a_method_that_finds_nothing_has_charts_too(chart: Chart) -> None:
    figure = error_charts.draw(chart, unit=None, step=None)
    assert figure.caption
    assert not re.search(r"\b(nan|inf)\b", figure.svg)
