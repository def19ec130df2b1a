"""What baselines for boxes share: a fixed number of detections, suppression, and the choice by AP.

Letters: `base.py`, and M true boxes, D detections of an image. Boxes are (x1, y1, x2, y2) in
pixels, detections (x1, y1, x2, y2, score, class).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch
from torch.nn.utils.rnn import pad_sequence

from goodfit.baseline.base import Array
from goodfit.metrics.average_precision import MOST, NOTHING, average_precision, matches, overlap


def detections(boxes: Array, score: Array, label: int) -> Array:
    """The hundred surest of boxes (D, 4) by score (D,), with empty slots behind them: (100, 6)."""
    best = np.argsort(-score, kind="stable")[:MOST]
    found = np.zeros((MOST, 6), np.float32)
    found[:, 5] = NOTHING
    found[: len(best), :4] = boxes[best]
    found[: len(best), 4] = score[best]
    found[: len(best), 5] = label
    return found


def suppressed(boxes: Array, score: Array, most: float) -> Array:
    """The rows of boxes (D, 4) that no surer one overlaps by more than `most`, surest first."""
    order = np.argsort(-score, kind="stable")
    shared = torch.from_numpy(boxes[order])[None]
    overlaps = overlap(shared, shared)[0].numpy()
    is_kept = np.ones(len(order), bool)
    for rank in range(len(order)):
        if is_kept[rank]:
            is_kept[rank + 1 :] &= overlaps[rank, rank + 1 :] <= most
    kept: Array = order[is_kept]
    return kept


def ap50(found: Array, targets: Mapping[str, Iterable[Any]]) -> float:
    """Average precision at an overlap of 0.5 of detections (N, 100, 6) against targets.

    `boxes` (M, 4) and `classes` (M,) of each of the N images.
    """
    # copies: torch warns of files that may only be read
    boxes = pad_sequence([torch.tensor(each) for each in targets["boxes"]], batch_first=True)
    classes = pad_sequence(
        [torch.tensor(each) for each in targets["classes"]],
        batch_first=True,
        padding_value=NOTHING,
    )
    prediction = torch.from_numpy(found)
    labels = int(classes.max()) + 1
    truths = torch.stack([torch.bincount(row[row >= 0], minlength=labels) for row in classes])
    hit = matches(prediction, boxes, classes) >= 0
    return float(average_precision(prediction[..., 4], prediction[..., 5], hit, truths, 1))


def commonest(classes: Iterable[Any]) -> int:
    """The class of most boxes, from the classes (M,) of each of N images."""
    return int(np.bincount(np.concatenate(list(classes))).argmax())
