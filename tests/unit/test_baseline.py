"""Baselines against answers that are known, and never with a look at the targets of test."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from goodfit.baseline.base import Split
from goodfit.baseline.logistic import Logistic
from goodfit.baseline.svm import SupportVectors
from goodfit.baseline.tfidf import TfIdf
from goodfit.baseline.trivial import trivial
from goodfit.contract import DataSpec, Field


def spec(kind: str, outputs: int, **facts: object) -> DataSpec:
    return DataSpec(data="x", kind=kind, outputs=outputs, inputs={}, target=Field((), "float32"), facts=facts)


def split(target: list[float], **inputs: np.ndarray) -> Split:
    return Split(inputs, pd.DataFrame({"text": ["good one" if t else "bad one" for t in target]}), np.array(target))


def test_the_majority_class_gives_the_shares_of_train() -> None:
    found = trivial(split([0, 0, 0, 2]), split([1, 1]), spec("class", 3))["majority class"]
    assert found.tolist() == [[0.75, 0.0, 0.25]] * 2


def test_the_mean_of_train_is_said_for_each_sample_of_test() -> None:
    assert trivial(split([1.0, 4.0]), split([9.0] * 3), spec("number", 1))["mean of train"].tolist() == [2.5] * 3


def test_the_last_value_is_repeated() -> None:
    past = np.arange(6.0).reshape(1, 2, 3)
    assert trivial(split([0]), split([0], past=past), spec("series", 4, season=3))["last value"].tolist() == [[5.0] * 4]


@pytest.mark.parametrize(("steps", "expected"), [(2, [4, 5]), (3, [4, 5, 6]), (5, [4, 5, 6, 4, 5])])
def test_the_seasonal_forecast_repeats_the_last_season(steps: int, expected: list[float]) -> None:
    past = np.array([[1.0, 2, 3, 4, 5, 6]])
    found = trivial(split([0]), split([0], past=past), spec("series", steps, season=3))["seasonal naive"]
    assert found.tolist() == [expected]


def test_the_seasonal_forecast_of_an_exactly_weekly_series_is_exact() -> None:
    series = np.tile(np.random.default_rng(0).normal(size=7 * 4), 5)
    starts = np.arange(56, len(series) - 4)
    past, ahead = (np.stack([series[s + a : s + b] for s in starts]) for a, b in ((-56, 0), (0, 4)))
    found = trivial(split([0]), split([0] * len(starts), past=past), spec("series", 4, season=28))["seasonal naive"]
    assert np.array_equal(found, ahead)


@pytest.mark.parametrize(("method", "name"), [(Logistic, "numbers"), (SupportVectors, "image")])
def test_two_far_clouds_are_told_apart(method: type, name: str) -> None:
    rng = np.random.default_rng(0)
    target = [0, 1] * 20

    def cloud() -> Split:
        return split(target, **{name: (rng.normal(size=(40, 4)) + 8 * np.array(target)[:, None]).astype(np.float32)})

    found = method().predict(cloud(), cloud(), cloud(), spec("class", 2))
    assert found.argmax(1).tolist() == target


def test_words_tell_texts_apart() -> None:
    target = [0, 1] * 10
    assert TfIdf().predict(*(split(target) for _ in range(3)), spec("class", 2)).argmax(1).tolist() == target


@pytest.mark.parametrize("method", [Logistic, SupportVectors, TfIdf])
def test_a_class_that_validation_lacks_is_no_obstacle(method: type) -> None:
    values = {0: -8.0, 1: 8.0}

    def side(target: list[int]) -> Split:
        x = np.array([[values[t], 1.0] for t in target], np.float32)
        return split(target, numbers=x, image=x)

    found = method().predict(side([0, 1] * 10), side([1, 1, 1]), side([0, 1]), spec("class", 2))
    assert found.argmax(1).tolist() == [0, 1]
