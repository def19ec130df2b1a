"""The columns that a user names decide the split, and what depends on each other stays together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tiny
from made_tables import read, table

from goodfit.config.check import check
from goodfit.config.compose import compose
from goodfit.data.split import NO_SPLIT
from goodfit.errors import UserError
from goodfit.store import card
from goodfit.store.prepare import assign_splits, prepare

ROWS = 120


def text(**columns: list[Any]) -> str:
    """A file of 120 rows: a number that differs in each, a label, and what is given."""
    drawn = np.random.default_rng(0).normal(size=ROWS)
    given = {"a": [round(value, 6) for value in drawn], "y": ["no", "yes"] * (ROWS // 2), **columns}
    return pd.DataFrame(given).to_csv(index=False)


def split(tmp_path: Path, content: str, **options: Any) -> tuple[pd.DataFrame, Any]:
    """The rows as they are read, and the name of each one's split."""
    rows = read(tmp_path, content, **options)
    names, _ = assign_splits(table(**options), {"table": tmp_path / "t.csv"}, rows)
    return rows, names


PATIENTS = [f"p{row // 4}" for row in range(ROWS)]
DAYS = [str(day.date()) for day in pd.date_range("2024-01-01", periods=ROWS)]


def test_rows_of_one_group_are_in_one_split_and_the_group_is_no_input(tmp_path: Path) -> None:
    rows, names = split(tmp_path, text(patient=PATIENTS), group="patient")
    of_each = pd.Series(names).groupby(rows["patient"]).nunique()
    assert set(of_each) == {1}
    assert set(names) == {"train", "validation", "test"}
    made = table(group="patient")
    spec = made.fit(rows)
    assert list(spec.facts["columns"]) == ["a"]
    assert spec.facts["left_out"]["patient"].startswith("data.group names it")
    assert list(made.example(rows)) == ["a"]


def test_intervals_draw_whole_groups(tmp_path: Path) -> None:
    rows = read(tmp_path, text(patient=PATIENTS), group="patient")
    made = table(group="patient")
    assert list(made.clusters(rows)) == [row // 4 for row in range(ROWS)]
    assert made.cluster_of(made.fit(rows)) == "patient"
    assert table().cluster_of(table().fit(read(tmp_path, text()))) == "sample"


def test_a_group_is_an_input_where_the_user_says_so(tmp_path: Path) -> None:
    options: dict[str, Any] = {"group": "shop", "columns": {"shop": "category"}}
    shops = [f"s{row % 12}" for row in range(ROWS)]
    rows = read(tmp_path, text(shop=shops), **options)
    assert list(table(**options).fit(rows).facts["columns"]) == ["a", "shop"]


def test_equal_rows_of_two_groups_bring_the_groups_together(tmp_path: Path) -> None:
    content = "a,y,patient\n" + "".join(
        f"{value},{'yes' if value % 2 else 'no'},p{row}\n"
        for row, value in enumerate([*range(30), *range(30)])
    )
    rows, names = split(tmp_path, content, group="patient")
    assert set(pd.Series(names).groupby(rows["a"]).nunique()) == {1}


def test_train_is_the_past_and_test_the_future(tmp_path: Path) -> None:
    shuffled = np.random.default_rng(1).permutation(DAYS).tolist()
    rows, names = split(tmp_path, text(day=shuffled), time="day")
    days = rows["day"]
    assert days[names == "train"].max() < days[names == "validation"].min()
    assert days[names == "validation"].max() < days[names == "test"].min()
    assert [int((names == name).sum()) for name in ("train", "validation", "test")] == [60, 30, 30]


def test_rows_of_one_time_are_on_one_side(tmp_path: Path) -> None:
    months = [f"2024-{1 + row // 10:02}" for row in range(ROWS)]
    rows, names = split(tmp_path, text(month=months), time="month")
    assert set(pd.Series(names).groupby(rows["month"]).nunique()) == {1}


def test_a_gap_leaves_out_the_rows_before_each_border(tmp_path: Path) -> None:
    rows, names = split(tmp_path, text(day=DAYS), time="day", gap="7 days")
    assert int((names == NO_SPLIT).sum()) == 14
    later = rows["day"][names == "validation"].min() - rows["day"][names == "train"].max()
    assert later == pd.Timedelta("8 days")


def test_by_time_a_copy_of_an_earlier_row_is_in_no_split(tmp_path: Path) -> None:
    content = text(day=DAYS)
    first = content.splitlines()[1].rsplit(",", 1)[0]
    rows, names = split(tmp_path, f"{content}{first},2024-12-31\n", time="day")
    assert names[len(rows) - 1] == NO_SPLIT


def test_a_column_names_the_splits(tmp_path: Path) -> None:
    fold = ["train", "Valid", "test", "training"] * (ROWS // 4)
    _, names = split(tmp_path, text(fold=fold), assigned="fold")
    assert list(names) == ["train", "validation", "test", "train"] * (ROWS // 4)


@pytest.mark.parametrize(
    ("columns", "options", "told"),
    [
        ({"fold": ["train", "later"] * 60}, {"assigned": "fold"}, "'fold' says 'later'; expected"),
        ({"fold": ["train", "test"] * 60}, {"assigned": "fold"}, "names no row of validation"),
        ({"day": ["soon"] * 120}, {"time": "day"}, "'soon' is not a date"),
        ({"day": [*DAYS[1:], ""]}, {"time": "day"}, "row 121  column day  '' is empty"),
        ({"p": [*PATIENTS[1:], ""]}, {"group": "p"}, "row 121  column p  '' is empty"),
        ({"p": PATIENTS}, {"group": "q"}, "lacks column 'q'"),
        ({}, {"group": "y"}, "data.group names 'y', which is the target"),
        ({}, {"time": "a", "assigned": "y"}, "both decide the split"),
        ({"day": DAYS}, {"gap": "7 days"}, "data.gap=7 days is between times; name their column"),
        ({"day": DAYS}, {"time": "day", "gap": "a week"}, "data.gap=a week; expected a duration"),
        ({"day": DAYS}, {"time": "day", "gap": "-1 days"}, "data.gap=-1 days; expected a duration"),
    ],
)
def test_what_cannot_decide_a_split_is_refused(
    tmp_path: Path, columns: dict[str, list[Any]], options: dict[str, Any], told: str
) -> None:
    with pytest.raises(UserError) as refused:
        split(tmp_path, text(**columns), **options)
    assert told in str(refused.value)


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        ({"group": "patient"}, "rows of one 'patient' stay together, the target in the same prop"),
        ({"time": "day", "gap": "1 day"}, "by 'day': the latest rows are test, those before valid"),
        ({"assigned": "fold"}, "as the column 'fold' says"),
        ({}, "at random, each label in the same proportion on every side"),
    ],
)
def test_the_manifest_says_how_rows_were_split(
    tmp_path: Path, options: dict[str, Any], rule: str
) -> None:
    fold = ["train", "train", "validation", "test"] * (ROWS // 4)
    (tmp_path / "t.csv").write_text(text(patient=PATIENTS, day=DAYS, fold=fold))
    made = table(**options)
    manifest = prepare(made, {"table": tmp_path / "t.csv"}, tmp_path / "out", made_with={})
    assert manifest.split.startswith(rule)
    assert (manifest.in_no_split > 0) == ("gap" in options)


def test_a_group_that_is_an_input_is_read_as_asked(tmp_path: Path) -> None:
    shops = [row % 12 for row in range(ROWS)]
    options: dict[str, Any] = {"group": "shop", "columns": {"shop": "number"}}
    rows, names = split(tmp_path, text(shop=shops), **options)
    assert set(pd.Series(names).groupby(rows["shop"]).nunique()) == {1}
    assert table(**options).fit(rows).facts["columns"]["shop"]["kind"] == "number"
    folds = ["train", "validation", "test"] * (ROWS // 3)
    with pytest.raises(UserError, match=r"data\.assigned=fold, but data\.columns\.fold=number"):
        split(tmp_path, text(fold=folds), assigned="fold", columns={"fold": "number"})


def test_a_column_is_found_as_its_name_is_normally_written(tmp_path: Path) -> None:
    """Spaces around it, and an accent as macOS writes it."""
    rows, names = split(tmp_path, text(**{"Bär": PATIENTS}), group=" Ba\N{COMBINING DIAERESIS}r")
    assert set(pd.Series(names).groupby(rows["Bär"]).nunique()) == {1}


@pytest.mark.parametrize("gap", ["7", "1.5", "-1 days", "a week"])
def test_a_gap_has_a_unit(gap: str) -> None:
    """Of a number alone, pandas makes nanoseconds."""
    with pytest.raises(UserError, match="expected a duration, as '7 days'"):
        table(time="day", gap=gap)


def test_a_gap_without_quotes_is_answered_with_a_duration() -> None:
    cfg = compose(tiny.ROOT, ["experiment=breast_cancer", "data.gap=30"])
    with pytest.raises(UserError) as error:
        check(cfg)
    said = "data.gap: expected a duration, as '7 days' or '12 hours', got 30."
    assert str(error.value) == said


def test_the_advised_way_to_take_the_time_as_an_input_works(tmp_path: Path) -> None:
    rows = read(tmp_path, text(day=DAYS), time="day")
    advice = table(time="day").fit(rows).facts["left_out"]["day"]
    assert advice.endswith("to take it as an input, too: data.columns.day=date")
    options: dict[str, Any] = {"time": "day", "columns": {"day": "date"}}
    rows, names = split(tmp_path, text(day=DAYS), **options)
    assert "day" in table(**options).fit(rows).facts["columns"]
    assert table(**options).findings(rows, names) == []


def titanic(count: int = 1200) -> str:
    """Persons of whom three answers are known, half of them the same: 9 different inputs."""
    drawn = np.random.default_rng(0)
    kinds = drawn.choice(9, count, p=[0.5, *[0.0625] * 8])
    survived = drawn.random(count) < 0.2 + 0.08 * kinds
    return pd.DataFrame(
        {
            "berth": np.array(["crew", "first", "third"])[kinds % 3],
            "sex": np.array(["m", "f", "x"])[kinds // 3],
            "y": np.where(survived, "yes", "no"),
        }
    ).to_csv(index=False)


def test_more_equal_rows_than_a_split_has_are_no_copies_unless_the_user_says_so(
    tmp_path: Path,
) -> None:
    with pytest.raises(UserError) as error:
        split(tmp_path, titanic(), test=0.2, validation=0.15)
    assert str(error.value) == (
        "576 of 1,200 rows have equal inputs and would share a split, of which one has 15% of all; "
        "data.equal_rows=apart takes equal rows as cases that happen to agree"
    )
    options: dict[str, Any] = {"equal_rows": "apart", "test": 0.2, "validation": 0.15}
    rows, names = split(tmp_path, titanic(), **options)
    share = rows["y"].eq("yes").groupby(names).mean()
    # in the same proportion, within the row that cannot be divided
    assert share.to_numpy() == pytest.approx(rows["y"].eq("yes").mean(), abs=1 / 180)
    assert pd.Series(names).value_counts(normalize=True).round(2).to_dict() == {
        "train": 0.65,
        "validation": 0.15,
        "test": 0.2,
    }


def test_groups_that_equal_rows_would_join_can_be_taken_apart(tmp_path: Path) -> None:
    rows = [f"{row % 9 // 3},{row % 3},p{row // 4},{['no', 'yes'][row % 2]}" for row in range(200)]
    content = "\n".join(["a,b,patient,y", *rows]) + "\n"
    options: dict[str, Any] = {"group": "patient", "columns": {"a": "category", "b": "category"}}
    with pytest.raises(UserError, match=r"split empty; .* data\.equal_rows=apart takes equal rows"):
        split(tmp_path, content, **options)
    read_rows, names = split(tmp_path, content, **options, equal_rows="apart")
    assert set(pd.Series(names).groupby(read_rows["patient"]).nunique()) == {1}


def test_the_manifest_and_the_card_say_that_equal_rows_are_apart(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(titanic())
    made = table(equal_rows="apart")
    manifest = prepare(made, {"table": tmp_path / "t.csv"}, tmp_path / "out", made_with={})
    assert manifest.copies.apart
    assert manifest.copies.rows == 1200 - 9
    said = "they are cases that happen to agree (data.equal_rows=apart), split like others"
    assert said in card.markdown("t", manifest).replace("\\", "")
