"""Windows that a linear classifier tells by their gradients: detection before networks.

Letters: `base.py`, and R rows and Q columns of cells, F numbers of a cell, P windows, D detections.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from scipy.special import expit
from sklearn.svm import LinearSVC

from goodfit.baseline.base import Array, Baseline, LabelledSamples, Samples
from goodfit.baseline.detections import ap50, commonest, detections, suppressed
from goodfit.contract import DataSpec
from goodfit.metrics.average_precision import overlap

CELL = 4  # pixels
SIDE = 8  # cells of a window: the box, and one cell around it, where a crown's shadow lies
MARGIN = 1
BINS = 9  # of unsigned orientations
LEVELS = 7  # sizes of boxes that are searched for
PENALTIES = (0.001, 0.01, 0.1)  # C of scikit-learn
NEGATIVES = 20  # windows without an object, of each image and round
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

    A linear machine, trained a second time with the windows that it took wrongly for objects. The
    penalty is the one with the best AP at an overlap of 0.5 on validation.
    """

    kinds = ("boxes",)
    inputs = ("image",)
    title = "HOG windows + linear SVM"

    def fit(self, train: LabelledSamples, validation: LabelledSamples, spec: DataSpec) -> None:
        """The sizes are those of the boxes of train, whose images are (N, 3, H, W)."""
        self._label = commonest(train.targets["classes"])
        boxes = np.concatenate(list(train.targets["boxes"]))
        sides = np.sqrt((boxes[:, 2:] - boxes[:, :2]).prod(1))
        self._sides = np.geomspace(*np.quantile(sides, [0.05, 0.95]), LEVELS)

        rng = np.random.default_rng(0)
        positives, negatives = [], []
        for image, true_boxes in zip(train.inputs["image"], train.targets["boxes"], strict=True):
            positives += [_window(image, box) for box in true_boxes]
            negatives.append(self._others(_levels(image, self._sides), true_boxes, rng, None))
        self._machine = _machine(np.stack(positives), np.concatenate(negatives), PENALTIES[0])

        for image, true_boxes in zip(train.inputs["image"], train.targets["boxes"], strict=True):
            levels = _levels(image, self._sides)
            negatives.append(self._others(levels, true_boxes, rng, self._machine))
        self._choose(np.stack(positives), np.concatenate(negatives), validation)

    def predict(self, samples: Samples) -> Array:
        """The hundred surest windows of each image, (N, 100, 6)."""
        found = [self._detect(_levels(image, self._sides)) for image in samples.inputs["image"]]
        return np.stack(found)

    def _choose(self, positives: Array, negatives: Array, validation: LabelledSamples) -> None:
        """The machine of the penalty that is best on validation."""
        levels = [_levels(image, self._sides) for image in validation.inputs["image"]]
        machines, scores = [], []
        for penalty in PENALTIES:
            self._machine = _machine(positives, negatives, penalty)
            machines.append(self._machine)
            found = np.stack([self._detect(each) for each in levels])
            scores.append(ap50(found, validation.targets))
        self._machine = machines[int(np.argmax(scores))]

    def _detect(self, levels: list[_Level]) -> Array:
        """The detections of one image, (100, 6)."""
        boxes, values = _search(levels, self._machine)
        best = np.argsort(-values, kind="stable")[:_CANDIDATES]
        boxes, values = boxes[best], values[best]
        kept = suppressed(boxes, values, _MOST_SHARED)
        # a score above 0 for every window: expit keeps the order
        return detections(boxes[kept], expit(values[kept]), self._label)

    def _others(
        self, levels: list[_Level], truths: Array, rng: np.random.Generator, machine: Array | None
    ) -> Array:
        """Windows of an image without an object: at random, or those that a machine likes most."""
        boxes, values = _search(levels, machine)
        apart = _overlaps(boxes, truths) < _APART
        values = rng.random(len(boxes)) if machine is None else values
        best = np.argsort(np.where(apart, -values, np.inf), kind="stable")
        return _descriptors(levels, best[: min(NEGATIVES, int(apart.sum()))])


def cells(image: Array) -> Array:
    """Gradients and colours of an image (H, W, 3), in cells of 4 x 4 pixels: (R, Q, F).

    Of each cell the histogram of orientations, normalized in the four blocks of 2 x 2 cells around
    it, and the mean of each colour. Of the colours the one with the largest gradient counts.
    """
    rows, columns = image.shape[0] // CELL, image.shape[1] // CELL
    pixels = image[: rows * CELL, : columns * CELL].astype(np.float32) / 255
    down, right = np.gradient(pixels, axis=(0, 1))
    sizes = np.hypot(down, right)
    strongest = sizes.argmax(2)[..., None]
    size = np.take_along_axis(sizes, strongest, 2)[..., 0]
    down = np.take_along_axis(down, strongest, 2)[..., 0]
    right = np.take_along_axis(right, strongest, 2)[..., 0]

    # a gradient counts for both of the bins that it lies between
    position = np.arctan2(down, right) % np.pi / np.pi * BINS
    lower = np.floor(position).astype(int)
    part = position - lower
    y, x = np.indices(size.shape) // CELL
    first_bin = (y * columns + x) * BINS
    # 20 times as fast as numpy.add.at
    histogram = np.zeros(rows * columns * BINS)
    for bins, share in ((lower, 1 - part), (lower + 1, part)):
        index = (first_bin + bins % BINS).ravel()
        histogram += np.bincount(index, (size * share).ravel(), len(histogram))
    histogram = histogram.reshape(rows, columns, BINS).astype(np.float32)

    energy = np.pad((histogram**2).sum(2), 1, mode="edge")
    blocks = energy[:-1, :-1] + energy[1:, :-1] + energy[:-1, 1:] + energy[1:, 1:]
    normalized = []
    for block in (blocks[:-1, :-1], blocks[1:, :-1], blocks[:-1, 1:], blocks[1:, 1:]):
        # cut at 0.2, so that one strong edge does not decide
        normalized.append((histogram / np.sqrt(block + 1e-3)[..., None]).clip(max=0.2))
    colours = pixels.reshape(rows, CELL, columns, CELL, 3).mean((1, 3))
    return np.concatenate([*normalized, colours], 2)


def _levels(image: Array, sides: Array) -> list[_Level]:
    """An image (3, H, W) in the sizes in which boxes of each of `sides` fill a window."""
    picture = Image.fromarray(np.ascontiguousarray(image.transpose(1, 2, 0)))
    levels = []
    for side in sides.tolist():
        width, height = (round(size * _INNER / side) for size in picture.size)
        resized = np.asarray(picture.resize((width, height), Image.Resampling.BILINEAR))
        # room around the image, for boxes at its edge
        padded = np.pad(resized, ((CELL, CELL), (CELL, CELL), (0, 0)), mode="edge")
        levels.append(_Level(side, cells(padded)))
    return levels


def _search(levels: list[_Level], machine: Array | None) -> tuple[Array, Array]:
    """The boxes (P, 4) of all windows of an image, and what a machine says of each, (P,)."""
    boxes, values = [], []
    for side, found in levels:
        rows, columns = found.shape[0] - SIDE + 1, found.shape[1] - SIDE + 1
        value = np.zeros((rows, columns), np.float32)
        if machine is not None:
            # cell by cell of the window, for all windows at once
            weight = machine[:-1].reshape(SIDE, SIDE, -1)
            for y, x in np.ndindex(SIDE, SIDE):
                value += found[y : y + rows, x : x + columns] @ weight[y, x]
            value += machine[-1]
        y, x = np.indices((rows, columns)).reshape(2, -1)
        # the margin of the window is as wide as what was padded to the image
        corner = np.stack([x, y], 1) * CELL * side / _INNER
        boxes.append(np.concatenate([corner, corner + side], 1))
        values.append(value.ravel())
    return np.concatenate(boxes), np.concatenate(values)


def _descriptors(levels: list[_Level], windows: Array) -> Array:
    """All numbers of some windows (P,) of an image, in the order of `_search`."""
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
    # a box at the edge: the image is continued, as in `_levels`
    room = 64
    padded = np.pad(np.asarray(picture), ((room, room), (room, room), (0, 0)), mode="edge")
    corners = (left + room, top + room, right + room, bottom + room)
    window = Image.fromarray(padded).resize((side, side), Image.Resampling.BILINEAR, box=corners)
    return cells(np.asarray(window)).ravel()


def _machine(positives: Array, negatives: Array, penalty: float) -> Array:
    """Weights and threshold of a linear support vector machine, of windows (P, F)."""
    windows = np.concatenate([positives, negatives])
    is_object = np.arange(len(windows)) < len(positives)
    machine = LinearSVC(C=penalty, random_state=0).fit(windows, is_object)
    weights: Array = np.concatenate([machine.coef_[0], machine.intercept_]).astype(np.float32)
    return weights


def _overlaps(boxes: Array, truths: Array) -> Array:
    """The largest overlap of each box (P, 4) with one of `truths` (M, 4): (P,)."""
    if not len(truths):
        return np.zeros(len(boxes))
    pairs = torch.from_numpy(boxes)[None], torch.from_numpy(truths)[None]
    largest: Array = overlap(*pairs)[0].amax(1).numpy()
    return largest
