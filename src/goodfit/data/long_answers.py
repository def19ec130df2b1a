"""Series in use: the last steps of each are received in long form, forecasts are given so.

Letters: N rows, B windows, C steps of the past, T steps ahead.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from goodfit.data import delimited
from goodfit.data.base import Array, check_columns
from goodfit.data.faults import Faults
from goodfit.data.long_rows import SENT, Reading, group_of, runs
from goodfit.data.regular import Run

Facts = Mapping[str, Any]
_TITLES = {"": "forecast", "low_": "low", "high_": "high"}  # by what their steps begin with
_WIDE = ["group", "variable", "start", "tick", "past", "known", "observed"]


def last_windows(rows: pd.DataFrame, facts: Facts) -> pd.DataFrame:
    """The last window of each series (B,), of rows (N,) in long form, as a caller sends them.

    Raises:
        UserError: a column is missing.
        CellsError: cells or series cannot be used; rows are counted from 1.
    """
    reading = Reading.of_facts(facts)
    roles = reading.roles
    rows = rows.rename(columns=lambda name: delimited.normal(str(name)))
    check_columns(rows, roles.names)
    rows = rows.reset_index(drop=True)
    sent = runs("the rows", rows, reading, 1 + np.arange(len(rows)))

    known = {(group, name) for group, name, _, _ in facts["scales"]}
    faults = Faults("the rows")
    windows = []
    for each in sent:
        trained = [name for name in roles.targets if (each.name, name) in known]
        problem = _problem(each, facts, reading, bool(trained))
        if problem:
            column = roles.time if trained or roles.group is None else roles.group
            faults.add(column, each.lines[each.lines > 0][:1], problem)
            continue
        windows += [_window(each, roles.targets.index(name), facts, reading) for name in trained]
    faults.report(SENT)
    return pd.DataFrame(windows, columns=_WIDE)


def _problem(each: Run, facts: Facts, reading: Reading, trained: bool) -> str | None:
    """Why the last window of a series cannot be forecast; None where it can."""
    context, horizon = facts["context"], facts["horizon"]
    past = len(each) - each.ahead
    title = f"series '{each.name}'" if reading.roles.group else "the series"
    if not trained:
        return f"{title} was not in training: nothing is known of its scale"
    if past < context:
        return f"{title} has {past} steps with values, a forecast needs the last {context}"
    if each.filled[past - context].any():
        return f"{title} lacks the first of the last {context} steps"
    if each.ahead > horizon:
        last = reading.text(np.array([each.first + past - 1]))[0]
        return (
            f"{title} has {each.ahead} steps without a value behind {last}, "
            f"and {horizon} are forecast"
        )
    if not reading.roles.known:
        return None
    ahead = each.lines[past : past + horizon]
    if len(ahead) < horizon or not ahead.all():
        missing = past + np.append(np.flatnonzero(ahead == 0), np.arange(len(ahead), horizon))
        times = reading.text(each.first + missing[:1])
        listed = ", ".join(reading.roles.known)
        return (
            f"{title} needs {listed} of the {horizon} steps ahead, in rows without "
            f"{' and '.join(reading.roles.targets)}; {len(missing)} are missing, the first is "
            f"{times[0]}"
        )
    return None


def _window(each: Run, column: int, facts: Facts, reading: Reading) -> list[Any]:
    """The cells of a window whose past ends with the last value of a series."""
    context, horizon = facts["context"], facts["horizon"]
    past = len(each) - each.ahead
    first = each.first + past
    known, observed = reading.places("known"), reading.places("observed")
    start = reading.text(np.array([first]))[0]
    # without known covariates, nothing needs to be there ahead
    ahead = each.values[past - context : past + horizon, known]
    if not known:
        ahead = np.zeros((context + horizon, 0))
    return [
        each.name,
        reading.roles.targets[column],
        start,
        first,
        each.values[past - context : past, column],
        ahead,
        each.values[past - context : past, observed],
    ]


def forecasts(rows: pd.DataFrame, answers: pd.DataFrame, facts: Facts) -> pd.DataFrame:
    """Answers to windows (B,) as rows of time, group and forecast, in the user's unit.

    They have a column for each step, `t1` to T, and where there are intervals `low_t1` and
    `high_t1` and so on, which become `low` and `high`.
    """
    reading = Reading.of_facts(facts)
    roles, horizon = reading.roles, facts["horizon"]
    scale = {(group, name): (mean, std) for group, name, mean, std in facts["scales"]}
    # also where the time or the group is called so
    by_target = len(roles.targets) > 1 or not {roles.time, roles.group}.isdisjoint(_TITLES.values())
    titles = {
        (name, prefix): f"{title}_{name}" if by_target else title
        for name in roles.targets
        for prefix, title in _TITLES.items()
        if f"{prefix}t1" in answers
    }
    values = {}
    for prefix in _TITLES:
        if f"{prefix}t1" in answers:
            steps = [f"{prefix}t{step + 1}" for step in range(horizon)]
            values[prefix] = answers[steps].to_numpy(float)

    columns = [roles.time, *([roles.group] if roles.group else []), *titles.values()]
    tables: dict[tuple[str, int], dict[str, Any]] = {}
    for row, (group, name, tick) in enumerate(
        zip(rows["group"], rows["variable"], rows["tick"], strict=True)
    ):
        mean, std = scale[group, name]
        table = tables.setdefault((group, tick), {})
        if not table:
            table[roles.time] = reading.text(int(tick) + np.arange(horizon))
            if roles.group:
                table[roles.group] = [group] * horizon
        for prefix, numbers in values.items():
            table[titles[name, prefix]] = numbers[row] * std + mean
    parts = [pd.DataFrame(table, columns=columns) for table in tables.values()]
    if parts:
        return pd.concat(parts, ignore_index=True)
    types = {name: float if name in titles.values() else str for name in columns}
    return pd.DataFrame(columns=columns).astype(types)


def of_windows(rows: pd.DataFrame, facts: Facts) -> pd.DataFrame:
    """Windows of one origin (B,) in long form; steps ahead have known covariates alone."""
    reading = Reading.of_facts(facts)
    roles, context = reading.roles, facts["context"]
    ahead = facts["horizon"] if roles.known else 0
    parts = []
    for (group, _), targets in rows.groupby(["group", "tick"], sort=False):
        times = reading.text(int(targets["tick"].iloc[0]) + np.arange(-context, ahead))
        table: dict[str, Any] = {roles.time: times}
        if roles.group:
            table[roles.group] = [group] * len(times)
        for _, window in targets.iterrows():
            table[window["variable"]] = _padded(window["past"], ahead)
        for place, name in enumerate(roles.observed):
            table[name] = _padded(targets["observed"].iloc[0][:, place], ahead)
        for place, name in enumerate(roles.known):
            table[name] = targets["known"].iloc[0][: context + ahead, place]
        parts.append(pd.DataFrame(table))
    return pd.concat(parts, ignore_index=True)


def apart(rows: pd.DataFrame, facts: Facts) -> Iterator[pd.DataFrame]:
    """The rows (N,) of each series, in the order in which series appear."""
    group = facts["group"]
    names = [column for column in rows if delimited.normal(str(column)) == group]
    if not names:
        yield rows
        return
    texts = np.array([group_of(cell) for cell in rows[names[0]]], object)
    for text in dict.fromkeys(texts):
        yield rows[texts == text]


def _padded(values: Array, ahead: int) -> Array:
    """The values (C,), and nothing for the steps ahead; (C + ahead,)."""
    return np.concatenate([values, np.full(ahead, np.nan)])
