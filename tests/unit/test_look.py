"""What a look at somebody's table says, and how it is printed."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from goodfit.data.look import Seen, example, kind_of, warnings
from goodfit.errors import UserError
from goodfit.stages import own


@pytest.mark.fault(29)
def test_one_number_in_two_spellings_is_counted_once() -> None:
    """Labels 0, 1 and 1.0 are two, of which prepare names the pair; no three numbers."""
    assert kind_of(pd.Series(["0", "1", "1.0"] * 9, name="y"), None).kind == "class"
    stars = pd.Series(["1", "2", "3", "3.0"] * 9, name="y")
    with pytest.raises(UserError, match="'y' has 3 different whole numbers"):
        kind_of(stars, None)


def test_a_narrow_terminal_gets_lines_in_which_nothing_is_cut(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [
        ("a column of a long name", "number", "", "numbers"),
        ("id", "left out", "5", "why [x]"),
    ]
    for width, first in (("40", "a column of a long name: read as number; "), ("120", "column")):
        monkeypatch.setenv("COLUMNS", width)
        Console().print(own.printed(("column", "read as", "distinct", "why"), rows, [1]))
        printed = " ".join(capsys.readouterr().out.split())
        assert printed.startswith(first)
        assert "…" not in printed
        assert "why [x]" in printed


@pytest.mark.parametrize("width", ["40", "120"])
def test_a_cell_of_several_lines_is_shown_on_one(
    width: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It broke the table, and what a terminal obeys could have cleared the screen."""
    monkeypatch.setenv("COLUMNS", width)
    shown = example(pd.Series(["first\r\nsecond\tthird\x1b[2J\u2028fourth and more"]))
    assert shown == "first second third [2..."
    row = Seen("two\nlines", "text", "why", 0.0, 1, "an\nexample")
    Console().print(own.printed_columns([row]))
    printed = " ".join(capsys.readouterr().out.split(" "))
    assert "two lines" in printed
    assert "an example" in printed


def test_labels_of_several_lines_are_listed_on_one() -> None:
    said = kind_of(pd.Series(["a\nb", "c"] * 9, name="y"), None).why
    assert said == "'y' has 2 different values: a b (9), c (9)"


def test_an_option_to_paste_is_never_cut_in_two(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    option = "data.columns.a_name_of_many_letters=decimal_comma"
    rows = [("a_name_of_many_letters", "number", "1,234", f"numbers; {option}")]
    for width in (*range(80, 110), 200):
        monkeypatch.setenv("COLUMNS", str(width))
        Console().print(own.printed(("column", "read as", "distinct", "why"), rows, []))
        assert option in capsys.readouterr().out


def test_a_header_that_looks_like_a_row_is_said_and_that_of_years_is_not() -> None:
    target = pd.Series(["a", "b"] * 100)
    kind = kind_of(target.rename("y"), None)

    def said(names: list[str]) -> str:
        columns = [Seen(name, "number", "numbers", 0.0, 9, "1") for name in names]
        return " ".join(warnings(kind, target, np.array(["train"] * 200), columns, 0, "together"))

    assert "names of columns look like cells ('0.346'): the first row" in said(["0.346", "1", "c"])
    assert "look like cells" not in said(["2019", "2020", "2021", "y"])
    assert "look like cells" not in said(["1", "a", "b", "y"])
