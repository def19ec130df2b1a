"""What a look at somebody's table says, and how it is printed."""

from __future__ import annotations

import pandas as pd
import pytest
from rich.console import Console

from goodfit.data.look import kind_of
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
