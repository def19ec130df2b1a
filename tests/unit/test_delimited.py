"""Files that are no table, or no longer one, are refused in our words."""

from __future__ import annotations

import gzip
import shlex
import subprocess
from pathlib import Path

import pytest
from made_tables import refused

from goodfit.data import delimited
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
@pytest.mark.parametrize(
    ("encoding", "said"), [("utf-16", ", but UTF-16"), ("cp1252", " (byte 3)")]
)
def test_a_file_of_windows_is_refused_with_the_command_that_mends_it(
    tmp_path: Path, encoding: str, said: str
) -> None:
    (tmp_path / "t.csv").write_text("a;K\u00f6ln\n" + "1;2\n" * 20, encoding)
    with pytest.raises(UserError) as error:
        delimited.cells(tmp_path / "t.csv")
    message, _, command = str(error.value).removesuffix("`)").partition(" (a file of Windows by `")
    assert message == f"t.csv is not UTF-8{said}; save it as CSV in UTF-8"
    mended = subprocess.run([*shlex.split(command), "t.csv"], cwd=tmp_path, stdout=subprocess.PIPE)
    (tmp_path / "t.csv").write_bytes(mended.stdout)
    assert list(delimited.cells(tmp_path / "t.csv")) == ["a", "K\u00f6ln"]


@pytest.mark.fault(22)
def test_the_separators_are_named_where_none_is_found(tmp_path: Path) -> None:
    assert refused(tmp_path, "a:y\n1:no\n2:yes\n") == (
        "t.csv lacks column 'y'. Known: a:y. It has this one alone; cells are separated by one of: "
        "comma semicolon tab bar."
    )
