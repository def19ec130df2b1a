"""Each row of a file is answered or refused, whatever is wrong with it, and none is lost."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import openpyxl
import pandas as pd
import pytest
import tiny
import torch
from made_tables import read, table

from goodfit import build
from goodfit.contract import DataSpec
from goodfit.data import row_files
from goodfit.errors import UserError
from goodfit.predictor import Predictor
from goodfit.stages import predict

TABLE = tiny.SAMPLES / "table.csv"
HEADER, *LINES = TABLE.read_text().splitlines()
WIDTH = len(HEADER.split(","))


@pytest.fixture(scope="module")
def model(model_of: Callable[[str], Path]) -> Path:
    """The folder of a model of the table with every type of column."""
    return model_of("table-class")


def expected(model: Path, count: int) -> list[str]:
    rows = pd.read_csv(TABLE, dtype=str, keep_default_na=False).head(count)
    return list(Predictor.load(model).predict(rows)["label"])


def test_a_row_of_empty_cells_is_a_row_and_a_blank_line_is_none(
    ask: Callable[..., int], model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    empty = "," * (WIDTH - 1)
    lines = [HEADER, LINES[0], empty, "", LINES[1], empty, ""]
    Path("rows.csv").write_text("\n".join(lines))
    assert ask("rows.csv", "--out", "got.csv") == predict.SOME_REFUSED
    said = capsys.readouterr().err.splitlines()
    assert said[-1] == "2 rows answered, 2 refused: got.csv"
    assert [line.partition(": ")[0] for line in said[:2]] == [
        "rows.csv, line 3",
        "rows.csv, line 6",
    ]
    got = pd.read_csv("got.csv", dtype=str, keep_default_na=False)
    first, second = expected(model, 2)
    assert list(got["label"]) == [first, "", second, ""]


def test_a_row_of_empty_cells_is_answered_where_the_model_takes_missing_ones(
    tmp_path: Path,
) -> None:
    spec = table().fit(read(tmp_path, "a,b,y\n1,,no\n,2,yes\n3,4,yes\n"))
    torch.manual_seed(0)
    predictor = Predictor(build.task(tiny.cfg("table-class"), spec), spec)
    rows = row_files.parts("t.csv", io.BytesIO(b"a;b\n1;2\n;\n;\n3;4\n"), "csv", 10)
    (part,) = rows
    got, problems = predict.answered(predictor, part.rows, part.broken)
    assert problems == {}
    assert part.numbers == [2, 3, 4, 5]
    alone = predictor.predict(pd.DataFrame({"a": [""], "b": [""]}))
    for row in (1, 2):
        pd.testing.assert_frame_equal(got[row : row + 1].reset_index(drop=True), alone)


def test_in_a_file_of_one_column_a_blank_line_is_a_missing_cell(
    tmp_path: Path, prepared: Callable[[str], Path]
) -> None:
    spec = DataSpec.read(prepared("texts-topic") / "spec.json")
    torch.manual_seed(0)
    predictor = Predictor(build.task(tiny.cfg("texts-topic"), spec), spec)
    path = tmp_path / "rows.csv"
    path.write_text(f"{spec.facts['text']}\na good one\n\na bad one\n")
    with path.open("rb") as stream:
        (part,) = row_files.parts("rows.csv", stream, "csv", 10)
    got, problems = predict.answered(predictor, part.rows, part.broken)
    assert part.numbers == [2, 3, 4]
    assert list(got.isna().all(axis=1)) == [False, True, False]
    assert problems == {1: f"column {spec.facts['text']} is missing; in training none was"}


@pytest.mark.fault(33)
def test_a_row_that_cannot_be_read_is_refused_and_the_others_are_answered(
    ask: Callable[..., int], model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """More cells than the header, and a quote that nobody closes, which takes in what follows."""
    note = [f"{line}," for line in LINES[:5]]
    note[1] += "one,more"
    note[3] += '"open'
    Path("rows.csv").write_text("\n".join([f"{HEADER},note", *note]))
    assert ask("rows.csv", "--out", "got.csv") == predict.SOME_REFUSED
    assert capsys.readouterr().err.splitlines() == [
        f"rows.csv, line 3: has {WIDTH + 2} cells, the header {WIDTH + 1}",
        'rows.csv, line 5: has a quote (") that is opened and not closed',
        "3 rows answered, 2 refused: got.csv",
    ]
    with Path("got.csv").open(newline="") as stream:
        got = list(csv.DictReader(stream))
    labels = expected(model, 5)
    assert [row["label"] for row in got] == [labels[0], "", labels[2], "", labels[4]]
    assert [row["note"].strip() for row in got] == ["", "one", "", "open", ""]
    assert [row["id"] for row in got] == ["0", "1", "2", "3", "4"]


@pytest.mark.slow
@pytest.mark.fault(33)
@pytest.mark.parametrize("size", [8192, 2])
@pytest.mark.parametrize("out", ["got.jsonl", "got.csv", "got.parquet"])
def test_a_line_that_is_no_json_is_refused_and_the_others_are_answered(
    ask: Callable[..., int],
    model: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    size: int,
    out: str,
) -> None:
    monkeypatch.setattr(predict, "PART", size)
    rows = pd.read_csv(TABLE, dtype=str, keep_default_na=False).head(6)
    lines = [json.dumps(row) for row in rows.to_dict("records")]
    # with parts of two rows, one part has no row that can be read
    lines[2], lines[3] = "[1, 2]", lines[3][:-5]
    Path("rows.jsonl").write_text("\n".join(lines))
    assert ask("rows.jsonl", "--out", out) == predict.SOME_REFUSED
    said = capsys.readouterr().err.splitlines()
    assert said[0] == "rows.jsonl, line 3: is [1, 2], expected an object, {...}"
    assert said[1].startswith("rows.jsonl, line 4: is no JSON: ")
    assert said[2:] == [f"4 rows answered, 2 refused: {out}"]
    readers: dict[str, Callable[[Path], pd.DataFrame]] = {
        ".csv": pd.read_csv,
        ".parquet": pd.read_parquet,
        ".jsonl": lambda path: pd.read_json(path, lines=True),
    }
    got = readers[Path(out).suffix](Path(out))
    labels = expected(model, 6)
    assert list(got["label"].astype(object).where(got["label"].notna(), None)) == [
        *labels[:2],
        None,
        None,
        *labels[4:],
    ]


def test_a_key_that_comes_late_is_no_cell_of_another_column(
    ask: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The header of CSV is written with the first rows."""
    monkeypatch.setattr(predict, "PART", 2)
    rows = pd.read_csv(TABLE, dtype=str, keep_default_na=False).head(4)
    lines = [json.dumps(row) for row in rows.to_dict("records")]
    lines[3] = lines[3].replace("{", '{"note": "late", ', 1)
    Path("rows.jsonl").write_text("\n".join(lines))
    with pytest.raises(UserError, match=r"column 'note' that the first ones lack.*jsonl"):
        ask("rows.jsonl", "--out", "got.csv")
    assert ask("rows.jsonl", "--out", "got.jsonl") == 0
    last = json.loads(Path("got.jsonl").read_text().splitlines()[3])
    assert last["note"] == "late"
    assert last["label"] in ("yes", "no")


@pytest.mark.parametrize("out", ["got.parquet", "got.arrow"])
def test_values_of_another_type_than_those_before_are_told(
    ask: Callable[..., int], monkeypatch: pytest.MonkeyPatch, out: str
) -> None:
    monkeypatch.setattr(predict, "PART", 2)
    rows = pd.read_csv(TABLE, dtype=str, keep_default_na=False).head(4).assign(note=1)
    lines = [json.dumps(row) for row in rows.to_dict("records")]
    lines[3] = lines[3].replace('"note": 1', '"note": "late"')
    Path("rows.jsonl").write_text("\n".join(lines))
    with pytest.raises(UserError, match=r"no columns of one type each .*write CSV or"):
        ask("rows.jsonl", "--out", out)
    assert not Path(out).exists()


def workbook(path: Path, rows: pd.DataFrame, *more: str) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(list(rows))
    for row in rows.itertuples(index=False):
        sheet.append(list(row))
    for name in more:
        book.create_sheet(name)
    book.save(path)


def database(path: Path, rows: pd.DataFrame, *more: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        rows.assign(scan=b"\0").to_sql("Sheet", connection, index=False)
        for name in more:
            rows.head(1).to_sql(name, connection, index=False)


@pytest.mark.parametrize(
    ("name", "write", "sheet"),
    [("rows.xlsx", workbook, "Sheet"), ("rows.sqlite", database, "Sheet")],
)
def test_a_workbook_and_a_database_are_answered_as_the_same_rows_of_csv(
    ask: Callable[..., int],
    model: Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
    write: Callable[..., None],
    sheet: str,
) -> None:
    """Cells are texts and numbers; a column of bytes is no matter where the model has none."""
    rows = pd.read_csv(TABLE, dtype=str, keep_default_na=False)
    wanted = Predictor.load(model).predict(rows)
    write(Path(name), rows.assign(age=rows["age"].astype(int)))
    before = Path(name).read_bytes()
    assert ask(name, "--out", "got.csv") == 0
    got = pd.read_csv("got.csv", dtype={"code": str})
    pd.testing.assert_frame_equal(got[wanted.columns], wanted, check_dtype=False)
    assert list(got["code"]) == list(rows["code"])
    write(Path(f"two-{name}"), rows.assign(age="many").head(3), "Other")
    with pytest.raises(UserError, match=r"has several \w+s: .*; choose one: --sheet "):
        ask(f"two-{name}")
    capsys.readouterr()
    assert ask(f"two-{name}", "--sheet", sheet) == predict.SOME_REFUSED
    first = 2 if name.endswith("xlsx") else 1
    assert f"two-{name}, row {first}: column age 'many'" in capsys.readouterr().err
    assert Path(name).read_bytes() == before


def test_the_numbers_of_rows_that_pandas_kept_do_not_move_the_answers(
    ask: Callable[..., int], model: Path
) -> None:
    """A name that pandas keeps as an index is a column, in training, too."""
    rows = pd.read_csv(TABLE, dtype=str, keep_default_na=False)
    for index in (np.arange(len(rows)) + 5, pd.Index(rows["id"])):
        indexed = rows.drop(columns="id").set_index(index)
        indexed.to_parquet("rows.parquet")
        wanted = Predictor.load(model).predict(rows)
        assert ask("rows.parquet", "--out", "got.csv", "--replace") == 0
        got = pd.read_csv("got.csv")
        pd.testing.assert_frame_equal(got[wanted.columns], wanted, check_dtype=False)


def test_two_columns_without_a_name_stay(ask: Callable[..., int]) -> None:
    Path("rows.csv").write_text("\n".join([f"{HEADER},,", f"{LINES[0]},a,b"]))
    assert ask("rows.csv", "--out", "got.csv") == 0
    header, row = Path("got.csv").read_text().splitlines()
    assert header.startswith(f"{HEADER},,,label")
    assert row.startswith(f"{LINES[0]},a,b,")
