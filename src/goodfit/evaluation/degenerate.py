"""Networks that answer every test sample alike, whatever it is.

Letters: N test samples.
"""

from __future__ import annotations

from typing import NamedTuple

import torch

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
    task, count = predictor.task, len(test)
    if count < 2:
        return None
    some = torch.linspace(0, count - 1, min(count, _LOOKED_AT)).long()
    if task.same_answer(predictor.predict_packed(test, some)) is None:
        return None

    rows = torch.arange(count)
    parts = torch.split(rows, BATCH)
    predictions = torch.cat([predictor.predict_packed(test, part) for part in parts])
    answer = task.same_answer(predictions)
    if answer is None:
        return None
    order = torch.randperm(count, generator=torch.Generator().manual_seed(0))
    statistics = task.statistics(predictions[order], **test.batch(rows).targets)
    statistics = with_weight(statistics, test.sample_weight)
    return Degenerate(f"it answers {answer} for every test sample", statistics)
