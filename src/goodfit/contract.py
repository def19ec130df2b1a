"""What every part agrees on: what a batch is, what the data are, from which number chance is drawn."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import msgspec

from goodfit.errors import UserError
from goodfit.system.files import read_json

if TYPE_CHECKING:
    from torch import Tensor


class Batch(NamedTuple):
    """Samples on their way through a network; `inputs` are the keyword arguments of
    `model.forward`.

    The first dimension of every tensor is B, the samples. `rows` holds each sample's row in its
    split, so that an error can name the samples it is about. `weight` makes up for unequal parts: a
    step that is shared by devices or micro-batches averages their losses, so each part counts by
    its samples.
    """

    inputs: dict[str, Tensor]
    target: Tensor
    rows: Tensor
    weight: float = 1.0


@dataclass(frozen=True)
class Field:
    """One array of the prepared data: shape of a single sample, NumPy type, and the train split's
    scale.
    """

    shape: tuple[int, ...]
    dtype: str
    mean: float = 0.0
    std: float = 1.0


@dataclass(frozen=True, kw_only=True)
class DataSpec:
    """Everything that a network or a caller may know about the data; fitted on the train split
    alone.

    `prepare` writes it as spec.json, every model takes it as its first argument, and it travels
    with the weights. `kind` is what the target means: "class" (outputs = number of classes,
    `labels` names them), "number" (one number a sample) or "series" (outputs = steps of the
    horizon).
    """

    data: str
    kind: str
    outputs: int
    inputs: dict[str, Field]
    target: Field
    labels: tuple[str, ...] = ()
    vocabulary: tuple[str, ...] = ()
    facts: dict[str, Any] = field(default_factory=dict)

    def write(self, path: Path) -> None:
        """JSON in the order of the fields: a table's columns are encoded in the order in which they
        stand here.
        """
        path.write_text(json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n")

    @classmethod
    def read(cls, path: Path) -> Self:
        """The inverse of `write`; raises UserError where the file holds anything else."""
        stored = read_json(path)
        try:
            spec = msgspec.convert(stored, cls)
        except msgspec.ValidationError as error:
            raise UserError(
                f"{path} is no description of data that this version can read ({error})"
            ) from None
        # what another version wrote may decide how inputs are encoded: it is not left out in
        # silence
        unknown = sorted(stored.keys() - {item.name for item in fields(cls)})
        if unknown:
            raise UserError(
                f"{path} is no description of data that this version can read (unknown: {unknown})"
            )
        return spec


def random_key(seed: int, epoch: int, step: int | None = None, rank: int = 0) -> int:
    """The seed for all that is random in an epoch, or in one step of it on one rank.

    A function of its arguments alone, so a training that goes on after a cut draws what it would
    have drawn (decision 0013). Keys differ while an epoch has less than 1,000,003 steps, and a
    training less than 1,009 ranks.
    """
    key = seed * 1_000_003 + epoch
    if step is not None:
        key = (key * 1_000_003 + step) * 1_009 + rank
    return key % 2**63
