"""The two things that every part agrees on: what a batch is, and what the data are."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from goodfit.errors import UserError
from goodfit.files import read_json

if TYPE_CHECKING:
    from torch import Tensor


class Batch(NamedTuple):
    """Samples on their way through a network; `inputs` are the keyword arguments of `model.forward`.

    The first dimension of every tensor is B, the samples. `rows` holds each sample's row in its split, so
    that an error can name the samples it is about. `weight` makes up for unequal parts: a step that is
    shared by devices or micro-batches averages their losses, so each part counts by its samples.
    """

    inputs: dict[str, Tensor]
    target: Tensor
    rows: Tensor
    weight: float = 1.0


@dataclass(frozen=True)
class Trained:
    """What a training gave: its run, the monitored validation score of the weights that were kept, and where."""

    run_id: str
    monitor: str
    score: float
    folder: Path | None


@dataclass(frozen=True)
class Field:
    """One array of the prepared data: shape of a single sample, NumPy type, and the train split's scale."""

    shape: tuple[int, ...]
    dtype: str
    mean: float = 0.0
    std: float = 1.0


@dataclass(frozen=True, kw_only=True)
class DataSpec:
    """Everything that a network or a caller may know about the data; fitted on the train split alone.

    `prepare` writes it as spec.json, every model takes it as its first argument, and it travels with the
    weights. `kind` is what the target means: "class" (outputs = number of classes, `labels` names them),
    "number" (one number a sample) or "series" (outputs = steps of the horizon).
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
        """JSON in the order of the fields: a table's columns are encoded in the order in which they stand here."""
        path.write_text(json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n")

    @classmethod
    def read(cls, path: Path) -> DataSpec:
        """The inverse of `write`; raises UserError where the file holds anything else."""
        stored = read_json(path)
        try:
            fields = {name: _field(value) for name, value in stored.pop("inputs").items()}
            labels, words = tuple(stored.pop("labels")), tuple(stored.pop("vocabulary"))
            target = _field(stored.pop("target"))
            return cls(inputs=fields, target=target, labels=labels, vocabulary=words, **stored)
        except (TypeError, KeyError, AttributeError) as error:
            raise UserError(f"{path} is no description of data that this version can read ({error!r})") from None


def _field(stored: dict[str, Any]) -> Field:
    return Field(**{**stored, "shape": tuple(stored["shape"])})
