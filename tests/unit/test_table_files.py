"""Each format of a table gives the cells that a CSV file of the same rows gives."""

from __future__ import annotations

import gzip
import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from zipfile import ZipFile

import made_tables
import numpy as np
import openpyxl
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from goodfit.data import features
from goodfit.data.columns import Column
from goodfit.data.faults import CellsError, Faults
from goodfit.data.table_cells import read_as
from goodfit.data.table_files import Wanted, cells, parts
from goodfit.errors import UserError

ROWS = [
    {"area": 79.1, "kind": "b", "rooms": 3, "sold": True, "on": "2024-03-05"},
    {"area": 0.1, "kind": "ä, ö", "rooms": None, "sold": False, "on": "2024-02-29"},
    {"area": 1e300, "kind": "01021", "rooms": 12345678901234, "sold": True, "on": "1999-12-31"},
]
TEXTS = [
    ["79.1", "b", "3", "true", "2024-03-05"],
    ["0.1", "ä, ö", "", "false", "2024-02-29"],
    ["1e+300", "01021", "12345678901234", "true", "1999-12-31"],
]


def arrow() -> pa.Table:
    table = pa.Table.from_pylist(ROWS)
    days = pa.array([date.fromisoformat(str(row["on"])) for row in ROWS])
    return table.set_column(4, "on", days)


def workbook(path: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(list(ROWS[0]))
    for row in ROWS:
        sheet.append([*list(row.values())[:4], datetime.fromisoformat(str(row["on"]))])
    book.save(path)


def database(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute('create table rows (area, kind, rooms, sold, "on")')
        for row in ROWS:
            values = [*list(row.values())[:3], str(row["sold"]).lower(), row["on"]]
            connection.execute("insert into rows values (?, ?, ?, ?, ?)", values)


def feather(path: Path) -> None:
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, arrow().schema) as writer:
        writer.write_table(arrow())


def stream(path: Path) -> None:
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, arrow().schema) as writer:
        writer.write_table(arrow())


def csv_text() -> str:
    lines = ["area,kind,rooms,sold,on", *(",".join(f'"{cell}"' for cell in row) for row in TEXTS)]
    return "\n".join(lines)


WRITERS: dict[str, Callable[[Path], object]] = {
    "rows.csv": lambda path: path.write_text(csv_text()),
    "rows.csv.gz": lambda path: path.write_bytes(gzip.compress(csv_text().encode())),
    "rows.parquet": lambda path: pq.write_table(arrow(), path),
    "rows.arrow": stream,
    "rows.feather": feather,
    "rows.jsonl": lambda path: path.write_text("\n\n".join(json.dumps(row) for row in ROWS)),
    "rows.ndjson.gz": lambda path: path.write_bytes(
        gzip.compress("\n".join(json.dumps(row) for row in ROWS).encode())
    ),
    "rows.xlsx": workbook,
    "rows.sqlite": database,
}


@pytest.mark.parametrize("name", WRITERS)
def test_every_format_gives_the_same_texts(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    WRITERS[name](path)
    table = cells(path)
    assert list(table.columns) == list(ROWS[0])
    midnight = table["on"].str.removesuffix(" 00:00:00")
    assert table.assign(on=midnight).to_numpy().tolist() == TEXTS


@pytest.mark.parametrize(
    ("name", "lines"),
    [("rows.csv", [2, 3, 4]), ("rows.xlsx", [2, 3, 4]), ("rows.jsonl", [1, 3, 5])]
    + [(name, [1, 2, 3]) for name in ("rows.parquet", "rows.sqlite", "rows.feather")],
)
def test_a_row_is_told_by_its_number_in_the_file(
    tmp_path: Path, name: str, lines: list[int]
) -> None:
    WRITERS[name](tmp_path / name)
    table = cells(tmp_path / name)
    assert list(table.index + table.attrs.get("first_row", 2)) == lines


@pytest.mark.parametrize("dtype", ["float32", "float64", "int8", "uint64"])
def test_every_number_of_a_typed_file_is_read_back_exactly(tmp_path: Path, dtype: str) -> None:
    # all patterns of bits, but for those of floats that are no numbers
    drawn = np.random.default_rng(0).bytes(8000)
    values = np.frombuffer(drawn, dtype)
    values = values[np.isfinite(values)]
    pq.write_table(pa.table({"x": values}), tmp_path / "a.parquet")
    texts = cells(tmp_path / "a.parquet")["x"]
    convert = float if dtype.startswith("float") else int
    assert [values.dtype.type(convert(text)) for text in texts] == list(values)


def test_moments_decimals_and_categories_are_texts_that_say_the_same(tmp_path: Path) -> None:
    zoned = pa.array([datetime(2024, 3, 5, 1, tzinfo=UTC)], pa.timestamp("us", "Europe/Berlin"))
    columns = {
        "zoned": zoned,
        "decimal": pa.array([Decimal("1.50")]),
        "category": pa.array(["a"]).dictionary_encode(),
        "nothing": pa.array([None], pa.float64()),
        "nan": pa.array([float("nan")]),
    }
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    row = cells(tmp_path / "a.parquet").iloc[0]
    assert pd.Timestamp(row["zoned"]) == pd.Timestamp("2024-03-05 01:00Z")
    assert list(row)[1:] == ["1.50", "a", "", "nan"]


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ([1, 2], "column 'x' holds values of type list<"),
        ({"a": 1}, "column 'x' holds values of type struct<"),
        (b"\0", "column 'x' holds values of type binary"),
        (pd.Timedelta(1, "D"), "column 'x' holds values of type duration"),
    ],
)
def test_what_is_no_cell_is_refused_by_its_column_or_left_out(
    tmp_path: Path, value: object, told: str
) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"x": pa.array([value]), "y": pa.array([1])}), path)
    with pytest.raises(UserError, match=r"a\.parquet: ") as refused:
        cells(path)
    assert told in str(refused.value)
    assert "data.drop=[x]" in str(refused.value)
    assert cells(path, wanted=Wanted(["x"])).to_numpy().tolist() == [["", "1"]]


def test_a_key_that_a_line_lacks_is_a_missing_cell(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"a": 1}\n{"b": "x", "a": 2.5}\n{"c": [1]}')
    table = cells(tmp_path / "a.jsonl", wanted=Wanted(["c"]))
    assert table[["a", "b"]].to_numpy().tolist() == [["1", ""], ["2.5", "x"]]
    with pytest.raises(UserError, match=r"column 'c' holds values such as \[1\]"):
        cells(tmp_path / "a.jsonl")


def test_a_sheet_or_table_is_chosen_where_there_are_several(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    book.create_sheet("second").append(["x"])
    book["second"].append([5])
    book.save(tmp_path / "a.xlsx")
    database(tmp_path / "a.db")
    with closing(sqlite3.connect(tmp_path / "a.db")) as connection, connection:
        connection.execute("create table second as select 5 as x")
    for name, what in (("a.xlsx", "sheet"), ("a.db", "table")):
        with pytest.raises(UserError, match=f"several {what}s: .*'second'; choose one: data.sheet"):
            cells(tmp_path / name)
        with pytest.raises(UserError, match=f"no {what} 'secnd'.*Did you mean 'second'"):
            cells(tmp_path / name, sheet="secnd")
        assert cells(tmp_path / name, sheet="second").to_numpy().tolist() == [["5"]]
    with pytest.raises(UserError, match=r"a\.csv has no sheets"):
        cells(tmp_path / "a.csv", sheet="second")


def formulas(path: Path) -> None:
    """A workbook that no spreadsheet program has opened: its formulas have no results."""
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.title = "May"
    for row in (["x", "twice x", "y"], [1, 2, 3], [2, "=A3*2", 5]):
        sheet.append(row)
    book.save(path)


def test_a_formula_that_was_never_computed_is_named_and_its_column_can_be_left_out(
    tmp_path: Path,
) -> None:
    path = tmp_path / "a.xlsx"
    formulas(path)
    with pytest.raises(UserError) as refused:
        cells(path)
    assert str(refused.value) == (
        "a.xlsx, sheet 'May', cell B3: '=A3*2' was never computed; open and save the file in a "
        "spreadsheet program, or leave the column out ('data.drop=[\"twice x\"]')"
    )
    assert cells(path, wanted=Wanted(["twice x"])).to_numpy().tolist() == [
        ["1", "", "3"],
        ["2", "", "5"],
    ]


def test_a_formula_that_was_never_computed_costs_its_row_alone_in_use(tmp_path: Path) -> None:
    path = tmp_path / "a.xlsx"
    formulas(path)
    (part,) = parts(path, None, 10)
    number = Column("number", "", "decimal_point").to_facts() | {"mean": 0.0, "std": 1.0}
    text = Column("category", "").to_facts() | {"categories": ["2"]}
    for facts, expected in ((number, "a finite number"), (text, "a text")):
        faults = Faults("the rows")
        features.encode(part.rows["twice x"], facts, faults)
        with pytest.raises(CellsError) as refused:
            faults.report("mend")
        said = f"'=A3*2' (cell B3, never computed) is not {expected}"
        assert refused.value.faults == ((2, "twice x", said),)


@pytest.mark.parametrize("error", ["#DIV/0!", "#REF!", "#NAME?", "#N/A", "#NUM!"])
def test_what_a_spreadsheet_could_not_compute_is_missing(tmp_path: Path, error: str) -> None:
    """Among numbers and texts, in a workbook and in the CSV file that it is saved as."""
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(["ratio", "town", "y"])
    for row in range(60):
        sheet.append(
            [error if row == 7 else row / 7, error if row == 9 else f"t{row % 3}", "ab"[row % 2]]
        )
    assert sheet["A9"].data_type == "e"
    book.save(tmp_path / "t.xlsx")
    pd.DataFrame(list(sheet.values)[1:], columns=["ratio", "town", "y"]).to_csv(
        tmp_path / "t.csv", index=False
    )
    for name in ("t.xlsx", "t.csv"):
        rows = made_tables.table().read({"table": tmp_path / name})
        assert np.flatnonzero(rows["ratio"].isna()).tolist() == [7]
        assert np.flatnonzero(rows["town"] == "").tolist() == [9]
        decided = read_as(rows)
        assert all(
            f"1 of 60 cells is missing ({error!r})" in decided[each].why
            for each in ("ratio", "town")
        )


def test_a_formula_that_names_a_column_must_be_computed(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(["x", '="y"&1'])
    book.save(tmp_path / "a.xlsx")
    with pytest.raises(UserError, match=r"cell B1: '=\"y\"&1' is to name a column"):
        cells(tmp_path / "a.xlsx", wanted=Wanted(["y"]))


def test_a_formula_whose_result_is_an_empty_text_is_an_empty_cell(tmp_path: Path) -> None:
    """As of =IF(A2>0,A2,""), once a spreadsheet program has computed it."""
    formulas(tmp_path / "a.xlsx")
    before, after = b'<c r="B3"><f>', b'<c r="B3" t="str"><f>'
    with ZipFile(tmp_path / "a.xlsx") as book, ZipFile(tmp_path / "b.xlsx", "w") as written:
        for name in book.namelist():
            content = book.read(name)
            assert (before in content) == (name == "xl/worksheets/sheet1.xml")
            written.writestr(name, content.replace(before, after))
    assert cells(tmp_path / "b.xlsx")["twice x"].tolist() == ["2", ""]


@pytest.mark.parametrize("name", ["a.db", "a.parquet", "a.jsonl", "a.xlsx"])
def test_what_is_no_cell_is_refused_where_it_is_needed_alone(tmp_path: Path, name: str) -> None:
    """As by data sets of which no option leaves columns out: they say what may be done."""
    path = tmp_path / name
    if name == "a.db":
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("create table rows (x, other)")
            connection.execute("insert into rows values (1, x'00')")
    elif name == "a.parquet":
        pd.DataFrame({"x": [1], "other": [[1, 2]]}).to_parquet(path)
    elif name == "a.jsonl":
        path.write_text('{"x": 1, "other": [1, 2]}\n')
    else:
        formulas(path)
    other = "twice x" if name == "a.xlsx" else "other"
    table = cells(path, wanted=Wanted(needed=["x"], drops=False))
    assert table["x"].iloc[0] == "1"
    assert set(table[other]) == {""}
    for wanted in (Wanted(needed=[other], drops=False), Wanted([other], [other])):
        with pytest.raises(UserError) as refused:
            cells(path, wanted=wanted)
        assert "data.drop" not in str(refused.value)
    with pytest.raises(UserError, match=r"or leave the column out \('?data\.drop"):
        cells(path)


def test_bytes_of_a_database_are_left_out_with_their_column(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "a.db")) as connection, connection:
        connection.execute("create table rows (x, photo)")
        connection.execute("insert into rows values (1, x'00')")
    with pytest.raises(UserError, match=r"'photo' holds values such as .*data.drop=\[photo\]"):
        cells(tmp_path / "a.db")
    assert cells(tmp_path / "a.db", wanted=Wanted(["photo"])).to_numpy().tolist() == [["1", ""]]


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("a.parquet", "cannot be read as parquet"),
        ("a.arrow", "cannot be read as arrow"),
        ("a.xlsx", "cannot be read as a workbook"),
        ("a.db", "cannot be read as a SQLite database"),
        ("a.jsonl", "a.jsonl, line 1 is no JSON"),
        ("a.csv.gz", "cannot be unpacked"),
        ("a.xls", "save it as .xlsx or as CSV"),
        ("a.json", "write JSON lines (.jsonl), an object for each row on a line of its own"),
    ],
)
def test_a_file_that_is_not_what_its_name_says_is_refused_in_a_line(
    tmp_path: Path, name: str, told: str
) -> None:
    (tmp_path / name).write_bytes(b"neither this nor that, but something else altogether")
    with pytest.raises(UserError) as refused:
        cells(tmp_path / name)
    assert told in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_line_that_is_no_json_is_refused_by_its_number(tmp_path: Path) -> None:
    """Use answers the others; training learns of all rows or of none."""
    (tmp_path / "a.jsonl").write_text('{"x": 1}\n\n{"x": \n{"x": 2}\n')
    with pytest.raises(UserError, match=r"^a\.jsonl, line 3 is no JSON: "):
        cells(tmp_path / "a.jsonl")


@pytest.mark.parametrize("name", ["rows.parquet", "rows.sqlite", "rows.xlsx"])
def test_a_file_is_read_without_a_change_to_its_folder(tmp_path: Path, name: str) -> None:
    WRITERS[name](tmp_path / name)
    before = (tmp_path / name).read_bytes()
    cells(tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_bytes() == before


def test_a_column_that_groups_rows_is_read_where_drop_names_it_too(tmp_path: Path) -> None:
    rows = pd.DataFrame({"a": [0.5, 2.5, 1.5], "who": ["u", "v", "u"], "y": ["no", "yes", "no"]})
    rows.to_parquet(tmp_path / "t.parquet")
    read = made_tables.table(drop=["who"], group="who").read({"table": tmp_path / "t.parquet"})
    assert read["who"].tolist() == ["u", "v", "u"]
