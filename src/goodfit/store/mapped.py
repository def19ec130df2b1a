"""The arrays of a split as NumPy maps them, for whoever computes without a network.

Letters: N samples of the split.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from goodfit.contract import SAMPLE_WEIGHT, DataSpec, Field
from goodfit.store.manifest import OFFSETS, WEIGHTS


def read_arrays(folder: Path, fields: Mapping[str, Field]) -> dict[str, Any]:
    """The arrays of a split's folder as NumPy maps them: (N, ...), or N of them where ragged."""
    arrays: dict[str, Any] = {}
    for name, field in fields.items():
        values = np.load(folder / f"{name}.npy", mmap_mode="r")
        if field.is_ragged:
            offsets = np.load(folder / f"{name}{OFFSETS}.npy")
            # behind the last one lies padding
            values = np.split(values, offsets[1:])[:-1]
        arrays[name] = values
    return arrays


def read_targets(folder: Path, spec: DataSpec) -> dict[str, Any]:
    """The targets of a split's folder as `read_arrays` gives them, and beside them the weights.

    (N,) by the name of `SAMPLE_WEIGHT`, where samples do not count alike.
    """
    targets = read_arrays(folder, spec.targets)
    if spec.weighed_by:
        targets[SAMPLE_WEIGHT] = np.load(folder / f"{WEIGHTS}.npy")
    return targets
