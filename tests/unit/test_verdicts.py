"""The table of planted cases counts what it should, and a handful of cases get their words."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tiny

from benchmarks import verdict_data as of
from benchmarks import verdicts
from benchmarks.verdict_cases import CASES
from goodfit.errors import UserError
from goodfit.evaluation.fit import kind
from goodfit.records.fit import Fit

ALL = {case.name: (right, case) for right, cases in CASES.items() for case in cases}
QUICK = (
    "masses, a table",
    "one epoch, table",
    "shuffled labels by heart",
    "copied label, table",
    "near copies of numbers",
    "validation of 15",
)


def test_there_are_at_least_36_cases_of_every_word_and_half_of_them_are_held_out() -> None:
    assert len(ALL) == sum(map(len, CASES.values())) >= 36
    assert {word for right in CASES for word in right} == set(Fit)
    seen = sum(case.seen for _, case in ALL.values())
    assert seen <= len(ALL) / 2


def named(name: str, word: Fit, seed: int = 0) -> verdicts.Named:
    right, case = ALL[name]
    return verdicts.Named(case, right, seed, word, f"{word}: because.")


def test_the_table_counts_right_and_wrong_words() -> None:
    some = [
        named("masses, a table", Fit.GOOD),
        named("masses, a table", Fit.OVERFIT, 1),
        named("rate too small, digits", Fit.DEGENERATE),
        named("rate too small, digits", Fit.UNDERFIT, 1),
    ]
    lines = verdicts.table(some)
    assert lines[2:4] == [
        "| good fit | 1 | 1 |  |  | 1 |  |  |",
        "| underfit or degenerate | 1 |  | 1 | 1 |  |  |  |",
    ]
    assert "Of all, 3 of 4 are named rightly (75.0%)." in lines
    assert "Of those that the rules were made with, 1 of 2 are named rightly (50.0%)." in lines
    assert lines[-1] == "- masses, a table, seed 1: overfit: because."


def test_a_case_that_does_not_exist_is_refused_with_the_nearest() -> None:
    with pytest.raises(UserError, match="Did you mean 'a pixel tells'"):
        verdicts.chosen(["a pixel tell"])


def test_what_is_planted_is_in_the_file(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    raw = of.table("breast_cancer", of.copied(0.0))(tmp_path, tmp_path, random)
    rows = pd.read_csv(raw.file)
    assert (rows["outcome"] == "code " + rows["target"]).all()
    again = of.table("breast_cancer", of.doubled("validation", 1.0))(tmp_path, tmp_path, random)
    rows = pd.read_csv(again.file)
    inputs = [name for name in rows if name not in ("target", "fold")]
    train = set(map(tuple, rows.loc[rows["fold"] == "train", inputs].to_numpy()))
    held_out = set(map(tuple, rows.loc[rows["fold"] == "validation", inputs].to_numpy()))
    assert held_out
    assert held_out <= train


@pytest.mark.slow
@pytest.mark.parametrize("name", QUICK)
def test_a_planted_case_gets_its_word(name: str, tmp_path: Path, database: Path) -> None:
    right, case = ALL[name]
    (tmp_path / "mlflow.db").write_bytes(database.read_bytes())
    with contextlib.chdir(tmp_path):
        assert kind(verdicts.judge(tiny.ROOT, case, 0).evidence) in right
