"""Targets that a task can learn and score, or a sentence on the rows that hold others.

Letters: N samples of a split, M of them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
from torch import Tensor

from goodfit.baseline.base import at
from goodfit.errors import UserError
from goodfit.store.manifest import RAW_ROW
from goodfit.store.mapped import read_targets
from goodfit.task.base import Task

_SHOWN = 3


def check_targets(task: Task, data: Path, split: str, rows: Tensor | None = None) -> dict[str, Any]:
    """The targets (N, ...) of a split by name, each of which the task can learn and score.

    With `rows` (M,), those of its samples at these rows, though all are checked. Beside them the
    weights of samples (N,), if they have any.

    Raises:
        UserError: it cannot; the first rows that hold others are named.
    """
    targets = read_targets(data / split, task.spec)
    refused = task.refused(targets)
    if not refused:
        return targets if rows is None else at(targets, rows.numpy())
    raw = pd.read_parquet(data / split / "rows.parquet", columns=[RAW_ROW])[RAW_ROW]
    said = [f"row {raw.iloc[number] + 1}: {why}" for number, why in refused.items()]
    more = "" if len(said) <= _SHOWN else "; ..."
    plural = "" if len(said) == 1 else "s"
    raise UserError(
        f"{len(said)} target{plural} of {split} cannot be used (rows of the data are counted "
        f"from 1): {'; '.join(said[:_SHOWN])}{more}"
    )
