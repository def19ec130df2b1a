"""The test samples with the largest loss, as examples for a reader.

Letters: N test samples.
"""

from __future__ import annotations

import pandas as pd
import torch
from torch import Tensor

from goodfit import build
from goodfit.records import Example
from goodfit.store.arrays import Packed
from goodfit.task.base import Task


def worst(
    task: Task, outputs: Tensor, test: Packed, rows: pd.DataFrame, count: int
) -> tuple[Example, ...]:
    """The `count` test samples with the largest loss, the largest first.

    `outputs` (N, ...) are the network's for `test`; `rows` are the readable rows of its samples.
    """
    # `loss` is the mean of a batch, so the loss of a sample is that of a batch of one
    losses = [task.loss(outputs[i : i + 1], test.target[i : i + 1]) for i in range(len(test))]
    worst_first = torch.stack(losses).argsort(descending=True).tolist()

    examples = []
    for row in worst_first[:count]:
        examples.append(_example(task, outputs, test, rows, row, float(losses[row])))
    return tuple(examples)


def _example(
    task: Task, outputs: Tensor, test: Packed, rows: pd.DataFrame, row: int, loss: float
) -> Example:
    prediction = task.predict(outputs[row : row + 1])[0]
    inputs = {name: array[row].numpy() for name, array in test.inputs.items()}
    data_set = build.data_class(task.spec)
    return Example(
        row=row,
        loss=loss,
        answer=task.answer(prediction, test.target[row]),
        exhibit=data_set.show(inputs, rows.iloc[row], task.spec),
    )
