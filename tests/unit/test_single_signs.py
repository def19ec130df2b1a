"""A pixel or a word that gives the class away is found, and one that only helps is not."""

from __future__ import annotations

from typing import Any

import numpy as np

from goodfit.contract import DataSpec, Field
from goodfit.data.single_signs import single_signs

LABELS = ("cat", "dog", "owl")
WORDS = ("<pad>", "<unk>", *(f"w{number}" for number in range(40)))
COUNT = 300
DRAWN = np.random.default_rng(0)
TARGET = np.arange(COUNT) % 3
ALONE = np.arange(COUNT)  # each sample is a cluster of its own


def images() -> np.ndarray[Any, Any]:
    """Noise, a little brighter for later classes."""
    noise = DRAWN.integers(0, 200, (COUNT, 3, 6, 5))
    return (noise + 20 * TARGET[:, None, None, None]).astype(np.uint8)


def texts() -> np.ndarray[Any, Any]:
    return DRAWN.integers(2, 20, (COUNT, 12))


def found(clusters: np.ndarray[Any, Any] = ALONE, **inputs: Any) -> list[str]:
    fields = {
        "image": Field((3, 6, 5), "uint8"),
        "tokens": Field((12,), "int64", vocabulary=WORDS),
    }
    spec = DataSpec(
        data="goodfit.data.table.Table",
        kind="class",
        outputs=3,
        inputs={name: fields[name] for name in inputs},
        targets={"target": Field((), "int64", labels=LABELS)},
    )
    return [finding.what for finding in single_signs(inputs, TARGET, clusters, spec)]


def test_nothing_is_found_in_noise() -> None:
    assert found(image=images(), tokens=texts()) == []


def test_a_pixel_that_tells_all_classes_is_named_by_its_place() -> None:
    marked = images()
    marked[:, 1, 2, 4] = 40 * TARGET
    assert found(image=marked) == [
        "the pixel in line 3, column 5 alone tells 100.0% of classes on samples that it has not "
        "seen"
    ]


def test_a_pixel_that_is_wrong_in_one_of_twenty_is_none() -> None:
    marked = images()
    marked[:, 1, 2, 4] = np.where(np.arange(COUNT) % 20, 40 * TARGET, 0)
    assert found(image=marked) == []


def test_a_word_for_each_class_is_named() -> None:
    marked = texts()
    marked[:, 3] = 30 + TARGET
    assert found(tokens=marked) == [
        f"the word 'w{28 + code}' alone tells '{label}' on samples that it has not seen"
        for code, label in enumerate(LABELS)
    ]


def test_a_word_of_half_of_a_class_is_none() -> None:
    marked = texts()
    marked[:, 3] = np.where(np.arange(COUNT) % 2, 30 + TARGET, 5)
    assert found(tokens=marked) == []


def test_a_mark_of_each_source_tells_nothing_about_another_one() -> None:
    """Each of six sources has one class, and its own mark: on other sources marks say nothing."""
    clusters, marked = np.arange(COUNT) % 6, images()
    marked[:, 1, 2, 4] = 40 * clusters
    assert found(image=marked) != []
    assert found(clusters, image=marked) == []


def test_ragged_texts_are_read_as_they_are() -> None:
    marked = [np.append(text[: 3 + row % 8], 30 + TARGET[row]) for row, text in enumerate(texts())]
    assert len(found(tokens=marked)) == 3
