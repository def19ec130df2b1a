"""A file of anybody's series becomes an experiment with the past that its step asks for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from made_series import hours
from new_commands import New, caller, project

from goodfit.config.check import check
from goodfit.config.compose import compose
from goodfit.errors import UserError
from goodfit.system.files import sha256

WORDS = ("source=loads.csv", "time=time", "target=load", "horizon=24")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return project(tmp_path)


@pytest.fixture
def make(home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> New:
    return caller(home, home.parent, monkeypatch, capsys)


def loads(home: Path, rows: pd.DataFrame) -> Path:
    rows.to_csv(home.parent / "loads.csv", index=False)
    return home.parent / "loads.csv"


def test_hours_get_two_weeks_of_past_and_the_file_is_pinned(home: Path, make: New) -> None:
    path = loads(home, hours(24 * 60))
    printed = make(*WORDS)
    cfg = compose(home, ["experiment=mine"])
    check(cfg)
    assert (cfg.data.context, cfg.data.horizon, cfg.data.train_stride) == (336, 24, 1)
    assert cfg.data.sources.table.sha256 == sha256(path)
    assert list(cfg.baseline)[:2] == ["lag_boosting", "lag_ridge"]
    assert "1 series of 1,440 steps of 1 h, 2024-01-01 00:00:00 to 2024-02-29 23" in printed
    assert "season of 4 steps" in printed
    assert "12 forecasts in 3 weeks: of fewer than 30 no verdict is given" in printed


@pytest.mark.slow
@pytest.mark.parametrize(
    ("freq", "count", "horizon", "context"),
    [("D", 400, 7, 28), ("MS", 300, 12, 36), ("MS", 100, 6, 24), ("30min", 3000, 48, 672)],
)
def test_the_past_holds_whole_periods_of_the_step_and_leaves_train_its_windows(
    home: Path, make: New, freq: str, count: int, horizon: int, context: int
) -> None:
    loads(home, hours(count, freq=freq))
    make(*WORDS[:3], f"horizon={horizon}")
    assert compose(home, ["experiment=mine"]).data.context == context


def test_what_is_said_stays(home: Path, make: New) -> None:
    loads(home, hours(24 * 60))
    make(*WORDS, "context=48", "data.train_stride=5")
    data = compose(home, ["experiment=mine"]).data
    assert (data.context, data.train_stride) == (48, 5)


def test_series_are_told_apart_and_columns_without_a_role_are_named(home: Path, make: New) -> None:
    both = [hours(24 * 40).assign(meter=name, warm=1.5, note="x") for name in ("a", "b")]
    loads(home, pd.concat(both))
    printed = make(*WORDS, "group=meter")
    assert "2 series of 960 steps of 1 h" in printed
    assert "note    warm: numbers that are not used; observed=[warm] takes what is known" in printed
    make(*WORDS, "group=meter", "known=[warm]", "replace=true")
    assert compose(home, ["experiment=mine"]).data.known == ["warm"]


def test_gaps_are_refused_with_the_option_that_fills_them(home: Path, make: New) -> None:
    loads(home, hours(24 * 40).drop(index=[100, 101]))
    with pytest.raises(UserError, match=r"(?s)gaps choose data\.gaps=fill.*2 steps are missing"):
        make(*WORDS)
    assert "2 steps filled" in make(*WORDS, "gaps=fill")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["target=load", "horizon=24"], "time=... is missing: the column of the steps' times; "),
        (["target=load", "horizon=24"], "loads.csv has dates in time"),
        (["time=time", "horizon=24"], "target=... is missing"),
        (["time=time", "target=laod", "horizon=24"], "lacks column 'laod'. Did you mean 'load'"),
        (["time=time", "target=load", "horizon=day"], "data.horizon: expected"),
        (["time=time", "target=load", "horizon=24", "contxt=2"], "Did you mean 'context'"),
        (["time=time", "target=load", "horizon=500"], "choose a larger share"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    home: Path, make: New, words: list[str], told: str
) -> None:
    loads(home, hours(24 * 40))
    with pytest.raises(UserError) as refused:
        make("source=loads.csv", *words)
    assert told in str(refused.value)


def test_steps_of_several_lengths_are_named(home: Path, make: New) -> None:
    rows = hours(900)
    apart = np.random.default_rng(0).integers(1, 4, 300).cumsum()
    loads(home, rows.iloc[apart[apart < 900]])
    with pytest.raises(UserError, match=r"times have no common step: \d h \(\d+%\)"):
        make(*WORDS)
