"""Answers to the rows of a file: each row keeps its place, and a bad one its line."""

from __future__ import annotations

import gzip
import io
import json
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
import tiny
import torch

from goodfit import build
from goodfit.contract import DataSpec
from goodfit.data.faults import CellsError
from goodfit.data.mnist import Mnist
from goodfit.errors import UserError
from goodfit.predictor import Predictor
from goodfit.stages import predict

TABLE = tiny.SAMPLES / "table.csv"


@pytest.fixture(scope="module")
def model(model_of: Callable[[str], Path]) -> Path:
    """The folder of a model of the table with every type of column."""
    return model_of("table-class")


def expected(model: Path) -> pd.DataFrame:
    """What the model says of the sample, as a data frame read from it."""
    rows = pd.read_csv(TABLE, dtype=str, keep_default_na=False)
    return Predictor.load(model).predict(rows)


def written_rows(path: Path) -> pd.DataFrame:
    if path.suffix == ".parquet":
        return pd.read_parquet(path)
    if path.suffix in (".arrow", ".feather"):
        return pd.read_feather(path)
    if ".jsonl" in path.name:
        return pd.read_json(path, lines=True, dtype=False)
    return pd.read_csv(path, sep="\t" if ".tsv" in path.name else ",", dtype={"code": str})


def lay(name: str) -> Path:
    """The sample in the format of a name."""
    path, rows = Path(name), pd.read_csv(TABLE, dtype=str, keep_default_na=False)
    content = io.BytesIO()
    if ".parquet" in name:
        rows.to_parquet(content)
    elif name.endswith(".feather"):
        rows.to_feather(content)
    elif name.endswith(".arrow"):
        table = pa.Table.from_pandas(rows)
        with pa.ipc.new_stream(content, table.schema) as writer:
            writer.write_table(table)
    elif ".jsonl" in name:
        rows.to_json(content, orient="records", lines=True)
    else:
        rows.to_csv(content, sep="\t" if ".tsv" in name else ",", index=False)
    plain = content.getvalue()
    path.write_bytes(gzip.compress(plain, mtime=0) if name.endswith(".gz") else plain)
    return path


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [f"rows.{ending}" for ending in ("csv", "tsv", "csv.gz", "jsonl", "jsonl.gz")]
    + [f"rows.{ending}" for ending in ("parquet", "arrow", "feather")],
)
@pytest.mark.parametrize("size", [8192, 7])
def test_each_format_gets_the_answers_of_the_model_beside_its_own_columns(
    ask: Callable[..., int], model: Path, monkeypatch: pytest.MonkeyPatch, name: str, size: int
) -> None:
    monkeypatch.setattr(predict, "PART", size)
    assert ask(str(lay(name)), "--out", f"got.{name}") == 0
    got, wanted = written_rows(Path(f"got.{name}")), expected(model)
    pd.testing.assert_frame_equal(got[wanted.columns], wanted, check_dtype=False)
    assert list(got) == [*pd.read_csv(TABLE, nrows=0), *wanted]


def test_cells_of_a_csv_file_come_back_letter_by_letter(ask: Callable[..., int]) -> None:
    lines = TABLE.read_text().splitlines()
    Path("rows.csv").write_text("\n".join(lines) + "\n")
    ask("rows.csv", "--out", "got.csv")
    for line, got in zip(lines, Path("got.csv").read_text().splitlines(), strict=True):
        assert got.startswith(f"{line},")


def test_rows_that_are_refused_are_told_by_their_line_and_the_others_answered(
    ask: Callable[..., int], model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Behind a blank line, and behind a cell of two lines in a column that nobody uses."""
    header, first, second, *rest = TABLE.read_text().splitlines()
    bad = second.replace("49,Ulm", "many,Ulm")
    assert bad != second
    lines = [
        f"note,{header}",
        f'"two\nlines",{first}',
        "",
        f"-,{bad}",
        *(f"-,{row}" for row in rest),
    ]
    Path("rows.csv").write_text("\n".join(lines))
    assert ask("rows.csv", "--out", "got.csv") == predict.SOME_REFUSED
    said = capsys.readouterr().err.splitlines()
    assert said[-2:] == [
        "rows.csv, line 5: column age 'many' is not a finite number",
        f"{len(rest) + 1} rows answered, 1 refused: got.csv",
    ]
    got, wanted = pd.read_csv("got.csv"), expected(model)
    assert got.loc[1, list(wanted)].isna().all()
    got, wanted = got.drop(index=1), wanted.drop(index=1)
    pd.testing.assert_frame_equal(got[wanted.columns], wanted, check_dtype=False)


def test_a_column_of_the_file_that_is_called_as_an_answer_stays(ask: Callable[..., int]) -> None:
    table = pd.read_csv(TABLE, dtype=str, keep_default_na=False).assign(label="mine")
    table.to_csv("rows.csv", index=False)
    ask("rows.csv", "--out", "got.csv")
    got = pd.read_csv("got.csv")
    assert set(got["label"]) == {"mine"}
    assert set(got["predicted_label"]) <= {"yes", "no"}


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [(), ("--format", "jsonl")])
@pytest.mark.parametrize("before", ["", "\ufeff", "\n \n"])
@pytest.mark.parametrize("packed", [True, False])
def test_standard_input_goes_to_standard_output(
    ask: Callable[..., int],
    model: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfdbinary: Any,
    packed: bool,
    before: str,
    arguments: tuple[str, ...],
) -> None:
    """JSON lines by their first bytes, also compressed, though nobody names their format."""
    content = before.encode() + lay("rows.jsonl").read_bytes()
    given(monkeypatch, gzip.compress(content, mtime=0) if packed else content)
    assert ask("-", *arguments) == 0
    lines = capfdbinary.readouterr().out.splitlines()
    labels = [json.loads(line)["label"] for line in lines]
    assert labels == list(expected(model)["label"])


def given(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    """As standard input, of which a pipe may give one byte at a time."""

    class Pipe(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            return super().read(1 if size == 64 else size)

        def seekable(self) -> bool:
            return False

    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(Pipe(content)))


@pytest.mark.parametrize("name", ["rows.csv", "rows.csv.gz", "rows.parquet", "rows.arrow"])
def test_standard_input_is_told_by_its_first_bytes(
    ask: Callable[..., int], model: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    given(monkeypatch, lay(name).read_bytes())
    assert ask("-", "--out", "got.csv") == 0
    got, wanted = pd.read_csv("got.csv"), expected(model)
    pd.testing.assert_frame_equal(got[wanted.columns], wanted, check_dtype=False)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"PK\x03\x04" + bytes(90), "standard input is no stream of rows; save it as a file"),
        (gzip.compress(b"age,town\n1,Ulm\n", mtime=0)[:12], "standard input cannot be unpacked"),
        (b"\xff\xfea", "standard input begins as UTF-16 and is none; save it as UTF-8"),
        (b"id;name\n1;Ulm\n", r"columns \[.*\] are missing; got \['id', 'name'\]"),
    ],
    ids=["workbook", "cut", "utf-16", "other columns"],
)
def test_standard_input_that_cannot_be_read_is_told(
    ask: Callable[..., int], monkeypatch: pytest.MonkeyPatch, content: bytes, said: str
) -> None:
    given(monkeypatch, content)
    with pytest.raises(UserError, match=said):
        ask("-")


def test_of_many_refused_rows_the_first_hundred_are_told(
    ask: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    table = pd.read_csv(TABLE, dtype=str, keep_default_na=False)
    table = pd.concat([table] * 3, ignore_index=True).assign(age="many")
    table.to_csv("rows.csv", index=False)
    assert ask("rows.csv", "--out", "got.csv") == predict.SOME_REFUSED
    said = capsys.readouterr().err.splitlines()
    told = [line for line in said if line.startswith("rows.csv, line ")]
    assert len(told) == 100
    assert said[-2:] == [
        f"... and {len(table) - 100} more; their answers are empty",
        f"0 rows answered, {len(table)} refused: got.csv",
    ]


def test_a_first_part_without_an_answer_does_not_decide_the_types(
    ask: Callable[..., int], model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(predict, "PART", 7)
    table = pd.read_csv(TABLE, dtype=str, keep_default_na=False)
    table.loc[:6, "age"] = "many"
    table.to_csv("rows.csv", index=False)
    assert ask("rows.csv", "--out", "got.parquet") == predict.SOME_REFUSED
    got, wanted = pd.read_parquet("got.parquet"), expected(model)
    assert got.loc[:6, list(wanted)].isna().all(axis=None)
    pd.testing.assert_frame_equal(got.loc[7:, list(wanted)], wanted[7:], check_dtype=False)


def test_from_another_folder_its_own_files_are_meant(
    ask: Callable[..., int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: Path
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    lay("rows.csv")
    monkeypatch.setattr(sys, "argv", [str(tmp_path / "pipelines/predict.py"), f"model={model}"])
    sys.argv += ["rows.csv", "--out", "got.csv"]
    assert predict.main() == 0
    assert (tmp_path / "elsewhere/got.csv").exists()
    assert Path.cwd() == tmp_path


@pytest.mark.parametrize("names_rows", [True, False])
def test_rows_are_found_by_halves_where_a_data_set_does_not_name_them(
    prepared: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch, names_rows: bool
) -> None:
    """Three of 42 pictures have no right size; each of them alone is refused."""
    encode = Mnist.encode

    def of_no_row(rows: pd.DataFrame, spec: DataSpec) -> Any:
        try:
            return encode(rows, spec)
        except CellsError:
            raise UserError("an image is none") from None

    if not names_rows:
        monkeypatch.setattr(Mnist, "encode", staticmethod(of_no_row))
    spec, cfg = DataSpec.read(prepared("mnist") / "spec.json"), tiny.cfg("mnist")
    torch.manual_seed(0)
    predictor = Predictor(build.task(cfg, spec), spec)
    data = build.data_set(cfg)
    rows = pd.concat([data.example(data.read(tiny.raw(data)))] * 14, ignore_index=True)
    spoiled = [0, 17, 41]
    for row in spoiled:
        rows.at[row, "image"] = [[0.0]]
    got, problems = predict.answered(predictor, rows)
    assert sorted(problems) == spoiled
    assert list(got.index[got.isna().all(axis=1)]) == spoiled
    whole = rows.drop(index=spoiled)
    pd.testing.assert_frame_equal(
        got.loc[whole.index].reset_index(drop=True), predictor.predict(whole), check_dtype=False
    )


def contents() -> Iterator[tuple[str, bytes, str]]:
    """Files that cannot be read, and what is said of each."""
    table = TABLE.read_bytes()
    yield "rows.csv", b"", "rows.csv is empty"
    yield "rows.csv", b"age,age\n1,2\n", "two columns named 'age'"
    yield (
        "rows.csv",
        b"age,town\n2,Ulm,3\n4,5,6\n",
        "line 2 has 3 cells, the header 2; none of",
    )
    yield "rows.csv", gzip.compress(table, mtime=0), "rows.csv is not UTF-8, but a gzip archive"
    yield "rows.csv", b"age,town\n1,Ulm\n", "columns .* are missing"
    yield "rows.csv", table.replace(b"Ulm", b"K\xf6ln"), "rows.csv is not UTF-8"
    yield "rows.csv.gz", table, "rows.csv.gz cannot be read as csv: Not a gzipped file"
    yield "rows.csv.gz", gzip.compress(table, mtime=0)[:-20], "rows.csv.gz cannot be read as csv"
    yield "rows.parquet", table, "rows.parquet cannot be read as parquet"
    yield "rows.jsonl", b'\n{"age": \n', "rows.jsonl, line 2 is no JSON"
    yield (
        "rows.jsonl",
        b"[1, 2]\n",
        r"rows.jsonl, line 1 is \[1, 2\], expected an object, \{...\}",
    )


@pytest.mark.parametrize(("name", "content", "said"), list(contents()))
def test_a_file_that_cannot_be_read_leaves_no_answers(
    ask: Callable[..., int], name: str, content: bytes, said: str
) -> None:
    Path(name).write_bytes(content)
    with pytest.raises(UserError, match=said):
        ask(name, "--out", "got.csv")
    assert not Path("got.csv").exists()


def test_a_file_that_breaks_off_leaves_no_answers(
    ask: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(predict, "PART", 7)
    packed = lay("rows.csv.gz").read_bytes()
    Path("rows.csv.gz").write_bytes(packed[:-12])
    with pytest.raises(UserError, match=r"rows\.csv\.gz cannot be read as csv: Comp"):
        ask("rows.csv.gz", "--out", "got.csv")
    assert sorted(path.name for path in Path().iterdir()) == ["rows.csv.gz"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "got 1 models and 0 files, expected one of each"),
        (("rows.csv", "more.csv"), "got 1 models and 2 files"),
        (("none.csv",), "none.csv cannot be read: No such file or directory"),
        (("rows.csv", "--out", "got.xlsx"), "got.xlsx: expected a file that ends with .csv"),
        (("rows.csv", "--sheet", "May"), "--sheet May: rows.csv has no sheets; leave it out"),
        (("rows.csv", "--out", "old.csv"), "old.csv exists; name another file, or add --replace"),
        (("rows.csv", "--out", "rows.csv", "--replace"), "is the file of the rows"),
        (("rows.csv", "--out", "link.csv", "--replace"), "is the file of the rows"),
        (("rows.csv", "--nonsense"), "unrecognized arguments: --nonsense"),
    ],
)
def test_a_command_that_cannot_be_meant_is_refused(
    ask: Callable[..., int], arguments: tuple[str, ...], said: str
) -> None:
    before = lay("rows.csv").read_bytes()
    Path("old.csv").write_text("kept")
    Path("link.csv").symlink_to("rows.csv")
    with pytest.raises(UserError, match=said):
        ask(*arguments)
    assert Path("rows.csv").read_bytes() == before
    assert Path("old.csv").read_text() == "kept"


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("experiment=mnist", "models/mnist does not exist; make it with"),
        ("experiment=minst", "no experiment is named 'minst'"),
        ("model=models:/mnist", "expected models:/<name>@<alias> or models:/<name>/<version>"),
        ("model=elsewhere", "elsewhere is not a trained model"),
    ],
)
def test_a_model_that_is_not_there_is_told_with_what_to_do(
    ask: Callable[..., int], asked: str, said: str
) -> None:
    lay("rows.csv")
    for name in ("conf", "params.yaml", "gallery"):
        Path(name).symlink_to(tiny.ROOT / name)
    with pytest.raises(UserError, match=said):
        ask("rows.csv", asked=asked)


def test_a_model_of_another_version_is_told_with_the_way_to_ask_it(
    ask: Callable[..., int], model: Path, tmp_path: Path
) -> None:
    old = Path(shutil.copytree(model, tmp_path / "old"))
    content = json.loads((old / "train.json").read_text())
    del content["cost"]["trainable"]
    (old / "train.json").write_text(json.dumps(content))
    lay("rows.csv")
    with pytest.raises(UserError, match="another version of goodfit wrote the model's files"):
        ask("rows.csv", asked="model=old")
