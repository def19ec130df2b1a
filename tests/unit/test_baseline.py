"""Baselines against answers that are known, and never with a look at the targets of test."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.sparse import csr_matrix

from goodfit.baseline.base import Baseline, LabelledSamples, Samples
from goodfit.baseline.hog import Hog
from goodfit.baseline.lag_ridge import LagRidge
from goodfit.baseline.logistic import Logistic
from goodfit.baseline.nb_logistic import NaiveBayesLogistic, log_ratio
from goodfit.baseline.svm import SupportVectors
from goodfit.baseline.tfidf import TfIdf
from goodfit.baseline.translation_memory import TranslationMemory
from goodfit.baseline.word_dictionary import WordDictionary, likely
from goodfit.contract import END, PAD, DataSpec, Field
from goodfit.system import tokenizer
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
    plain = {"label_smoothing": 0.0, "class_weights": "none", "majority": "keep", "costs": None}
    options = plain if kind is Classification else {}
    if kind is Regression:
        options = {"transform": "none", "interval": None}
    if kind is Forecasting:
        options = {"interval": None}
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


@pytest.mark.parametrize("method", [TfIdf, NaiveBayesLogistic])
def test_words_tell_texts_apart(method: type) -> None:
    target = [0, 1] * 10
    probabilities = predictions(method(), split(target), split(target), split(target))
    assert probabilities.argmax(1).tolist() == target


@pytest.mark.parametrize("method", [Logistic, SupportVectors, TfIdf, NaiveBayesLogistic])
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


def test_words_of_a_dictionary_are_told_apart_by_where_they_occur() -> None:
    """As in the example of Brown et al. 1993: only "la" is beside "the" each time."""
    made = tokenizer.learn(["the house flower la maison fleur"], 400, ["<pad>", "<unk>", "<end>"])
    encode = tokenizer.load(made).encode

    def tokens(text: str) -> np.ndarray:
        return np.array([*encode(text).ids, END])

    train = LabelledSamples(
        {"source": [tokens(" the house"), tokens(" the flower"), tokens(" the")]},
        pd.DataFrame(index=range(3)),
        {"text": [tokens(" la maison"), tokens(" la fleur"), tokens(" la")]},
    )
    method = WordDictionary()
    method.fit(train, train, replace(spec("text", 400), assets={tokenizer.FILE: made}))
    asked = Samples(
        {"source": [tokens(" the house flower"), tokens(" flower SQL 7"), tokens("")]},
        pd.DataFrame(index=range(3)),
    )
    given = method.predict(asked)
    longest = given.shape[1]
    expected = [tokens(" la maison fleur"), tokens(" fleur SQL 7"), tokens("")]
    assert given.tolist() == [text.tolist() + [PAD] * (longest - len(text)) for text in expected]


def test_a_dictionary_equals_the_model_written_out_word_by_word() -> None:
    """Expectation and maximization as loops over words, with a word that stands for none."""
    rng = np.random.default_rng(0)

    def texts() -> list[list[tuple[int, ...]]]:
        return [[(int(word),) for word in rng.integers(4, size=3)] for _ in range(6)]

    sources, translations = texts(), texts()
    nothing = (-1,)
    chance = {
        (e, f): 1.0 for e in [nothing, *((i,) for i in range(4))] for f in [(i,) for i in range(4)]
    }
    for _ in range(5):
        counts = dict.fromkeys(chance, 0.0)
        for source, text in zip(sources, translations, strict=True):
            for word in text:
                total = sum(chance[origin, word] for origin in [*source, nothing])
                for origin in [*source, nothing]:
                    counts[origin, word] += chance[origin, word] / total
        for origin, word in chance:
            all_of_it = sum(counts[origin, (other,)] for other in range(4))
            chance[origin, word] = counts[origin, word] / all_of_it

    expected = {
        pair: value for pair, value in chance.items() if pair[0] != nothing and value > 1e-3
    }
    assert likely(sources, translations) == pytest.approx(expected)


def test_the_weight_of_a_word_is_how_much_more_often_a_class_has_it() -> None:
    """By hand: 2 of 2 texts of the class have the first word, 1 of 2 others; one more of each."""
    words = csr_matrix([[1, 0], [1, 1], [1, 0], [0, 1]])
    ratio = log_ratio(words, np.array([True, True, False, False]))
    inside, outside = np.array([3, 2]) / 5, np.array([2, 2]) / 4
    assert ratio == pytest.approx(np.log(inside / outside))


def test_of_three_classes_each_has_its_words() -> None:
    texts = ["good film", "bad film", "long film"] * 8
    target = np.arange(24) % 3
    samples = LabelledSamples({}, pd.DataFrame({"text": texts}), {"target": target})
    method = NaiveBayesLogistic()
    method.fit(samples, samples, spec("class", 3))
    probabilities = method.predict(unlabelled(samples))
    assert probabilities.argmax(1).tolist() == target.tolist()
    assert probabilities.sum(1) == pytest.approx(1.0)


def test_gradients_tell_stripes_apart_wherever_they_lie() -> None:
    """The same pixels are dark in both classes; only the direction of the edges differs."""
    rng = np.random.default_rng(0)

    def stripes(size: tuple[int, int]) -> LabelledSamples:
        target = np.arange(40) % 2
        images = np.zeros((40, 1, *size), np.uint8)
        for image, label, phase in zip(images, target, rng.integers(0, 8, 40), strict=True):
            wave = 120 + 100 * np.sin((np.indices(size)[label] + phase) * np.pi / 4)
            image[0] = wave.round()
        return LabelledSamples({"image": images}, pd.DataFrame(index=range(40)), {"target": target})

    # sides that are no whole cells
    for size in ((18, 21), (3, 3)):
        train, validation, test = (stripes(size) for _ in range(3))
        probabilities = predictions(Hog(), train, validation, test)
        assert probabilities.shape == (40, 2)
        if size[0] > 3:
            assert (probabilities.argmax(1) == test.targets["target"]).all()


def test_ridge_on_lags_finds_a_forecast_that_is_linear() -> None:
    """Each step is twice its lag: what stays of the error is the penalty's."""
    rng = np.random.default_rng(0)

    def windows(count: int) -> LabelledSamples:
        past = rng.normal(size=(count, 7, 4))
        lags, known = past[:, -1, :, None], np.zeros((count, 4, 1))
        inputs = {"past": past, "lags": lags, "known": known}
        target = 2 * past[:, -1] + 3
        return LabelledSamples(inputs, pd.DataFrame(index=range(count)), {"target": target})

    test = windows(20)
    forecast = predictions(LagRidge(), windows(300), windows(50), test)
    assert forecast == pytest.approx(test.targets["target"], abs=0.1)
