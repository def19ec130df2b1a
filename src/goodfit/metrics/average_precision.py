"""Average precision of detections, by the rules of COCO (Lin et al. 2014).

Letters: B images of a batch, N images of a set, D detections and M true boxes of each, T thresholds
of the overlap, K classes. Boxes are (x1, y1, x2, y2) in pixels.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

# overlaps from which on a detection is a hit: the very floats of pycocotools, for one that meets
# its threshold exactly
THRESHOLDS = torch.from_numpy(np.linspace(0.5, 0.95, 10).clip(max=1 - 1e-10))
MOST = 100  # detections of an image, as COCO counts them
NOTHING = -1  # the class of a slot without a detection, and of what pads true boxes
# the recalls at which a curve is read: whole hundredths, as pycocotools computes them
_RECALLS = torch.from_numpy(np.linspace(0.0, 1.0, 101))


def overlap(boxes: Tensor, others: Tensor) -> Tensor:
    """The intersection over union (B, D, M) of boxes (B, D, 4) and (B, M, 4), in float64.

    Boxes without an area overlap with nothing.
    """
    # in float32 a box of 30 pixels could miss a threshold that it meets
    boxes, others = boxes.double()[:, :, None], others.double()[:, None]
    low = torch.maximum(boxes[..., :2], others[..., :2])
    high = torch.minimum(boxes[..., 2:], others[..., 2:])
    shared = (high - low).clamp_min(0).prod(-1)
    union = _area(boxes) + _area(others) - shared
    return torch.where(shared > 0, shared / union, 0.0)


def matches(detections: Tensor, boxes: Tensor, classes: Tensor) -> Tensor:
    """The true box that each detection (B, D, 6) hits at each threshold: (B, D, T), -1 for none.

    A detection is x1, y1, x2, y2, score and class. In the order of their scores each takes, of the
    boxes (B, M, 4) of its class among `classes` (B, M) that no earlier one took, the one that it
    overlaps most, if the threshold is met.
    """
    count, slots = detections.shape[:2]
    matched = torch.full((count, slots, len(THRESHOLDS)), -1, device=boxes.device)
    last = boxes.shape[1] - 1
    if last < 0:
        return matched

    # the last of several equal overlaps wins in pycocotools; argmax gives the first
    boxes, classes = boxes.flip(1), classes.flip(1)
    overlaps = overlap(detections[..., :4], boxes)  # (B, D, M)
    is_same = detections[..., 5, None] == classes[:, None]
    overlaps = torch.where(is_same & (classes[:, None] != NOTHING), overlaps, -1.0)

    thresholds = THRESHOLDS.to(overlaps)[:, None]
    is_free = torch.ones_like(overlaps[:, :1], dtype=torch.bool).repeat(1, len(thresholds), 1)
    order = detections[..., 4].argsort(dim=1, descending=True, stable=True)
    images = torch.arange(count, device=boxes.device)
    # one pass over the slots for all images and thresholds: what an earlier one took is gone
    for rank in order.unbind(1):
        mine = overlaps[images, rank][:, None]  # (B, 1, M)
        best, taken = torch.where(is_free & (mine >= thresholds), mine, -1.0).max(2)
        is_hit = best > 0  # (B, T)
        matched[images, rank] = torch.where(is_hit, last - taken, -1)
        is_taken = torch.zeros_like(is_free).scatter_(2, taken[..., None], is_hit[..., None])
        is_free &= ~is_taken
    return matched


def average_precision(
    score: Tensor, label: Tensor, hit: Tensor, truths: Tensor, thresholds: int | None = None
) -> Tensor:
    """The mean over classes and overlaps () of the area under precision over recall, in float64.

    Of the detections of N images by `score` (N, D), class `label` (N, D) and `hit` (N, D, T), and
    the number of true boxes of each class, `truths` (N, K). With `thresholds` only the first so
    many count. NaN where there is no true box. Detections of score 0 count as none.
    """
    hit = hit[..., :thresholds].flatten(0, 1)
    score, label = score.flatten(), label.flatten()
    order = score.argsort(descending=True, stable=True)
    order = order[score[order] > 0]
    label, hit = label[order], hit[order]

    areas = []
    # a class that the images lack has no recall, and counts for nothing
    for code in truths.sum(0).nonzero().flatten().tolist():
        areas.append(_areas(hit[label == code], int(truths[:, code].sum())))
    if not areas:
        return torch.tensor(torch.nan, dtype=torch.float64)
    return torch.stack(areas).mean()


def precision_recall(hit: Tensor, truths: int) -> tuple[Tensor, Tensor]:
    """Precision and recall (D, T) of the best detections, by hits (D, T) in the order of scores.

    Precision is the best at this recall or a higher one, so it never rises. In float64: a recall of
    float32 could fall on the wrong side of a whole hundredth.
    """
    true_positives = hit.double().cumsum(0)
    ranks = torch.arange(1, len(hit) + 1, dtype=torch.float64, device=hit.device)
    precision = true_positives / ranks[:, None]
    if len(hit):
        precision = precision.flip(0).cummax(0).values.flip(0)
    return precision, true_positives / truths


def _areas(hit: Tensor, truths: int) -> Tensor:
    """The mean precision () of one class at 101 recalls, over the thresholds."""
    precision, recall = precision_recall(hit, truths)
    # a recall that is never reached has precision 0
    precision = torch.cat([precision, precision.new_zeros(1, precision.shape[1])])
    recalls = _RECALLS.to(recall.device).expand(recall.shape[1], -1).contiguous()
    first = torch.searchsorted(recall.T.contiguous(), recalls)  # (T, 101)
    return precision.T.gather(1, first).mean()


def _area(boxes: Tensor) -> Tensor:
    """The area (...) of boxes (..., 4)."""
    return (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])
