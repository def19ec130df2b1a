"""example.parquet: three rows as a caller would send them, for the registry and its signature.

A caller's images come as lists in lists, and so must these, whatever Parquet makes of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from goodfit.contract import DataSpec
from goodfit.data.base import DataSet, arrays_as_lists
from goodfit.errors import UserError

_FILE = "example.parquet"


def write(data: DataSet, loaded: pd.DataFrame, spec: DataSpec, folder: Path) -> None:
    """Writes the example, and checks that it encodes as the loaded rows do that it was made of.

    What evaluate and register would stumble over after a whole training is found here.

    Raises:
        UserError: it does not, or it cannot be written or encoded.
    """
    name = type(data).__name__
    try:
        data.example(loaded).to_parquet(folder / _FILE, index=False)
        encoded = data.encode(data.received(read(folder), spec), spec)
    except Exception as error:  # whatever the code of a data set, pandas or Arrow raises
        cause = " ".join(str(error).split())[:200]
        raise UserError(
            f"the rows of {name}.example do not come back from a file as a caller would send them: "
            f"{type(error).__name__}: {cause}"
        ) from None

    for field, samples in data.encode(data.first(loaded), spec).items():
        if not _are_equal(samples, encoded[field]):
            raise UserError(
                f"{name}.encode makes another '{field}' of the rows that {name}.example gives than "
                "of those that `load` gave; a served model would answer for other inputs"
            )


def read(folder: Path) -> pd.DataFrame:
    """The example rows of a prepared folder, with lists in lists where a cell is an array."""
    return read_rows(folder / _FILE)


def read_rows(path: Path) -> pd.DataFrame:
    """The rows of a Parquet file; Arrow gives a cell of several dimensions as arrays in arrays."""
    return arrays_as_lists(pd.read_parquet(path))


def _are_equal(first: Iterable[np.ndarray], second: Iterable[np.ndarray]) -> bool:
    pairs = zip(first, second, strict=True)
    return all(np.array_equal(one, other, equal_nan=True) for one, other in pairs)
