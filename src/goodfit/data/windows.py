"""Windows of series as a network takes them: the past by periods, lags, and what is known ahead.

Letters: B windows, C steps of the past, P periods of it, S steps of a period, T steps ahead,
K covariates that are known in advance, O that are observed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from goodfit.contract import Field
from goodfit.data.moments import Clock
from goodfit.data.steps import DAY, WEEK, Step

Array = np.ndarray[Any, Any]
Facts = Mapping[str, Any]
BACK = (1, 2, 7)  # periods back from each step ahead, as far as the past holds them
MOST_NAMED = 64  # series that a network is told by name; of more, scale and past tell them apart
# waves of an angle: the weekend takes three, morning and evening two
_WAVES = {"hour": 2, "weekday": 3, "month": 1}
_FEWEST = 512  # windows that tell a season


def calendar(asked: Sequence[str], step: Step) -> list[str]:
    """Those of the angles that differ from step to step."""
    shortest = {"hour": DAY, "weekday": WEEK, "month": 0}
    kept = []
    for name in asked:
        is_too_long = step.months > 0 or step.seconds >= shortest[name]
        if name == "month":
            is_too_long = step.months >= 12
        if not is_too_long:
            kept.append(name)
    return kept


def period(context: int, horizon: int, step: Step) -> int:
    """The steps of a period: of the calendar's shortest that the past holds, else the horizon."""
    candidates = [length for length in (*step.natural, horizon) if 1 < length <= context]
    return candidates[0] if candidates else 1


def season(past: Array, target: Array) -> int:
    """The steps after which pasts (B, C) repeat themselves in targets (B, T), as far as they do.

    Of all lengths that fit into the past, the one whose last whole season errs least.
    """
    some = np.linspace(0, len(past) - 1, min(len(past), _FEWEST)).astype(int)
    past, target = past[some], target[some]
    errors = [
        np.abs(naive(past, length, target.shape[1]) - target).mean()
        for length in range(1, past.shape[1] + 1)
    ]
    return int(np.argmin(errors)) + 1


def naive(past: Array, season: int, horizon: int) -> Array:
    """The last whole season of pasts (B, C) once more, (B, T)."""
    return past[:, past.shape[1] - season + np.arange(horizon) % season]


def fields(facts: Facts, mean: float, std: float) -> dict[str, Field]:
    """The arrays that `encode` makes."""
    horizon, steps = facts["horizon"], facts["period"]
    periods = facts["context"] // steps
    known, observed = len(facts["known"]), len(facts["observed"])
    angles = sum(2 * _WAVES[name] for name in facts["calendar"])
    named = len(_named(facts))
    lags = 2 + sum(back <= periods for back in BACK)
    return {
        "past": Field((periods, steps), "float32", (mean,), (std,)),
        "days": Field((periods, angles + known + steps * observed + 1), "float32"),
        "lags": Field((horizon, lags), "float32", (mean,), (std,)),
        "known": Field((horizon, angles + 2 * known + observed + named + 1), "float32"),
    }


def encode(rows: pd.DataFrame, facts: Facts) -> dict[str, Array]:
    """`past` (B, P, S), `days` (B, P, ...), `lags` (B, T, ...) and `known` (B, T, ...).

    Past and lags are in the scale of their series. The first of the lags is the seasonal naive
    forecast; then the same step 1, 2 and 7 periods earlier, and the last value. Known of a step are
    the calendar, covariates, how they differ from those a season earlier, what was observed last,
    which series it is, how far ahead it is.
    """
    horizon, steps, context = facts["horizon"], facts["period"], facts["context"]
    count, periods = len(rows), context // steps
    used = periods * steps
    mean, std = scales(rows, facts)
    past = (_stack(rows["past"], (context,)) - mean) / std
    known = _covariates(rows, "known", facts, context + horizon)
    observed = _covariates(rows, "observed", facts, context)

    places = rows["tick"].to_numpy("int64")[:, None] + np.arange(-context, horizon)
    angles = _angles(places, facts)  # (B, C + T, ...)
    before = np.concatenate([angles, known], 2)[:, context - used : context]
    by_period = before.reshape(count, periods, steps, before.shape[2]).mean(2)
    seen = observed[:, context - used :].reshape(count, periods, steps * observed.shape[2])
    ages = np.broadcast_to(np.arange(-periods, 0)[None, :, None] / periods, (count, periods, 1))

    phase = np.arange(horizon) % steps
    earlier = [past[:, context - back * steps + phase] for back in BACK if back <= periods]
    last = np.repeat(past[:, -1:], horizon, 1)
    lags = np.stack([naive(past, facts["season"], horizon), *earlier, last], 2)

    ahead = known[:, context:]
    reference = known[:, context - facts["season"] + np.arange(horizon) % facts["season"]]
    shared = np.concatenate([observed[:, -1], _one_hot(rows, facts)], 1)
    far = np.broadcast_to((np.arange(horizon)[None, :, None] + 1) / horizon, (count, horizon, 1))
    of_step = [
        angles[:, context:],
        ahead,
        ahead - reference,
        np.repeat(shared[:, None], horizon, 1),
        far,
    ]
    arrays = {
        "past": past[:, context - used :].reshape(count, periods, steps),
        "days": np.concatenate([by_period, seen, ages], 2),
        "lags": lags,
        "known": np.concatenate(of_step, 2),
    }
    return {name: array.astype(np.float32) for name, array in arrays.items()}


def scales(rows: pd.DataFrame, facts: Facts) -> tuple[Array, Array]:
    """Mean and deviation (B, 1) by which each window's series is scaled."""
    known = {(group, name): (mean, std) for group, name, mean, std in facts["scales"]}
    found = [known[key] for key in zip(rows["group"], rows["variable"], strict=True)]
    both = np.array(found, float).reshape(-1, 2)
    return both[:, :1], both[:, 1:]


def _named(facts: Facts) -> list[tuple[str, str]]:
    """The series that a network is told by name."""
    names = [(group, name) for group, name, _, _ in facts["scales"]]
    return names if 1 < len(names) <= MOST_NAMED else []


def _one_hot(rows: pd.DataFrame, facts: Facts) -> Array:
    """Which series each window is of, (B, series)."""
    names = _named(facts)
    place = {name: number for number, name in enumerate(names)}
    codes = np.zeros((len(rows), len(names)))
    if names:
        of = [place[key] for key in zip(rows["group"], rows["variable"], strict=True)]
        codes[np.arange(len(rows)), of] = 1
    return codes


def _covariates(rows: pd.DataFrame, kind: str, facts: Facts, length: int) -> Array:
    """Standard scores (B, length, K) of covariates."""
    scale = np.array([facts["covariates"][name] for name in facts[kind]], float).reshape(-1, 2)
    if not len(scale):
        return np.zeros((len(rows), length, 0))
    values = _stack(rows[kind], (length, len(scale)))
    return np.asarray((values - scale[:, 0]) / scale[:, 1])


def _stack(column: pd.Series[Any], shape: tuple[int, ...]) -> Array:
    """The arrays of a column as one, (B, *shape)."""
    arrays = [np.asarray(cell, float) for cell in column]
    return np.array(arrays, float).reshape(-1, *shape)


def _angles(places: Array, facts: Facts) -> Array:
    """Sine and cosine, (B, L, ...), of where steps with the numbers (B, L) stand in their day,
    week and year, on the clock of the place.
    """
    clock, step = Clock(**facts["clock"]), Step(**facts["step"])
    numbers, back = np.unique(places, return_inverse=True)
    moments = clock.local(step.moments(numbers))
    days = moments.astype("datetime64[D]")
    year = moments.astype("datetime64[Y]")
    turns = {
        "hour": (moments - days).astype("timedelta64[s]").astype(float) / DAY,
        # 1 January 1970 was a Thursday
        "weekday": ((days.astype(int) + 3) % 7) / 7,
        "month": (days - year.astype("datetime64[D]")).astype(float) / 365.25,
    }
    waves = []
    for name in facts["calendar"]:
        for multiple in range(1, _WAVES[name] + 1):
            angle = 2 * np.pi * multiple * turns[name]
            waves += [np.sin(angle), np.cos(angle)]
    table = np.stack(waves, 1) if waves else np.zeros((len(numbers), 0))
    return np.asarray(table[back.reshape(places.shape)])
