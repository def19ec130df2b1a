"""The split of each row of a table as a file beside it says, joined by a column that both have.

Letters: N rows of the table.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from goodfit.data import table_files
from goodfit.data.faults import shown
from goodfit.errors import UserError, nearest

_SPLIT = "split"  # the column that has the split
_NAMED = 5  # values in a message


def by_file(file: str, keys: pd.Series[Any], path: Path) -> pd.Series[Any]:
    """What the file at `path` says beside each of the `keys` (N,), the texts of a column of `file`.

    Raises:
        UserError: it is no table with both columns, or not each key stands once in both files.
    """
    name = str(keys.name)
    wanted = table_files.Wanted((), {name, _SPLIT}, drops=False)
    cells = table_files.cells(path, option="", wanted=wanted)
    for column in (name, _SPLIT):
        if column not in cells:
            raise UserError(
                f"{path.name} lacks column '{column}'; expected '{name}', as in {file}, and "
                f"'{_SPLIT}' beside it.{nearest(column, list(map(str, cells)))}"
            )
    given = cells[name]
    for owner, values in ((file, keys), (path.name, given)):
        _refuse(values[values.duplicated()], f"{owner}, column '{name}': in more than one row", "")
    lacking = f"{path.name}, column '{name}': not there, though {file} has"
    _refuse(keys[~keys.isin(given)], lacking, "; each row takes a split")
    unknown = f"{path.name}, column '{name}': no row of {file} has"
    _refuse(given[~given.isin(keys)], unknown, "; are these the rows that were split?")
    return keys.map(dict(zip(given, cells[_SPLIT], strict=True)))


def _refuse(values: pd.Series[Any], what: str, advice: str) -> None:
    """Nothing where there are no values.

    Raises:
        UserError: there are some; the first are named.
    """
    different = values.unique()
    if not len(different):
        return
    named = ", ".join(map(shown, different[:_NAMED]))
    more = f", ... ({len(different):,} of them)" if len(different) > _NAMED else ""
    raise UserError(f"{what} {named}{more}{advice}")
