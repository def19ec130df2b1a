"""Windows that a linear classifier tells by their gradients: detection before networks.

Letters: `base.py`, and R rows and Q columns of cells, F numbers of a cell, P windows, D detections.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from scipy.special import expit
from sklearn.svm import LinearSVC

from goodfit.baseline.base import Array, Baseline, LabelledSamples, Samples
from goodfit.baseline.detections import ap50, commonest, detections, suppressed
from goodfit.baseline.gradients import CELL, cells
from goodfit.contract import DataSpec
from goodfit.metrics.average_precision import overlap

SIDE = 8  # cells of a window: the box, and one cell around it, where a crown's shadow lies
MARGIN = 1
LEVELS = 7  # sizes of boxes that are searched for
PENALTIES = (0.003, 0.01, 0.1)  # C of scikit-learn
NEGATIVES = 120  # windows without an object, of each image: with 40, AP50 of validation was 0.10
_INNER = (SIDE - 2 * MARGIN) * CELL  # pixels of the box in its window
_APART = 0.3  # overlap with a true box below which a window is an example of none
_MOST_SHARED = 0.3  # overlap of two boxes that are kept
_CANDIDATES = 400  # windows of an image that suppression starts from


class _Level(NamedTuple):
    """An image in which boxes of `side` pixels have the size of a window: cells (R, Q, F)."""

    side: float
    cells: Array


class HogSvm(Baseline):
    """Histograms of oriented gradients in square windows (Dalal and Triggs 2005), and colours.

    A linear machine; the penalty is the one with the best AP at an overlap of 0.5 on validation.
    """

    kinds = ("boxes",)
    inputs = ("image",)
    title = "HOG windows + linear SVM"

    def fit(self, train: LabelledSamples, validation: LabelledSamples, spec: DataSpec) -> None:
        """The sizes are those of the boxes of train, whose images are (N, 3, H, W)."""
        self._label = commonest(train.targets["classes"])
        boxes = np.concatenate(list(train.targets["boxes"]))
        sides = np.sqrt((boxes[:, 2:] - boxes[:, :2]).prod(1))
        smallest, largest = np.quantile(sides, [0.05, 0.95]).tolist()
        self._sides = np.geomspace(smallest, largest, LEVELS)

        # without a second round on what a first machine takes for objects (paper, section 4): with
        # it, AP50 of validation fell from 0.10 to 0.02
        rng = np.random.default_rng(0)
        positives, negatives = [], []
        for image, truths in zip(train.inputs["image"], train.targets["boxes"], strict=True):
            positives += [_window(image, box) for box in truths]
            negatives.append(self._others(image, truths, rng))
        windows = np.concatenate([np.stack(positives), *negatives])
        is_object = np.arange(len(windows)) < len(positives)
        self._choose([_machine(windows, is_object, penalty) for penalty in PENALTIES], validation)

    def predict(self, samples: Samples) -> Array:
        """The hundred surest windows of each image, (N, 100, 6)."""
        found = [self._detect(_levels(image, self._sides)) for image in samples.inputs["image"]]
        return np.stack(found)

    def _choose(self, machines: list[Array], validation: LabelledSamples) -> None:
        """Keeps the machine that is best on validation."""
        levels = [_levels(image, self._sides) for image in validation.inputs["image"]]
        scores = []
        for self._machine in machines:
            found = np.stack([self._detect(each) for each in levels])
            scores.append(ap50(found, validation.targets))
        self._machine = machines[int(np.argmax(scores))]

    def _detect(self, levels: list[_Level]) -> Array:
        """The detections of one image, (100, 6)."""
        boxes = np.concatenate([_boxes(level) for level in levels])
        values = np.concatenate([_values(level, self._machine) for level in levels])
        best = np.argsort(-values, kind="stable")[:_CANDIDATES]
        boxes, values = boxes[best], values[best]
        kept = suppressed(boxes, values, _MOST_SHARED)
        # a score above 0 for every window: expit keeps the order
        return detections(boxes[kept], expit(values[kept]), self._label)

    def _others(self, image: Array, truths: Array, rng: np.random.Generator) -> Array:
        """All numbers (P, F) of random windows of an image that are apart from its true boxes."""
        levels = _levels(image, self._sides)
        boxes = np.concatenate([_boxes(level) for level in levels])
        apart = (_overlaps(boxes, truths) < _APART).nonzero()[0]
        drawn = rng.choice(apart, min(NEGATIVES, len(apart)), replace=False)
        return _descriptors(levels, drawn)


def _levels(image: Array, sides: Array) -> list[_Level]:
    """An image (3, H, W) in the sizes in which boxes of each of `sides` fill a window."""
    picture = Image.fromarray(np.ascontiguousarray(image.transpose(1, 2, 0)))
    levels = []
    for side in sides.tolist():
        width, height = (round(size * _INNER / side) for size in picture.size)
        resized = np.asarray(picture.resize((width, height), Image.Resampling.BILINEAR))
        # room around the image, for boxes at its edge
        padded = _framed(resized, MARGIN * CELL)
        levels.append(_Level(side, cells(padded)))
    return levels


def _boxes(level: _Level) -> Array:
    """The boxes (P, 4) of all windows of a level, row by row."""
    rows, columns = level.cells.shape[0] - SIDE + 1, level.cells.shape[1] - SIDE + 1
    y, x = np.indices((rows, columns)).reshape(2, -1)
    # the margin of the window is as wide as what was padded to the image
    corner = np.stack([x, y], 1) * CELL * level.side / _INNER
    return np.concatenate([corner, corner + level.side], 1)


def _values(level: _Level, machine: Array) -> Array:
    """What a machine says of all windows of a level, (P,), row by row."""
    rows, columns = level.cells.shape[0] - SIDE + 1, level.cells.shape[1] - SIDE + 1
    weight = machine[:-1].reshape(SIDE, SIDE, -1)
    value = np.full((rows, columns), machine[-1])
    # cell by cell of the window, for all windows at once
    for y, x in np.ndindex(SIDE, SIDE):
        value += level.cells[y : y + rows, x : x + columns] @ weight[y, x]
    return value.ravel()


def _descriptors(levels: list[_Level], windows: Array) -> Array:
    """All numbers of some windows (P,) of an image, counted level by level and row by row."""
    first, rows = 0, []
    for _, found in levels:
        columns = found.shape[1] - SIDE + 1
        count = (found.shape[0] - SIDE + 1) * columns
        for window in windows[(windows >= first) & (windows < first + count)] - first:
            y, x = divmod(int(window), columns)
            rows.append(found[y : y + SIDE, x : x + SIDE].ravel())
        first += count
    return np.array(rows, np.float32).reshape(len(rows), SIDE * SIDE * levels[0].cells.shape[2])


def _window(image: Array, box: Array) -> Array:
    """All numbers of the window around a box (4,) of an image (3, H, W)."""
    picture = Image.fromarray(np.ascontiguousarray(image.transpose(1, 2, 0)))
    margin = (box[2:] - box[:2]) * MARGIN * CELL / _INNER
    left, top = (box[:2] - margin).tolist()
    right, bottom = (box[2:] + margin).tolist()
    side = SIDE * CELL
    # a window reaches over the edge: the image is continued, as in `_levels`
    room = math.ceil(margin.max())
    framed = Image.fromarray(_framed(np.asarray(picture), room))
    corners = (left + room, top + room, right + room, bottom + room)
    window = framed.resize((side, side), Image.Resampling.BILINEAR, box=corners)
    return cells(np.asarray(window)).ravel()


def _framed(image: Array, room: int) -> Array:
    """An image (H, W, 3) with its outermost pixels repeated on all sides."""
    return np.pad(image, ((room, room), (room, room), (0, 0)), mode="edge")


def _machine(windows: Array, is_object: Array, penalty: float) -> Array:
    """Weights and threshold (F + 1,) of a linear support vector machine, of windows (P, F)."""
    machine = LinearSVC(C=penalty, random_state=0).fit(windows, is_object)
    weights: Array = np.concatenate([machine.coef_[0], machine.intercept_]).astype(np.float32)
    return weights


def _overlaps(boxes: Array, truths: Array) -> Array:
    """The largest overlap of each box (P, 4) with one of `truths` (M, 4): (P,)."""
    if not len(truths):
        return np.zeros(len(boxes))
    pairs = torch.from_numpy(boxes)[None], torch.tensor(truths)[None]
    largest: Array = overlap(*pairs)[0].amax(1).numpy()
    return largest
