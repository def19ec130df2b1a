"""Whether the number to predict is so skewed that a network should learn it bent.

Letters: N rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd

from goodfit.data.base import Array

_SKEWED, _STRAIGHT = 2.0, 1.0  # skewness: of an exponential distribution it is 2
_FEWEST = 30  # numbers; of fewer, one alone may skew them
_CALLED = {"log": "logarithm", "yeojohnson": "power by Yeo and Johnson"}


class _Bent(NamedTuple):
    transform: str
    values: Array


def skewness(values: Array) -> float:
    """The third moment of standard scores of numbers (N,); 0 where they are all the same."""
    spread = values.std()
    return float((((values - values.mean()) / spread) ** 3).mean()) if spread > 0 else 0.0


def noted(name: str, target: pd.Series[float], splits: Array) -> list[str]:
    """A note on a target (N,) that is skewed in train, where `task.transform` makes it straight.

    Skewed is above 2, straight below 1, either way. A number far off that stands for another thing
    skews both, so of that nothing is said.
    """
    numbers = target.to_numpy(np.float64)
    train = numbers[splits == "train"]
    before = skewness(train)
    if len(train) < _FEWEST or abs(before) <= _SKEWED:
        return []
    for bent in _bent(train, above_0=bool((numbers > 0).all())):
        after = skewness(bent.values)
        if abs(after) < _STRAIGHT:
            what, straight = f"its {_CALLED[bent.transform]}", _rounded(after)
            return [
                f"'{name}' is skewed: skewness {before:.1f} in train, of {what} {straight}; a "
                "squared error looks at little but its tail. task.transform="
                f"{bent.transform}, in the experiment's file or behind train.py, learns {what}"
            ]
    return []


def _rounded(number: float) -> str:
    """With one place, and no minus before 0.0."""
    return f"{round(number, 1) + 0.0:.1f}"


def _bent(train: Array, *, above_0: bool) -> Iterator[_Bent]:
    """Numbers (N,) of train as each transformation has them that can be had, the simple first."""
    if above_0:
        yield _Bent("log", np.log(train))
    from scipy.stats import yeojohnson  # 0.5 s

    # in units of their deviation, as the task takes them
    yield _Bent("yeojohnson", np.asarray(yeojohnson(train / train.std())[0]))
