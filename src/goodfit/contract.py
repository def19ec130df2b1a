"""What every part agrees on: a batch, the description of the data, the seed of what is random.

Letters: B samples of a batch, T steps of the horizon, K classes; (...) is a sample's own shape.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import msgspec

from goodfit.errors import OtherVersionError
from goodfit.system.files import read_json

if TYPE_CHECKING:
    from torch import Tensor

# tokens of every vocabulary: behind the end of a text, and for a word that train lacks
PAD, UNKNOWN = 0, 1


class Batch(NamedTuple):
    """Samples on their way through a network.

    `inputs` (B, ...) are the keyword arguments of `model.forward`, `targets` (B, ...) those of
    `Task.loss`. `rows` (B,) holds each sample's row in its split, so that an error can name the
    samples it is about. `weight` makes up for unequal parts: a step that is shared by devices or
    micro-batches averages their losses, so each part counts by its samples.
    """

    inputs: dict[str, Tensor]
    targets: dict[str, Tensor]
    rows: Tensor
    weight: float = 1.0


@dataclass(frozen=True)
class Field:
    """One array of the prepared data: the shape (...) of a sample, NumPy's name of its type.

    `mean` and `std` are those of the train split.
    """

    shape: tuple[int, ...]
    dtype: str
    mean: float = 0.0
    std: float = 1.0


@dataclass(frozen=True, kw_only=True)
class DataSpec:
    """All that a network or a caller may know about the data; fitted on the train split alone.

    `prepare` writes it as spec.json, every model takes it as its first argument, and it travels
    with the weights. `data` names the class that prepared the data. `kind` is what the target
    means, and with it the network's `outputs`, the last dimension of (B, outputs):

    - "class": K, the classes that `labels` names;
    - "number": 1;
    - "series": T, the steps of the horizon.

    `vocabulary` are the words of a text's tokens, by number; its first two entries stand for `PAD`
    and `UNKNOWN`. `facts` are what else encoding, the task and the report need: a table's columns,
    a series' season, step and unit.
    """

    data: str
    kind: str
    outputs: int
    inputs: dict[str, Field]
    targets: dict[str, Field]
    labels: tuple[str, ...] = ()
    vocabulary: tuple[str, ...] = ()
    facts: dict[str, Any] = field(default_factory=dict)

    def write(self, path: Path) -> None:
        """JSON in the order of the fields: a table's columns are encoded in this order."""
        path.write_text(json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n")

    @classmethod
    def read(cls, path: Path) -> Self:
        """The inverse of `write`.

        Raises:
            UserError: the file is missing, or was cut.
            OtherVersionError: it holds what this version does not know, or lacks what it expects.
        """
        stored = read_json(path)
        try:
            spec = msgspec.convert(stored, cls)
        except msgspec.ValidationError as error:
            raise OtherVersionError(
                f"{path} is no description of data that this version can read ({error})"
            ) from None

        # what another version wrote may decide how inputs are encoded: msgspec would drop an
        # unknown key, and put a default in the place of a missing one (decision 0018)
        unknown, missing = _other_keys(stored)
        if unknown or missing:
            raise OtherVersionError(
                f"{path} is no description of data that this version can read "
                f"(unknown: {unknown}, missing: {missing})"
            )
        return spec


def _other_keys(stored: dict[str, Any]) -> tuple[list[str], list[str]]:
    """The keys of a stored `DataSpec` that this version does not know, and those that it lacks."""
    expected = {item.name for item in fields(DataSpec)}
    unknown = stored.keys() - expected
    for array in (*stored["inputs"].values(), *stored["targets"].values()):
        unknown |= array.keys() - {item.name for item in fields(Field)}
    return sorted(unknown), sorted(expected - stored.keys())


def random_key(seed: int, epoch: int, step: int | None = None, rank: int = 0) -> int:
    """The seed for all that is random in an epoch, or in one step of it on one rank.

    A function of its arguments alone, so a training that goes on after a cut draws what it would
    have drawn (decision 0013). Keys differ while an epoch has less than 1,000,003 steps, and a
    training less than 1,009 ranks.
    """
    key = seed * 1_000_003 + epoch
    if step is not None:
        key = (key * 1_000_003 + step) * 1_009 + rank
    return key % 2**63  # a tensor of int64 holds it: augmentation computes with it
