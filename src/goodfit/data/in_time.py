"""What time does to a table that is split without it, and to one whose times are wrong.

Letters: N rows of the table.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from goodfit.data.faults import named
from goodfit.data.findings import FEWEST, SURE, listed
from goodfit.data.table_split import SplitColumns
from goodfit.records import Finding

Array = np.ndarray[Any, Any]
_QUARTER = 4  # of train's rows, the first and the last by a date
_MOST_CLASSES = 20  # that are looked at, the most frequent
_TRIMMED = 100  # of so many rows one on each side may be a mistake
_LEAST_TRIMMED = 3


def in_time(
    rows: pd.DataFrame,
    names: Array,
    goals: Sequence[pd.Series[Any]],
    inputs: Sequence[str],
    splitting: SplitColumns,
) -> list[Finding]:
    """Dates with which a target changes where none decides the split (N,); wrong times.

    Of the rows (N,) of a table, its targets (N,) and the columns that are `inputs`.
    """
    time = splitting.time
    dates = list(map(str, rows[list(inputs)].select_dtypes("datetime")))
    found = wrong_times(rows[time], decides=True) if time else []
    for name in dates:
        found += wrong_times(rows[name], decides=False)
    # with a group, time cannot decide as well
    if time or splitting.assigned or splitting.group:
        return found
    return found + order_matters(rows, names, goals, dates)


class _Change(NamedTuple):
    """How a target differs between the first and the last quarter, and how likely by chance."""

    chance: float
    said: str


def order_matters(
    rows: pd.DataFrame, names: Array, goals: Sequence[pd.Series[Any]], dates: Sequence[str]
) -> list[Finding]:
    """Dates with which a target changes, of rows (N, columns) whose splits `names` (N,) are random.

    The first quarter of train by the date is compared with the last one, each of the `goals` (N,)
    by itself: a class by Fisher's exact test, numbers by Kolmogorov's and Smirnov's.
    """
    found = []
    for name in dates:
        known = np.flatnonzero((names == "train") & rows[name].notna().to_numpy())
        # rows of one day in no order: that of the file may be by class
        known = np.random.default_rng(0).permutation(known)
        known = known[np.argsort(rows[name].to_numpy()[known], kind="stable")]
        quarter = len(known) // _QUARTER
        if quarter < FEWEST or rows[name].iloc[known].nunique() == 1:
            continue
        first, last = known[:quarter], known[-quarter:]
        if rows[name].iloc[first[-1]] >= rows[name].iloc[last[0]]:
            continue
        changes = [_change(goal.iloc[first], goal.iloc[last]) for goal in goals]
        surest = min(changes, key=lambda change: change.chance)
        if surest.chance < SURE / (len(dates) * len(goals)):
            days = rows[name].dt.date
            found.append(
                Finding(
                    what=f"the split is random, and {surest.said} of train by '{name}' "
                    f"({days.iloc[first[0]]} to {days.iloc[first[-1]]}, {days.iloc[last[0]]} to "
                    f"{days.iloc[last[-1]]})",
                    cost="if that is when a row came about, the model will be asked about later "
                    "days than it is scored on, and be worse",
                    answer=named(name, "time"),
                )
            )
    return found


def _change(first: pd.Series[Any], last: pd.Series[Any]) -> _Change:
    """How a target differs between two quarters of rows."""
    from scipy.stats import fisher_exact, ks_2samp

    if pd.api.types.is_float_dtype(first):
        said = f"the median of '{first.name}' is {first.median():g} in the first quarter and "
        return _Change(
            float(ks_2samp(first, last).pvalue), f"{said}{last.median():g} in the last one"
        )
    classes = pd.concat([first, last]).value_counts().index[:_MOST_CLASSES]
    changes = []
    for label in classes:
        counts = [int((quarter == label).sum()) for quarter in (first, last)]
        cells = [(count, len(first) - count) for count in counts]
        before, after = (count / len(first) for count in counts)
        said = f"'{label}' is {before:.1%} of '{first.name}' in the first quarter and {after:.1%}"
        chance = float(fisher_exact(cells).pvalue) * len(classes)
        changes.append(_Change(chance, f"{said} in the last one"))
    return min(changes, key=lambda change: change.chance)


def wrong_times(times: pd.Series[Any], *, decides: bool) -> list[Finding]:
    """Times (N,) that lie farther before or after nearly all others than these lie apart.

    `decides` says that the split is by them. What is missing is none of them.
    """
    values = times.to_numpy("datetime64[us]")
    ordered = np.sort(values[~np.isnat(values)])
    trimmed = max(_LEAST_TRIMMED, len(ordered) // _TRIMMED)
    if len(ordered) < FEWEST:
        return []
    begin, end = ordered[trimmed], ordered[-1 - trimmed]
    span = end - begin
    if not span:
        return []
    found = []
    for side, far in (("before", values < begin - span), ("after", values > end + span)):
        places = np.flatnonzero(far)
        if not len(places):
            continue
        example = pd.Timestamp(values[places[0]]).date()
        split = "test" if side == "after" else "train"
        found.append(
            Finding(
                what=f"'{times.name}' has {len(places)} time{'s' * (len(places) > 1)} far {side} "
                f"the others, such as {example}; nearly all are between "
                f"{pd.Timestamp(begin).date()} and {pd.Timestamp(end).date()}",
                rows=listed(places),
                cost=f"by these times they are in {split}, wherever they belong"
                if decides
                else "the scale is theirs: standardised, the others lie close together",
                answer="mend the cells where they are mistakes, or leave the rows out of the file",
            )
        )
    return found
