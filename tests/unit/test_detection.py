"""Detection: the loss and the peaks by hand, and outputs that say the truth find all of it."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from goodfit.contract import DataSpec, Field
from goodfit.model.centernet import CenterNet
from goodfit.task.detection import Detection, focal_loss, heat_map

SIDE, CELL = 64, 4
LABELS = ("oak", "pine")
BOXES = [
    [[10.0, 12.0, 30.0, 28.0], [40.0, 40.0, 62.0, 60.0]],
    [],
    [[2.0, 33.0, 21.0, 59.0]],
]
CLASSES = [[0, 1], [], [1]]


def spec(labels: tuple[str, ...] = LABELS) -> DataSpec:
    return DataSpec(
        data="x",
        kind="boxes",
        outputs=len(labels),
        inputs={"image": Field((3, SIDE, SIDE), "uint8", (128.0,) * 3, (60.0,) * 3)},
        targets={
            "boxes": Field((None, 4), "float32", longest=2),
            "classes": Field((None,), "int64", fill=-1, longest=2, labels=labels),
        },
        facts={"box_side": 20.0},
    )


def task(model: nn.Module | None = None) -> Detection:
    parts = {"monitor": "loss", "score": "ap50", "optimizer": None, "schedule": None}
    return Detection(model or nn.Identity(), spec(), box_weight=1.0, **parts)


def targets(rows: list[int], longest: int = 2) -> dict[str, Tensor]:
    """The images at `rows`, padded as a batch is."""
    boxes = torch.zeros(len(rows), longest, 4)
    classes = torch.full((len(rows), longest), -1)
    length = torch.tensor([len(BOXES[row]) for row in rows])
    for index, row in enumerate(rows):
        for place, (box, code) in enumerate(zip(BOXES[row], CLASSES[row], strict=True)):
            boxes[index, place], classes[index, place] = torch.tensor(box), code
    return {"boxes": boxes, "boxes_length": length, "classes": classes, "classes_length": length}


def true_output() -> Tensor:
    """What a network would have to say of all three images."""
    cells = SIDE // CELL
    output = torch.zeros(len(BOXES), len(LABELS) + 4, cells, cells)
    output[:, : len(LABELS)] = -20.0
    for row, (boxes, classes) in enumerate(zip(BOXES, CLASSES, strict=True)):
        for (x1, y1, x2, y2), code in zip(boxes, classes, strict=True):
            x, y = (x1 + x2) / 2 / CELL, (y1 + y2) / 2 / CELL
            column, line = int(x), int(y)
            output[row, code, line, column] = 20.0
            size = (math.log((x2 - x1) / 20), math.log((y2 - y1) / 20))
            output[row, 2:, line, column] = torch.tensor([x - column, y - line, *size])
    return output


def test_an_output_that_says_the_truth_finds_every_box() -> None:
    prediction = task().predict(true_output())
    assert prediction.shape == (3, 100, 6)
    for row, (boxes, classes) in enumerate(zip(BOXES, CLASSES, strict=True)):
        sure = prediction[row][prediction[row, :, 4] > 0.5]
        expected = torch.tensor(sorted(boxes)).reshape(-1, 4)
        torch.testing.assert_close(
            torch.tensor(sorted(sure[:, :4].tolist())).reshape(-1, 4), expected, rtol=0, atol=1e-3
        )
        assert sorted(sure[:, 5].tolist()) == sorted(classes)

    statistics = task().statistics(prediction, **targets([0, 1, 2]))
    assert statistics["truths"].tolist() == [[1, 1], [0, 0], [0, 1]]
    scores = {name: float(score(statistics)) for name, score in task().metrics().items()}
    assert scores == {"map": 1.0, "ap50": 1.0}


def test_the_loss_of_the_truth_is_nearly_nothing_and_of_less_it_is_more() -> None:
    truth = targets([0, 1, 2])
    nothing = task().loss(true_output(), **truth)
    assert (nothing < 1e-3).all()

    moved = true_output()
    moved[:, 2] += 0.25  # each centre a quarter of a cell to the right
    assert (task().loss(moved, **truth) - nothing).tolist() == pytest.approx([0.5, 0.0, 0.25])
    flat = true_output()
    flat[:, :2] = 0.0
    assert (task().loss(flat, **truth) > nothing + 1).all()


def test_padding_changes_nothing_of_a_sample() -> None:
    torch.manual_seed(0)
    output = torch.randn(3, 6, 16, 16)
    together = task().loss(output, **targets([0, 1, 2], longest=5))
    prediction = task().predict(output)
    of_all = task().statistics(prediction, **targets([0, 1, 2], longest=5))
    for row in range(3):
        truth = targets([row], longest=len(BOXES[row]))
        torch.testing.assert_close(task().loss(output[row : row + 1], **truth)[0], together[row])
        alone = task().statistics(prediction[row : row + 1], **truth)
        assert all(torch.equal(alone[name][0], of_all[name][row]) for name in of_all)
    assert task().units(**targets([0, 1, 2])).tolist() == [2.0, 1.0, 1.0]


def test_the_focal_loss_by_hand() -> None:
    logits, truth = torch.tensor([0.0, 0.0, 2.0]), torch.tensor([1.0, 0.5, 0.0])
    half = 0.25 * math.log(2)
    sure = 1 / (1 + math.exp(-2.0))
    expected = [half, 0.5**4 * half, -(sure**2) * math.log(1 - sure)]
    assert focal_loss(logits, truth).tolist() == pytest.approx(expected)


def test_the_heat_map_by_hand() -> None:
    """A box of 10 x 20 cells around (8.5, 6.0): a peak in cell (8, 6), one cell wide, two high."""
    boxes = torch.tensor([[[3.5, -4.0, 13.5, 16.0], [3.5, -4.0, 13.5, 16.0]]])
    maps = heat_map(
        boxes, torch.tensor([[1, 0]]), torch.tensor([[True, False]]), torch.Size([2, 16, 16])
    )
    assert float(maps[0, 0].max()) == 0.0  # the other box is padding
    assert float(maps[0, 1, 6, 8]) == 1.0
    assert float(maps[0, 1, 6, 9]) == pytest.approx(math.exp(-1 / 2))
    assert float(maps[0, 1, 8, 8]) == pytest.approx(math.exp(-4 / 8))
    assert (maps == 1).sum() == 1


def test_a_cell_beside_a_higher_one_is_no_detection() -> None:
    output = torch.zeros(1, 6, 16, 16)
    output[:, :2] = -5.0
    output[0, 0, 5, 5], output[0, 0, 5, 6], output[0, 1, 5, 6] = 3.0, 2.0, 1.0
    prediction = task().predict(output)[0]
    above = prediction[prediction[:, 4] > 0.5]
    assert above[:, 5].tolist() == [0.0, 1.0]
    assert above[:, 4].logit().tolist() == pytest.approx([3.0, 1.0], abs=1e-5)


def test_a_small_map_leaves_slots_empty() -> None:
    prediction = task().predict(torch.randn(2, 6, 4, 4))
    assert prediction.shape == (2, 100, 6)
    empty = prediction[:, :, 5] == -1
    assert empty[:, 32:].all()
    assert torch.equal(prediction[empty].unique(dim=0), torch.tensor([[0.0, 0, 0, 0, 0, -1]]))


def test_boxes_stay_in_the_image_and_have_corners_in_order() -> None:
    prediction = task().predict(10 * torch.randn(4, 6, 16, 16))
    there = prediction[prediction[..., 5] >= 0]
    assert (there[:, :4] >= 0).all()
    assert (there[:, :4] <= SIDE).all()
    assert (there[:, 2:4] >= there[:, :2]).all()


def test_a_caller_gets_a_row_for_each_image_with_lists() -> None:
    table = task().decode(task().predict(true_output()))
    assert list(table) == ["label", "score", "x1", "y1", "x2", "y2"]
    assert len(table) == 3
    assert sorted(table["label"][0][:2]) == ["oak", "pine"]
    assert table["x1"][2][0] == pytest.approx(2.0, abs=1e-3)
    assert len({len(cell) for cell in table.iloc[0]}) == 1


def test_an_answer_tells_hits_from_misses() -> None:
    truth = {name: values[0] for name, values in targets([0]).items()}
    prediction = task().predict(true_output())[0]
    prediction[1, :4] = torch.tensor([0.0, 0.0, 9.0, 9.0])  # one of the two is somewhere else
    answer = task().answer(prediction, **truth)
    assert answer.size == (SIDE, SIDE)
    hits = {
        who: [box.hit for box in answer.boxes if box.who == who] for who in ("truth", "network")
    }
    assert sorted(hits["truth"]) == sorted(hits["network"]) == [False, True]
    found = next(box for box in answer.boxes if box.who == "network" and box.hit)
    met = next(box for box in answer.boxes if box.who == "truth" and box.hit)
    assert found.corners == pytest.approx(met.corners, abs=1e-3)
    assert found.label == met.label


def test_the_grid_covers_the_image_with_boxes_of_the_median_size() -> None:
    train = {
        "boxes": [np.array(boxes, np.float32).reshape(-1, 4) for boxes in BOXES],
        "classes": [np.array(classes, int) for classes in CLASSES],
    }
    grid = task().trivial(train, {}, 2)["grid of median boxes"]
    assert grid.shape == (2, 100, 6)
    there = grid[0][grid[0, :, 5] >= 0]
    assert set(there[:, 5]) == {1.0}  # two pines, one oak
    assert (there[:, 2] - there[:, 0]).tolist() == pytest.approx([20.0] * 16)
    assert (there[:, 3] - there[:, 1]).tolist() == pytest.approx([20.0] * 16)
    assert there[:, :4].mean(0).tolist() == pytest.approx([22.0, 22.0, 42.0, 42.0])


@pytest.mark.slow
def test_a_network_learns_three_images_by_heart() -> None:
    torch.manual_seed(0)
    outputs = Detection.outputs(spec())
    model = CenterNet(replace(spec(), outputs=outputs), width=8, stages=2, blocks=1)
    learner, truth = task(model), targets([0, 1, 2])
    images = torch.zeros(3, 3, SIDE, SIDE, dtype=torch.uint8)
    for row, (boxes, classes) in enumerate(zip(BOXES, CLASSES, strict=True)):
        for (x1, y1, x2, y2), code in zip(boxes, classes, strict=True):
            images[row, code, int(y1) : int(y2), int(x1) : int(x2)] = 255

    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(120):
        loss = learner.loss(model(image=images), **truth).sum() / learner.units(**truth).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        found = learner.statistics(learner.predict(model.eval()(image=images)), **truth)
    assert float(learner.metrics()["ap50"](found)) > 0.95


@pytest.mark.parametrize("side", [(64, 64), (72, 40), (50, 66)])
def test_an_output_has_a_quarter_of_the_resolution(side: tuple[int, int]) -> None:
    model = CenterNet(replace(spec(), outputs=6), width=8, stages=3, blocks=1)
    output = model(torch.zeros(2, 3, *side, dtype=torch.uint8))
    assert output.shape == (2, 6, math.ceil(side[0] / 4), math.ceil(side[1] / 4))
    rare = output[:, :2].sigmoid()
    assert float(rare.detach().max()) < 0.1
