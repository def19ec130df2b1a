"""Networks that answer every test sample alike, whatever it is.

Letters: N test samples.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from goodfit.predictor import BATCH, Predictor
from goodfit.store.arrays import Packed
from goodfit.task.scores import Statistics, with_weight

SHUFFLED = "own answers, shuffled"  # a trivial baseline
_LOOKED_AT = 64  # samples, before all are asked: to write a text takes long


class Degenerate(NamedTuple):
    """A sentence on the network, and the statistics (N, ...) of its answers to other samples.

    By a score that these do not lower, the network tells nothing about a sample.
    """

    text: str
    shuffled: Statistics


def degenerate(predictor: Predictor, test: Packed) -> Degenerate | None:
    """What is wrong with a network that answers all samples of `test` alike; None otherwise."""
    answer = same_answer(predictor, test)
    if answer is None:
        return None
    task, rows = predictor.task, torch.arange(len(test))
    predictions = _predictions(predictor, test)
    order = torch.randperm(len(test), generator=torch.Generator().manual_seed(0))
    statistics = task.statistics(predictions[order], **test.batch(rows).targets)
    statistics = with_weight(statistics, test.sample_weight)
    return Degenerate(f"it answers {answer} for every test sample", statistics)


def same_answer(predictor: Predictor, split: Packed) -> str | None:
    """What the network says of each sample of a split; None where its answers differ."""
    task, count = predictor.task, len(split)
    if count < 2:
        return None
    some = torch.linspace(0, count - 1, min(count, _LOOKED_AT)).long()
    if task.same_answer(predictor.predict_packed(split, some)) is None:
        return None
    return task.same_answer(_predictions(predictor, split))


def _predictions(predictor: Predictor, split: Packed) -> Tensor:
    """The predictions (N, ...) for a whole split."""
    parts = torch.split(torch.arange(len(split)), BATCH)
    return torch.cat([predictor.predict_packed(split, part) for part in parts])
