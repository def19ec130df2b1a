"""Exponential smoothing gives the forecasts that are known for series without noise."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from goodfit.baseline import ets
from goodfit.baseline.base import LabelledSamples, Samples
from goodfit.contract import DataSpec, Field


@pytest.mark.parametrize("season", [7, 48])
def test_what_repeats_itself_goes_on(season: int) -> None:
    """By a season of the model, and by one that is taken out before."""
    steps = np.arange(6 * season + 5)
    series = 100 + 10 * np.sin(2 * np.pi * steps / season) + np.cos(6 * np.pi * steps / season)
    ahead = ets.forecast(series[: 5 * season], season, ets._FORMS, season)
    assert ahead == pytest.approx(series[5 * season : 6 * season], abs=0.2)


def test_a_line_is_continued_where_its_trend_may_go_on() -> None:
    line = 3.0 + 0.5 * np.arange(60)
    rough = line[:50] + 0.01 * np.random.default_rng(0).normal(size=50)
    assert ets.forecast(rough, 1, ets._FORMS, 10) == pytest.approx(line[50:], abs=0.2)


def test_a_constant_stays() -> None:
    assert ets.forecast(np.full(20, 4.0), 1, ets._FORMS, 3).tolist() == [4.0] * 3


def test_validation_chooses_the_season_and_train_is_not_asked() -> None:
    rng = np.random.default_rng(0)
    series = 10 + 5 * (np.arange(70) % 7 > 4) + 0.01 * rng.normal(size=70)
    past = np.stack([series[start : start + 42] for start in range(8)])
    target = np.stack([series[start + 42 : start + 49] for start in range(8)])
    spec = DataSpec(
        data="",
        kind="series",
        outputs=7,
        inputs={"past": Field((6, 7), "float32")},
        targets={"target": Field((7,), "float32")},
        facts={"season": 3},
    )
    rows = pd.DataFrame(index=range(8))
    labelled = LabelledSamples({"past": past.reshape(8, 6, 7)}, rows, {"target": target})
    method = ets.ETS(samples=2)
    method.fit(LabelledSamples({}, rows.iloc[:0], {}), labelled, spec)
    answers = method.predict(Samples(labelled.inputs, rows))
    assert method._season == 7
    assert answers == pytest.approx(target, abs=0.2)
