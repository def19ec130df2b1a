"""Baselines against answers that are known, and never with a look at the targets of test."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from goodfit.baseline.base import Baseline, LabelledSamples, Samples
from goodfit.baseline.logistic import Logistic
from goodfit.baseline.svm import SupportVectors
from goodfit.baseline.tfidf import TfIdf
from goodfit.baseline.translation_memory import TranslationMemory
from goodfit.contract import DataSpec, Field
from goodfit.task.base import Task
from goodfit.task.classification import Classification
from goodfit.task.forecasting import Forecasting
from goodfit.task.regression import Regression


def spec(kind: str, outputs: int, **facts: object) -> DataSpec:
    return DataSpec(
        data="x",
        kind=kind,
        outputs=outputs,
        inputs={},
        targets={"target": Field((), "float32")},
        facts=facts,
    )


def task(kind: type[Task], outputs: int, **facts: object) -> Task:
    """A task without a network, for what it says of samples it has not seen."""
    options = {"label_smoothing": 0.0} if kind is Classification else {}
    parts = {"monitor": "loss", "score": "loss", "optimizer": None, "schedule": None}
    return kind(torch.nn.Identity(), spec("x", outputs, **facts), **parts, **options)


def split(target: list[float], **inputs: np.ndarray) -> LabelledSamples:
    """Samples with a text that tells their class, and with the inputs given."""
    texts = ["good one" if t else "bad one" for t in target]
    return LabelledSamples(inputs, pd.DataFrame({"text": texts}), {"target": np.array(target)})


def unlabelled(samples: LabelledSamples) -> Samples:
    return Samples(samples.inputs, samples.rows)


def predictions(
    method: Baseline, train: LabelledSamples, validation: LabelledSamples, test: LabelledSamples
) -> np.ndarray:
    method.fit(train, validation, spec("class", 2))
    return method.predict(unlabelled(test))


def test_the_majority_class_gives_the_shares_of_train() -> None:
    trivial = task(Classification, 3).trivial({"target": np.array([0, 0, 0, 2])}, {}, 2)
    assert trivial["majority class"].tolist() == [[0.75, 0.0, 0.25]] * 2


def test_the_mean_of_train_is_said_for_each_sample_of_test() -> None:
    trivial = task(Regression, 1).trivial({"target": np.array([1.0, 4.0])}, {}, 3)
    assert trivial["mean of train"].tolist() == [2.5] * 3


def test_the_last_value_is_repeated() -> None:
    past = np.arange(6.0).reshape(1, 2, 3)
    trivial = task(Forecasting, 4, season=3).trivial({}, {"past": past}, 1)
    assert trivial["last value"].tolist() == [[5.0] * 4]


@pytest.mark.parametrize(("steps", "expected"), [(2, [4, 5]), (3, [4, 5, 6]), (5, [4, 5, 6, 4, 5])])
def test_the_seasonal_forecast_repeats_the_last_season(steps: int, expected: list[float]) -> None:
    past = np.array([[1.0, 2, 3, 4, 5, 6]])
    trivial = task(Forecasting, steps, season=3).trivial({}, {"past": past}, 1)
    assert trivial["seasonal naive"].tolist() == [expected]


def test_the_seasonal_forecast_of_an_exactly_weekly_series_is_exact() -> None:
    series = np.tile(np.random.default_rng(0).normal(size=7 * 4), 5)
    starts = np.arange(56, len(series) - 4)
    past = np.stack([series[start - 56 : start] for start in starts])
    ahead = np.stack([series[start : start + 4] for start in starts])
    weekly = task(Forecasting, 4, season=28)
    trivial = weekly.trivial({}, {"past": past}, len(starts))
    assert np.array_equal(trivial["seasonal naive"], ahead)


@pytest.mark.parametrize(("method", "name"), [(Logistic, "numbers"), (SupportVectors, "image")])
def test_two_far_clouds_are_told_apart(method: type, name: str) -> None:
    rng = np.random.default_rng(0)
    target = [0, 1] * 20

    def cloud() -> LabelledSamples:
        points = rng.normal(size=(40, 4)) + 8 * np.array(target)[:, None]
        return split(target, **{name: points.astype(np.float32)})

    probabilities = predictions(method(), cloud(), cloud(), cloud())
    assert probabilities.argmax(1).tolist() == target


def test_words_tell_texts_apart() -> None:
    target = [0, 1] * 10
    probabilities = predictions(TfIdf(), split(target), split(target), split(target))
    assert probabilities.argmax(1).tolist() == target


@pytest.mark.parametrize("method", [Logistic, SupportVectors, TfIdf])
def test_a_class_that_validation_lacks_is_no_obstacle(method: type) -> None:
    values = {0: -8.0, 1: 8.0}

    def samples(target: list[int]) -> LabelledSamples:
        x = np.array([[values[t], 1.0] for t in target], np.float32)
        return split(target, numbers=x, image=x)

    probabilities = predictions(method(), samples([0, 1] * 10), samples([1, 1, 1]), samples([0, 1]))
    assert probabilities.argmax(1).tolist() == [0, 1]


def test_a_translation_memory_gives_the_text_of_the_most_similar_source() -> None:
    """Of equally similar ones the first, and nothing of validation or test."""
    sources = ["opens the file", "closes a window", "closes a window", "deletes all the files"]
    texts = [np.array([5, 6, 2]), np.array([7, 2]), np.array([8, 2]), np.array([9, 2])]
    train = LabelledSamples({}, pd.DataFrame({"source": sources}), {"text": texts})  # type: ignore[dict-item]
    held_out = LabelledSamples(
        {}, pd.DataFrame({"source": ["a window"]}), {"text": [np.array([4])]}
    )  # type: ignore[dict-item]
    method = TranslationMemory()
    method.fit(train, held_out, spec("text", 10))
    asked = ["a window closes", "opens this file", "deletes files", "\N{GREEK SMALL LETTER PI}"]
    given = method.predict(Samples({}, pd.DataFrame({"source": asked})))
    assert given.tolist() == [[7, 2, 0], [5, 6, 2], [9, 2, 0], [5, 6, 2]]
