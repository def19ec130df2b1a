"""Flips, turns and scales: boxes go where their pixels go."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from goodfit.augment.aerial import Aerial
from goodfit.augment.per_sample_random import PerSampleRandom
from goodfit.contract import Batch

SIDE = 64


def aerial(smallest: float = 0.75, largest: float = 1.35, gain: float = 0.0) -> Aerial:
    return Aerial(smallest=smallest, largest=largest, gain=gain, visible=0.4)


def batch(boxes: list[list[list[float]]], rows: Tensor | None = None) -> Batch:
    """Black images with a white rectangle for each box, one color for each in its image."""
    longest = max(len(each) for each in boxes)
    image = torch.zeros(len(boxes), 3, SIDE, SIDE, dtype=torch.uint8)
    padded, classes = torch.zeros(len(boxes), longest, 4), torch.full((len(boxes), longest), -1)
    for row, each in enumerate(boxes):
        for place, (x1, y1, x2, y2) in enumerate(each):
            image[row, place, int(y1) : int(y2), int(x1) : int(x2)] = 200
            padded[row, place], classes[row, place] = torch.tensor([x1, y1, x2, y2]), place
    length = torch.tensor([len(each) for each in boxes])
    targets = {
        "boxes": padded,
        "boxes_length": length,
        "classes": classes,
        "classes_length": length.clone(),
    }
    return Batch({"image": image}, targets, torch.arange(len(boxes)) if rows is None else rows)


def changed(given: Batch, augment: Aerial, epoch: int = 0) -> Batch:
    return augment(given, PerSampleRandom(given.rows, seed=0, epoch=epoch))


def extent(channel: Tensor) -> Tensor:
    """The corners of what is bright in (H, W), as a box (4,)."""
    y, x = (channel > 100).nonzero().T
    return torch.stack([x.min(), y.min(), x.max() + 1, y.max() + 1]).float()


def test_boxes_go_where_their_pixels_go() -> None:
    given = batch([[[10, 14, 30, 24], [36, 30, 50, 56]]] * 200)
    augmented = changed(given, aerial())
    boxes, classes = augmented.targets["boxes"], augmented.targets["classes"]
    checked = 0
    for row in range(200):
        for place in range(int(augmented.targets["boxes_length"][row])):
            channel = augmented.inputs["image"][row, int(classes[row, place])]
            assert (extent(channel) - boxes[row, place]).abs().max() <= 1.0
            checked += 1
    assert checked > 300


def test_the_eight_flips_and_turns_all_happen_and_lose_no_pixel() -> None:
    given = batch([[[4, 8, 20, 30]]] * 100)
    augmented = changed(given, aerial(1.0, 1.0))
    assert torch.allclose(augmented.inputs["image"].sum((1, 2, 3)), torch.tensor(200.0 * 16 * 22))
    seen = {tuple(box) for box in augmented.targets["boxes"][:, 0].round().tolist()}
    across, down = [(4, 20), (44, 60)], [(8, 30), (34, 56)]
    expected = {(x1, y1, x2, y2) for x1, x2 in across for y1, y2 in down}
    expected |= {(y1, x1, y2, x2) for x1, y1, x2, y2 in expected}
    assert seen == {tuple(map(float, box)) for box in expected}


def test_what_a_crop_leaves_outside_is_dropped_and_the_rest_moves_up() -> None:
    given = batch([[[0, 0, 8, 8], [28, 28, 36, 36], [56, 0, 64, 8]]] * 100)
    augmented = changed(given, aerial(2.0, 2.0))
    length = augmented.targets["boxes_length"]
    assert torch.equal(length, augmented.targets["classes_length"])
    assert set(length.tolist()) == {0, 1, 2}  # 32 of 64 pixels are seen: never both corners ...
    assert augmented.targets["boxes"].shape == given.targets["boxes"].shape
    is_there = torch.arange(3) < length[:, None]
    assert (augmented.targets["classes"][is_there] >= 0).all()
    assert (augmented.targets["classes"][~is_there] == -1).all()
    assert (augmented.targets["boxes"][~is_there] == 0).all()
    boxes = augmented.targets["boxes"][is_there]
    assert boxes.min() >= 0
    assert boxes.max() <= SIDE
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(1)
    assert areas.min() > 0.4 * 256
    assert areas.max() == pytest.approx(256.0, abs=0.1)


def test_a_sample_is_changed_alike_in_any_batch() -> None:
    boxes = [[[10, 10, 20, 20]], [[5, 5, 30, 30], [40, 40, 60, 50]], [[20, 30, 40, 60]]]
    whole = changed(batch(boxes), aerial())
    alone = changed(batch([boxes[2]], torch.tensor([2])), aerial())
    assert torch.equal(alone.inputs["image"][0], whole.inputs["image"][2])
    assert torch.allclose(alone.targets["boxes"][0], whole.targets["boxes"][2, :1], atol=1e-4)
    assert int(whole.targets["boxes_length"][2]) == int(alone.targets["boxes_length"][0])


def test_the_batch_that_was_given_stays() -> None:
    given = batch([[[0, 0, 8, 8], [28, 28, 36, 36]]] * 3)
    before = {name: values.clone() for name, values in given.targets.items()}
    changed(given, aerial(2.0, 2.0))
    assert all(torch.equal(given.targets[name], before[name]) for name in before)


def test_the_gain_changes_colours_within_its_limits() -> None:
    given = batch([[[0, 0, 64, 64]]] * 50)
    peaks = changed(given, aerial(1.0, 1.0, gain=0.2)).inputs["image"].amax((2, 3))[:, 0]
    assert float(peaks.min()) >= 160.0
    assert float(peaks.max()) <= 240.0
    assert float(peaks.std()) > 10.0


def test_images_without_boxes_are_changed_too() -> None:
    given = batch([[[4, 8, 20, 30]]])
    bare = Batch(given.inputs, {"target": torch.tensor([1])}, given.rows)
    augmented = changed(bare, aerial())
    assert torch.equal(augmented.inputs["image"], changed(given, aerial()).inputs["image"])
    assert augmented.targets is bare.targets
