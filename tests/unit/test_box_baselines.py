"""Blobs and windows find made-up crowns; what they share agrees with the task's own scores."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from goodfit.baseline.base import Baseline, LabelledSamples, Samples
from goodfit.baseline.blobs import Blobs, blobs
from goodfit.baseline.detections import ap50, detections, suppressed
from goodfit.baseline.gradients import BINS, cells
from goodfit.baseline.hog_svm import HogSvm
from goodfit.contract import DataSpec

SIDE = 96


def spec() -> DataSpec:
    return DataSpec(data="x", kind="boxes", outputs=1, inputs={}, targets={})


def samples(seed: int, count: int) -> LabelledSamples:
    """Images with up to four green disks of radius 8 to 14 on brown ground, and noise on both."""
    rng = np.random.default_rng(seed)
    images = np.full((count, SIDE, SIDE, 3), (150, 120, 90), float)
    boxes = []
    y, x = np.indices((SIDE, SIDE))
    for image in images:
        found = []
        for down, right in np.ndindex(2, 2):
            if rng.random() < 0.3:
                continue
            radius = rng.integers(8, 14)
            centre = rng.integers(14, 33, 2) + 48 * np.array([down, right])
            image[(y - centre[0]) ** 2 + (x - centre[1]) ** 2 < radius**2] = (60, 140, 50)
            low, high = centre[::-1] - radius, centre[::-1] + radius
            found.append([*low, *high])
        boxes.append(np.array(found, np.float32).reshape(-1, 4))
    images = (images + rng.normal(0, 6, images.shape)).clip(0, 255).astype(np.uint8)
    targets: dict[str, Any] = {
        "boxes": boxes,
        "classes": [np.zeros(len(each), int) for each in boxes],
    }
    rows = pd.DataFrame({"row": range(count)})
    return LabelledSamples({"image": images.transpose(0, 3, 1, 2)}, rows, targets)


@pytest.mark.slow
@pytest.mark.parametrize("baseline", [Blobs, HogSvm])
def test_a_baseline_finds_disks_on_images_that_it_has_not_seen(baseline: type[Baseline]) -> None:
    method, test = baseline(), samples(2, 8)
    method.fit(samples(0, 16), samples(1, 8), spec())
    found = method.predict(Samples(test.inputs, test.rows))
    assert found.shape == (8, 100, 6)
    assert found.dtype == np.float32
    assert ap50(found, test.targets) > 0.9

    again = baseline()
    again.fit(samples(0, 16), samples(1, 8), spec())
    alone = again.predict(Samples({"image": test.inputs["image"][3:4]}, test.rows[3:4]))
    assert np.array_equal(alone[0], found[3])


def test_a_disk_is_one_blob_of_its_size() -> None:
    y, x = np.indices((SIDE, SIDE))
    image = np.full((3, SIDE, SIDE), 100, np.uint8)
    image[1, (y - 40) ** 2 + (x - 60) ** 2 < 11.3**2] = 200
    centre, sigma, strength = blobs(image)
    strongest = int(strength.argmax())
    assert centre[strongest].tolist() == pytest.approx([60.5, 40.5], abs=1)
    assert sigma[strongest] == 8.0  # 11.3 / sqrt(2)
    assert (strength > 0).all()


def test_gradients_of_an_edge_lie_in_one_bin() -> None:
    image = np.zeros((16, 16, 3), np.uint8)
    image[:, 8:] = 200
    found = cells(image)
    assert found.shape == (4, 4, 4 * BINS + 3)
    histogram = found[1, 2, :BINS]
    assert histogram.argmax() == 0  # across: an angle of 0
    assert histogram[1:].max() == 0.0
    turned = cells(image.transpose(1, 0, 2))[2, 1, :BINS]
    assert set(turned.nonzero()[0]) == {4, 5}  # 90 degrees lie between the bins of 80 and 100
    assert found[0, 3, -3:].tolist() == pytest.approx([200 / 255] * 3)


def test_the_surer_of_two_boxes_that_overlap_is_kept() -> None:
    boxes = np.array([[0, 0, 10, 10], [1, 0, 11, 10], [20, 0, 30, 10], [8, 0, 18, 10]], float)
    score = np.array([0.5, 0.9, 0.1, 0.3])
    assert suppressed(boxes, score, 0.3).tolist() == [1, 3, 2]
    assert suppressed(boxes, score, 0.9).tolist() == [1, 0, 3, 2]
    assert suppressed(boxes[:0], score[:0], 0.3).tolist() == []


def test_only_the_hundred_surest_detections_are_kept() -> None:
    score = np.linspace(0.1, 0.9, 150)
    found = detections(np.ones((150, 4)), score, 2)
    assert found[:, 4].tolist() == pytest.approx(score[:-101:-1].tolist())
    few = detections(np.ones((1, 4)), np.array([0.5]), 2)
    assert few[0].tolist() == [1, 1, 1, 1, 0.5, 2]
    assert few[1:].tolist() == [[0, 0, 0, 0, 0, -1]] * 99


def test_ap50_of_a_baseline_by_hand() -> None:
    """One of two boxes is found, by the second surest detection: precision 1/2 up to recall 1/2."""
    boxes = [np.array([[0, 0, 10, 10], [50, 50, 60, 60]], np.float32), np.zeros((0, 4), np.float32)]
    classes = [np.zeros(2, int), np.zeros(0, int)]
    found = np.zeros((2, 100, 6), np.float32)
    found[..., 5] = -1
    found[0, 0] = [0, 0, 10, 9, 0.8, 0]
    found[1, 0] = [0, 0, 10, 10, 0.9, 0]
    assert ap50(found, {"boxes": boxes, "classes": classes}) == pytest.approx(51 * 0.5 / 101)
