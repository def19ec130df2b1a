"""Samples with the targets of others: what a network still predicts of these, it knows otherwise.

Letters: N samples of train and validation together, M samples of a split, B of a batch.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from goodfit.contract import Batch, DataSpec
from goodfit.data import digests
from goodfit.errors import UserError, nearest
from goodfit.store.arrays import Packed
from goodfit.store.manifest import RAW_ROW
from goodfit.store.mapped import read_arrays

SAMPLE = "sample"  # the unit of which every sample with equal inputs is one
_SPLITS = ("train", "validation")
Array = np.ndarray[Any, Any]


class Relabelled(Packed):
    """A split whose sample i has the targets of sample `donors[i]` (M,) of train."""

    def __init__(self, folder: Path, split: str, donors: Tensor) -> None:
        super().__init__(folder, split)
        self._train = Packed(folder, "train").only([])
        self.donors = donors

    def batch(self, rows: Tensor, weight: float = 1.0, *, pin: bool = False) -> Batch:
        """The samples at `rows` (B,) with the targets of their donors."""
        given = self._train.batch(self.donors[rows]).targets
        return super().batch(rows, weight, pin=pin)._replace(targets=given)


def units(folder: Path, by: str) -> dict[str, Array]:
    """The unit (M,) of each sample of train and validation, of one numbering for both.

    Samples of a unit get the same targets: `by` "sample" those with equal inputs, by a column of
    the readable rows those with the same value.

    Raises:
        UserError: no column has that name.
    """
    spec = DataSpec.read(folder / "spec.json")
    of_split = [_keys(folder / split, spec, by) for split in _SPLITS]
    number = pd.factorize(np.concatenate(of_split))[0]
    first = len(of_split[0])
    return {"train": number[:first], "validation": number[first:]}


def drawn(of_split: Mapping[str, Array], seed: int) -> dict[str, Tensor]:
    """A donor (M,) for each sample of both splits: a row of train, drawn anew for each unit."""
    count = 1 + max(int(numbers.max()) for numbers in of_split.values())
    random = np.random.default_rng(seed)
    donor = random.integers(0, len(of_split["train"]), count)
    return {split: torch.from_numpy(donor[numbers]) for split, numbers in of_split.items()}


def _keys(folder: Path, spec: DataSpec, by: str) -> Array:
    """What is equal for samples (M,) of a unit."""
    if by == SAMPLE:
        return np.array(_contents(folder, spec), object)
    rows = pd.read_parquet(folder / "rows.parquet")
    if by not in rows.columns:
        columns = [name for name in rows.columns if name != RAW_ROW]
        raise UserError(f"the rows have no column '{by}'.{nearest(by, columns)}")
    return rows[by].astype(str).to_numpy(object)


def _contents(folder: Path, spec: DataSpec) -> list[bytes]:
    """The digests (M,) of all inputs of each sample."""
    parts = []
    for values in read_arrays(folder, spec.inputs).values():
        if isinstance(values, list):  # ragged
            parts.append([digests.of_bytes(sample.tobytes()) for sample in values])
        else:
            parts.append(digests.as_list(digests.of_arrays([values])))
    return [digests.of_bytes(b"".join(of_sample)) for of_sample in zip(*parts, strict=True)]
