"""What in a table makes a score mislead: leaks, copies, torn groups, drift, gaps, rows far off.

Each finding says what it costs to ignore it, and the override that answers it. Looked at are the
rows as they were read, in their splits, before anything is learned.

Letters: N rows of the table, F columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from goodfit.data.faults import drop, override, shown
from goodfit.data.near_rows import near_rows
from goodfit.data.ordered import different, distance, quantiles
from goodfit.data.split import SPLITS
from goodfit.data.twins import twins
from goodfit.records import FINDING_ROWS, Finding
from goodfit.system.units import counted

Array = np.ndarray[Any, Any]
SURE = 1e-6  # the probability by chance, below which a difference is told; divided by F
FEWEST = 30  # rows of a split in which a difference can be told
_FAR = 15.0  # interquartile ranges from the median: hardly ever a value of any common distribution
# the same of log(1 + x / median), where log-normal numbers end at 5.4 deviations
_FAR_SHARES = 7.0
_ALONE, _ALONE_NUMBER = 0.99, 0.97  # of the rows, or of the variance, that one column explains
_SURELY = 0.97  # the lower bound of that share, where there are rows enough for one
_PLAINLY_CHANCE = 1e-3
_STEPS = 4096  # of a distribution function, which mostly tell
_LEAVES = 64
_FEW = 1000  # rows that tell at once of most columns that they are not constant
_MOST = 20_000  # rows that are looked at where all would take long


def of_each(
    rows: pd.DataFrame,
    names: Array,
    goals: Sequence[pd.Series[Any]],
    inputs: Sequence[str],
    group: str | None,
) -> list[Finding]:
    """What `findings` gives of each of several targets (N,), what is the same once."""
    found: dict[str, Finding] = {}
    for one in goals:
        of_one = rows.assign(**{str(one.name): one})
        for item in findings(of_one, names, str(one.name), inputs, group):
            found.setdefault(item.what, item)
    return [*found.values(), *twins(rows, names, inputs)]


def findings(
    rows: pd.DataFrame, names: Array, label: str | None, inputs: Sequence[str], group: str | None
) -> list[Finding]:
    """What was found in the rows (N, columns) of a table, whose splits are `names` (N,).

    `label` is the column of the target, None where it is no single class or number.
    """
    # rows of a group are one piece of evidence, not many
    alone = np.ones(len(rows), bool) if group is None else ~rows[group].duplicated().to_numpy()
    units = np.where(alone, names, "")
    gaps = _gaps(rows, units, inputs)
    # what is missing makes a distribution another one, too: it is told once
    others = [name for name in inputs if name not in gaps]
    is_train = names == "train"
    found = [*_constants(rows, is_train, others), *_far_off(rows, inputs), *gaps.values()]
    found += _leaks(rows, _some(is_train), label, inputs, group) if label else []
    found += _near_copies(rows, names, inputs)
    found += _drift(rows, units, [*others, label] if label else others)
    if group:
        found += _torn(rows[group], names)
    return found


def _some(wanted: Array) -> Array:
    """The places of at most 20,000 of the rows that are `wanted` (N,)."""
    places = pd.Series(np.flatnonzero(wanted))
    return places.sample(min(len(places), _MOST), random_state=0).to_numpy()


def _constants(rows: pd.DataFrame, is_train: Array, inputs: Sequence[str]) -> list[Finding]:
    found = []
    places = np.flatnonzero(is_train)
    for name in inputs:
        if rows[name].iloc[places[:_FEW]].nunique(dropna=False) > 1:
            continue
        values = rows[name].iloc[places]
        if values.nunique(dropna=False) == 1:
            found.append(
                Finding(
                    what=f"'{name}' is {_one(values.iloc[0])} in all of train",
                    cost="it tells nothing; another value in use is one that no weight has seen",
                    answer=drop(name),
                )
            )
    return found


def _one(value: Any) -> str:
    """A value as a reader would write it."""
    return str(value) if isinstance(value, pd.Timestamp) else shown(value)


def _far_off(rows: pd.DataFrame, inputs: Sequence[str]) -> list[Finding]:
    """Numbers that stand for something else, and those farther off than a distribution has them."""
    found = []
    for name in inputs:
        values = rows[name]
        if not pd.api.types.is_float_dtype(values):
            continue
        # sorted once, of a million in 10 ms, where each question by itself takes as long
        ordered = np.sort(values.dropna().to_numpy())
        if different(ordered) < FEWEST:
            continue
        finding = _stands_for_another(values, ordered) or _beyond(values, ordered)
        found += [finding] if finding else []
    return found


def _stands_for_another(values: pd.Series[Any], ordered: Array) -> Finding | None:
    """One number that is there again and again, and far from all others (N,), such as -999."""
    for extreme in (ordered[0], ordered[-1]):
        others = _without(ordered, extreme)
        low, high = others[0], others[-1]
        distance = max(low - extreme, extreme - high)
        is_one = len(ordered) - len(others) == 1
        if not is_one and distance > high - low and different(others) >= FEWEST:
            at = np.flatnonzero(values == extreme)
            return Finding(
                what=f"'{values.name}' is {extreme:g} in {counted(len(at), 'row')}, and in all "
                f"others between {low:g} and {high:g}",
                rows=listed(at),
                cost="if it stands for what is not known, it is learned as a number, and the "
                "others lie close together",
                answer=override(str(values.name), f"[{_digits(extreme)}]", "na_values"),
            )
    return None


def _digits(number: float) -> str:
    return str(int(number)) if number.is_integer() else repr(float(number))


def _without(ordered: Array, value: float) -> Array:
    """The values (N,), which are sorted, but for one of them."""
    first, end = np.searchsorted(ordered, value), np.searchsorted(ordered, value, "right")
    return np.concatenate([ordered[:first], ordered[end:]])


def _beyond(values: pd.Series[Any], ordered: Array) -> Finding | None:
    """Values (N,) far from the median, by quartiles of those that are not one and the same."""
    # of a number that is mostly zero, by those that are not; what most are is in the middle
    others = _without(ordered, ordered[len(ordered) // 2])
    told = others if len(ordered) - len(others) > len(values) / 2 else ordered
    low, middle, high = quantiles(told, np.array([0.25, 0.5, 0.75]))
    if max(middle - ordered[0], ordered[-1] - middle) <= _FAR * (high - low):
        return None
    is_far = (values - middle).abs() > _FAR * (high - low)
    if values.min() >= 0 and middle > 0:
        # of incomes, prices and durations large ones are no mistakes: by shares of the median, too
        shares = np.log1p(values / middle)
        quarters = np.log1p(np.array([low, high]) / middle)
        is_far &= (shares - np.log(2)).abs() > _FAR_SHARES * np.diff(quarters)[0]
    far = np.flatnonzero(is_far)
    if high == low or not 0 < len(far) <= 0.01 * len(values):
        return None
    largest = values.iloc[far].abs().max()
    return Finding(
        what=f"'{values.name}' has {len(far)} value{'s' * (len(far) > 1)} far off, such as "
        f"{largest:.7g}; half of all are between {low:g} and {high:g}",
        rows=listed(far),
        cost="the scale is theirs: standardised, the others lie close together",
        answer=f"mend the cells where they are mistakes, or {drop(str(values.name))}",
    )


def absent(values: pd.Series[Any]) -> pd.Series[bool]:
    """Which values of a column (N,) are missing, as it was read: of texts, the empty ones."""
    return values.isna() | (values == "")


def _gaps(rows: pd.DataFrame, names: Array, inputs: Sequence[str]) -> dict[str, Finding]:
    """Columns of which validation or test lacks another share than train, by Fisher's exact test.

    Of the two splits, the one that differs more surely is told.
    """
    from scipy.stats import fisher_exact

    sizes = {split: int((names == split).sum()) for split in SPLITS}
    if min(sizes.values()) < FEWEST:
        return {}
    found = {}
    for name in inputs:
        lacks = absent(rows[name]).to_numpy(bool)
        if not lacks.any():
            continue
        counts = {split: int(lacks[names == split].sum()) for split in SPLITS}
        cells = {split: (counts[split], sizes[split] - counts[split]) for split in SPLITS}
        chances = {
            split: float(fisher_exact([cells["train"], cells[split]]).pvalue)
            for split in SPLITS
            if split != "train"
        }
        other = min(chances, key=lambda split: chances[split])
        if chances[other] < SURE / (2 * len(inputs)):
            shares = [
                f"{counts[split] / sizes[split]:.1%} of {split}" for split in ("train", other)
            ]
            found[name] = Finding(
                what=f"'{name}' is missing in {' and '.join(shares)}",
                cost="what stands for a missing cell was learned from other rows than it is asked "
                "about",
                answer=f"find out why; fill the cells at their source, or {drop(name)}",
            )
    return found


def lower_bound(right: int, rows: int) -> float:
    """The exact one-sided 95 % bound of a share, of so many right of so many independent ones.

    Clopper and Pearson 1934.
    """
    from scipy.special import betaincinv

    return float(betaincinv(right, rows - right + 1, 0.05)) if right else 0.0


def _leaks(
    rows: pd.DataFrame, train: Array, label: str, inputs: Sequence[str], group: str | None
) -> list[Finding]:
    """Columns that alone predict the target, by a tree on half of some rows (M,), or groups."""
    from sklearn.dummy import DummyClassifier, DummyRegressor
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    if len(train) < 2 * FEWEST:
        return []
    unit_of = np.arange(len(train)) if group is None else pd.factorize(rows[group].iloc[train])[0]
    known = unit_of < (unit_of.max() + 1) // 2
    if min(known.sum(), (~known).sum()) < FEWEST:
        return []
    goal = rows[label].iloc[train]
    is_number = pd.api.types.is_float_dtype(goal)
    # of texts, each comparison takes as long as of fifty numbers
    target = goal.to_numpy() if is_number else codes(goal)
    tree = DecisionTreeRegressor if is_number else DecisionTreeClassifier
    dummy = DummyRegressor() if is_number else DummyClassifier(strategy="most_frequent")
    # which looks at no input
    guess = dummy.fit(target[known, None], target[known])
    chance = guess.score(target[~known, None], target[~known])
    unseen = len(target[~known])
    units = len(np.unique(unit_of[~known]))  # rows of a group are one piece of evidence
    found = []
    for name in inputs:
        x = codes(rows[name].iloc[train])[:, None]
        fitted = tree(max_leaf_nodes=_LEAVES, min_samples_leaf=3, random_state=0).fit(
            x[known], target[known]
        )
        right = fitted.score(x[~known], target[~known])
        # of a rare class, always the other one is right as often; one mistake more may be luck
        wrong = 1 - right + (0 if is_number else 1 / unseen)
        tells = right >= (_ALONE_NUMBER if is_number else _ALONE)
        # of a copy that is wrong once in a hundred rows chance makes one that is wrong more often
        tells |= not is_number and lower_bound(round(right * units), units) >= _SURELY
        if tells and wrong < 0.1 * (1 - chance):
            said = f"explains {right:.1%} of the variance" if is_number else f"tells {right:.1%}"
            found.append(
                Finding(
                    what=f"'{name}' alone {said} of '{label}' on rows that it has not seen",
                    cost="if nobody knows it before, the score is not to be had in use",
                    answer=drop(name),
                    leaks=True,
                )
            )
    return found


def _near_copies(rows: pd.DataFrame, names: Array, inputs: Sequence[str]) -> list[Finding]:
    return [
        Finding(
            what=f"{len(near.places):,} rows of {near.split} agree with one of train in all but "
            f"one column, mostly '{near.name}'",
            rows=listed(near.places),
            cost=f"if they are the same case twice, {near.split} asks for what was learned by "
            "heart",
            answer=f"{drop(near.name)}, or data.group=<what both have in common>",
            leaks=True,
        )
        for near in near_rows(rows, names, inputs, SURE)
    ]


def _drift(rows: pd.DataFrame, names: Array, columns: Sequence[str]) -> list[Finding]:
    """Columns that are distributed otherwise in test than in train (Kolmogorov and Smirnov)."""
    from scipy.stats import ks_2samp

    train, test = np.flatnonzero(names == "train"), np.flatnonzero(names == "test")
    if min(len(train), len(test)) < FEWEST:
        return []
    found = []
    for name in columns:
        values = codes(rows[name])
        known, asked = np.sort(values[train]), np.sort(values[test])
        if _is_chance(known, asked):
            continue
        statistic, chance = ks_2samp(known, asked)
        if chance < SURE / len(columns):
            found.append(
                Finding(
                    what=f"'{name}' is distributed otherwise in test than in train "
                    f"(their distribution functions differ by up to {statistic:.2f})",
                    cost="the score is of other cases than those that were learned",
                    answer="where use is like test, keep the split and expect less; otherwise "
                    "split at random or by another column",
                )
            )
    return found


def _is_chance(known: Array, asked: Array) -> bool:
    """Whether two samples, (N,) and (M,), both sorted, differ too little to be `SURE` of it.

    By how far their distribution functions are apart, and the first term of Kolmogorov's series,
    2 exp(-2 D^2 N M / (N + M)), which is near the probability where that is small: above 0.001 it
    is none of 1e-6. The probability itself takes eight times as long.
    """
    size = len(known) * len(asked) / (len(known) + len(asked))
    return any(
        2 * np.exp(-2 * size * distance(known, asked, at) ** 2) > _PLAINLY_CHANCE
        for at in (asked[:: 1 + len(asked) // _STEPS], asked)
    )


def _torn(groups: pd.Series[Any], names: Array) -> list[Finding]:
    splits = pd.Series(names, groups.index).where(names != "").groupby(groups).nunique()
    torn = splits[splits > 1]
    if torn.empty:
        return []
    of_them = np.flatnonzero(groups.isin(torn.index))
    return [
        Finding(
            what=f"{len(torn):,} of {len(splits):,} '{groups.name}' are in more than one split",
            rows=listed(of_them),
            cost="what was learned of one is asked in test; intervals still draw whole ones",
            answer="leave data.time or data.assigned out, so that data.group decides the split",
            leaks=True,
        )
    ]


def codes(values: pd.Series[Any]) -> Array:
    """A column (N,) as floats: texts by their place in the alphabet, what is missing below all."""
    if pd.api.types.is_datetime64_any_dtype(values):
        values = values.astype("int64").where(values.notna()).astype(float)
    if not pd.api.types.is_float_dtype(values):
        return pd.factorize(values, sort=True)[0].astype(float)
    lowest = values.min() if values.notna().any() else 0.0
    return values.fillna(lowest - 1 - abs(lowest)).to_numpy(float)


def listed(places: Array) -> tuple[int, ...]:
    """The first of the rows at `places` (N,), by their number in the table from 1."""
    return tuple(int(place) + 1 for place in places[: FINDING_ROWS + 1])
