"""What one knows without looking at a sample; a network that is worse has learned nothing."""

from __future__ import annotations

import numpy as np

from goodfit.baseline.base import Array, Split
from goodfit.contract import DataSpec


def trivial(train: Split, test: Split, spec: DataSpec) -> dict[str, Array]:
    """Name and predictions of each trivial forecast for this kind of target."""
    if spec.kind == "class":
        shares = np.bincount(train.target, minlength=spec.outputs) / len(train.target)
        return {"majority class": np.tile(shares, (len(test.target), 1))}
    if spec.kind == "number":
        return {"mean of train": np.full(len(test.target), train.target.mean())}
    past = test.inputs["past"].reshape(len(test.target), -1)
    season = int(spec.facts["season"])
    steps = np.arange(spec.outputs) % season - season  # the same phase of the last whole season
    return {
        "last value": np.repeat(past[:, -1:], spec.outputs, axis=1),
        "seasonal naive": past[:, past.shape[1] + steps],
    }
