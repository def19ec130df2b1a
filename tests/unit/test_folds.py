"""Folds divide train and validation by the data set's own rule, and leave test aside."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tiny
from omegaconf import OmegaConf

from goodfit import build
from goodfit.contract import DataSpec
from goodfit.data import folds
from goodfit.data.base import DataSet
from goodfit.data.folds import Fold, assigned
from goodfit.data.split import SPLITS
from goodfit.errors import UserError
from goodfit.store.prepare import assign_splits, prepare

ROWS = 120
Array = np.ndarray[Any, Any]


def table(**options: Any) -> DataSet:
    """A table of a class by default."""
    options = {"label": "y", "kind": "class", "validation": 0.2, "test": 0.2} | options
    content = {"data": tiny.section("data", "table-class") | {"order": [], "columns": {}} | options}
    content["data"]["drop"] = []
    return build.data_set(OmegaConf.create(content))


def written(tmp_path: Path, **columns: Any) -> dict[str, Path]:
    """A CSV file of ROWS rows; x is different in each unless `columns` has it."""
    rows = pd.DataFrame(
        {"x": np.arange(ROWS) + 0.5, "y": np.where(np.arange(ROWS) % 3, "a", "b"), **columns}
    )
    rows.to_csv(tmp_path / "t.csv", index=False)
    return {"table": tmp_path / "t.csv"}


def divided(data: DataSet, raw: dict[str, Path], count: int) -> tuple[pd.DataFrame, Array, Array]:
    """The rows, the names (N,) of the split, and those (K, N) of the folds."""
    found = []
    for number in range(count):
        fold = Fold(number, count)
        own = folds.shared(data, fold)
        rows = own.read(raw)
        found.append(assign_splits(own, raw, rows, fold)[0])
    return rows, assign_splits(data, raw, rows)[0], np.array(found)


def test_each_row_of_train_and_validation_is_held_out_once_and_test_never(tmp_path: Path) -> None:
    _, names, found = divided(table(), written(tmp_path), 5)
    assert np.array_equal((found == "validation").sum(0), names != "test")
    assert np.array_equal((found == "test").all(0), names == "test")
    assert np.array_equal((found == "train").sum(0), 4 * (names != "test"))


def test_each_class_is_divided_in_equal_parts(tmp_path: Path) -> None:
    rows, _, found = divided(table(), written(tmp_path), 4)
    counts = [rows["y"][of == "validation"].value_counts().to_dict() for of in found]
    assert max(each["a"] for each in counts) - min(each["a"] for each in counts) <= 1
    assert max(each["b"] for each in counts) - min(each["b"] for each in counts) <= 1


def test_a_group_is_held_out_whole(tmp_path: Path) -> None:
    raw = written(tmp_path, who=[f"p{row // 4}" for row in range(ROWS)])
    rows, _, found = divided(table(group="who"), raw, 5)
    assert all(
        len(set(of)) == 1 for each in found for _, of in pd.Series(each).groupby(rows["who"])
    )


@pytest.mark.parametrize("equal_rows", ["together", "apart"])
def test_equal_rows_are_on_one_side_unless_they_are_cases(tmp_path: Path, equal_rows: str) -> None:
    raw = written(tmp_path, x=[row // 6 + 0.5 for row in range(ROWS)])
    rows, _, found = divided(table(equal_rows=equal_rows), raw, 5)
    torn = [len(set(of)) > 1 for each in found for _, of in pd.Series(each).groupby(rows["x"])]
    assert any(torn) == (equal_rows == "apart")


@pytest.fixture
def days(tmp_path: Path) -> dict[str, Path]:
    return written(tmp_path, day=pd.date_range("2020-01-01", periods=ROWS).astype(str))


def test_in_time_a_fold_is_trained_on_the_past_alone_with_the_gap(days: dict[str, Path]) -> None:
    rows, _, found = divided(table(time="day", gap="3 days"), days, 3)
    for of in found:
        past, held_out = rows["day"][of == "train"], rows["day"][of == "validation"]
        assert held_out.min() - past.max() > pd.Timedelta("3 days")
        assert past.min() == rows["day"].min()


def test_in_time_the_last_fold_is_the_split_itself_and_windows_do_not_overlap(
    days: dict[str, Path],
) -> None:
    _, names, found = divided(table(time="day"), days, 3)
    assert np.array_equal(found[-1], names)
    assert (found == "validation").sum(0).max() == 1
    assert not (found[:, names == "test"] != "test").any()


def test_in_time_no_fold_is_trained_on_less_than_it_holds_out(days: dict[str, Path]) -> None:
    _, _, found = divided(table(time="day"), days, 10)
    sizes = [((of == "train").sum(), (of == "validation").sum()) for of in found]
    assert all(trained_on >= held_out - 1 for trained_on, held_out in sizes)


@pytest.mark.parametrize("units", [np.arange(103), np.arange(103) // 2])
def test_folds_differ_by_a_unit_at_most_where_each_has_a_stratum_of_its_own(units: Array) -> None:
    sizes = np.bincount(assigned(units, units, 5, 0), minlength=5)
    assert sizes.max() - sizes.min() <= 2


def test_another_seed_gives_other_folds_and_the_same_seed_the_same() -> None:
    strata = np.arange(60) % 2
    first, again, other = (assigned(np.arange(60), strata, 3, seed) for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize(
    ("options", "columns", "count", "said"),
    [
        ({}, {}, 97, "train and validation, 96 samples, has 96 independent units, fewer than"),
        ({"group": "who"}, {"who": np.arange(ROWS) // 30}, 5, "units, fewer than folds; cv="),
        ({}, {"y": ["a"] * 112 + ["b"] * 8}, 8, "label 'b' has"),
    ],
    ids=["samples", "groups", "members of a class"],
)
def test_fewer_units_than_folds_are_refused_with_the_most_that_there_can_be(
    tmp_path: Path, options: Any, columns: Any, count: int, said: str
) -> None:
    data, raw = table(**options), written(tmp_path, **columns)
    with pytest.raises(UserError, match="fewer than folds") as error:
        divided(data, raw, count)
    assert str(error.value).startswith(f"cv={count}, fold 1 of {count}: ")
    assert said in str(error.value)


def test_a_fold_with_a_single_class_is_refused(tmp_path: Path) -> None:
    raw = written(
        tmp_path,
        y=["a"] * 60 + ["b"] * 60,
        day=pd.date_range("2020-01-01", periods=ROWS).astype(str),
    )
    with pytest.raises(UserError, match="has a single class 'a'; choose fewer folds"):
        divided(table(time="day"), raw, 3)


def test_what_is_learned_is_learned_from_the_folds_own_train(tmp_path: Path) -> None:
    raw, cfg = written(tmp_path), {"any": "options"}
    for number in range(2):
        prepare(table(), raw, tmp_path / f"{number}", made_with=cfg, fold=Fold(number, 2))
    rows, _, found = divided(table(), raw, 2)
    for number in range(2):
        spec = DataSpec.read(tmp_path / f"{number}/spec.json")
        train = rows["x"][found[number] == "train"]
        assert spec.facts["columns"]["x"]["mean"] == pytest.approx(train.mean())


def test_a_fold_has_no_file_of_test(tmp_path: Path) -> None:
    raw = written(tmp_path)
    made = prepare(table(), raw, tmp_path / "fold", made_with={}, fold=Fold(0, 3))
    assert not (tmp_path / "fold/test").exists()
    assert {name.partition("/")[0] for name in made.files} & set(SPLITS) == set(folds.SIDES)


def told(rows: pd.DataFrame, of: Array, *sides: str) -> set[Any]:
    """What the rows (N,) of some sides of a split (N,) are known by: of a series, its moments."""
    some = rows[np.isin(of, sides)]
    return set(zip(some["group"], some["tick"], strict=True) if "tick" in some else some.index)


# a table, whole units, time, files of their own, bands of photos
@pytest.mark.parametrize(
    "case", ["reviews", "electricity", "libreoffice", "crowns", "series-shops", "stations"]
)
def test_samples_of_test_are_in_no_fold(case: str) -> None:
    data = build.data_set(tiny.cfg(case))
    raw = tiny.raw(data)
    rows = data.read(raw)
    test = told(rows, assign_splits(data, raw, rows)[0], "test")
    for number in range(2):
        fold = Fold(number, 2)
        own = folds.shared(data, fold)
        rows = own.read(raw)
        names = assign_splits(own, raw, rows, fold)[0]
        assert not told(rows, names, *folds.SIDES) & test
        assert told(rows, names, "train")
        assert told(rows, names, "validation")
