"""What makes a score mislead is found where it was planted, and nowhere else."""

from __future__ import annotations

import sys
from math import comb
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tiny
from scipy.stats import ks_2samp

from goodfit.data.findings import findings, lower_bound
from goodfit.data.label_noise import contradicted, label_noise
from goodfit.stages import check

ROWS = 600
INPUTS = [f"x{number}" for number in range(6)]
NAMES = np.array((["train"] * 7 + ["validation"] + ["test"] * 2) * (ROWS // 10))
Drawn = np.random.Generator


def clean() -> pd.DataFrame:
    """Six columns of noise, of which two tell a label that is right in 19 of 20 rows."""
    drawn = np.random.default_rng(0)
    rows = pd.DataFrame(drawn.normal(size=(ROWS, 6)), columns=INPUTS)
    rows["y"] = np.where(rows["x0"] + rows["x1"] > 0, "yes", "no")
    return rows


def found(rows: pd.DataFrame, *, names: Any = NAMES, group: str | None = None) -> list[str]:
    inputs = [name for name in rows if name not in ("y", group)]
    return [finding.what for finding in findings(rows, names, "y", inputs, group)]


def test_nothing_is_found_where_nothing_is_planted() -> None:
    assert found(clean()) == []


def planted(rows: pd.DataFrame, fault: str) -> str:
    """Plants a fault; gives how what is found begins."""
    drawn = np.random.default_rng(1)
    test = np.flatnonzero(NAMES == "test")
    if fault == "leak":
        rows["paid"] = np.where(rows["y"] == "yes", 3.0, 9.0) + drawn.normal(size=ROWS) * 0.1
        return "'paid' alone tells 100.0% of 'y' on rows that it has not seen"
    if fault == "constant":
        rows["plan"] = "basic"
        return "'plan' is 'basic' in all of train"
    if fault == "near copies":
        train = np.flatnonzero(NAMES == "train")[: len(test)]
        rows.loc[test, INPUTS[1:]] = rows.loc[train, INPUTS[1:]].to_numpy()
        return "120 rows of test agree with one of train in all but one column, mostly 'x0'"
    if fault == "far off":
        rows.loc[3, "x4"], rows.loc[5, "x4"] = 999.0, 901.0
        return "'x4' has 2 values far off, such as 999"
    if fault == "another meaning":
        rows.loc[[3, 5], "x4"] = -999.0
        return "'x4' is -999 in 2 rows, and in all others between -"
    if fault == "missing in test":
        rows.loc[test[:80], "x3"] = np.nan
        return "'x3' is missing in 0.0% of train and 66.7% of test"
    if fault == "missing in validation":
        rows["town"] = np.where(drawn.random(ROWS) < 0.1, "", "Ulm")
        rows.loc[NAMES == "validation", "town"] = ""
        return "'town' is missing in 8.6% of train and 100.0% of validation"
    assert fault == "drift"
    rows.loc[test, "x5"] += 2
    return "'x5' is distributed otherwise in test than in train"


FAULTS = ["leak", "constant", "near copies", "far off", "another meaning", "drift"]


@pytest.mark.parametrize("fault", [*FAULTS, "missing in test", "missing in validation"])
def test_each_fault_is_found_alone_and_by_its_name(fault: str) -> None:
    rows = clean()
    expected = planted(rows, fault)
    told = found(rows)
    assert len(told) == 1, told
    assert told[0].startswith(expected)


@pytest.mark.slow
def test_large_incomes_and_durations_are_no_mistakes_and_an_age_of_999_is() -> None:
    """Of twenty log-normal columns none is told, whatever their spread."""
    drawn, rows = np.random.default_rng(5), clean()
    for spread in range(20):
        rows["income"] = np.exp(drawn.normal(scale=0.1 + spread / 8, size=ROWS)) * 30_000
        assert found(rows) == []
    rows["income"] = drawn.uniform(18, 80, ROWS)
    rows.loc[9, "income"] = 999.0
    (told,) = found(rows)
    assert told.startswith("'income' has 1 value far off, such as 999;")


def test_of_a_number_that_is_mostly_zero_the_others_say_what_is_far_off() -> None:
    drawn, rows = np.random.default_rng(6), clean()
    rows["rain"] = np.where(drawn.random(ROWS) < 0.7, 0.0, drawn.gamma(2.0, 5.0, ROWS))
    assert found(rows) == []
    rows.loc[9, "rain"] = 99_999.0
    (told,) = found(rows)
    assert told.startswith("'rain' has 1 value far off, such as 99999;")


def test_a_share_of_missing_cells_that_differs_by_chance_is_no_finding() -> None:
    """Of 50 columns that lack a fifth of their cells anywhere, none is told."""
    rows, drawn = clean(), np.random.default_rng(4)
    lacks = drawn.random((ROWS, 50)) < 0.2
    others = pd.DataFrame(np.where(lacks, np.nan, drawn.normal(size=lacks.shape)))
    rows = pd.concat([rows, others.add_prefix("z")], axis=1)
    assert not any("is missing in" in told for told in found(rows))


def test_a_leak_into_a_number_is_told_and_a_good_column_is_none() -> None:
    rows = clean()
    rows["y"] = rows["x0"] + 0.5 * rows["x1"]
    assert found(rows) == []
    rows["tax"] = rows["y"] * 3 + 0.01 * rows["x2"]
    (told,) = found(rows)
    assert told.startswith("'tax' alone explains 9")


def test_a_copy_that_is_wrong_in_a_few_of_many_rows_is_told_and_of_few_rows_not() -> None:
    """As many mistakes may be those of a good column, such as a width of iris."""
    of_many = ["'copy' alone tells 98.5% of 'y' on rows that it has not seen"]
    for times, told in ((1, []), (8, of_many)):
        rows = pd.concat([clean()] * times, ignore_index=True)
        drawn = np.random.default_rng(1)
        rows[INPUTS] += drawn.normal(size=(len(rows), len(INPUTS)))
        names = np.tile(NAMES, times)
        wrong = drawn.choice(np.flatnonzero(names == "train"), 8 * times, replace=False)
        copy = rows["y"].copy()
        copy.iloc[wrong] = np.where(copy.iloc[wrong] == "yes", "no", "yes")
        rows["copy"] = copy
        assert found(rows, names=names) == told
    # the same rows, of 48 groups: as many mistakes again may be those of a good column
    of_groups = rows.assign(patient=[f"p{row // 100}" for row in range(len(rows))])
    assert not any("alone tells" in one for one in found(of_groups, names=names, group="patient"))


def test_what_is_right_lower_bound_is_the_exact_bound() -> None:
    assert lower_bound(300, 300) == pytest.approx(0.05 ** (1 / 300))
    assert lower_bound(0, 300) == 0
    low = lower_bound(591, 600)
    as_many = [comb(600, k) * low**k * (1 - low) ** (600 - k) for k in range(591, 601)]
    assert sum(as_many) == pytest.approx(0.05)


def test_a_rare_class_makes_no_leak_of_every_column() -> None:
    """Always the frequent one is right in 99.5 % of the rows."""
    rows = clean()
    rows["y"] = np.where(np.arange(ROWS) % 200 == 0, "yes", "no")
    assert found(rows) == []


def test_torn_groups_are_counted_with_their_rows() -> None:
    rows = clean()
    rows["patient"] = [f"p{row // 2}" for row in range(ROWS)]
    (torn,) = findings(rows, NAMES, "y", INPUTS, "patient")
    # of ten rows, pairs are torn between train and validation, at 6 and 7
    assert torn.what == "60 of 300 'patient' are in more than one split"
    assert torn.rows[:4] == (7, 8, 17, 18)


@pytest.mark.slow
def test_labels_that_were_turned_are_found_and_few_others() -> None:
    rows = clean()
    rows = rows[(rows["x0"] + rows["x1"]).abs() > 0.8].reset_index(drop=True)
    turned = np.random.default_rng(2).choice(len(rows), 15, replace=False)
    rows.loc[turned, "y"] = rows.loc[turned, "y"].map({"yes": "no", "no": "yes"})
    (finding,) = label_noise(rows, "y", INPUTS)
    count = int(finding.what.split()[0])
    # the threshold is a mean: of rows that are turned, about half are above it
    assert 7 <= count <= 15
    assert {row - 1 for row in finding.rows} <= {int(row) for row in turned}


@pytest.mark.slow
def test_no_label_is_judged_where_the_columns_do_not_tell_it() -> None:
    rows = clean()
    rows["y"] = np.random.default_rng(3).choice(["yes", "no"], ROWS)
    assert label_noise(rows, "y", INPUTS) == []


def test_a_label_is_contradicted_above_the_mean_confidence_of_the_other_class() -> None:
    """Rows of class 1 have a mean probability of 0.8 of it."""
    p = np.array([[0.9, 0.1], [0.15, 0.85], [0.25, 0.75], [0.1, 0.9], [0.3, 0.7]])
    truth = np.array([0, 0, 0, 1, 1])
    assert contradicted(p, truth).tolist() == [1]


@pytest.mark.slow
def test_the_command_names_rows_of_the_file_and_what_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = clean()
    rows.loc[[3, 5], "x4"] = 999.0
    rows["plan"] = "basic"
    rows.to_csv(tmp_path / "rows.csv", index=False)
    (tmp_path / "project").mkdir()
    (tmp_path / "project/conf").symlink_to(tiny.ROOT / "conf")
    monkeypatch.chdir(tmp_path)
    arguments = ["source=rows.csv", "target=y"]
    monkeypatch.setattr(sys, "argv", [str(tmp_path / "project/pipelines/check.py"), *arguments])
    assert check.main() == 0
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert "rows of the file: 5, 7" in lines
    assert "answer: data.drop=[plan]" in lines
    assert lines[-1] == "600 rows, 7 columns: 2 findings"
    assert [path.name for path in (tmp_path / "project").iterdir()] == ["conf"]


@pytest.mark.parametrize("most", [3, 30])
def test_rows_that_agree_by_chance_are_no_near_copies(most: int) -> None:
    drawn = np.random.default_rng(5)
    rows = pd.DataFrame(drawn.integers(1, most + 1, (ROWS, 5)), columns=INPUTS[:5]).astype(float)
    rows["y"] = drawn.choice(["yes", "no"], ROWS)
    assert found(rows) == []


def test_rows_of_a_group_are_one_piece_of_evidence() -> None:
    """What is constant in a patient names the patient, and tells the label of the next row."""
    drawn = np.random.default_rng(6)
    patient = np.repeat(np.arange(60), 10)
    rows = pd.DataFrame({"height": drawn.normal(size=60)[patient], "x": drawn.normal(size=ROWS)})
    rows["y"] = np.where(drawn.random(60) < 0.5, "yes", "no")[patient]
    rows["patient"] = patient.astype(str)
    names = np.repeat(["train", "validation", "test"], [300, 150, 150])
    assert found(rows, names=names, group="patient") == []
    assert len(found(rows.drop(columns="patient"), names=names)) > 0
    rows["paid"] = np.where(rows["y"] == "yes", 1.0, 2.0)
    (leak,) = found(rows, names=names, group="patient")
    assert leak.startswith("'paid' alone tells 100.0% of 'y'")


def test_a_constant_is_told_as_a_reader_writes_it() -> None:
    rows = clean().assign(k=3.0, day=pd.Timestamp("2024-01-01"))
    assert found(rows) == [
        "'k' is 3.0 in all of train",
        "'day' is 2024-01-01 00:00:00 in all of train",
    ]


@pytest.mark.parametrize("ties", [False, True])
def test_drift_is_told_where_the_test_of_kolmogorov_and_smirnov_is_sure(ties: bool) -> None:
    rng = np.random.default_rng(0)
    told = []
    for shift in np.linspace(0, 0.6, 25):
        sides = [rng.normal(size=700), rng.normal(size=300) + shift]
        known, asked = (side.round(1) if ties else side for side in sides)
        rows = pd.DataFrame({"x": np.concatenate([known, asked, known[:40]])})
        names = np.array(["train"] * 700 + ["test"] * 300 + ["validation"] * 40)
        found = findings(rows, names, None, ["x"], None)
        told.append(any("distributed otherwise" in item.what for item in found))
        assert told[-1] == (ks_2samp(known, asked).pvalue < 1e-6)
    assert len(set(told)) == 2
