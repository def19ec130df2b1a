"""Numbers as people write them: each notation with its values, and those that have two readings."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from goodfit.data.numbers import Notation, looks_like_code, notation
from goodfit.data.plain import counted
from goodfit.errors import UserError


@pytest.mark.fault(26)
@pytest.mark.parametrize(
    ("cells", "expected", "values"),
    [
        (["141,000", "1,000,000"], Notation("decimal_point"), [141_000, 1_000_000]),
        (["1,234", "2,345.5"], Notation("decimal_point"), [1_234, 2_345.5]),
        (["1.234,5", "2"], Notation("decimal_comma"), [1_234.5, 2]),
        (["0,123", "1,234"], Notation("decimal_comma"), [0.123, 1.234]),  # no group is 0
        (["0.123", "1.234"], Notation(), [0.123, 1.234]),
        (["1,5e3", "2"], Notation("decimal_comma"), [1_500, 2]),
        (["1 234,5", "2\u202f000"], Notation("decimal_comma"), [1_234.5, 2_000]),
        (["1'234.5", "2"], Notation("decimal_point"), [1_234.5, 2]),
        (["1,23,45,678", "7"], Notation("decimal_point"), [12_345_678, 7]),  # as in India
        (["141%", "3 %"], Notation(unit="%"), [141, 3]),
        (["$1,234.50", "-$3", "$-4"], Notation(unit="$"), [1_234.5, -3, -4]),
        (["5 EUR", "6 EUR"], Notation(unit="EUR"), [5, 6]),
        (["5 kg", "6.5kg"], Notation(unit="kg"), [5, 6.5]),
        (["(1,234.5)", "(2)", "3"], Notation("decimal_point"), [-1_234.5, -2, 3]),
        (["\u22125", "\u20135", ".5", "5."], Notation(), [-5, -5, 0.5, 5]),
        (["100-", "1.5-", "3"], Notation(), [-100, -1.5, 3]),  # as accountants' programs print
    ],
)
def test_a_notation_is_found_and_read(
    cells: list[str], expected: Notation, values: list[float]
) -> None:
    found = notation("x", cells)
    assert found == expected
    assert found is not None
    assert [found.value(cell) for cell in cells] == values


@pytest.mark.fault(26)
@pytest.mark.parametrize(
    "cells",
    [
        ["1935-", "1940-"],
        ["1st", "2nd", "4th", "5th"],
        ["1.2.3", "4.5.6"],
        ["12:30", "13:40"],
        ["a1", "b2"],
    ],
)
def test_what_only_holds_digits_is_no_number(cells: list[str]) -> None:
    assert notation("x", cells) is None


@pytest.mark.fault(26)
@pytest.mark.parametrize("cell", ["--5", "+-5", "-$-5", "(-5)", "-5-", "(5", "5)"])
def test_two_signs_or_half_a_bracket_are_no_number(cell: str) -> None:
    found = notation("x", ["5", "6", "$7"])
    assert found is not None
    assert math.isnan(found.value(cell))


@pytest.mark.fault(26)
@pytest.mark.parametrize(
    ("cells", "listed"),
    [
        (["5 km", "700 m"], "1 in km, 1 in m"),
        (["5 €", "7 USD", "8", "1"], "2 without, 1 in €, 1 in USD"),
        (["5 KG", "7 kg"], "1 in KG, 1 in kg"),
        (["50 %", "0.5"], "1 in %, 1 without"),
        (["50 %", "60 %", "0.5"], "2 in %, 1 without"),
        (["12 k", "13 k", "900"], "2 in k, 1 without"),
    ],
)
def test_numbers_in_several_units_are_refused_with_them(cells: list[str], listed: str) -> None:
    with pytest.raises(UserError) as error:
        notation("x", cells)
    assert str(error.value) == (
        f"column 'x': {len(cells)} cells are numbers in several units ({listed}); write all in "
        "one, or take them as texts: data.columns.x=category"
    )


@pytest.mark.fault(26)
def test_two_readings_are_refused_and_either_can_be_chosen() -> None:
    cells = ["1,234", "2,500"]
    message = (
        "column 'x': '1,234' may be 1234 or 1.234; choose data.columns.x=decimal_point or "
        "=decimal_comma"
    )
    with pytest.raises(UserError) as error:
        notation("x", cells)
    assert str(error.value) == message

    point, comma = (notation("x", cells, each) for each in ("decimal_point", "decimal_comma"))
    assert point is not None
    assert comma is not None
    assert [point.value(cell) for cell in cells] == [1234, 2500]
    assert [comma.value(cell) for cell in cells] == [1.234, 2.5]


def test_a_cell_in_another_unit_is_no_number_of_the_column() -> None:
    found = notation("x", ["5 kg", "6 kg", "300 g"])
    assert found == Notation(unit="kg")
    assert math.isnan(found.value("300 g"))
    assert math.isnan(found.value("300"))


@pytest.mark.fault(27)
@pytest.mark.parametrize("code", ["01021", "+49 151 2345678", "4915123456789012345"])
def test_digits_that_name_something_are_codes(code: str) -> None:
    assert looks_like_code(counted(pd.Series(["12", code])))
    # one cell of many digits is a mistake among numbers
    assert looks_like_code(counted(pd.Series([code, "1", "2", "3"]))) == (len(code) < 16)
    assert not looks_like_code(counted(pd.Series(["12", "0", "0.5", "-3", "1e5", "141000"])))


@pytest.mark.fault(27)
def test_zeros_that_make_all_cells_as_wide_before_the_point_make_codes_of_them() -> None:
    """Of industries 01.11 is no 1.11; a quantity is as wide as it is large."""
    assert looks_like_code(counted(pd.Series(["01.11", "10.1", "62.01"])))
    assert not looks_like_code(counted(pd.Series(["01.5", "3.5", "110.5"])))
    assert not looks_like_code(counted(pd.Series(["10.11", "62.01"])))
