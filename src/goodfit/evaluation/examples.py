"""Test samples for a reader: those with the largest loss, and ordinary ones.

Letters: N test samples.
"""

from __future__ import annotations

from typing import Any

import pandas as pd
import torch
from torch import Tensor

from goodfit import build
from goodfit.predictor import Predictor, SampleResults
from goodfit.records import Example
from goodfit.store.arrays import Packed


def worst(
    predictor: Predictor, results: SampleResults, test: Packed, rows: pd.DataFrame, count: int
) -> tuple[Example, ...]:
    """The `count` test samples with the largest loss of a unit, the largest first.

    `results` (N, ...) are those of `test`; `rows` are the readable rows of its samples.
    """
    worst_first = _ranked(results).flip(0)[:count]
    return _examples(predictor, results, test, rows, worst_first)


def ordinary(
    predictor: Predictor, results: SampleResults, test: Packed, rows: pd.DataFrame
) -> tuple[Example, ...]:
    """The test samples at `Task.quantiles` of the loss of a unit, the smallest first.

    `results` (N, ...) are those of `test`; `rows` are the readable rows of its samples.
    """
    ranked = _ranked(results)
    ranks = [round(quantile * (len(ranked) - 1)) for quantile in predictor.task.quantiles]
    return _examples(predictor, results, test, rows, ranked[ranks])


def _ranked(results: SampleResults) -> Tensor:
    """The samples (N,) from the smallest loss of a unit to the largest."""
    # stable, so that samples of equal loss do not change places from run to run: turned around,
    # equal ones stand in their order
    descending = (results.loss / results.units).argsort(descending=True, stable=True)
    return descending.flip(0)


def _examples(
    predictor: Predictor,
    results: SampleResults,
    test: Packed,
    rows: pd.DataFrame,
    chosen: Tensor,
) -> tuple[Example, ...]:
    """The samples at `chosen` (B,) with the network's answers."""
    if not len(chosen):
        return ()
    losses = results.loss / results.units
    # the answers anew, for these alone: those of a whole split are not kept
    predictions = predictor.predict_packed(test, chosen)
    examples = []
    for row, prediction in zip(chosen.tolist(), predictions, strict=True):
        examples.append(_example(predictor, prediction, test, rows.iloc[row], row, losses))
    return tuple(examples)


def _example(
    predictor: Predictor,
    prediction: Tensor,
    test: Packed,
    readable: pd.Series[Any],
    row: int,
    losses: Tensor,
) -> Example:
    sample = test.batch(torch.tensor([row]))
    inputs = {name: array[0].numpy() for name, array in sample.inputs.items()}
    targets = {name: array[0] for name, array in sample.targets.items()}
    data_set = build.data_class(predictor.spec)
    return Example(
        row=row,
        loss=float(losses[row]),
        answer=predictor.task.answer(prediction, **targets),
        exhibit=data_set.show(inputs, readable, predictor.spec),
    )
