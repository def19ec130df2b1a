"""Two texts side by side: what differs is marked, and what is equal is not."""

from __future__ import annotations

import pytest
from markupsafe import Markup

from goodfit.records import Answer, Chart, Statement
from goodfit.reporting import error_charts, page
from goodfit.reporting.differences import marked


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("Ferme la fenêtre.", "Ferme la fenêtre.", ("Ferme la fenêtre.", "Ferme la fenêtre.")),
        (
            "Ferme la fenêtre.",
            "Ferme la porte.",
            ("Ferme la <mark>fenêtre</mark>.", "Ferme la <mark>porte</mark>."),
        ),
        ("Le fichier", "Le nouveau fichier", ("Le fichier", "Le <mark>nouveau</mark> fichier")),
        ("Oui", "", ("<mark>Oui</mark>", "")),
        ("a < b", "a > b", ("a <mark>&lt;</mark> b", "a <mark>&gt;</mark> b")),
    ],
)
def test_what_the_other_text_lacks_is_marked(
    first: str, second: str, expected: tuple[str, str]
) -> None:
    assert marked(first, second) == expected


def test_what_a_network_wrote_is_no_markup() -> None:
    """It may have learned tags, or was fed them."""
    left, right = marked("<script>x()</script>", "<b>x()</b>")
    for text in (left, right):
        assert isinstance(text, Markup)
        assert "<" not in text.replace("<mark>", "").replace("</mark>", "")


def test_in_long_texts_too_only_what_differs_is_marked() -> None:
    words = ["mot"] * 300
    left, right = marked(" ".join(words), " ".join([*words[:150], "autre", *words[150:]]))
    assert "<mark>" not in left
    assert right.count("<mark>") == 1


def test_in_a_report_texts_are_marked_and_classes_and_numbers_are_not() -> None:
    texts = (Statement("truth", "la porte"), Statement("network", "la fenêtre"))
    assert page._statements(Answer(statements=texts), "") == [
        ("truth", "la <mark>porte</mark>", None),
        ("network", "la <mark>fenêtre</mark>", None),
    ]
    classes = (Statement("truth", "a b", 0.4), Statement("network", "a c", 0.6))
    assert page._statements(Answer(statements=classes), "") == [
        ("truth", "a b", "0.400"),
        ("network", "a c", "0.600"),
    ]
    numbers = (Statement("truth", 1.5), Statement("network", 2.5))
    assert page._statements(Answer(statements=numbers), " kW") == [
        ("truth", "1.500 kW", None),
        ("network", "2.500 kW", None),
    ]


def test_the_chart_of_a_score_names_its_methods_and_axes() -> None:
    numbers = {
        "x": [3.0, 8.5, 14.0],
        "curves": [["network", [60.0, 50.0, 40.0]], ["memory", [50.0, 40.0, 30.0]]],
        "x_label": "words",
        "y_label": "chrF",
        "caption": "Three groups.",
    }
    figure = error_charts.draw(Chart("curves", "chrF by length", numbers), unit=None, step=None)
    assert figure.caption == "Three groups."
    for text in ("network", "memory", "words", "chrF", "is 60.0 at 3.00 and 40.0 at 14.0"):
        assert text in figure.svg
