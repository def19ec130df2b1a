"""Average precision: equal to pycocotools, and to what one can count by hand."""

from __future__ import annotations

import contextlib
import io
import time
from typing import Any

import numpy as np
import pytest
import torch
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from torch import Tensor

from goodfit.evaluation.bootstrap import Resamples, intervals
from goodfit.metrics.average_precision import NOTHING, average_precision, matches, overlap

SLOTS = 30


def random_boxes(rng: np.random.Generator, count: int, whole: bool) -> np.ndarray[Any, Any]:
    corner = rng.uniform(0, 60, (count, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(4, 40, (count, 2))], 1)
    return boxes.round() if whole else boxes


def random_set(seed: int, images: int, classes: int) -> tuple[Tensor, Tensor, Tensor]:
    """Detections (N, D, 6), boxes (N, M, 4) and classes (N, M), padded with `NOTHING`.

    Half of the sets have whole pixels, where an overlap can be exactly a threshold, and scores of
    one decimal, of which many are equal.
    """
    rng = np.random.default_rng(seed)
    whole = seed % 2 == 0
    detections = np.zeros((images, SLOTS, 6))
    detections[..., 5] = NOTHING
    boxes = np.zeros((images, 12, 4))
    labels = np.full((images, 12), NOTHING)
    for image in range(images):
        truths, found = rng.integers(0, 13), rng.integers(0, SLOTS + 1)
        boxes[image, :truths] = random_boxes(rng, truths, whole)
        labels[image, :truths] = rng.integers(0, classes, truths)
        # near a true box, so that there are hits at each threshold
        near = boxes[image, rng.integers(0, max(truths, 1), found)] + rng.normal(0, 2, (found, 4))
        far = random_boxes(rng, found, whole)
        drawn = np.where(rng.random((found, 1)) < 0.7, near.round() if whole else near, far)
        low, high = np.minimum(drawn[:, :2], drawn[:, 2:]), np.maximum(drawn[:, :2], drawn[:, 2:])
        score = rng.uniform(0.01, 1, found)
        detections[image, :found, :4] = np.concatenate([low, high], 1)
        detections[image, :found, 4] = score.round(1).clip(0.1) if whole else score
        detections[image, :found, 5] = rng.integers(0, classes, found)
    return torch.from_numpy(detections), torch.from_numpy(boxes), torch.from_numpy(labels)


def by_pycocotools(detections: Tensor, boxes: Tensor, labels: Tensor, classes: int) -> list[float]:
    """mAP and AP at 0.5 as the reference computes them."""
    truth = COCO()
    annotations = []
    for image, row in zip(*(labels != NOTHING).nonzero().T.tolist(), strict=True):
        x1, y1, x2, y2 = boxes[image, row].tolist()
        size = (x2 - x1, y2 - y1)
        annotation = {
            "id": len(annotations) + 1,
            "image_id": image + 1,
            "category_id": int(labels[image, row]) + 1,
            "bbox": [x1, y1, *size],
            "area": size[0] * size[1],
            "iscrowd": 0,
        }
        annotations.append(annotation)
    truth.dataset = {
        "images": [{"id": image + 1} for image in range(len(boxes))],
        "annotations": annotations,
        "categories": [{"id": code + 1} for code in range(classes)],
    }
    results = []
    for image, row in zip(*(detections[..., 5] != NOTHING).nonzero().T.tolist(), strict=True):
        x1, y1, x2, y2, score, code = detections[image, row].tolist()
        result = {
            "image_id": image + 1,
            "category_id": int(code) + 1,
            "bbox": [x1, y1, x2 - x1, y2 - y1],
            "score": score,
        }
        results.append(result)
    with contextlib.redirect_stdout(io.StringIO()):
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes(results), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return [float(value) for value in evaluation.stats[:2]]


def statistics(
    detections: Tensor, boxes: Tensor, labels: Tensor, classes: int
) -> tuple[Tensor, ...]:
    one_hot = torch.nn.functional.one_hot(labels + 1, classes + 1)
    found = matches(detections, boxes, labels) >= 0
    return detections[..., 4], detections[..., 5], found, one_hot.sum(1)[:, 1:]


@pytest.mark.slow
@pytest.mark.parametrize("classes", [1, 3])
@pytest.mark.parametrize("seed", range(20))
def test_average_precision_equals_that_of_pycocotools(seed: int, classes: int) -> None:
    drawn = random_set(seed, 30, classes)
    of_images = statistics(*drawn, classes)
    ours = [float(average_precision(*of_images)), float(average_precision(*of_images, 1))]
    assert ours == pytest.approx(by_pycocotools(*drawn, classes), abs=1e-9)
    assert 0.01 < ours[0] < ours[1] < 0.99


def test_hits_of_an_image_do_not_depend_on_the_others() -> None:
    detections, boxes, labels = random_set(1, 10, 2)
    together = matches(detections, boxes, labels)
    for row in range(10):
        one = slice(row, row + 1)
        assert torch.equal(matches(detections[one], boxes[one], labels[one]), together[one])


def test_overlap_by_hand() -> None:
    box = torch.tensor([[[0.0, 0.0, 4.0, 4.0]]])
    others = [[0, 0, 4, 4], [2, 0, 6, 4], [2, 2, 6, 6], [4, 0, 8, 4], [1, 1, 1, 3], [0, 0, 0, 0]]
    expected = [1.0, 8 / 24, 4 / 28, 0.0, 0.0, 0.0]
    assert overlap(box, torch.tensor([others])).flatten().tolist() == pytest.approx(expected)
    nothing = torch.zeros(1, 1, 4)
    assert float(overlap(nothing, nothing)) == 0.0


def test_a_true_box_is_hit_once_and_by_the_surest() -> None:
    box = [0.0, 0.0, 10.0, 10.0]
    detections = torch.tensor([[[*box, 0.3, 0.0], [*box, 0.9, 0.0], [*box, 0.8, 1.0]]])
    boxes = torch.tensor([[[50.0, 50.0, 60.0, 60.0], box]])
    found = matches(detections, boxes, torch.tensor([[0, 0]]))
    assert found[0, 1].tolist() == [1] * 10
    assert (found[0, [0, 2]] == -1).all()


def test_a_detection_takes_what_no_earlier_one_took_and_overlaps_most() -> None:
    """The surer one takes the box that both overlap most; the other is left with its neighbour."""
    boxes = torch.tensor([[[0.0, 0.0, 10.0, 10.0], [2.0, 0.0, 12.0, 10.0]]])
    detections = torch.tensor([[[0.5, 0, 10.5, 10, 0.6, 0], [0.0, 0, 10, 10, 0.9, 0]]])
    found = matches(detections, boxes, torch.tensor([[0, 0]]))
    assert found[0, :, 0].tolist() == [1, 0]  # overlaps of 8.5 / 11.5 = 0.74 and 1
    assert found[0, 0].tolist() == [1] * 5 + [-1] * 5


def test_average_precision_by_hand() -> None:
    """Hit, miss, hit of three truths: precision 1 up to recall 1/3, 2/3 up to 2/3, then 0."""
    score = torch.tensor([[0.9, 0.5, 0.8, 0.0]])
    label = torch.tensor([[0, 0, 0, 0]])
    hit = torch.tensor([True, True, False, True])[None, :, None]
    value = average_precision(score, label, hit, torch.tensor([[3]]))
    assert float(value) == pytest.approx((34 * 1.0 + 33 * 2 / 3) / 101)


def test_a_detection_of_score_zero_counts_as_none() -> None:
    hit = torch.ones(1, 1, 10, dtype=torch.bool)
    truths = torch.tensor([[1]])
    label = torch.tensor([[0]])
    assert float(average_precision(torch.tensor([[0.0]]), label, hit, truths)) == 0.0
    assert float(average_precision(torch.tensor([[1e-6]]), label, hit, truths)) == 1.0


def test_without_a_true_box_there_is_no_average_precision() -> None:
    drawn = torch.ones(2, 3), torch.zeros(2, 3), torch.zeros(2, 3, 10, dtype=torch.bool)
    assert average_precision(*drawn, torch.zeros(2, 1, dtype=torch.long)).isnan()


def test_a_thousand_resampled_test_sets_take_seconds() -> None:
    drawn = random_set(3, 44, 1)
    names = ("score", "label", "hit", "truths")
    of_images = dict(zip(names, statistics(*drawn, 1), strict=True))
    draws = Resamples(torch.arange(44), 1000, seed=0)
    metrics = {"map": lambda item: average_precision(**item)}
    started = time.process_time()
    scored = intervals(metrics, {"network": of_images}, draws, additive=False)
    values = scored["network"]["map"].values
    assert time.process_time() - started < 10  # 0.4 measured
    assert 0.005 < values.std() < 0.1
