"""The slope of a line through a few points in a row, whose errors resemble those beside them.

Letters: E points, G correlations.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from goodfit.evaluation.bootstrap import LEVEL
from goodfit.records.interval import Interval

FEWEST_POINTS = 3  # of which a line has an interval
_CORRELATIONS = np.linspace(0, 0.95, 20)  # of neighbouring errors
_HALVINGS = 40  # of a range that holds an end of the interval
_EXACT = 1e-12  # of the points' size, by which rounding puts them beside a line
Array = np.ndarray[Any, Any]


def slope(y: Array) -> Interval | None:
    """The change of y (E,) from point to point with a 95 % interval; None of fewer than three.

    A line by least squares whose errors are taken as independent is far too sure of itself where
    they are not: with a correlation of 0.6 between neighbours, its interval holds the truth two
    times in three. How large the correlation is, a few points do not tell. So each of 0 to 0.95
    counts by how likely it makes the points, and the interval is that of the mixture (Zellner and
    Tiao 1964, with even odds of all correlations). Errors of neighbours are taken to be of first
    order, and not to alternate.
    """
    if len(y) < FEWEST_POINTS:
        return None
    x = np.arange(len(y)) - (len(y) - 1) / 2
    value = float(x @ y / (x @ x))
    rest = y - y.mean() - value * x
    if np.abs(rest).max() <= _EXACT * max(float(np.abs(y).max()), 1e-300):
        return Interval(value, value, value)
    low, high = _ends(*_slopes(x, y), freedom=len(y) - 2)
    return Interval(value, low, high)


def _slopes(x: Array, y: Array) -> tuple[Array, Array, Array]:
    """Slope, standard error and weight (G,) of y (E,) over x (E,) at each correlation."""
    freedom = len(y) - 2
    columns = _whitened(np.stack([np.ones_like(x), x, y], 1))
    design, target = columns[..., :2], columns[..., 2:]
    inverse = np.linalg.inv(design.swapaxes(1, 2) @ design)
    line = inverse @ (design.swapaxes(1, 2) @ target)
    squares = np.square(target - design @ line).sum((1, 2))
    errors = np.sqrt(inverse[:, 1, 1] * squares / freedom)
    logs = np.log(1 - _CORRELATIONS**2) + np.linalg.slogdet(inverse)[1] - freedom * np.log(squares)
    weights = np.exp((logs - logs.max()) / 2)
    return line[:, 1, 0], errors, weights / weights.sum()


def _whitened(values: Array) -> Array:
    """Columns (E, K) whose errors, if they correlate so, do not any more: (G, E, K).

    By differences, the first row by its variance (Prais and Winsten 1954).
    """
    by = _CORRELATIONS[:, None, None]
    first = np.sqrt(1 - by**2) * values[None, :1]
    return np.concatenate([first, values[None, 1:] - by * values[None, :-1]], 1)


def _ends(slopes: Array, errors: Array, weights: Array, freedom: int) -> tuple[float, float]:
    """Between which the central 95 % of a mixture of Student's t distributions (G,) lie."""
    from scipy import special

    reach = float(special.stdtrit(freedom, (1 + LEVEL) / 2)) * errors
    ends = []
    for tail in ((1 - LEVEL) / 2, (1 + LEVEL) / 2):
        low, high = float((slopes - reach).min()), float((slopes + reach).max())
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            below = float(weights @ special.stdtr(freedom, (middle - slopes) / errors))
            low, high = (middle, high) if below < tail else (low, middle)
        ends.append((low + high) / 2)
    return ends[0], ends[1]
