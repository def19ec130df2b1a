"""What a terminal shows has the numbers of the page, and fits it however narrow it is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from evaluated import make, put
from rich.console import Console

from goodfit.errors import UserError
from goodfit.records import Evaluation
from goodfit.records.interval import Interval
from goodfit.reporting import words
from goodfit.reporting.table import table
from goodfit.stages import report

LARGE = Interval(20656.5195, 18624.6, 22686.9)


@pytest.fixture(autouse=True)
def two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two experiments: the second has a long name and large numbers."""
    monkeypatch.chdir(tmp_path)
    make("some")
    make("electricity_of_a_long_name", outcome=-1, trivial=-1)
    path = Path("report/electricity_of_a_long_name/evaluation/evaluation.json")
    content: dict[str, Any] = json.loads(path.read_text())
    score = content["score"]
    content["network"][score] = {"value": LARGE.value, "low": LARGE.low, "high": LARGE.high}
    put(path, content)


def shown(width: int) -> str:
    console = Console(width=width, color_system=None)
    with console.capture() as capture:
        console.print(table(["some", "electricity_of_a_long_name"], console))
    return capture.get()


@pytest.mark.fault(49)
@pytest.mark.parametrize("width", [30, 40, 60, 80, 132, 200])
def test_the_table_fits_and_loses_no_number(width: int) -> None:
    text = shown(width)
    assert max(len(line.rstrip()) for line in text.splitlines()) <= width
    assert "\N{HORIZONTAL ELLIPSIS}" not in text
    flowing = " ".join(text.split())
    for name in ("some", "electricity_of_a_long_name"):
        evaluation = Evaluation.read(Path("report", name, "evaluation/evaluation.json"))
        assert f"{evaluation.score} {words.measured(evaluation.headline)}" in flowing
        assert evaluation.strong.title in flowing
        assert evaluation.verdict.word in flowing
    # a table where it fits, lines of their own where it does not
    assert ("95 % interval" in text) is (width >= 132)


@pytest.mark.fault(49)
def test_numbers_are_those_of_the_page() -> None:
    assert LARGE.text() == words.measured(LARGE) == "20,657 [18,625, 22,687]"
    assert "20,657 [18,625, 22,687]" in shown(132)
    assert "20656" not in shown(132)
    assert LARGE.text(sign=True) == "+20,657 [+18,625, +22,687]"
    assert Interval(-0.02, -0.05, 0.01).text(sign=True) == (
        "\N{MINUS SIGN}0.020 [\N{MINUS SIGN}0.050, +0.010]"
    )


def test_an_experiment_without_results_is_the_users_to_mend() -> None:
    with pytest.raises(UserError):
        table(["none"], Console(width=80))


@pytest.mark.fault(49)
@pytest.mark.parametrize(("columns", "is_table"), [("40", False), ("200", True), (None, True)])
def test_the_summary_asks_how_wide_the_terminal_is(
    columns: str | None,
    is_table: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from goodfit.stages import summary

    if columns:
        monkeypatch.setenv("COLUMNS", columns)
    else:
        monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.setattr(summary, "_restored", lambda names: [])
    monkeypatch.setattr(report, "COMPARISON", Path("report/index.html"))
    summary.summarize(["some", "electricity_of_a_long_name"])
    printed = capsys.readouterr().out
    assert ("95 % interval" in printed) is is_table
    if columns:
        assert max(map(len, printed.splitlines())) <= int(columns)
