"""The samples that the network gets most wrong, in a form that a person can look at.

Letters: N test samples, K outputs of the network.
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

    `outputs` (N, K) are the network's for `test`; `rows` hold what a person can read of each
    sample.
    """
    losses = [task.loss(outputs[i : i + 1], test.target[i : i + 1]) for i in range(len(test))]
    chosen = torch.stack(losses).argsort(descending=True)[:count].tolist()
    return tuple(_example(task, outputs, test, rows, row, float(losses[row])) for row in chosen)


def _example(
    task: Task, outputs: Tensor, test: Packed, rows: pd.DataFrame, row: int, loss: float
) -> Example:
    prediction = task.predict(outputs[row : row + 1])[0]
    sample = {name: array[row].numpy() for name, array in test.inputs.items()}
    data_set = build.data_class(task.spec)
    return Example(
        row=row,
        loss=loss,
        answer=task.answer(prediction, test.target[row]),
        exhibit=data_set.show(sample, rows.iloc[row], task.spec),
    )
