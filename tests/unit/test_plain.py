"""Whole columns say what a loop over their cells says, plain or not."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from goodfit.data import delimited, plain, plain_csv
from goodfit.data.spill import Spill
from goodfit.errors import UserError

PLAIN = ["1", "-0", "0.1", "12.50", ".5", "5.", "00012", "-3.25", "123456789012345"]
HOSTILE = [
    *("", "1e5", "1E-3", "1e999", "-1e-300", "nan", "NaN", "inf", "-inf", "Infinity", "+5", "--1"),
    *("0x10", "1_000", "1,5", "1 000", "true", "TRUE", "\u0661\u0662", "12\u00a0", "\u22125", "$3"),
    *("12345678901234567890", "0.12345678901234567", "9007199254740993", "4.35", "1e23", "1e+22"),
    *("0012", "+49 30 123456", "1234567890123456", "\u0661" * 17, "-012", "+0", "0", "a\nb"),
]


def columns() -> list[list[str]]:
    alone = [[cell] for cell in [*PLAIN, *HOSTILE]]
    pairs = [list(pair) for pair in itertools.product(PLAIN[:3], HOSTILE)]
    return [*alone, *pairs, PLAIN, HOSTILE, [*PLAIN, *HOSTILE], PLAIN * 500, [*PLAIN * 300, "x"]]


def test_numbers_are_those_of_pandas_bit_by_bit() -> None:
    for cells in columns():
        expected = np.array([pd.to_numeric(cell, errors="coerce") for cell in cells], float)
        # pandas gives a zero the sign that the other cells of its column ask for
        found = plain.numbers(pd.Series(cells)) + 0.0
        assert found.tobytes() == (expected + 0.0).tobytes(), cells


def test_long_numbers_and_exponents_are_those_of_pandas_to_the_last_bit() -> None:
    drawn = np.random.default_rng(0)
    cells = []
    for length in drawn.integers(1, 20, 20_000):
        digits = "".join(map(str, drawn.integers(0, 10, length)))
        cells.append(f"{digits[0]}.{digits[1:]}e{drawn.integers(-300, 300)}")
    for some in (pd.Series(cells), pd.Series([cell.partition("e")[0] for cell in cells])):
        assert plain.numbers(some).tobytes() == pd.to_numeric(some).to_numpy(float).tobytes()


def test_a_column_is_of_finite_numbers_where_each_cell_is_one() -> None:
    for cells in columns():
        each = [bool(np.isfinite(pd.to_numeric(cell, errors="coerce"))) for cell in cells]
        assert plain.are_finite(pd.Series(cells)) == all(each), cells


def test_codes_and_long_numbers_are_found_as_cell_by_cell() -> None:
    for cells in columns():
        many = sum(bool(re.fullmatch(r"\d{16,}", cell)) for cell in cells)
        code = any(re.fullmatch(r"[+-]?0\d+|\+[\d .()/-]{7,}", cell) for cell in cells)
        assert plain.codes(plain.counted(pd.Series(cells))) == (many, code), cells


def test_texts_are_counted_in_the_order_in_which_they_appear() -> None:
    cells = pd.Series(["b", "a", "b", "", "c", "a", "b"])
    assert list(plain.counted(cells).times().items()) == [("b", 3), ("a", 2), ("", 1), ("c", 1)]


FILES = {
    "plain": "a,b\n1,x\n2,y\n",
    "no end": "a,b\n1,x\n2,y",
    "windows": "a,b\r\n1,x\r\n2,y\r\n",
    "mac": "a,b\r1,x\r2,y\r",
    "quoted": 'a,b\n"1","x"\n2,"y, z"\n',
    "quotes in quotes": 'a,b\n1,"say ""x"""\n2,y\n',
    "quote in a cell": 'a,b\n1,5" pipe\n2,y"\n',
    "rows in quotes": 'a,b\n1,"x\ny"\n2,z\n',
    "open-quote": 'a,b\n1,"x\n2,y\n3,z\n',
    "spaces": "a, b \n 1 ,x\n2, y\n",
    "spaces before quotes": 'a,b\n1, "x"\n2, "y, z"\n',
    "blank lines": "a,b\n\n1,x\n\n\n2,y\n\n",
    "blank rows": "a,b\n,\n1,x\n , \n2,y\n",
    "short rows": "a,b\n1\n2,y\n",
    "long rows": "a,b\n1,x,3\n2,y\n",
    "no name": "a,\n1,x\n2,y\n",
    "mark": "\ufeffa,b\n1,x\n2,y\n",
    "two marks": "\ufeff\ufeffa,b\n1,x\n2,y\n",
    "semicolons": "a;b\n1,5;x\n2,5;y\n",
    "one column": "a\n1\n\n2\n",
    "letters": "größe,b\n1,ß\n2,\u00a0y\n",
    "tokens": "a,b\nNA,null\n,None\n",
    "single quotes": "a,b\n'1','x'\n'2','y'\n",
    "header alone": "a,b\n",
    "nothing": "",
    "NUL": "a,b\n1,\0\n",
    "twice": "a,a\n1,x\n",
}


def outcome(path: Path) -> object:
    try:
        table = delimited.cells(path)
    except UserError as error:
        return str(error)
    return (list(table), table.to_numpy().tolist(), list(table.index), table.attrs)


@pytest.mark.fault(75)
@pytest.mark.parametrize("name", FILES)
def test_a_file_reads_alike_by_both_ways(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(FILES[name].encode())
    ours = outcome(path)
    monkeypatch.setattr(plain_csv, "cells", lambda *_, **__: None)
    assert ours == outcome(path)


@pytest.mark.parametrize("name", ["plain", "windows", "quoted", "blank rows", "letters"])
def test_what_programs_write_is_plain(name: str, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(FILES[name], newline="")
    assert plain_csv.cells(path, ["a", "b"], ",", Spill(), first_row=2) is not None


def test_quotes_are_judged_over_the_borders_of_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a,b\n" + '"12","x, y"\n' * 50)
    for block in range(40, 60):
        monkeypatch.setattr(plain_csv, "_BLOCK", block)
        table = plain_csv.cells(path, ["a", "b"], ",", Spill(), first_row=2)
        assert table is not None
        assert table.to_numpy().tolist() == [["12", "x, y"]] * 50


@pytest.mark.parametrize("letter", ["", "!", "~", "0"])
def test_letters_that_are_no_spaces_leave_a_column_as_it_is(letter: str) -> None:
    assert not plain.may_have_spaces(pd.Series(["", f"1{letter}2", "-0.5"], dtype="str"))


@pytest.mark.parametrize(
    "letter", [*" \t\x0b\x1c\x1f\x85\xa0\u2003", "é"], ids=lambda letter: f"{ord(letter):x}"
)
def test_whatever_may_be_a_space_is_looked_at(letter: str) -> None:
    cells = pd.Series(["1", f"2{letter}", "3"], dtype="str")
    assert plain.may_have_spaces(cells)
    assert not plain.may_have_spaces(cells.iloc[2:])
    assert plain.may_have_spaces(cells.astype(object))
