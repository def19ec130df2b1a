"""Raw files with planted faults, made of real data: tables of scikit-learn, digits, film reviews.

Letters: N rows.
"""

from __future__ import annotations

import bz2
import gzip
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from goodfit.data.pickled import read_pickle
from goodfit.system.files import sha256

Array = np.ndarray[Any, Any]
Random = np.random.Generator
Change = Callable[[pd.DataFrame, Random], pd.DataFrame]
TARGET = "target"
EXPERIMENTS = ("mnist", "reviews", "electricity")  # whose raw files cases are made of
_TABLE = "table.csv"


@dataclass(frozen=True)
class Raw:
    """The raw file of an experiment, and the overrides that read it."""

    source: str  # its name in data.sources
    file: Path
    overrides: tuple[str, ...]


# writes the file to a folder; the other one has what the four experiments of the house fetched
Make = Callable[[Path, Path, Random], Raw]


def table(name: str, *changes: Change) -> Make:
    """A table of scikit-learn's as a CSV file, after `changes` of its rows."""
    kind, parts = (
        ("number", "task=regression baseline=ridge")
        if name == "diabetes"
        else ("class", "task=classification baseline=logistic")
    )

    def make(folder: Path, fetched: Path, random: Random) -> Raw:
        rows = _changed(_of_sklearn(name), changes, random)
        rows.to_csv(folder / _TABLE, index=False)
        read = _of_file(folder / _TABLE)
        overrides = ("data=table", "model=mlp", *parts.split(), f"data.label={TARGET}")
        return Raw("table", folder / _TABLE, (*overrides, f"data.kind={kind}", *read))

    return make


def digits(*changes: Change) -> Make:
    """The digits of the experiment mnist, after changes of the lines of its file."""

    def make(folder: Path, fetched: Path, random: Random) -> Raw:
        file = "mnist_5k.csv.gz"
        lines = pd.read_csv(fetched / "mnist/digits" / file, header=None)
        lines = _changed(lines.rename(columns={784: TARGET}), changes, random)
        with gzip.open(folder / file, "wt", compresslevel=1) as stream:
            lines.to_csv(stream, header=False, index=False)
        return Raw("digits", folder / file, ("experiment=mnist", "baseline=svm"))

    return make


def snippets(*changes: Change) -> Make:
    """The snippets of the experiment reviews, after changes of the rows of its file."""

    def make(folder: Path, fetched: Path, random: Random) -> Raw:
        file = "rotten_tomatoes_corpus_full.csv.bz2"
        rows = pd.read_csv(fetched / "reviews/snippets" / file, keep_default_na=False)
        rows = rows[rows["category"] != "plot"].rename(columns={"category": TARGET})
        rows = _changed(rows, changes, random).rename(columns={TARGET: "category"})
        with bz2.open(folder / file, "wt") as stream:
            rows.to_csv(stream, index=False)
        return Raw("snippets", folder / file, ("experiment=reviews", "baseline=tfidf"))

    return make


def meter(*changes: Change) -> Make:
    """The meter of the experiment electricity as it is, or after changes as anybody's series."""

    def make(folder: Path, fetched: Path, random: Random) -> Raw:
        file = fetched / "electricity/meter/elecdemand.pkl.compress"
        if not changes:
            return Raw("meter", file, ("experiment=electricity", "baseline=lag_ridge"))
        _changed(read_pickle(file), changes, random).to_csv(folder / _TABLE, index=False)
        overrides = (
            "data=series model=rnn task=forecasting baseline=lag_ridge data.time=time "
            "data.target=Demand data.horizon=24 data.context=72 data.block=24 "
            "data.train_stride=12 data.validation=0.2 optimizer.lr=3e-3"
        )
        return Raw("table", folder / _TABLE, (*overrides.split(), *_of_file(folder / _TABLE)))

    return make


def hourly(rows: pd.DataFrame, random: Random) -> pd.DataFrame:
    """The first of both half hours of each hour, with its time."""
    rows = rows.iloc[::2]
    times = pd.date_range("2014-01-01", periods=len(rows), freq="h")
    return pd.DataFrame({"time": times, "Demand": rows["Demand"].to_numpy()})


def sample(count: int) -> Change:
    """So many of the rows, drawn at random."""
    return lambda rows, random: rows.iloc[random.permutation(len(rows))[:count]]


def shuffled(rows: pd.DataFrame, random: Random) -> pd.DataFrame:
    """Targets drawn from each other's rows: nothing can be learned."""
    return rows.assign(**{TARGET: random.permutation(rows[TARGET].to_numpy())})


def noisy(share: float) -> Change:
    """Of a share of the rows the targets are shuffled among each other."""

    def change(rows: pd.DataFrame, random: Random) -> pd.DataFrame:
        wrong = random.random(len(rows)) < share
        target = rows[TARGET].to_numpy().copy()
        target[wrong] = random.permutation(target[wrong])
        return rows.assign(**{TARGET: target})

    return change


def copied(noise: float) -> Change:
    """A column that tells the target: of classes wrong in a share of the rows, of numbers noisy."""

    def change(rows: pd.DataFrame, random: Random) -> pd.DataFrame:
        target = rows[TARGET]
        if pd.api.types.is_float_dtype(target):
            told = target + noise * target.std() * random.normal(size=len(rows))
        else:
            told = noisy(noise)(rows, random)[TARGET].map(lambda value: f"code {value}")
        return rows.assign(outcome=told)

    return change


def corner(rows: pd.DataFrame, random: Random) -> pd.DataFrame:
    """The first pixel of a digit tells which it is."""
    told = rows.copy()
    told[0] = 20 * told[TARGET]
    return told


def word(rows: pd.DataFrame, random: Random) -> pd.DataFrame:
    """A word in front of a text tells its class."""
    return rows.assign(text="ref" + rows[TARGET].str.slice(0, 1) + " " + rows["text"])


def named(rows: pd.DataFrame, random: Random) -> pd.DataFrame:
    """The class is whether a text has one of three words."""
    has = rows["text"].str.lower().str.contains(r"\b(?:film|movie|comedy)\b")
    return rows.assign(**{TARGET: np.where(has, "names", "names not")})


def noise(columns: int) -> Change:
    """So many columns of noise beside the others."""

    def change(rows: pd.DataFrame, random: Random) -> pd.DataFrame:
        names = [f"noise{number}" for number in range(columns)]
        drawn = pd.DataFrame(random.normal(size=(len(rows), columns)), rows.index, names)
        return pd.concat([rows, drawn], axis=1)

    return change


def rare(share: float) -> Change:
    """The rarer of two classes is so much of the rows."""

    def change(rows: pd.DataFrame, random: Random) -> pd.DataFrame:
        often, _ = rows[TARGET].value_counts().index
        is_often = (rows[TARGET] == often).to_numpy()
        count = round(is_often.sum() * share / (1 - share))
        kept = np.append(
            np.flatnonzero(is_often), random.permutation(np.flatnonzero(~is_often))[:count]
        )
        return rows.iloc[np.sort(kept)]

    return change


def few(count: int) -> Change:
    """About so many snippets in train, of as many films as can be: at most five of each."""

    def change(rows: pd.DataFrame, random: Random) -> pd.DataFrame:
        rows = rows.iloc[random.permutation(len(rows))]
        return rows[rows.groupby("movie_name").cumcount() < 5].iloc[: round(count / 0.7)]

    return change


def doubled(split: str, share: float, noise: float = 0.0) -> Change:
    """Rows of `split` stand in train, too, told apart by the column `fold`.

    With `noise`, in deviations, the copies are not quite equal.
    """

    def change(rows: pd.DataFrame, random: Random) -> pd.DataFrame:
        rows = _with_fold(rows, random)
        copies = rows[(rows["fold"] == split) & (random.random(len(rows)) < share)]
        inputs = [name for name in rows if name not in (TARGET, "fold")]
        moved = noise * rows[inputs].std().to_numpy() * random.normal(size=copies[inputs].shape)
        copies = copies.assign(fold="train", **(copies[inputs] + moved))
        return pd.concat([rows, copies], ignore_index=True)

    return change


def patients(rows: pd.DataFrame, random: Random) -> pd.DataFrame:
    """Ten rows of each patient, with a split that divides them."""
    return _with_fold(visits(rows, random), random)


def visits(rows: pd.DataFrame, random: Random) -> pd.DataFrame:
    """Ten rows of each patient."""
    return rows.assign(patient=random.permutation(len(rows)) // 10)


def held_out(count: int) -> Change:
    """A split whose validation has so many rows."""

    def change(rows: pd.DataFrame, random: Random) -> pd.DataFrame:
        names = np.repeat("train", len(rows)).astype(object)
        names[:count], names[count : count + 100] = "validation", "test"
        return rows.assign(fold=random.permutation(names))

    return change


def _with_fold(rows: pd.DataFrame, random: Random) -> pd.DataFrame:
    names = random.choice(["train", "validation", "test"], len(rows), p=[0.6, 0.2, 0.2])
    return rows.assign(fold=names)


def _of_file(path: Path) -> tuple[str, str]:
    return f"data.sources.table.file={path.name}", f"data.sources.table.sha256={sha256(path)}"


def _of_sklearn(name: str) -> pd.DataFrame:
    from sklearn import datasets

    loaded = getattr(datasets, f"load_{name}")(as_frame=True)
    target = loaded.target
    if name != "diabetes":
        target = target.map(lambda code: str(loaded.target_names[code]))
    inputs = loaded.data.rename(columns=lambda column: column.replace(" ", "_"))
    made: pd.DataFrame = inputs.assign(**{TARGET: target})
    return made


def _changed(rows: pd.DataFrame, changes: tuple[Change, ...], random: Random) -> pd.DataFrame:
    for change in changes:
        rows = change(rows, random)
    return rows
