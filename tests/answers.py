"""Predictions of known quality for each kind of target: what the contract of tasks is tested with.

Letters: N samples, K classes, T steps or tokens, V tokens of the vocabulary, M boxes of an image, O
numbers of a cell, H height and W width of a map.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor

from goodfit.contract import END, PAD, DataSpec
from goodfit.store.arrays import Packed
from goodfit.store.mapped import read_arrays
from goodfit.system import tokenizer
from goodfit.task.base import Task

Targets = dict[str, Tensor]
_CELL = 4  # pixels: a map has a quarter of the resolution
_SLOTS = 100  # detections of an image
_NOTHING = -1.0  # the class of a slot without a detection


class Answers(Protocol):
    """What a kind of target has in place of the truth, and of what a network says of it."""

    def spoiled(self, task: Task, targets: Targets, share: float) -> Tensor:
        """Predictions (N, ...): the truth mixed with a share of what is as wrong as can be."""

    def output(self, task: Task, targets: Targets, share: float, sure: float = 4.0) -> Tensor:
        """What a network gives, (N, ...), that predicts this; logits are as large as `sure`."""

    def readable(self, task: Task, targets: Targets) -> pd.DataFrame:
        """The truth as `decode` should write it."""

    def check(self, task: Task, prediction: np.ndarray[Any, Any], samples: int) -> None:
        """A prediction has the form of `Task.predict`, and holds possible values."""


class _Class:
    """Probabilities (N, K) of `target` (N,)."""

    def spoiled(self, task: Task, targets: Targets, share: float) -> Tensor:
        right = F.one_hot(targets["target"], task.spec.outputs).float()
        return (1 - share) * right + share * right.roll(1, -1)

    def output(self, task: Task, targets: Targets, share: float, sure: float = 4.0) -> Tensor:
        return sure * self.spoiled(task, targets, share)

    def readable(self, task: Task, targets: Targets) -> pd.DataFrame:
        return pd.DataFrame(
            {"label": [task.spec.labels[code] for code in targets["target"].tolist()]}
        )

    def check(self, task: Task, prediction: np.ndarray[Any, Any], samples: int) -> None:
        assert prediction.shape == (samples, task.spec.outputs)
        assert prediction.min() >= 0, "negative probabilities"
        assert np.allclose(prediction.sum(1), 1.0, rtol=1e-6), "rows do not sum to one"


class _Ordered(_Class):
    """Probabilities (N, K) of `target` (N,), by logits (N, K - 1) of being more than each class."""

    def output(self, task: Task, targets: Targets, share: float, sure: float = 4.0) -> Tensor:
        at_least = 1 - self.spoiled(task, targets, share).cumsum(1)  # of the next class
        before = F.pad(at_least[:, :-2], (1, 0), value=1.0)
        more = at_least[:, :-1] / before
        return torch.where(before > 0, more, 0.5).logit().clamp(-sure, sure)


class _Numbers:
    """Numbers (N,) or series (N, T), or several numbers that are to be the same one."""

    def spoiled(self, task: Task, targets: Targets, share: float) -> Tensor:
        target = targets["target"]
        form = self._form(task)
        right = target.clone()
        if len(form) == target.ndim:
            right = target.unsqueeze(-1).repeat(1, *form)
        far = 10 * task.spec.targets["target"].std[0] * right.flip(0).sign()
        return (1 - share) * right + share * (right + far)

    def output(self, task: Task, targets: Targets, share: float, sure: float = 4.0) -> Tensor:
        field = task.spec.targets["target"]
        numbers = self.spoiled(task, targets, share)
        return ((numbers - field.mean[0]) / field.std[0]).reshape(len(numbers), -1)

    def readable(self, task: Task, targets: Targets) -> pd.DataFrame:
        return pd.DataFrame(
            self.spoiled(task, targets, 0.0).reshape(len(targets["target"]), -1).numpy()
        )

    def check(self, task: Task, prediction: np.ndarray[Any, Any], samples: int) -> None:
        assert prediction.shape == (samples, *self._form(task))

    def _form(self, task: Task) -> tuple[int, ...]:
        """The shape (...) of a sample's prediction."""
        ones = {}
        for key in task.inputs:
            field = task.spec.inputs[key]
            ones[key] = torch.ones(2, *field.fixed_shape, dtype=getattr(torch, field.dtype))
        with torch.no_grad():
            return tuple(task.infer(ones).shape[1:])


class _Counts(_Numbers):
    """Expected counts (N,): a spoiled one is larger by ten deviations."""

    def spoiled(self, task: Task, targets: Targets, share: float) -> Tensor:
        right = targets["target"].clone()
        return right + share * 10 * task.spec.targets["target"].std[0]

    def output(self, task: Task, targets: Targets, share: float, sure: float = 4.0) -> Tensor:
        mean = task.spec.targets["target"].mean[0]
        return (self.spoiled(task, targets, share).clamp_min(1e-6) / mean).log().unsqueeze(1)


class _Labels:
    """Probabilities (N, K) of labels that hold, ones of `target` (N, K)."""

    def spoiled(self, task: Task, targets: Targets, share: float) -> Tensor:
        right = targets["target"]
        return (1 - share) * right + share * (1 - right)

    def output(self, task: Task, targets: Targets, share: float, sure: float = 4.0) -> Tensor:
        return sure * (2 * self.spoiled(task, targets, share) - 1)

    def readable(self, task: Task, targets: Targets) -> pd.DataFrame:
        held = [np.flatnonzero(row).tolist() for row in targets["target"].numpy()]
        names = ["; ".join(task.spec.labels[code] for code in codes) for codes in held]
        return pd.DataFrame({"label": [name or "(none)" for name in names]})

    def check(self, task: Task, prediction: np.ndarray[Any, Any], samples: int) -> None:
        assert prediction.shape == (samples, task.spec.outputs)
        assert prediction.min() >= 0
        assert prediction.max() <= 1


class _Several:
    """Numbers (N, T) of `target` (N, T), each with a deviation of its own."""

    def spoiled(self, task: Task, targets: Targets, share: float) -> Tensor:
        right = targets["target"]
        return right + share * 10 * right.new_tensor(task.spec.targets["target"].std)

    def output(self, task: Task, targets: Targets, share: float, sure: float = 4.0) -> Tensor:
        field, numbers = task.spec.targets["target"], self.spoiled(task, targets, share)
        return (numbers - numbers.new_tensor(field.mean)) / numbers.new_tensor(field.std)

    def readable(self, task: Task, targets: Targets) -> pd.DataFrame:
        return pd.DataFrame(targets["target"].numpy())

    def check(self, task: Task, prediction: np.ndarray[Any, Any], samples: int) -> None:
        assert prediction.shape == (samples, task.spec.outputs)


class _Text:
    """Tokens (N, T); of every ten texts a share is replaced, token by token."""

    def spoiled(self, task: Task, targets: Targets, share: float) -> Tensor:
        text = targets["text"]
        wrong = torch.where(text > END, END + 1 + text % (task.spec.outputs - END - 1), text)
        is_wrong = torch.arange(len(text)) % 10 < round(10 * share)
        return torch.where(is_wrong[:, None], wrong, text)

    def output(self, task: Task, targets: Targets, share: float, sure: float = 4.0) -> Tensor:
        return sure * F.one_hot(self.spoiled(task, targets, share), task.spec.outputs).float()

    def readable(self, task: Task, targets: Targets) -> pd.DataFrame:
        made = tokenizer.load(task.spec.assets["tokenizer.json"])
        pairs = zip(targets["text"].tolist(), targets["text_length"].tolist(), strict=True)
        return pd.DataFrame({"text": [made.decode(text[: length - 1]) for text, length in pairs]})

    def check(self, task: Task, prediction: np.ndarray[Any, Any], samples: int) -> None:
        assert prediction.ndim == 2
        assert len(prediction) == samples
        assert np.issubdtype(prediction.dtype, np.integer)
        assert prediction.min() >= 0
        assert prediction.max() < task.spec.outputs
        for text in prediction.tolist():
            behind = text[text.index(END) :] if END in text else [END]
            assert set(behind) <= {END, PAD}, "tokens behind the end"


class _Boxes:
    """Detections (N, 100, 6) of boxes that lie to the right by a share of their width."""

    def spoiled(self, task: Task, targets: Targets, share: float) -> Tensor:
        boxes, classes = self._moved(targets, share), targets["classes"]
        slots = torch.zeros(len(boxes), _SLOTS, 6)
        slots[..., 5] = _NOTHING
        for row, length in enumerate(targets["boxes_length"].tolist()):
            slots[row, :length, :4] = boxes[row, :length]
            slots[row, :length, 4] = 1.0
            slots[row, :length, 5] = classes[row, :length].float()
        return slots

    def output(self, task: Task, targets: Targets, share: float, sure: float = 4.0) -> Tensor:
        _, height, width = task.spec.inputs["image"].fixed_shape
        labels, side = len(task.spec.labels), float(task.spec.facts["box_side"])
        boxes = self._moved(targets, share)
        map_ = torch.zeros(len(boxes), labels + 4, height // _CELL, width // _CELL)
        map_[:, :labels] = -sure
        for row, length in enumerate(targets["boxes_length"].tolist()):
            for box, code in zip(boxes[row, :length], targets["classes"][row], strict=False):
                centre = (box[:2] + box[2:]) / 2 / _CELL
                column = min(int(centre[0]), width // _CELL - 1)
                line = min(int(centre[1]), height // _CELL - 1)
                offset = centre - torch.tensor([column, line])
                map_[row, int(code), line, column] = sure
                size = ((box[2:] - box[:2]) / side).log()
                map_[row, labels:, line, column] = torch.cat([offset, size])
        return map_

    def readable(self, task: Task, targets: Targets) -> pd.DataFrame:
        rows = []
        for row, length in enumerate(targets["boxes_length"].tolist()):
            codes = targets["classes"][row, :length].tolist()
            labels = [task.spec.labels[code] for code in codes]
            rows.append([labels, [1.0] * length, *targets["boxes"][row, :length].T.tolist()])
        return pd.DataFrame(rows, columns=["label", "score", "x1", "y1", "x2", "y2"])

    def check(self, task: Task, prediction: np.ndarray[Any, Any], samples: int) -> None:
        assert prediction.shape == (samples, _SLOTS, 6)
        is_there = prediction[..., 5] != _NOTHING
        assert set(prediction[is_there][:, 5]) <= set(range(len(task.spec.labels)))
        assert (prediction[is_there][:, 2:4] >= prediction[is_there][:, :2]).all()
        assert (prediction[is_there][:, 4] > 0).all()
        assert not prediction[~is_there][:, :5].any()

    def _moved(self, targets: Targets, share: float) -> Tensor:
        boxes = targets["boxes"]
        width = boxes[..., 2] - boxes[..., 0]
        shift = torch.stack([width, torch.zeros_like(width)] * 2, -1)
        return boxes + share * shift


_KINDS: dict[str, Answers] = {
    "class": _Class(),
    "number": _Numbers(),
    "series": _Numbers(),
    "text": _Text(),
    "boxes": _Boxes(),
    "count": _Counts(),
    "ordered": _Ordered(),
    "labels": _Labels(),
    "numbers": _Several(),
}


def of(task: Task) -> Answers:
    """What a task's kind of target has in place of the truth."""
    return _KINDS[task.spec.kind]


def perfect(task: Task, targets: Targets) -> Tensor:
    """The prediction (N, ...) that says the truth."""
    return of(task).spoiled(task, targets, 0.0)


def targets_of(folder: Path, rows: Tensor | None = None) -> Targets:
    """The targets of train at `rows`, padded to the longest of them; of all samples by default."""
    train = Packed(folder, "train").only([])
    return train.batch(torch.arange(len(train)) if rows is None else rows).targets


def arrays_of(folder: Path, what: str) -> dict[str, Any]:
    """The inputs or targets of train, in memory that nobody may write to, as evaluate has them."""
    return read_arrays(folder / "train", getattr(DataSpec.read(folder / "spec.json"), what))


def count(targets: Targets) -> int:
    """The number of samples."""
    return len(next(iter(targets.values())))


def at(targets: Targets, rows: Any) -> Targets:
    """The targets at one row, or at some."""
    return {name: values[rows] for name, values in targets.items()}


def spoiled(task: Task, targets: Targets, share: float) -> Tensor:
    """The truth mixed with what is as wrong as can be."""
    return of(task).spoiled(task, targets, share)


def tensor(values: np.ndarray[Any, Any]) -> Tensor:
    """Predictions (N, ...) of a method without torch: whole numbers stay so."""
    if np.issubdtype(values.dtype, np.integer):
        return torch.from_numpy(values)
    return torch.from_numpy(np.asarray(values, np.float32))


def longer(task: Task, arrays: Targets, by: int = 3) -> Targets:
    """The inputs or targets of a batch, whose ragged ones are padded by so many elements more."""
    fields = task.spec.inputs | task.spec.targets
    padded = dict(arrays)
    for name, values in arrays.items():
        if name in fields and fields[name].is_ragged:
            more = values.new_full((len(values), by, *values.shape[2:]), fields[name].fill)
            padded[name] = torch.cat([values, more], 1)
    return padded


def as_long(task: Task, output: Tensor, targets: Targets) -> Tensor:
    """Outputs (N, ...); of sequences (N, T, V) as many places as a batch of targets (N, T) has."""
    if task.output_form != "sequence":
        return output
    length = next(iter(targets.values())).shape[1]
    missing = length - output.shape[1]
    return F.pad(output, (0, 0, 0, missing)) if missing > 0 else output[:, :length]
