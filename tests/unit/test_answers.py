"""Answers beside rows of any data set, in each format that they are written in."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tiny
import torch

from goodfit import build
from goodfit.contract import DataSpec
from goodfit.data import row_files
from goodfit.predictor import Predictor
from goodfit.stages import predict
from goodfit.store import answers

# of a series, all rows have one answer
SAMPLES = [case for case in tiny.cases() if build.data_set(tiny.cfg(case)).row_is_sample]


@pytest.mark.slow
@pytest.mark.parametrize("case", SAMPLES)
def test_rows_of_every_data_set_are_answered_as_lines_of_json(
    case: str, prepared: Callable[[str], Path], tmp_path: Path
) -> None:
    """Windows, pictures, texts: what the registry's input example holds."""
    spec, cfg = DataSpec.read(prepared(case) / "spec.json"), tiny.cfg(case)
    torch.manual_seed(0)
    predictor, data = Predictor(build.task(cfg, spec), spec), build.data_set(cfg)
    some = data.load(tiny.raw(data), data.read(tiny.raw(data)).head(3))
    rows = data.example(some).reset_index(drop=True)
    sent = tmp_path / "rows.jsonl"
    rows.to_json(sent, orient="records", lines=True, date_format="iso")
    with sent.open("rb") as source:
        (part,) = row_files.parts("rows.jsonl", source, "jsonl", 100)
    got, problems = predict.answered(predictor, part.rows)
    assert problems == {}
    pd.testing.assert_frame_equal(got, predictor.predict(rows))
    for name in ("got.jsonl", "got.csv", "got.parquet"):
        path = tmp_path / name
        with path.open("wb") as target:
            file = answers.opened(target, name, row_files.format_of(path))
            file.add(part.rows, got)
            file.close()
        read = {"l": pd.read_json, "v": pd.read_csv, "t": pd.read_parquet}[name[-1]]
        options = {"lines": True} if name.endswith("l") else {}
        assert len(read(path, **options)) == len(rows), name


@pytest.mark.parametrize(
    "cell", ["a", "", "a,b", 'say "x"', "a\nb", "a\rb", "a;b", " a ", "größe", "\u2028", None]
)
@pytest.mark.parametrize("separator", [",", ";"])
@pytest.mark.parametrize("width", [1, 2])
def test_answers_are_written_alike_by_arrow_and_by_pandas(
    cell: str | None, separator: str, width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = [0.1, -0.0, 1e-5, 1e16, 1e22, 123456789.125, 5e-324, np.nan, np.inf]
    texts = [cell, *["b"] * 7, cell]
    rows = pd.DataFrame({"word": pd.array(texts, "str"), "other": "x"}).iloc[:, :width]
    rows.attrs["separator"] = separator
    blank, given = pd.DataFrame(index=rows.index), pd.DataFrame({"value": numbers})

    def written() -> list[bytes]:
        made = []
        for answer in (given, blank, given.astype("float32"), given.assign(day=pd.Timestamp(0))):
            stream = io.BytesIO()
            answers.opened(stream, "a.csv", "csv").add(rows, answer)
            made.append(stream.getvalue())
        return made

    ours = written()
    monkeypatch.setattr(answers, "_plain_csv", lambda *_: None)
    assert ours == written()


def test_a_mark_of_byte_order_is_no_part_of_the_first_name() -> None:
    content = "\ufeffa,b\n1,x\n\n2,y\n".encode()
    (part,) = row_files.parts("t.csv", io.BytesIO(content), "csv", 10)
    assert list(part.rows) == ["a", "b"]
    assert part.numbers == [2, 4]


def test_every_ending_has_a_format() -> None:
    for ending in row_files.ENDINGS:
        assert row_files.format_of(Path(f"A.B{ending.upper()}.gz")) == row_files.ENDINGS[ending]
