"""Files that are no table, or no longer one, are refused in our words."""

from __future__ import annotations

import codecs
import gzip
import io
import shlex
import subprocess
from pathlib import Path

import pytest
from made_tables import refused

from goodfit.data import delimited, first_bytes, row_files, table_files
from goodfit.data.encodings import Encoding
from goodfit.errors import UserError

CUT = "t.csv, cut at each comma: "
GOOD = "a,y\n" + "1,no\n2,yes\n" * 10


@pytest.mark.fault(22)
@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (
            GOOD + "1,2,no\n",
            "row 22 has 3 cells, the header 2; put cells that hold a comma into double quotes",
        ),
        (
            "a,y\n" + "0,1,no\n" * 9,
            "row 2 has 3 cells, the header 2, and so have all; the column of row numbers needs a "
            "name, the rows end with a separator that the header lacks, or numbers with a comma "
            "lack quotes",
        ),
        (
            "# made in May\n" + GOOD,
            "row 2 has 2 cells, the header 1; nothing may stand above the header, which names "
            "every column",
        ),
        (GOOD + '1,"no\n', 'a quote (") is opened and never closed'),
    ],
)
def test_uneven_rows_are_told_without_words_of_a_library(
    tmp_path: Path, text: str, reason: str
) -> None:
    assert refused(tmp_path, text) == CUT + reason


@pytest.mark.fault(22)
def test_rows_that_a_quote_has_swallowed_are_not_lost(tmp_path: Path) -> None:
    rows = ["1,u,no", '2,"5 inch,yes', "3,v,no", "4,v,no", '5,"w",yes', "6,v,no"]
    message = refused(tmp_path, "\n".join(["a,b,y", *rows]) + "\n")
    assert message == (
        't.csv: a quote (") is opened in row 3, column b, and not closed: 3 rows below it became '
        "part of the cell"
    )


def test_a_cell_of_several_lines_with_quotes_and_commas_is_one_cell(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text('a,y\n"one, ""two"",\nthree, four,\nfive",no\nsix,yes\n')
    assert delimited.cells(path)["a"].tolist() == ['one, "two",\nthree, four,\nfive', "six"]


@pytest.mark.fault(22)
@pytest.mark.parametrize("note", ["plain", '"of ""two""\nlines"'])
def test_words_that_pandas_takes_for_missing_are_cells_like_others(
    tmp_path: Path, note: str
) -> None:
    (tmp_path / "t.csv").write_text(f"town,note,y\nNA,{note},None\nUlm,null,no\n")
    rows = delimited.cells(tmp_path / "t.csv")
    assert rows["town"].tolist() == ["NA", "Ulm"]
    assert rows["y"].tolist() == ["None", "no"]
    assert rows["note"].tolist()[1] == "null"


@pytest.mark.fault(22)
def test_single_quotes_are_refused(tmp_path: Path) -> None:
    assert refused(tmp_path, "a,y\n'1',no\n'2',yes\n") == (
        "t.csv: the cells of column a are in single quotes, which belong to a cell in CSV; write "
        'double quotes (")'
    )


@pytest.mark.fault(22)
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (GOOD.encode("utf-16-le"), "t.csv is no text (byte 1 is NUL)"),
        (GOOD.replace("1", "1\0", 1).encode(), "t.csv is no text (byte 5 is NUL)"),
        (gzip.compress(GOOD.encode(), mtime=0), "t.csv is not UTF-8, but a gzip archive"),
        (
            b"PK\x03\x04\x14\0" + bytes(9),
            "t.csv is no text (byte 5 is NUL): it is an Excel workbook or a ZIP archive",
        ),
    ],
)
def test_what_is_no_text_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(content)
    with pytest.raises(UserError) as error:
        delimited.cells(path)
    assert str(error.value) == f"{message}; save it as CSV in UTF-8"


@pytest.mark.fault(22)
def test_a_file_of_windows_is_refused_with_the_command_that_mends_it(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a;K\u00f6ln\n" + "1;2\n" * 20, "cp1252")
    with pytest.raises(UserError) as error:
        delimited.cells(tmp_path / "t.csv", encoding=Encoding(None, ""))
    message, _, command = str(error.value).removesuffix("`)").partition(" (a file of Windows by `")
    assert message == "t.csv is not UTF-8 (byte 3); save it as CSV in UTF-8"
    mended = subprocess.run([*shlex.split(command), "t.csv"], cwd=tmp_path, stdout=subprocess.PIPE)
    (tmp_path / "t.csv").write_bytes(mended.stdout)
    assert list(delimited.cells(tmp_path / "t.csv")) == ["a", "K\u00f6ln"]


# \u0a0a has the bytes of line ends in UTF-16, \u2c2c those of commas
ROWS = ["a;K\u00f6ln", "1;\u0a0a\u2c2c", "2;x"]


def read_in_use(content: bytes, form: row_files.Format = "csv") -> row_files.Part:
    (part,) = row_files.parts("t", io.BytesIO(content), form, 10)
    return part


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz"])
def test_utf_16_with_its_mark_is_read_in_training_and_in_use(
    tmp_path: Path, encoding: str, end: str, name: str
) -> None:
    mark = codecs.BOM_UTF16_BE if encoding == "utf-16-be" else b""
    content = mark + end.join([*ROWS, ""]).encode(encoding)
    packed = gzip.compress(content, mtime=0) if name.endswith(".gz") else content
    (tmp_path / name).write_bytes(packed)
    table = delimited.cells(tmp_path / name)
    assert [list(table), *table.to_numpy().tolist()] == [row.split(";") for row in ROWS]
    assert table.attrs["said"] == ["it is UTF-16", "cells are separated by a semicolon"]
    part = read_in_use(content)
    assert [list(part.rows), *part.rows.to_numpy().tolist()] == [row.split(";") for row in ROWS]
    assert part.numbers == [2, 3]


def test_json_lines_of_utf_16_are_read(tmp_path: Path) -> None:
    text = '{"a": "\u0a0a"}\r\n{"a": "x"}\n'
    (tmp_path / "t.jsonl").write_bytes(text.encode("utf-16"))
    assert table_files.cells(tmp_path / "t.jsonl")["a"].tolist() == ["\u0a0a", "x"]
    assert read_in_use(text.encode("utf-16"), "jsonl").rows["a"].tolist() == ["\u0a0a", "x"]
    _, form = first_bytes.recognised(io.BytesIO(text.encode("utf-16")))
    assert form == "jsonl"


def test_what_begins_as_utf_16_and_is_none_is_refused(tmp_path: Path) -> None:
    content = "a,b\n1,2\n".encode("utf-16") + b"\0"
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(UserError, match=r"as UTF-16 and is none .*; save it as CSV in UTF-8"):
        delimited.cells(tmp_path / "t.csv")
    with pytest.raises(UserError, match="begins as UTF-16 and is none; save it as UTF-8"):
        read_in_use(content)


@pytest.mark.parametrize("first", ["sep=;", '"sep=;"', "\ufeffsep=;", "SEP=;"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("cell", ["3", '"3"', '"a ""3"""'])
def test_the_first_line_may_state_the_separator(
    tmp_path: Path, first: str, end: str, cell: str
) -> None:
    """Of plain files, and of those that are read as a whole; commas would cut as many cells."""
    content = end.join([first, "a,a;b,b", f"1,5;{cell}", "2,5;x", ""]).encode()
    (tmp_path / "t.csv").write_bytes(content)
    table = delimited.cells(tmp_path / "t.csv")
    rows = [["1,5", 'a "3"' if "a" in cell else "3"], ["2,5", "x"]]
    assert list(table) == ["a,a", "b,b"]
    assert table.to_numpy().tolist() == rows
    assert table.attrs["first_row"] == 3
    assert table.attrs["said"] == ["cells are separated by a semicolon, as its first line says"]
    part = read_in_use(content)
    assert list(part.rows) == ["a,a", "b,b"]
    assert part.rows.to_numpy().tolist() == rows
    assert part.numbers == [3, 4]


def test_rows_below_a_stated_separator_have_the_numbers_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("sep=,\na,b\n1,2\n1,2,3\n")
    with pytest.raises(UserError, match="row 4 has 3 cells, the header 2"):
        delimited.cells(tmp_path / "t.csv")


def test_a_stated_separator_that_is_not_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("sep=:\na:b\n1:2\n")
    told = "in its first line that cells are separated by ':'; expected one of: comma semicolon tab"
    with pytest.raises(UserError, match=told):
        delimited.cells(tmp_path / "t.csv")
    with pytest.raises(UserError, match=told):
        read_in_use(b"sep=:\na:b\n1:2\n")


@pytest.mark.fault(22)
def test_the_separators_are_named_where_none_is_found(tmp_path: Path) -> None:
    assert refused(tmp_path, "a:y\n1:no\n2:yes\n") == (
        "t.csv lacks column 'y'. Known: a:y. It has this one alone; cells are separated by one of: "
        "comma semicolon tab bar."
    )
