"""The test samples with the largest loss, as examples for a reader.

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
    losses = results.loss / results.units
    # stable, so that samples of equal loss do not change places from run to run
    worst_first = losses.argsort(descending=True, stable=True)[:count]
    # the network's answers anew, for these alone: those of a whole split are not kept
    predictions = predictor.predict_packed(test, worst_first)

    examples = []
    for row, prediction in zip(worst_first.tolist(), predictions, strict=True):
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
