"""A column that weighs the rows of a table: read, refused by its rows, and no input."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tiny
from made_tables import read, refused, table

from goodfit.config.check import _check_weighing, _part, check
from goodfit.data import delimited
from goodfit.errors import UserError

ROWS = 40


def text(weights: list[str] | None = None, **more: list[str]) -> str:
    """A table whose rows weigh 1 to 3, or these."""
    weights = weights or [str(1 + row % 3) for row in range(ROWS)]
    lines = [",".join(["x", "y", "hours", *more])]
    for row in range(ROWS):
        cells = [f"{row / 7:.3f}", ["yes", "no"][row % 2], weights[row]]
        lines.append(",".join(cells + [values[row] for values in more.values()]))
    return "\n".join(lines) + "\n"


def with_cell(cell: str) -> str:
    return text(["2", "1", cell, *["1"] * (ROWS - 3)])


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("", "row 4  column hours  '' is empty"),
        ("NA", "row 4  column hours  'NA' is missing"),
        ("-1", "row 4  column hours  '-1' is less than 0"),
        ("many", "row 4  column hours  'many' is not a finite number"),
        ("inf", "row 4  column hours  'inf' is not a finite number"),
        ("1e300", "row 4  column hours  '1e+300' is beyond all weights"),
    ],
)
@pytest.mark.fault(74)
def test_a_cell_that_is_no_weight_is_told_with_its_row(
    tmp_path: Path, cell: str, said: str
) -> None:
    assert said in refused(tmp_path, with_cell(cell), weight="hours")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"weight": "hour"}, "lacks column 'hour'. Did you mean 'hours'?"),
        ({"weight": "y"}, "data.weight names 'y', which is the target"),
        ({"columns": {"hours": "number"}}, "it weighs the rows, and is no input"),
        ({"columns": {"hours": "category"}}, "it weighs the rows, and is no input"),
        ({"drop": ["hours"]}, "data.weight and data.drop both name 'hours'"),
        ({"group": "hours"}, "data.weight and data.group both name 'hours'"),
        ({"missing_in": {"hours": "impute"}}, "data.weight and data.missing_in both name"),
    ],
)
@pytest.mark.fault(74)
def test_what_else_is_said_of_the_column_is_refused(
    tmp_path: Path, options: dict[str, object], said: str
) -> None:
    assert said in refused(tmp_path, text(), **{"weight": "hours"} | options)


def test_the_weight_is_no_input_and_weighs_rows(tmp_path: Path) -> None:
    rows, made = read(tmp_path, text(), weight="hours"), table(weight="hours")
    spec = made.fit(rows)
    assert list(spec.facts["columns"]) == ["x"]
    assert spec.weighed_by == "hours"
    assert made.sample_weight(rows).tolist() == [1 + row % 3 for row in range(ROWS)]
    read_as = {column.name: (column.read_as, column.why) for column in made.columns_read(spec)}
    assert read_as["hours"] == ("weight", "weighs the rows, from 1 to 3")
    assert list(made.example(rows)) == ["x"]


def test_copies_are_known_whatever_they_weigh(tmp_path: Path) -> None:
    rows = read(tmp_path, text(), weight="hours")
    other = rows.assign(hours=5.0)
    made = table(weight="hours")
    assert made.key(rows) == made.key(other)


@pytest.mark.parametrize("weight", ["1", "3"])
def test_weights_that_are_all_equal_are_none_and_that_is_said(tmp_path: Path, weight: str) -> None:
    rows, made = read(tmp_path, text([weight] * ROWS), weight="hours"), table(weight="hours")
    spec = made.fit(rows)
    assert spec.weighed_by is None
    (said,) = (column for column in made.columns_read(spec) if column.name == "hours")
    assert said.read_as is None
    assert said.why == f"data.weight names it, but all rows weigh {weight}: alike"


def test_a_decimal_comma_may_be_said_of_it(tmp_path: Path) -> None:
    weights = ['"1,234"', '"2,5"', *["1"] * (ROWS - 2)]
    columns = {"hours": "decimal_comma"}
    rows = read(tmp_path, text(weights), weight="hours", columns=columns)
    assert rows["hours"].head(2).tolist() == [1.234, 2.5]


@pytest.mark.fault(74)
def test_a_split_that_weighs_nothing_is_refused(tmp_path: Path) -> None:
    folds = ["train"] * 20 + ["validation"] * 10 + ["test"] * 10
    options = {"weight": "hours", "assigned": "fold"}
    rows = read(tmp_path, text(["2"] * 30 + ["0"] * 10, fold=folds), **options)
    with pytest.raises(UserError, match=r"data\.weight=hours: all 10 rows of test weigh 0"):
        table(**options).split(rows, np.arange(ROWS))


def test_rows_without_the_column_are_answered(tmp_path: Path) -> None:
    rows, made = read(tmp_path, text(), weight="hours"), table(weight="hours")
    spec = made.fit(rows)
    with_it = made.encode(rows, spec)["numbers"]
    assert np.array_equal(made.encode(rows[["x"]], spec)["numbers"], with_it)


def test_a_column_of_another_spelling_is_found(tmp_path: Path) -> None:
    accented = "e\N{COMBINING ACUTE ACCENT}ffet"
    rows = read(tmp_path, text().replace("hours", accented), weight=accented)
    assert delimited.normal(accented) in rows


@pytest.mark.parametrize("name", ["ridge", "svm"])
def test_baselines_say_whether_they_weigh(name: str) -> None:
    assert tiny.constants(tiny.section("baseline", name))["weighs"]


@pytest.mark.fault(74)
def test_a_baseline_that_does_not_weigh_rows_is_refused() -> None:
    check(tiny.cfg("table-number", data={"weight": "age"}))
    # all that fit tables do; one of series stands for somebody's own
    part = _part(tiny.section("baseline", "lag_ridge"))
    with pytest.raises(UserError, match=r"does not weigh rows, as data\.weight=hours asks"):
        _check_weighing("hours", {"baseline.lag_ridge": part})
    _check_weighing(None, {"baseline.lag_ridge": part})


def test_a_series_has_no_weight() -> None:
    cfg = tiny.cfg("series-shops", data={"weight": "age"})
    with pytest.raises(UserError, match=r"unknown key 'data\.weight'"):
        check(cfg)
