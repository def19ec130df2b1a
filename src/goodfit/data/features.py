"""The columns of a table as numbers for a network: what is learned from train, and its use.

Letters: B rows, F features of a column.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from goodfit.data import columns, dates, plain
from goodfit.data.columns import MOST_CATEGORIES, Column
from goodfit.data.faults import Faults, shown
from goodfit.data.numbers import POINT
from goodfit.data.ordered import quantiles

Array = np.ndarray[Any, Any]
Facts = Mapping[str, Any]

_log = logging.getLogger("goodfit")  # to standard error, and to the log of whoever serves a model
LARGEST = float(np.finfo(np.float32).max)
_NAMED = 5  # texts that train never had, in a line of the log
_DAY = 86_400e6  # microseconds
_QUANTILES = 33  # of each feature: between them lie 32 parts of equal weight


def fit(values: pd.Series[Any], column: Column) -> dict[str, Any]:
    """What `encode` must know of a column (B,) of train: a scale, or the categories."""
    facts = column.to_facts()
    if column.kind == "category":
        return facts | _categories(values, column)

    if column.kind == "date":
        moments = values.to_numpy("datetime64[us]")
        facts["with_time"] = bool((values != values.dt.normalize())[values.notna()].any())
        values = pd.Series(_days(moments))
    present = values.dropna()
    # by the values: the deviation of a constant 0.1 is not 0 but 1e-17
    std = float(present.std(ddof=0)) if present.min() < present.max() else 1.0
    scale = (
        {"mean": float(present.mean()), "std": std} if len(present) else {"mean": 0.0, "std": 1.0}
    )
    if column.missing:
        scale["median"] = float(present.median()) if len(present) else 0.0
    return facts | scale


def _categories(values: pd.Series[Any], column: Column) -> dict[str, Any]:
    """The categories of train, the most frequent where they are many: the others are one, "rare".

    Of equally frequent ones the first by name.
    """
    counts = values.value_counts().sort_index().sort_values(ascending=False, kind="stable")
    missing = [""] if column.missing else []
    if len(counts) <= MOST_CATEGORIES:
        return {"categories": sorted({*counts.index, *missing})}
    kept = counts.drop("", errors="ignore").index[:MOST_CATEGORIES]
    return {"categories": sorted({*kept, *missing}), "rare": len(counts) - len(kept)}


def knots(train: pd.DataFrame, columns: Mapping[str, Facts]) -> list[list[float]]:
    """Of each feature of `train` (B rows), in their order, the quantiles of its encoded values.

    None of a code, which has two values, and of what is always the same.
    """
    places: list[list[float]] = []
    for name, facts in columns.items():
        if facts["kind"] == "category":
            places += [[]] * width(facts)
        else:
            places += [_knots(feature) for feature in encode(train[name], facts, Faults(name)).T]
    return places


def _knots(values: Array) -> list[float]:
    """The quantiles of a feature (B,) that six digits tell apart."""
    ordered = np.sort(values)
    if ((ordered == ordered[0]) | (ordered == ordered[-1])).all():
        return []
    places = np.linspace(0, 1, _QUANTILES)
    return sorted({float(f"{each:.6g}") for each in quantiles(ordered, places)})


def width(facts: Facts) -> int:
    """F, the number of features of a column."""
    if facts["kind"] == "category":
        return len(facts["categories"]) + ("rare" in facts)
    angles = (6 if facts["with_time"] else 4) if facts["kind"] == "date" else 0
    return 1 + angles + bool(facts["missing"])


def side_by_side(rows: pd.DataFrame, columns: Mapping[str, Any], faults: Faults) -> Array:
    """The features (B, F) of rows (B, columns), as `encode` has those of each of `columns`."""
    ends = np.cumsum([width(facts) for facts in columns.values()])
    numbers = np.empty((len(rows), ends[-1]), np.float32)
    parts = np.split(numbers, ends[:-1], axis=1)
    with np.errstate(over="ignore", invalid="ignore"):  # of faults, which are told by others
        for part, (name, facts) in zip(parts, columns.items(), strict=True):
            part[:] = encode(rows[name], facts, faults)
    return numbers


def encode(values: pd.Series[Any], facts: Facts, faults: Faults) -> Array:
    """The features (B, F) of a column (B,): of texts in its notation, or of typed values.

    What cannot be used goes to `faults`, by its row counted from 1.
    """
    column = Column.of_facts(facts)
    name = str(values.name)
    if column.kind == "category":
        return _one_hot(values, column, facts, faults)

    known, missing = checked(values, column, faults, 1 + np.arange(len(values)))
    if column.thousands_alone:
        _refuse_points(values, known, faults)
    if not column.missing:
        faults.add(name, np.flatnonzero(missing) + 1, "is missing; in training none was")

    numbers = _days(known) if column.kind == "date" else known
    numbers = np.where(missing, facts.get("median", facts["mean"]), numbers)
    parts = [((numbers - facts["mean"]) / facts["std"])[:, None]]
    if column.kind == "date":
        angles = dates.features(
            np.where(missing, np.datetime64(0, "us"), known), with_time=facts["with_time"]
        )
        parts.append(np.where(missing[:, None], 0.0, angles))
    if column.missing:
        parts.append(missing[:, None].astype(float))
    return np.concatenate(parts, axis=1)


def _refuse_points(values: pd.Series[Any], known: Array, faults: Faults) -> None:
    """Floats in a column whose points are all for thousands: programs read "1.234" as 1.234."""
    for row in np.flatnonzero(np.isfinite(known) & (known % 1 != 0)):
        value = values.iloc[row]
        if not isinstance(value, str):
            said = f"{shown(value)} may be {value:.3f} or '{value:.3f}' with a point for thousands"
            faults.add(str(values.name), [int(row) + 1], f"{said}, as in training; give a text")


def checked(
    values: pd.Series[Any], column: Column, faults: Faults, rows: Array
) -> tuple[Array, Array]:
    """The typed values (B,), and which of them are missing; what cannot be used are `faults`.

    `rows` (B,) are the numbers by which a fault is told.
    """
    known = typed(values, column)
    is_date = column.kind == "date"
    missing = np.isnat(known) if is_date else ~np.isfinite(known)
    unread = missing
    if isinstance(values.dtype, pd.StringDtype) and missing.any():
        # of a column of texts, tokens for what is missing at once
        unread = missing & ~columns.missing_in(values, column).to_numpy(bool)
    for row in np.flatnonzero(unread):
        value = values.iloc[row]
        missing[row] = columns.is_missing(value, column)
        if not missing[row]:
            said = f"{shown(value)} is not {columns.expectation(column)}"
            faults.add(str(values.name), [rows[row]], said)
    if column.na_values:
        named = np.isin(known, np.array(columns.na_numbers(column), known.dtype))
        known = np.where(named, np.datetime64("NaT") if is_date else np.nan, known)
        missing = missing | named
    # float32, in which networks compute, has no such number
    sizes = np.zeros(0) if is_date else np.abs(known)
    for row in np.flatnonzero(sizes > LARGEST):
        if np.isinf(sizes[row]):
            continue
        said = f"{shown(values.iloc[row])} is beyond the largest float32, 3.4e38"
        faults.add(str(values.name), [rows[row]], said)
    return known, missing


def _one_hot(values: pd.Series[Any], column: Column, facts: Facts, faults: Faults) -> Array:
    """One column for each category (B, K), and one for all others where train had rare ones."""
    name, categories = str(values.name), facts["categories"]
    for row, value in _no_texts(values):
        faults.add(name, [row], f"{shown(value)} is not a text")
    places, texts = _categories_of(values, column, categories)
    if "" not in categories:
        rows = np.flatnonzero((texts == "")[places]) + 1
        faults.add(name, rows, "is missing; in training none was")
    codes = np.asarray(texts[:, None] == np.array(categories, object))
    if "rare" in facts:
        codes = np.concatenate([codes, ~codes.any(axis=1, keepdims=True)], axis=1)
        return np.asarray(codes[places])
    unknown: Counter[str] = Counter()
    for text, count in zip(texts, np.bincount(places, minlength=len(texts)), strict=True):
        if text and text not in categories:
            unknown[text] += int(count)
    if unknown:
        named = ", ".join(shown(text) for text, _ in unknown.most_common(_NAMED))
        more = ", ..." if len(unknown) > _NAMED else ""
        _log.warning(
            "column %s: %s of %s rows have a text that train never had (%s%s), and so none of its "
            "categories",
            *(name, unknown.total(), len(places), named, more),
        )
    return np.asarray(codes[places])


def _no_texts(values: pd.Series[Any]) -> Iterator[tuple[int, Any]]:
    """Lists and the like among the values (B,), each with its row counted from 1."""
    if isinstance(values.dtype, pd.StringDtype):
        return
    for row, value in enumerate(values, start=1):
        if isinstance(value, bytes) or not pd.api.types.is_scalar(value):
            yield row, value


def _categories_of(
    values: pd.Series[Any], column: Column, categories: list[str]
) -> tuple[Array, Array]:
    """Which of the texts (K,) each value (B,) means, and these."""
    if not isinstance(values.dtype, pd.StringDtype):
        each = [_category(value, column, categories) for value in values]
        return np.arange(len(each)), np.array(each, object)
    places, different = pd.factorize(values, use_na_sentinel=False)
    known = [_category(value, column, categories) for value in different]
    return places, np.array(known, object)


def _category(value: Any, column: Column, categories: list[str]) -> str:
    """The category that a value means: a text by its letters, a number that was one by its value.

    Readers of files make 1021 of "01021" and 3.0 of "3".
    """
    if columns.is_missing(value, column):
        return ""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, bool | np.bool_):
        spelled = [category for category in categories if category.lower() == str(value).lower()]
        return spelled[0] if spelled else str(value)
    if not isinstance(value, int | float | np.number):
        return str(value)
    if any(_number(text) == float(value) for text in column.na_values):
        return ""
    alike = [category for category in categories if _number(category) == float(value)]
    if len(alike) == 1:
        return alike[0]
    return str(int(value)) if float(value).is_integer() else str(value)


def _number(text: str) -> float:
    return float(pd.to_numeric(text, errors="coerce"))


def typed(values: pd.Series[Any], column: Column) -> Array:
    """Floats, or datetime64[us] of a date, (B,): NaN and NaT for what is missing or none."""
    if column.kind == "date":
        return _moments(values, column)
    parsed = _floats(values, column)
    if column.kind == "boolean":
        # Table.show writes all but 0 as "true"
        return np.where(np.isin(parsed, [0.0, 1.0]), parsed, np.nan)
    if isinstance(values.dtype, pd.StringDtype) or pd.api.types.is_float_dtype(values):
        return parsed
    # float(True) is 1.0, an age of one year
    return np.where(_are_booleans(values), np.nan, parsed)


def _moments(values: pd.Series[Any], column: Column) -> Array:
    if pd.api.types.is_datetime64_any_dtype(values):
        moments = values.dt.tz_convert(None) if values.dt.tz else values
        return np.asarray(moments, "datetime64[us]")
    return _each(values, column)


def _floats(values: pd.Series[Any], column: Column) -> Array:
    if pd.api.types.is_complex_dtype(values):
        return np.full(len(values), np.nan)
    if values.dtype == np.float64:
        return values.to_numpy()  # of which pandas would look for missing ones
    if pd.api.types.is_numeric_dtype(values):
        return np.asarray(values.to_numpy(float, na_value=np.nan))
    if column.kind == "number" and (column.notation, column.unit) == (POINT, ""):
        # as programs write numbers: 0.03 s for 100,000 cells, one by one 0.62 s
        parsed = plain.numbers(values)
        others = ~np.isfinite(parsed)
        if others.any():
            parsed = np.array(parsed)
            parsed[others] = _each(values[others], column)
        return parsed
    return _each(values, column)


def _are_booleans(values: pd.Series[Any]) -> Array:
    """Which values (B,) are neither numbers nor texts, but True or False."""
    if not pd.api.types.is_object_dtype(values):
        return np.full(len(values), pd.api.types.is_bool_dtype(values))
    return np.array([isinstance(value, bool | np.bool_) for value in values], bool)


def _each(values: pd.Series[Any], column: Column) -> Array:
    """Floats or moments (B,), one by one."""
    is_date = column.kind == "date"
    read_text = cache(columns.reader(column))
    if isinstance(values.dtype, pd.StringDtype):
        places, different = pd.factorize(values)
        known = [read_text(text.strip()) for text in different]
        # what is missing has the place -1
        none = np.datetime64("NaT") if is_date else np.nan
        return np.array([*known, none], "datetime64[us]" if is_date else float)[places]
    results = [
        read_text(value.strip())
        if isinstance(value, str)
        else (_moment(value, read_text) if is_date else _float(value))
        for value in values
    ]
    return np.array(results, "datetime64[us]" if is_date else float)


def _float(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return np.nan


def _moment(value: Any, read_text: Callable[[str], Any]) -> Any:
    # readers of files make 20240131 of a date that is digits, 1.2024 of "01.2024"
    if isinstance(value, int | float | np.integer | np.floating) and not pd.isna(value):
        forms = ["{:.0f}"] if float(value).is_integer() else ["{:07.4f}", "{:.2f}"]
        return next(filter(None, (read_text(form.format(value)) for form in forms)), None)
    if not isinstance(value, date | np.datetime64) or pd.isna(value):
        return None
    moment = pd.Timestamp(value).to_pydatetime()
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment


def _days(moments: Array) -> Array:
    """Days (B,) since 1970, with their parts; NaN for NaT."""
    count = moments.astype("datetime64[us]").astype("int64") / _DAY
    return np.where(np.isnat(moments), np.nan, count)
