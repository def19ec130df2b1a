"""A pixel or a word that alone tells the answer: a mark of whoever made the data.

So do signatures in photos and hospital marks in X-rays (Lapuschkin et al. 2019, "Unmasking Clever
Hans predictors"). For tables `findings` has the same rule of columns.

Letters: N samples of train, H of its halves, E pixels, V words, K classes, L = 256 levels.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from goodfit.contract import PAD, UNKNOWN, DataSpec, Field
from goodfit.records import Finding

Array = np.ndarray[Any, Any]
_ALONE = 0.99  # of the samples that it has not seen
_LEVELS = 256
_MOST = 4_000  # samples that are looked at
_FEWEST = 30  # in a half of train
_AT_ONCE = 4_096  # pixels


def single_signs(
    inputs: Mapping[str, Any], target: Array, clusters: Array, spec: DataSpec
) -> list[Finding]:
    """Pixels and words that tell classes on the half of train that they were not chosen on.

    Of inputs (N, ...) as they are packed, classes (N,), and clusters (N,), which are not divided.
    """
    rows = np.arange(len(target))[:: -(-len(target) // _MOST)]
    numbers = np.unique(clusters[rows], return_inverse=True)[1]
    known = numbers < (numbers.max() + 1) // 2
    if min(known.sum(), (~known).sum()) < _FEWEST:
        return []
    found = []
    for name, field in spec.inputs.items():
        values = inputs[name]
        said: list[str] = []
        if field.vocabulary:
            said = _words([values[row] for row in rows], target[rows], known, field, spec.labels)
        elif field.dtype == "uint8" and len(field.shape) == 3 and not field.is_ragged:
            said = _pixels(np.asarray(values[rows]), target[rows], known)
        found += [_finding(name, what) for what in said]
    return found


def _finding(name: str, what: str) -> Finding:
    return Finding(
        what=f"{what} on samples that it has not seen",
        cost="if it is a mark of whoever made the data, the score is not to be had in use",
        answer=f"take it out of '{name}' at the source",
        leaks=True,
    )


def _pixels(images: Array, target: Array, known: Array) -> list[str]:
    """The pixel of images (N, C, H, W) whose level alone tells classes (N,) best, if it does.

    Each level is answered with its commonest class in the known half.
    """
    flat, classes = images.reshape(len(images), -1), int(target.max()) + 1
    often = np.bincount(target[known], minlength=classes).argmax()
    chance = float((target[~known] == often).mean())
    best, place = 0.0, 0
    for at in range(0, flat.shape[1], _AT_ONCE):
        part = flat[:, at : at + _AT_ONCE].astype(np.int64)
        where = np.arange(part.shape[1]) * _LEVELS + part  # (N, E)
        counts = [
            np.bincount(where[known & (target == one)].ravel(), minlength=part.shape[1] * _LEVELS)
            for one in range(classes)
        ]
        answer = np.where(np.max(counts, 0) > 0, np.argmax(counts, 0), often)
        right = (answer[where[~known]] == target[~known, None]).mean(0)
        if right.max() > best:
            best, place = float(right.max()), at + int(right.argmax())
    if best < _ALONE or 1 - best >= 0.1 * (1 - chance):
        return []
    _, line, column = np.unravel_index(place, images.shape[1:])
    return [f"the pixel in line {line + 1}, column {column + 1} alone tells {best:.1%} of classes"]


def _words(
    texts: list[Array], target: Array, known: Array, field: Field, labels: tuple[str, ...]
) -> list[str]:
    """Words that stand in all texts of a class (N,) and in no other, but for one in a hundred."""
    from scipy.sparse import csr_array

    places = [np.unique(text) for text in texts]
    ends = np.cumsum([0, *map(len, places)])
    ones = np.ones(ends[-1], np.int64)
    shape = (len(texts), len(field.vocabulary))
    stands = csr_array((ones, np.concatenate(places), ends), shape=shape)  # (N, V)
    said = []
    for one, label in enumerate(labels):
        of_class = target == one
        if min((of_class & half).sum() for half in (known, ~known)) < _FEWEST:
            continue
        on_known = _agreement(stands, of_class, known)
        on_known[[PAD, UNKNOWN]] = 0.0
        word = int(on_known.argmax())
        if _agreement(stands, of_class, ~known)[word] >= _ALONE:
            said.append(f"the word '{field.vocabulary[word]}' alone tells '{label}'")
    return said


def _agreement(stands: Any, of_class: Array, half: Array) -> Array:
    """The lesser of precision and recall (V,) of each word as a sign of a class, on a half (N,)."""
    hits = stands[half & of_class].sum(0)
    found = stands[half].sum(0)
    least: Array = hits / np.maximum(np.maximum(found, (half & of_class).sum()), 1)
    return least
