"""Files of anybody's for the tests of `goodfit.data.table`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from goodfit.data.table import Table
from goodfit.errors import UserError
from goodfit.schema import Source

ROWS = 60  # of `lines`


def lines(cells: str, *, header: str, separator: str = ",") -> str:
    """A file of 60 rows; in `cells` are {row}, {seven} and {label} of each."""
    rows = [header]
    for row in range(ROWS):
        label = ["yes", "no", "no"][row % 3]
        rows.append(cells.format(row=row, seven=row % 7, label=label))
    return "\n".join(rows).replace("|", separator) + "\n"


def table(cls: type[Table] = Table, **options: Any) -> Table:
    defaults: dict[str, Any] = {
        "sources": {"table": Source(file="t.csv", sha256=None)},
        "label": "y",
        "kind": "class",
        "order": [],
        "columns": {},
        "drop": [],
        "missing": "impute",
        "missing_in": {},
        "na_values": {},
        "equal_rows": "together",
        "alike_labels": "refuse",
        **dict.fromkeys(
            ("separator", "sheet", "encoding", "group", "time", "gap", "assigned", "weight")
        ),
        "test": 0.25,
        "validation": 0.25,
        "split_seed": 0,
    }
    return cls(**defaults | options)


def read(tmp_path: Path, text: str, **options: Any) -> pd.DataFrame:
    path = tmp_path / "t.csv"
    path.write_text(text)
    return table(**options).read({"table": path})


def refused(tmp_path: Path, text: str, **options: Any) -> str:
    with pytest.raises(UserError) as error:
        read(tmp_path, text, **options)
    return str(error.value)
