"""A file beside a table says the split of each row, once, or is refused with what does not fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import tiny
from made_tables import table

from goodfit.config.check import check
from goodfit.data.table import Table
from goodfit.errors import UserError
from goodfit.schema import Source
from goodfit.store.prepare import prepare

ROWS = 24
SPLITS = ["train", "Dev", "test", "training"] * (ROWS // 4)


def rows() -> pd.DataFrame:
    keys = [f"00{row}" for row in range(ROWS)]
    return pd.DataFrame({"code": keys, "a": range(0, 2 * ROWS, 2), "y": ["no", "yes"] * 12})


def folds() -> pd.DataFrame:
    """The splits of the rows, which stand in another order."""
    file = pd.DataFrame({"code": rows()["code"], "who": "me", "split": SPLITS})
    return file.sample(frac=1, random_state=0)


def by_file(folder: Path, file: pd.DataFrame, **options: Any) -> tuple[Table, dict[str, Path]]:
    rows().to_csv(folder / "t.csv", index=False)
    file.to_csv(folder / "folds.csv", index=False)
    raw = {"table": folder / "t.csv", "split": folder / "folds.csv"}
    sources = {name: Source(file=path.name, sha256=None) for name, path in raw.items()}
    made = table(sources=sources, columns={"a": "number"}, **{"assigned": "code"} | options)
    return made, raw


def test_each_row_is_in_the_split_that_the_file_says_and_the_key_is_no_input(
    tmp_path: Path,
) -> None:
    made, raw = by_file(tmp_path, folds())
    manifest = prepare(made, raw, tmp_path / "out", made_with={})
    assert manifest.split == "as folds.csv says, by 'code'"
    assert set(manifest.raw_sha256) == {"table", "split"}
    expected = {"train": [0, 3], "validation": [1], "test": [2]}
    for split, remainders in expected.items():
        read = pd.read_parquet(tmp_path / "out" / split / "rows.parquet")
        assert sorted(set(read["raw_row"] % 4)) == remainders
        assert list(read) == ["raw_row", "a", "code"]
    read_as = {column.name: column.read_as for column in manifest.columns}
    assert read_as == {"a": "number", "y": "class", "code": None}


@pytest.mark.parametrize(
    ("file", "told"),
    [
        (folds().rename(columns={"code": "id"}), "folds.csv lacks column 'code'; expected 'code'"),
        (folds().rename(columns={"split": "spilt"}), "Did you mean 'spilt'"),
        (folds()[folds()["code"] != "007"], "not there, though t.csv has '007'; each row takes"),
        (pd.concat([folds(), folds().head(1)]), "folds.csv, column 'code': in more than one row"),
        (
            pd.concat([folds(), folds().assign(code=folds()["code"] + "x")]),
            ", ... (24 of them); are these the rows that were split?",
        ),
        (folds().replace("Dev", "later"), "folds.csv says 'later'; expected one of train"),
        (folds().replace("Dev", "test"), "folds.csv names no row of validation"),
    ],
)
def test_a_file_that_does_not_name_each_row_once_is_refused(
    tmp_path: Path, file: pd.DataFrame, told: str
) -> None:
    made, raw = by_file(tmp_path, file)
    with pytest.raises(UserError) as refused:
        prepare(made, raw, tmp_path / "out", made_with={})
    assert told in str(refused.value)


def test_rows_that_share_a_key_are_refused_and_a_file_wants_one(tmp_path: Path) -> None:
    made, raw = by_file(tmp_path, folds())
    rows().replace({"code": {"002": "001"}}).to_csv(raw["table"], index=False)
    with pytest.raises(UserError, match=r"t.csv, column 'code': in more than one row '001'"):
        made.read(raw)
    with pytest.raises(UserError, match=r"name the column by which they are found in both files"):
        by_file(tmp_path, folds(), assigned=None)


def test_a_table_may_have_a_source_split_and_no_other_one() -> None:
    source = {"file": "folds.csv", "sha256": "0" * 64}
    check(tiny.cfg("table-class", data={"assigned": "id", "sources": {"split": source}}))
    with pytest.raises(UserError, match=r"unknown key 'data.sources.splits' .* 'data.sources.spl"):
        check(tiny.cfg("table-class", data={"sources": {"splits": source}}))
