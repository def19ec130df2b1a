"""What every part agrees on: a batch, the description of the data, the seed of what is random.

Letters: B samples of a batch, L elements of the longest of them, T steps of the horizon, K classes;
(...) is a sample's own shape.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import msgspec

from goodfit.errors import OtherVersionError, UserError
from goodfit.system.files import read_json

if TYPE_CHECKING:
    from torch import Tensor

END = 2  # the last token of every text that a network reads or writes
# tokens of every vocabulary: behind the end of a text, and for a word that train lacks
PAD, UNKNOWN = 0, 1
LENGTH = "_length"  # ends the name under which a batch holds the lengths of a ragged field
# in a batch instead of all inputs: what is below a head that alone is trained gives for them
FEATURES = "_features"
ASSETS = "assets"  # the folder of a spec's files, beside spec.json
# how much each sample counts, (N,): so it is called beside targets and among statistics, which lack
# it where all samples count alike (decision 0039)
SAMPLE_WEIGHT = "sample_weight"


class Batch(NamedTuple):
    """Samples on their way through a network.

    `inputs` (B, ...) are the keyword arguments of `model.forward`, `targets` (B, ...) those of
    `Task.loss`. What is ragged is padded to the longest of the batch, (B, L, ...), and beside it
    stands `<name>_length` (B,). `rows` (B,) holds each sample's row in its split, so that an error
    can name the samples it is about. `weight` makes up for unequal parts: a step that is shared by
    devices or micro-batches averages their losses, so each part counts by its units.
    `sample_weight` (B,) is how much each sample counts; None where all count alike. `partner` (B)
    are the samples that these may be mixed with, of the same step, but maybe of another part of it.
    """

    inputs: dict[str, Tensor]
    targets: dict[str, Tensor]
    rows: Tensor
    weight: float = 1.0
    sample_weight: Tensor | None = None
    partner: Batch | None = None


@dataclass(frozen=True)
class Field:
    """One array of the prepared data: the shape (...) of a sample, NumPy's name of its type.

    Where the first dimension is None, samples are ragged: of different lengths there. A batch pads
    them with `fill`; `longest` is the length of the longest in train, and sizes what a network
    learns for each position. `mean` and `std` are those of train, one number or one for each
    channel, the first dimension. `labels` name the classes of a target, `vocabulary` the tokens of
    an input, by number.
    """

    shape: tuple[int | None, ...]
    dtype: str
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    fill: float = 0.0
    longest: int = 0
    labels: tuple[str, ...] = ()
    vocabulary: tuple[str, ...] = ()

    @property
    def is_ragged(self) -> bool:
        """Whether samples have lengths of their own."""
        return self.shape[:1] == (None,)

    @property
    def fixed_shape(self) -> tuple[int, ...]:
        """The shape of every sample.

        Raises:
            UserError: samples are ragged, and a network or a baseline wants them alike.
        """
        if self.is_ragged:
            raise UserError(f"samples of shape {self.shape} differ in length; expected one shape")
        return self.sized(0)

    def sized(self, length: int) -> tuple[int, ...]:
        """The shape of a sample, of `length` elements where it is ragged."""
        return tuple(length if size is None else size for size in self.shape)


@dataclass(frozen=True, kw_only=True)
class DataSpec:
    """All that a network or a caller may know about the data; fitted on the train split alone.

    `prepare` writes it as spec.json, every model takes it as its first argument, and it travels
    with the weights. `data` names the class that prepared the data. `kind` is what the target
    means, and with it the network's `outputs`, the last dimension of (B, outputs):

    - "class": K, the classes that the target's `labels` name, and "ordered" from the lowest on;
    - "labels": K, of which several may hold; "numbers": T;
    - "number", "count": 1;
    - "series": T, the steps of the horizon.

    `facts` are what else encoding, the task and the report need: a table's columns, a series'
    season, step and unit, the column that weighs samples. `assets` are files of the preprocessing
    by name, such as a tokenizer's: they lie in a folder beside spec.json, which holds their hashes.
    """

    data: str
    kind: str
    outputs: int
    inputs: dict[str, Field]
    targets: dict[str, Field]
    facts: dict[str, Any] = field(default_factory=dict)
    assets: dict[str, bytes] = field(default_factory=dict)

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of the classes, by number; none where no target is a class."""
        return next((target.labels for target in self.targets.values() if target.labels), ())

    @property
    def weighed_by(self) -> str | None:
        """The column that says how much each sample counts; None where all count alike."""
        name: str | None = self.facts.get("weight")
        return name

    def arguments(self, fields: Mapping[str, Field]) -> tuple[str, ...]:
        """What a batch holds of `fields`, by name: them, and the lengths of what is ragged."""
        names: list[str] = []
        for name, array in fields.items():
            names += [name, f"{name}{LENGTH}"] if array.is_ragged else [name]
        return tuple(names)

    def write(self, path: Path) -> None:
        """JSON in the order of the fields: a table's columns are encoded in this order.

        Assets go to a folder beside it.
        """
        hashes = {name: _sha256(asset) for name, asset in self.assets.items()}
        content = asdict(self) | {"assets": hashes}
        for name, asset in self.assets.items():
            (path.parent / ASSETS).mkdir(exist_ok=True)
            (path.parent / ASSETS / name).write_bytes(asset)
        path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")

    @classmethod
    def read(cls, path: Path) -> Self:
        """The inverse of `write`.

        Raises:
            UserError: the file or an asset is missing, was cut or changed.
            OtherVersionError: it holds what this version does not know, or lacks what it expects.
        """
        stored = read_json(path)
        try:
            hashes = msgspec.convert(stored.get("assets"), dict[str, str])
            spec = msgspec.convert(stored | {"assets": {}}, cls)
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
        assets = {name: _read_asset(path.parent, name, hashes[name]) for name in hashes}
        return replace(spec, assets=assets)


def _read_asset(folder: Path, name: str, expected: str) -> bytes:
    """The content of an asset, which is what was written: with another one, tokens mean others."""
    path = folder / ASSETS / name
    # a spec may come with a stranger's model: its names stay in the folder
    if Path(name).name != name or not path.is_file():
        raise UserError(f"{path} is missing, though {folder / 'spec.json'} names it")
    content = path.read_bytes()
    if _sha256(content) != expected:
        raise UserError(f"{path} fails its checksum: it is not what prepare wrote")
    return content


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


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
