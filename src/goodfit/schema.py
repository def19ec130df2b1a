"""The ranges that a hyperparameter may take, as annotations.

`def __init__(self, spec, *, width: Count, dropout: Fraction)` is enough: `config/check.py` reads
the annotation from the source text, without importing torch, and refuses `model.dropout=2` with one
line.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictFloat, StrictInt

# strict: else pydantic would take true for 1, and "3" for 3

# more than any count here, and small enough for every library behind it
_LARGEST = 2**31 - 1

Count = Annotated[StrictInt, Field(ge=1, le=_LARGEST)]
Whole = Annotated[StrictInt, Field(ge=0, le=_LARGEST)]
Real = Annotated[StrictFloat, Field(allow_inf_nan=False)]
Fraction = Annotated[StrictFloat, Field(ge=0, lt=1)]
Rate = Annotated[StrictFloat, Field(gt=0, allow_inf_nan=False)]
Amount = Annotated[StrictFloat, Field(ge=0, allow_inf_nan=False)]
Flag = StrictBool
# of folders and of a registered model
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$")]


class Source(BaseModel):
    """One raw file, inside a package on a registry or at the paths and URLs that a user names."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    file: str
    sha256: str | None
    package: str | None = None
    mirrors: tuple[str, ...] = ()


# all that an annotation of a hyperparameter may name: config/check.py evaluates it with these
__all__ = [
    "Amount",
    "Count",
    "Flag",
    "Fraction",
    "Literal",
    "Name",
    "Rate",
    "Real",
    "Source",
    "Whole",
]
