"""Rows of a CSV text: as Python's reader has them, and each broken one by itself."""

from __future__ import annotations

import csv
import io

import numpy as np
import pandas as pd
import pytest

from goodfit.data import csv_rows, plain_csv, row_files

OPEN = 'has a quote (") that is opened and not closed'


def rows(text: str) -> list[csv_rows.Row]:
    return list(csv_rows.rows(io.StringIO(text, newline=""), ",", spaced=False))


@pytest.mark.parametrize("lines", [1, 7, 1024])
def test_whole_rows_are_those_that_were_written(
    monkeypatch: pytest.MonkeyPatch, lines: int
) -> None:
    monkeypatch.setattr(csv_rows, "_LINES", lines)
    draw = np.random.default_rng(0)
    made = [
        ["".join(draw.choice(list('ab",\n \r'), draw.integers(6))) for _ in range(3)]
        for _ in range(500)
    ]
    text = io.StringIO(newline="")
    csv.writer(text).writerows(made)
    got = rows(text.getvalue())
    assert [cells for cells, _, _ in got] == made
    assert {problem for _, _, problem in got} == {""}
    reader = csv.reader(io.StringIO(text.getvalue(), newline=""))
    assert [line for _, line, _ in got] == [reader.line_num for _ in reader]


@pytest.mark.parametrize("lines", [1, 2, 1024])
@pytest.mark.parametrize("closing", ["3,z\n", '3,"z"\n', '3,"z"', '3,z"\n', '3,""\n'])
def test_a_quote_that_is_not_closed_spoils_its_own_line(
    monkeypatch: pytest.MonkeyPatch, lines: int, closing: str
) -> None:
    """Whether nothing behind it has a quote, or what opens another cell closes it."""
    monkeypatch.setattr(csv_rows, "_LINES", lines)
    got = rows(f'1,"x\n2,y\n{closing}')
    if closing == '3,z"\n':  # nobody can tell: a cell may have three lines
        assert got == [(["1", "x\n2,y\n3,z"], 3, "")]
        return
    assert got[:2] == [(["1", "x\n"], 1, OPEN), (["2", "y"], 2, "")]
    assert got[2] == (next(csv.reader([closing])), 3, "")


def test_of_many_quotes_that_are_not_closed_each_spoils_its_line() -> None:
    got = rows('1,"x\n2,y\n' * 3000)
    assert [problem for _, _, problem in got] == [OPEN, ""] * 3000


def test_a_cell_may_be_long_and_a_quote_within_one_is_a_letter() -> None:
    long = "x" * 200_000
    assert rows(f'1,{long}\n2,5" wide\n')[0] == (["1", long], 1, "")
    assert rows('1,5" wide\n')[0] == (["1", '5" wide'], 1, "")


def test_the_limit_of_a_cell_is_as_before_also_between_the_rows() -> None:
    """It is one for the whole process: a test of a small one broke a library's reader later."""
    before = csv.field_size_limit(1000)
    try:
        coming = csv_rows.rows(['1,"x\n', f"2,{'y' * 2000}\n", "3,z\n"], ",", spaced=False)
        got = [(row, csv.field_size_limit()) for row in coming]
        assert [limit for _, limit in got] == [1000] * 3 == [csv.field_size_limit()] * 3
        assert got[1][0] == (["2", "y" * 2000], 2, "")
    finally:
        csv.field_size_limit(before)


def test_a_cell_beyond_all_bounds_spoils_its_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_rows, "_MOST", 100)
    got = rows(f"1,{'x' * 101}\n2,y\n")
    assert got[0][1:] == (1, "cannot be read: field larger than field limit (100)")
    assert got[1] == (["2", "y"], 2, "")


LATER = ["", "\n", "5;6;7\n", '"5;\n6";7\n', "5\n", ";\n", " ;x\n", "5;6\r", "\0;1\n", "5;6"]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("later", LATER)
@pytest.mark.parametrize("header", ["a;b", '"a";b', "a;"])
def test_plain_lines_are_the_rows_that_others_are_one_by_one(
    header: str, later: str, end: str
) -> None:
    lines = [header + end, *(f"{row};ä {row}{end}" for row in range(7)), later]
    content = "".join(lines).encode()
    given = list(row_files.parts("t.csv", io.BytesIO(content), "csv", 3))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plain_csv, "rows", lambda *_: None)
        expected = list(row_files.parts("t.csv", io.BytesIO(content), "csv", 3))
    for part, other in zip(given, expected, strict=True):
        assert part.rows.attrs == other.rows.attrs
        pd.testing.assert_frame_equal(part.rows, other.rows)
        assert part[1:] == other[1:]
