"""A table of a file: prepare against Arrow's reader alone, answers against the network alone."""

from __future__ import annotations

import io
import shutil
from pathlib import Path

import pandas as pd
import pyarrow.csv
import torch
from torch import Tensor

from benchmarks import made_rows
from benchmarks.measure import Result, Unit, smallest, take_turns
from goodfit import build
from goodfit.config.compose import compose
from goodfit.contract import DataSpec
from goodfit.data import row_files
from goodfit.predictor import BATCH, Predictor
from goodfit.stages import predict
from goodfit.store import answers
from goodfit.store.prepare import prepare

PROTOCOL = """\
rows      Prepare of a CSV file of a million rows, ten columns of numbers and two of texts, which it
          decides, checks, splits, fits and packs, against pyarrow's reader of CSV alone. Then the
          path of predict.py for 100,000 such rows, from the text of the file to the text of the
          answers, against the forward pass alone of the network that new.py chooses for a table, on
          encoded rows in equal batches. Equal: every answer.
"""
_ROWS, _ASKED = 1_000_000, 100_000
_OPTIONS = ("experiment=breast_cancer", "model=tabm", "trainer=cpu")


def rows(root: Path) -> list[Result]:
    """Both comparisons, each once in turns: minutes on busy cores."""
    raw, asked = Path("rows.csv"), Path("asked.csv")
    made_rows.write(raw, _ROWS)
    made_rows.write(asked, _ASKED)
    out = Path("prepared-rows")

    def ours() -> None:
        shutil.rmtree(out, ignore_errors=True)
        prepare(made_rows.table(), {"table": raw}, out, made_with={})

    preparing = take_turns(2, ours, lambda: pyarrow.csv.read_csv(raw))
    print(f"rows: prepare {smallest(preparing[0], 'wall'):.1f} s", flush=True)
    first = Result("prepare of rows", *preparing, 5, Unit("µs a row", 1e6 / _ROWS), "")
    return [first, _answers(root, out, asked)]


def _answers(root: Path, prepared: Path, asked: Path) -> Result:
    spec = DataSpec.read(prepared / "spec.json")
    predictor = Predictor(build.task(compose(root, list(_OPTIONS)), spec), spec)
    table = pd.read_csv(asked, dtype=str, keep_default_na=False)
    numbers = torch.from_numpy(build.data_class(spec).encode(table, spec)["numbers"])
    given = io.BytesIO()

    def ours() -> None:
        given.seek(0)
        with asked.open("rb") as stream:
            parts = row_files.parts("asked.csv", stream, "csv", predict.PART)
            predict.answer_all(predictor, parts, answers.opened(given, "answers.csv", "csv"))

    plain: list[Tensor] = []

    @torch.inference_mode()
    def forward() -> None:
        plain[:] = [predictor.task.infer({"numbers": part}) for part in torch.split(numbers, BATCH)]

    turns = take_turns(3, ours, forward)
    expected = predictor.task.decode(torch.cat(plain))
    given.seek(0)
    assert list(pd.read_csv(given)["predicted_label"]) == list(expected["label"])
    unit = Unit("µs a row", 1e6 / _ASKED)
    return Result("answers to rows", *turns, 2, unit, "every answer")
