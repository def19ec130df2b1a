"""How much test can tell, before anything is trained on its data.

Letters: N rows, C clusters of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from goodfit.data.base import Array, DataSet
from goodfit.data.delimited import normal
from goodfit.metrics.weighted_arrays import effective
from goodfit.records import FEWEST_UNITS


def units(clusters: Array, weight: Array | None) -> tuple[int, int]:
    """C, the clusters of rows (N,), and how many of equal weight tell as much, as a verdict counts.

    A cluster weighs what its rows do on average, and rows that weigh nothing are in none.
    """
    weights = np.ones(len(clusters)) if weight is None else np.asarray(weight, np.float64)
    _, numbers = np.unique(clusters[weights > 0], return_inverse=True)
    sizes = np.bincount(numbers)
    return len(sizes), effective(np.bincount(numbers, weights[weights > 0]) / sizes)


def too_few(drawn: int, worth: int, what: str, more: str) -> list[str]:
    """A note where `drawn` clusters are `worth` fewer than a verdict takes, with what has `more`.

    `what` says how many there are of which, as a reader calls them.
    """
    if worth >= FEWEST_UNITS:
        return []
    by_weight = "" if worth == drawn else f", by their weights worth {worth}"
    few = f"of fewer than {FEWEST_UNITS} no verdict is given"
    return [f"test has {what}{by_weight}: {few}; {more}"]


def of_rows(
    data: DataSet, rows: pd.DataFrame, splits: Array, options: Mapping[str, Any], word: str
) -> list[str]:
    """A note where test has too few of rows (N,) in their `splits` (N,), or of their groups.

    `options` name the columns that group, weigh and split; `word` is what a row is called.
    """
    of_test, group = splits == "test", options.get("group")
    # a weight that is the same in all rows is in none
    weighs = normal(options.get("weight") or "") in rows
    weight = data.sample_weight(rows)[of_test] if weighs else None
    drawn, worth = units(data.clusters(rows)[of_test], weight)
    what = f"{drawn} different '{group}'" if group else f"{drawn} {word}{'s' * (drawn != 1)}"
    more = "more of them" if group else f"more {word}s"
    larger = " in test" if options.get("assigned") else ", or a larger test="
    return too_few(drawn, worth, what, f"{more}{larger}")
