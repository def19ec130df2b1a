"""Test samples for a reader stand where their losses say."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tiny
import torch

from goodfit import build
from goodfit.contract import DataSpec
from goodfit.evaluation.examples import ordinary, worst
from goodfit.predictor import Predictor
from goodfit.store.arrays import Packed

Prepared = Callable[[str], Path]


@pytest.mark.parametrize(
    ("case", "quantiles"), [("libreoffice", [0.25, 0.5, 0.75]), ("crowns", [0.1, 0.3, 0.5, 0.7])]
)
def test_ordinary_samples_stand_at_quantiles_of_the_loss_of_a_unit(
    case: str, quantiles: list[float], prepared: Prepared
) -> None:
    folder = prepared(case)
    spec = DataSpec.read(folder / "spec.json")
    torch.manual_seed(0)
    predictor = Predictor(build.task(tiny.cfg(case), spec), spec)
    test, rows = Packed(folder, "test"), pd.read_parquet(folder / "test/rows.parquet")
    results = predictor.measure(test)

    losses = (results.loss / results.units).numpy()
    (last,) = worst(predictor, results, test, rows, 1)
    assert last.loss == losses.max()
    shown = ordinary(predictor, results, test, rows)
    expected = np.quantile(losses, quantiles, method="nearest")
    assert [example.loss for example in shown] == expected.tolist()
    assert [losses[example.row] for example in shown] == expected.tolist()


def test_an_ordinary_text_has_its_source_and_both_texts(prepared: Prepared) -> None:
    folder = prepared("libreoffice")
    spec = DataSpec.read(folder / "spec.json")
    predictor = Predictor(build.task(tiny.cfg("libreoffice"), spec), spec)
    test, rows = Packed(folder, "test"), pd.read_parquet(folder / "test/rows.parquet")
    shown = ordinary(predictor, predictor.measure(test), test, rows)
    assert len(shown) == 3
    for example in shown:
        assert example.exhibit.text == rows["source"][example.row]
        truth, network = example.answer.statements
        assert (truth.who, network.who) == ("truth", "network")
        assert truth.value
