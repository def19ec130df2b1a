"""What new.py says before anything is trained: too few units, a skewed target, dates, options."""

from __future__ import annotations

import shlex
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from new_commands import New, caller, checker, project
from scipy.stats import skew as known_skewness

from goodfit.data import evidence, skew
from goodfit.errors import UserError
from goodfit.evaluation.bootstrap import Resamples

ROWS = 600


@pytest.fixture
def home(tmp_path: Path) -> Path:
    made = project(tmp_path)
    rows().to_csv(tmp_path / "sales.csv", index=False)
    return made


@pytest.fixture
def make(home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> New:
    return caller(home, home.parent, monkeypatch, capsys)


def rows() -> pd.DataFrame:
    """600 sales of 60 shops; a few rows weigh much."""
    drawn, number = np.random.default_rng(0), np.arange(ROWS)
    long_tail = np.exp(drawn.normal(3, 1.5, ROWS))
    return pd.DataFrame(
        {
            "size": drawn.normal(size=ROWS).round(3),
            "shop": [f"shop {each}" for each in number % 60],
            "people": np.where(number % 97 == 0, 5000.0, 1.5),
            "price": long_tail.round(3) + 0.001,
            "profit": (long_tail * np.where(drawn.random(ROWS) < 0.1, -0.02, 1)).round(3),
            "length": drawn.normal(50, 4, ROWS).round(2),
            "far": np.where(number == 5, 1e7, drawn.normal(50, 4, ROWS)).round(2),
            "due": pd.date_range("2020-01-01", periods=28)[number % 28].strftime("%d.%m.%Y"),
            "paid": pd.date_range("2020-01-01", periods=30)[number % 30].strftime("%Y%m%d"),
        }
    )


NOTE = "of fewer than 30 no verdict is given; "


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["group=shop"], f"test has 12 different 'shop': {NOTE}more of them, or a larger test="),
        (["test=0.04"], f" rows: {NOTE}more rows, or a larger test="),
        (["weight=people"], f"test has 120 rows, by their weights worth 1: {NOTE}more rows"),
        (["group=shop", "test=0.6"], None),
        ([], None),
    ],
)
def test_too_few_units_of_test_are_told_before_a_training(
    home: Path,
    make: New,
    words: list[str],
    told: str | None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    asked = ["source=sales.csv", "target=length", *words]
    check_it = checker(home, home.parent, monkeypatch, capsys)
    for printed in (make(*asked), check_it(*asked)):
        assert (NOTE in printed) == (told is not None)
        assert told is None or told in printed


def test_the_split_that_a_column_says_is_not_made_larger_by_an_option(
    home: Path, make: New
) -> None:
    parts = np.where(np.arange(ROWS) < 20, "test", "train")
    parts[100:200] = "validation"
    rows().assign(part=parts).to_csv(home.parent / "sales.csv", index=False)
    printed = make("source=sales.csv", "target=length", "assigned=part")
    assert f"test has 20 rows: {NOTE}more rows in test\n" in printed


@pytest.mark.parametrize("seed", range(5))
def test_units_are_those_of_the_verdict(seed: int) -> None:
    drawn = np.random.default_rng(seed)
    clusters, weight = drawn.integers(0, 40, 200), drawn.gamma(0.5, 1, 200).astype(np.float32)
    weight[clusters < 5] = 0
    for weights in (None, weight):
        of_torch = None if weights is None else torch.from_numpy(weights)
        draws = Resamples(torch.from_numpy(clusters), 10, seed=0, weight=of_torch)
        assert evidence.units(clusters, weights) == (draws.units, draws.told)


def test_skewness_is_the_third_moment_of_standard_scores() -> None:
    values = np.random.default_rng(0).gamma(1, 3, 500)
    assert skew.skewness(values) == pytest.approx(float(known_skewness(values)))
    assert skew.skewness(np.full(50, 0.1)) == pytest.approx(0, abs=2)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("target", "transform"),
    [("price", "log"), ("profit", "yeojohnson"), ("length", None), ("far", None)],
)
def test_a_skewed_target_is_told_with_what_makes_it_straight(
    home: Path, make: New, target: str, transform: str | None
) -> None:
    printed = make("source=sales.csv", f"target={target}")
    assert ("is skewed" in printed) == (transform is not None)
    if transform:
        assert f"'{target}' is skewed: skewness" in printed
        assert f"task.transform={transform}, in the experiment's file or behind" in printed


def test_test_rows_do_not_decide_what_is_skewed() -> None:
    """But a number below 0 anywhere has no logarithm, and prepare of the log stops at it."""
    drawn = np.random.default_rng(1)
    target = pd.Series(np.append(drawn.normal(50, 4, 100), np.exp(drawn.normal(0, 3, 100))))
    splits = np.repeat(["train", "test"], 100)
    assert skew.noted("y", target, splits) == []
    [log] = skew.noted("y", target, splits[::-1])
    target[0] = -1.0
    others = skew.noted("y", target, splits[::-1])
    assert "task.transform=log" in log
    assert not any("task.transform=log" in note for note in others)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("target", "told"),
    [
        ("due", "target 'due' has 28 different dates, 01.01.2020 (22), "),
        ("due", "choose kind=class if they are labels, or make a number of them in the file"),
        ("paid", "labels, kind=number if they are quantities that look so, or make a number"),
        ("either", "target 'either' has 12 different dates"),
    ],
)
def test_dates_as_a_target_are_asked_about(home: Path, make: New, target: str, told: str) -> None:
    firsts = pd.date_range("2020-01-01", periods=12, freq="MS").strftime("%d/%m/%Y")
    table = rows()
    table[target] = table[target] if target in table else list(firsts) * (ROWS // 12)
    table.to_csv(home.parent / "sales.csv", index=False)
    with pytest.raises(UserError) as refused:
        make("source=sales.csv", f"target={target}")
    assert told in str(refused.value)
    printed = make("source=sales.csv", f"target={target}", "kind=class")
    assert "classification: kind=class" in printed


@pytest.mark.parametrize(
    "words",
    [
        ["source=sales.csv", "target=length"],
        ["source=sales.csv", "target=length", "text=shop"],
        ["source=sales.csv", "target=length", "time=due", "horizon=3"],
    ],
)
@pytest.mark.parametrize(
    "others",
    [
        ["trainer.max_epochs=2"],
        ["task.transform=log"],
        ["model=mlp", "seed=1"],
        ["loader={batch_size: 8}"],
    ],
)
def test_options_of_other_parts_are_told_where_they_go(
    make: New, words: list[str], others: list[str]
) -> None:
    with pytest.raises(UserError) as refused:
        make(*words, *others)
    said = shlex.join(others)
    assert str(refused.value) == (
        f"{said}: not of the data, whose options alone are taken here; leave it out, and once "
        "conf/experiment/mine.yaml is written, set it there, or: "
        f"`python pipelines/train.py experiment=mine {said}`"
    )
