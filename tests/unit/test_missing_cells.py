"""Cells that are missing: refused by column, counted by split."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from made_tables import read, refused, table

from goodfit.data.table import Table
from goodfit.errors import UserError
from goodfit.store.prepare import prepare


@pytest.mark.fault(32)
def test_missing_cells_can_be_refused_in_one_column_and_taken_in_another(tmp_path: Path) -> None:
    text = "a,b,y\n1,,no\nNA,2,yes\n3,4,yes\n"
    assert refused(tmp_path, text, missing_in={"a": "refuse"}).splitlines() == [
        "t.csv: 1 cell cannot be used; mend or drop them, or data.missing_in.a=impute:",
        "  row 3  column a  'NA' is missing",
    ]
    rows = read(tmp_path, text.replace("NA", "2"), missing="refuse", missing_in={"b": "impute"})
    spec = table().fit(rows)
    assert {name: facts["missing"] for name, facts in spec.facts["columns"].items()} == {
        "a": False,
        "b": True,
    }
    # a model in use asks for the same
    with pytest.raises(UserError, match="row 1  column a  is missing; in training none was"):
        Table.encode(pd.DataFrame({"a": ["NA"], "b": ["?"]}), spec)
    said = refused(tmp_path, text, missing_in={"y": "refuse"})
    assert said == "data.missing_in names 'y', which is the target"


def test_the_manifest_counts_missing_cells_by_split_of_columns_that_lack_any(
    tmp_path: Path,
) -> None:
    folds = ["train", "validation", "test"]
    rows = [
        f"{'?' if row % 3 == 2 else row},{row},{'' if row < 9 else 'Ulm'},{folds[row % 3]},"
        f"{['no', 'yes'][row % 2]}"
        for row in range(18)
    ]
    (tmp_path / "t.csv").write_text("\n".join(["a,b,town,fold,y", *rows]))
    made = table(assigned="fold", columns={"b": "number"})
    manifest = prepare(made, {"table": tmp_path / "t.csv"}, tmp_path / "out", made_with={})
    assert manifest.missing == {
        "train": {"town": 3},
        "validation": {"town": 3},
        "test": {"a": 6, "town": 3},
    }
