"""A transformation is undone exactly, fitted on train alone, and no network runs away with it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tiny
import torch
from scipy.stats import yeojohnson, yeojohnson_normmax
from small_tasks import made, spec

from goodfit.contract import Field
from goodfit.errors import UserError
from goodfit.evaluation.evaluate import evaluate
from goodfit.launch.fit import fit
from goodfit.predictor import Predictor
from goodfit.store.arrays import Packed
from goodfit.store.loader import Shard
from goodfit.task.scale import Scale, _power, _root
from goodfit.training import loop

RNG = np.random.default_rng(0)
SKEWED = np.exp(RNG.normal(2, 1.5, 500)).astype(np.float32)
TWO_SIDED = (RNG.gamma(2, 3, 500) - 2).astype(np.float32)
DOWNWARD = -SKEWED
CASES = [("log", SKEWED)]
CASES += [("yeojohnson", values) for values in (SKEWED, TWO_SIDED, DOWNWARD, 1e6 * SKEWED)]


def learned(transform: str, values: np.ndarray) -> Scale:
    """A scale of these numbers (N,)."""
    field = Field((), "float32", (float(values.mean()),), (float(values.std()),))
    scale = Scale(transform, field)  # type: ignore[arg-type]
    scale.learn(values)
    return scale


@pytest.mark.parametrize(("transform", "values"), [("none", SKEWED), *CASES])
def test_numbers_of_scores_are_the_numbers_again(transform: str, values: np.ndarray) -> None:
    scale, numbers = learned(transform, values), torch.from_numpy(values)
    again = scale.numbers(scale.scores(numbers))
    # a score of float32 is what a network gives: its last digit is more in a long tail
    torch.testing.assert_close(again, numbers, rtol=1e-4, atol=1e-6 * float(values.std()))


@pytest.mark.parametrize("power", [-2.0, 0.5, 1e-4, 1.0, 3.0])
def test_a_power_is_undone_to_the_last_digits(power: float) -> None:
    distance, exponent = (
        torch.linspace(0, 40, 99, dtype=torch.float64),
        torch.tensor(power).double(),
    )
    again = _root(_power(distance, exponent), exponent)
    torch.testing.assert_close(again, distance, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(("transform", "values"), CASES)
def test_scores_of_train_are_standard(transform: str, values: np.ndarray) -> None:
    scores = learned(transform, values).scores(torch.from_numpy(values))
    assert float(scores.mean()) == pytest.approx(0, abs=1e-5)
    assert float(scores.std(correction=0)) == pytest.approx(1, abs=1e-5)


def test_the_power_is_that_of_scipy_in_units_of_the_deviation() -> None:
    scale = learned("yeojohnson", TWO_SIDED)
    parts = TWO_SIDED.astype(np.float64) / scale.std
    expected = yeojohnson(parts, yeojohnson_normmax(parts))
    scores = scale.scores(torch.from_numpy(TWO_SIDED)).numpy()
    assert np.allclose(scores, (expected - expected.mean()) / expected.std(), atol=1e-4)


def test_another_unit_has_the_same_scores() -> None:
    one, other = (learned("yeojohnson", factor * TWO_SIDED) for factor in (1.0, 1000.0))
    scores = one.scores(torch.from_numpy(TWO_SIDED))
    thousands = other.scores(torch.from_numpy(1000 * TWO_SIDED))
    torch.testing.assert_close(thousands, scores, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(("transform", "values"), CASES)
def test_no_score_is_a_number_beyond_all_reason(transform: str, values: np.ndarray) -> None:
    scale = learned(transform, values)
    far = scale.numbers(torch.tensor([-1e9, -50.0, 50.0, 1e9]))
    assert torch.isfinite(far).all()
    assert (far[1:] >= far[:-1]).all()
    assert float(far[-1]) >= values.max()
    assert float(far[0]) <= values.min()


def test_a_number_without_a_logarithm_is_refused() -> None:
    of_data = spec("number", 1, Field((), "float32", (1.0,), (2.0,)))
    task = made("regression", of_data, transform="log")
    said = task.refused({"target": np.array([1.0, 0.0, 3.0, -2.5], np.float32)})
    assert list(said) == [1, 3]
    assert said[3] == "-2.5 has no logarithm; choose task.transform=yeojohnson or =none"
    assert made("regression", of_data).refused({"target": np.array([-1.0])}) == {}


def regression(home: Callable[..., Any], **options: Any) -> Any:
    """A training on the prices of a small table."""
    cfg = home("table-number")
    cfg.task = tiny.section("task", "regression") | options
    return cfg


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_training_and_evaluation_name_the_row_that_has_none(
    home: Callable[..., Any], tmp_path: Path, split: str
) -> None:
    cfg = regression(home, transform="log")
    data = Path("data/prepared/tiny")
    model = tmp_path / "model"
    if split == "test":
        fit(cfg, out=model)
    file = data / split / "target.npy"
    targets = np.load(file)
    targets[2] = -7.0
    file.unlink()
    np.save(file, targets)
    raw = pd.read_parquet(data / split / "rows.parquet")["raw_row"].iloc[2]
    with pytest.raises(UserError, match=rf"1 target of {split} .*: row {raw + 1}: -7 has no log"):
        # fit would find the changed file before
        evaluate(cfg, data, model) if split == "test" else loop.prepare(cfg, data, Shard())


@pytest.mark.slow
def test_a_model_in_use_answers_in_the_unit_of_the_target(
    home: Callable[..., Any], tmp_path: Path
) -> None:
    """From the file of weights alone, and as evaluation scores it."""
    cfg = regression(home, transform="yeojohnson", interval=0.5)
    fit(cfg, out=tmp_path / "model")
    data = Path("data/prepared/tiny")
    predictor = Predictor.load(tmp_path / "model")
    assert float(predictor.task.scale.fitted[2]) != 1.0

    _, statistics = evaluate(cfg, data, tmp_path / "model")
    answers = predictor.predict(pd.read_parquet(data / "test" / "rows.parquet"))
    for column, name in (("value", "prediction"), ("low", "low"), ("high", "high")):
        assert np.allclose(answers[column], statistics[f"network.{name}"], rtol=1e-6)
    assert (answers["low"] < answers["value"]).all()

    held_out = predictor.measure(Packed(data, "validation")).statistics
    inside = (held_out["low"] <= held_out["target"]) & (held_out["target"] <= held_out["high"])
    assert inside.sum() >= np.ceil((len(inside) + 1) * 0.5) - 1  # the last one lies on the edge
