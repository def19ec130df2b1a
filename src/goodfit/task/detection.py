"""Boxes around the objects of an image, each with a class and a score.

Letters: B batch, N samples of a split, M true boxes, D detections of an image, T thresholds of the
overlap, K classes, H height and W width of the network's output, whose cells are squares of pixels.
Boxes are (x1, y1, x2, y2) in pixels of the input `image`, detections (x1, y1, x2, y2, score,
class); a slot without a detection has score 0 and class -1.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from goodfit.contract import DataSpec
from goodfit.metrics.average_precision import (
    MOST,
    NOTHING,
    THRESHOLDS,
    average_precision,
    matches,
    precision_recall,
)
from goodfit.records import Answer, Box, Chart
from goodfit.schema import Amount
from goodfit.task.base import Array, Partial, Task
from goodfit.task.scores import Score, Statistics

COLUMNS = ("label", "score", "x1", "y1", "x2", "y2")  # of what a caller gets, a list in each cell
_GEOMETRY = 4  # numbers of a cell behind the classes: the centre's offset, and the size
_SPREAD = 0.1  # of a peak of the heat map, as a share of the box's side
_LARGEST = 3.0  # a box is at most e^3 = 20 times as wide as a usual one
_SHOWN = 0.3  # score from which on a report draws a detection
_POINTS = 101  # of a drawn curve


class _Cells(NamedTuple):
    """Where the centres of boxes lie: in images, rows and columns of the output, (M,) each."""

    image: Tensor
    row: Tensor
    column: Tensor


class Detection(Task):
    """Peaks of a heat map for each class, with sizes: CenterNet (Zhou et al. 2019).

    Outputs are (B, K + 4, H, W): a logit for each class, the offset of the centre in its cell, and
    the logarithm of width and height in units of `spec.facts["box_side"]`. Predictions are the
    hundred surest detections, (B, 100, 6).
    """

    kinds = ("boxes",)
    scores = {"map": "max", "ap50": "max"}  # noqa: RUF012 - read as a literal
    ranges: ClassVar[dict[str, tuple[float, float]]] = {"map": (0, 1), "ap50": (0, 1)}
    output_form = "map"
    quantiles = (0.1, 0.3, 0.5, 0.7)

    def __init__(
        self,
        model: nn.Module,
        spec: DataSpec,
        *,
        monitor: str,
        score: str,
        box_weight: Amount,
        optimizer: Partial,
        schedule: Partial,
    ) -> None:
        super().__init__(
            model, spec, monitor=monitor, score=score, optimizer=optimizer, schedule=schedule
        )
        self.box_weight = box_weight
        _, self.height, self.width = spec.inputs["image"].fixed_shape

    @staticmethod
    def outputs(spec: DataSpec, **options: Any) -> int:
        """The numbers of a cell: a logit for each class, two of the offset and two of the size."""
        return len(spec.labels) + _GEOMETRY

    def loss(  # type: ignore[override]
        self,
        output: Tensor,
        boxes: Tensor,
        boxes_length: Tensor,
        classes: Tensor,
        classes_length: Tensor,
    ) -> Tensor:
        """Focal loss of the heat map and absolute errors of offsets and sizes, summed: (B,).

        Of outputs (B, K + 4, H, W) against boxes (B, M, 4) and classes (B, M), padded behind their
        lengths (B,). The focal loss is that of the paper, equation 1.
        """
        heat, geometry = self._parts(output)
        cell = self._cell(output)
        is_box = _is_there(boxes, boxes_length)

        truth = heat_map(boxes / cell, classes, is_box, heat.shape[1:])
        loss = focal_loss(heat, truth).sum((1, 2, 3))

        where, expected = self._expected(boxes, is_box, cell, output.shape[2:])
        # not of its neighbours as well, where a peak may lie: with them AP50 of validation was 0.15
        # after 250 s, without them 0.19
        errors = (geometry[where.image, :, where.row, where.column] - expected).abs().sum(1)
        return loss.index_add(0, where.image, self.box_weight * errors)

    def units(  # type: ignore[override]
        self, boxes: Tensor, boxes_length: Tensor, classes: Tensor, classes_length: Tensor
    ) -> Tensor:
        """The true boxes of each image (B,), of boxes (B, M, 4); 1 where there is none."""
        return boxes_length.clamp_min(1).float()

    def predict(self, output: Tensor) -> Tensor:
        """The hundred surest detections (B, 100, 6) of outputs (B, K + 4, H, W), surest first.

        A cell that is no maximum of its 3 x 3 neighbours is none: this stands for the suppression
        of boxes that overlap.
        """
        heat, geometry = self._parts(output)
        heat = heat.sigmoid()
        is_peak = F.max_pool2d(heat, 3, stride=1, padding=1) == heat
        score, index = (heat * is_peak).flatten(1).topk(min(MOST, heat[0].numel()), dim=1)

        cells = output.shape[2] * output.shape[3]
        place = index % cells  # (B, D)
        offset, size = geometry.flatten(2).gather(2, place[:, None].expand(-1, 4, -1)).chunk(2, 1)
        cell = self._cell(output)
        corner = torch.stack([place % output.shape[3], place // output.shape[3]], 1)
        centre = (corner + offset) * cell
        half = size.clamp(max=_LARGEST).exp() * self._side / 2
        bounds = centre.new_tensor([self.width, self.height])[:, None]
        low = (centre - half).clamp_min(0).minimum(bounds)
        high = (centre + half).clamp_min(0).minimum(bounds)

        numbers = torch.stack([*low.unbind(1), *high.unbind(1), score, index // cells], 2)
        # where a map has fewer peaks than slots, the rest is not even a cell
        return _padded(torch.where(score[..., None] > 0, numbers, _empty(numbers)))

    def statistics(  # type: ignore[override]
        self,
        prediction: Tensor,
        boxes: Tensor,
        boxes_length: Tensor,
        classes: Tensor,
        classes_length: Tensor,
    ) -> Statistics:
        """Score and class (B, D) of detections (B, D, 6), hits (B, D, T), true boxes (B, K).

        Of boxes (B, M, 4) and classes (B, M), padded behind their lengths (B,).
        """
        classes = torch.where(_is_there(boxes, boxes_length), classes, NOTHING)
        truths = F.one_hot(classes + 1, self._classes + 1).sum(1)[:, 1:]
        return {
            "score": prediction[..., 4],
            "label": prediction[..., 5].long(),
            "hit": matches(prediction, boxes, classes) >= 0,
            "truths": truths,
        }

    def metrics(self) -> dict[str, Score]:
        """Average precision over classes: its mean over ten overlaps, and at an overlap of 0.5.

        Of the statistics of `statistics`, with N images.
        """
        return {"map": _mean_precision, "ap50": lambda statistics: _mean_precision(statistics, 1)}

    def decode(self, prediction: Tensor) -> pd.DataFrame:
        """A row for each image of detections (N, D, 6), a list in each of `COLUMNS`."""
        rows = []
        for detections in prediction:
            kept = detections[detections[:, 5] != NOTHING]
            labels = [self.spec.labels[code] for code in kept[:, 5].int().tolist()]
            rows.append([labels, kept[:, 4].tolist(), *kept[:, :4].T.tolist()])
        return pd.DataFrame(rows, columns=list(COLUMNS))

    def same_answer(self, prediction: Tensor) -> str | None:
        """That no detection (N, 100, 6) is sure enough to be drawn, or all images have the same."""
        if float(prediction[..., 4].max()) < _SHOWN:
            return f"no box with a score of at least {_SHOWN}"
        return "the same boxes" if torch.allclose(prediction, prediction[:1]) else None

    @property
    def asked(self) -> str:
        """The class that is looked for, or how many there are."""
        labels = self.spec.labels
        return f"boxes of {len(labels)} classes" if len(labels) > 1 else f"boxes ({labels[0]})"

    def trivial(
        self, train: Mapping[str, Any], inputs: Mapping[str, Array], samples: int
    ) -> dict[str, Array]:
        """A grid of boxes of train's median size and commonest class: (samples, 100, 6).

        `train` holds the boxes (M, 4) and classes (M,) of each of its N images.
        """
        boxes = np.concatenate(list(train["boxes"]))
        classes = np.concatenate(list(train["classes"]))
        width, height = np.median(boxes[:, 2:] - boxes[:, :2], 0)

        across = min(math.isqrt(MOST), math.ceil(self.width / width))
        down = min(math.isqrt(MOST), math.ceil(self.height / height))
        x = (np.arange(across) + 0.5) * self.width / across
        y = (np.arange(down) + 0.5) * self.height / down
        centre_x, centre_y = (axis.ravel() for axis in np.meshgrid(x, y))

        grid = np.zeros((MOST, 6), np.float32)
        grid[:, 5] = NOTHING
        grid[: across * down, 0] = centre_x - width / 2
        grid[: across * down, 1] = centre_y - height / 2
        grid[: across * down, 2] = centre_x + width / 2
        grid[: across * down, 3] = centre_y + height / 2
        grid[: across * down, 4] = 0.5
        grid[: across * down, 5] = np.bincount(classes).argmax()
        return {"grid of median boxes": np.tile(grid, (samples, 1, 1))}

    def diagnose(self, methods: Mapping[str, Statistics]) -> list[Chart]:
        """Precision over recall at an overlap of 0.5, and AP by overlap, of all methods."""
        curves, by_overlap = [], []
        for title, statistics in methods.items():
            curves.append([title, _curve(statistics)])
            areas = []
            for index in range(len(THRESHOLDS)):
                part = statistics | {"hit": statistics["hit"][..., index : index + 1]}
                areas.append(float(_mean_precision(part).nan_to_num()))  # JSON has no NaN
            by_overlap.append([title, areas])
        thresholds = [round(value, 2) for value in THRESHOLDS.tolist()]
        return [
            Chart("precision_recall", "Precision over recall", {"curves": curves}),
            Chart(
                "by_overlap",
                "Errors of place and size",
                {"areas": by_overlap, "overlaps": thresholds},
            ),
        ]

    def answer(  # type: ignore[override]
        self,
        prediction: Tensor,
        boxes: Tensor,
        boxes_length: Tensor,
        classes: Tensor,
        classes_length: Tensor,
    ) -> Answer:
        """True boxes (M, 4) and the surer of the detections (D, 6), each a hit or a miss.

        At an overlap of 0.5; a true box that no detection meets is missed.
        """
        boxes, classes = boxes[: int(boxes_length)], classes[: int(classes_length)]
        sure = prediction[prediction[:, 4] >= _SHOWN]
        matched = matches(sure[None], boxes[None], classes[None])[0, :, 0].tolist()

        drawn = []
        for index, box in enumerate(boxes.tolist()):
            label = self.spec.labels[int(classes[index])]
            drawn.append(Box("truth", tuple(box), label, index in matched))
        for detection, index in zip(sure.tolist(), matched, strict=True):
            label = self.spec.labels[int(detection[5])]
            drawn.append(Box("network", tuple(detection[:4]), label, index >= 0, detection[4]))
        return Answer(boxes=tuple(drawn), size=(self.width, self.height))

    def _parts(self, output: Tensor) -> tuple[Tensor, Tensor]:
        """The classes' logits (B, K, H, W) and the boxes' numbers (B, 4, H, W), in float32."""
        output = output.float()
        return output[:, : self._classes], output[:, self._classes :]

    @property
    def _classes(self) -> int:
        return len(self.spec.labels)

    @property
    def _side(self) -> float:
        """The usual side of a box, in pixels."""
        return float(self.spec.facts["box_side"])

    def _cell(self, output: Tensor) -> Tensor | float:
        """The pixels on a side of a cell, the same in both directions."""
        return self.width / output.shape[3]

    def _expected(
        self, boxes: Tensor, is_box: Tensor, cell: Tensor | float, size: torch.Size
    ) -> tuple[_Cells, Tensor]:
        """The cells of the centres of boxes (B, M, 4), and what to say there, (M, 4)."""
        image = is_box.nonzero()[:, 0]
        boxes = boxes[is_box]
        centre = (boxes[:, :2] + boxes[:, 2:]) / (2 * cell)
        corner = _corner(centre, size)
        side = (boxes[:, 2:] - boxes[:, :2]).clamp_min(1e-3)
        expected = torch.cat([centre - corner, (side / self._side).log()], 1)
        return _Cells(image, corner[:, 1], corner[:, 0]), expected


def _mean_precision(statistics: Statistics, thresholds: int | None = None) -> Tensor:
    """Average precision () of statistics (N, ...), at the first so many overlaps."""
    return average_precision(
        statistics["score"],
        statistics["label"],
        statistics["hit"],
        statistics["truths"],
        thresholds,
    )


def heat_map(boxes: Tensor, classes: Tensor, is_box: Tensor, shape: torch.Size) -> Tensor:
    """Peaks (B, K, H, W) of height 1 at the centres of boxes (B, M, 4), in units of cells.

    Of their `classes` (B, M), where `is_box` (B, M). Each is a Gaussian as wide as its box asks
    (Liu et al. 2020, TTFNet, section 3.2); where several meet, the highest counts.
    """
    kinds, height, width = shape
    centre = _corner((boxes[..., :2] + boxes[..., 2:]) / 2, shape[1:]).float()
    spread = ((boxes[..., 2:] - boxes[..., :2]) * _SPREAD).clamp_min(0.3)
    across = _bell(torch.arange(width, device=boxes.device), centre[..., :1], spread[..., :1])
    down = _bell(torch.arange(height, device=boxes.device), centre[..., 1:], spread[..., 1:])

    maps = boxes.new_zeros(len(boxes), kinds, height, width)
    if not boxes.shape[1]:
        return maps
    for kind in range(kinds):
        mine = down * (is_box & (classes == kind))[..., None]
        peaks = mine[..., :, None] * across[..., None, :]  # (B, M, H, W)
        maps[:, kind] = peaks.amax(1)
    return maps


def focal_loss(logits: Tensor, truth: Tensor) -> Tensor:
    """The loss (B, K, H, W) of logits against peaks in [0, 1], both (B, K, H, W).

    Cells that a peak's foot covers are near to right, and so punished less (Zhou et al. 2019,
    equation 1, alpha 2 and beta 4).
    """
    probability = logits.sigmoid()
    centre = (1 - probability) ** 2 * -F.logsigmoid(logits)
    elsewhere = (1 - truth) ** 4 * probability**2 * -F.logsigmoid(-logits)
    return torch.where(truth == 1, centre, elsewhere)


def _bell(x: Tensor, centre: Tensor, spread: Tensor) -> Tensor:
    """A Gaussian (B, M, X) of height 1 over `x` (X,), around centres (B, M, 1)."""
    return (-((x - centre) ** 2) / (2 * spread**2)).exp()


def _corner(centre: Tensor, size: torch.Size) -> Tensor:
    """The cell (..., 2) of a centre (..., 2), column and row, of a map of `size` (H, W)."""
    last = torch.tensor([size[1] - 1, size[0] - 1], device=centre.device)
    return centre.long().clamp_min(0).minimum(last)


def _is_there(boxes: Tensor, length: Tensor) -> Tensor:
    """Which of the boxes (B, M, 4) are no padding, by their number (B,): (B, M)."""
    return torch.arange(boxes.shape[1], device=boxes.device) < length[:, None]


def _padded(detections: Tensor) -> Tensor:
    """Detections (B, D, 6) with empty slots up to a hundred."""
    rest = detections.new_zeros(len(detections), MOST - detections.shape[1], 6)
    return torch.cat([detections, _empty(rest)], 1)


def _empty(like: Tensor) -> Tensor:
    """Empty slots in the form of detections (B, D, 6)."""
    return like.new_tensor([0.0, 0.0, 0.0, 0.0, 0.0, NOTHING]).expand_as(like)


def _curve(statistics: Statistics) -> list[float]:
    """Precision at 101 recalls at an overlap of 0.5, of all classes together."""
    score = statistics["score"].flatten()
    order = score.argsort(descending=True, stable=True)
    order = order[score[order] > 0]
    hit = statistics["hit"][..., :1].flatten(0, 1)[order]
    precision, recall = precision_recall(hit, max(1, int(statistics["truths"].sum())))
    reached = torch.linspace(0, 1, _POINTS, dtype=torch.float64)
    first = torch.searchsorted(recall[:, 0].contiguous(), reached)
    values = torch.cat([precision[:, 0], precision.new_zeros(1)])
    curve: list[float] = values[first].tolist()
    return curve
