"""A table in mapped files is the table that it would be in memory, and leaves nothing behind."""

from __future__ import annotations

from pathlib import Path

import made_tables
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from goodfit.data import spill
from goodfit.data.spill import Spill
from goodfit.records import Manifest
from goodfit.store.prepare import prepare

ROWS = pd.DataFrame(
    {
        "x": [0.1, np.nan, -3.0, 1e300],
        "word": ["a", "", "größe", "a"],
        "day": pd.to_datetime(["2024-01-01", None, "1969-07-20", "2024-01-01"]),
        "list": [[1], [2], [], [3]],
    }
)


@pytest.fixture
def nothing_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spill, "HELD", 0)


def test_columns_come_back_from_files_as_they_were(tmp_path: Path, nothing_held: None) -> None:
    kept = Spill(tmp_path)
    table = kept.table(ROWS[name] for name in ROWS)
    pd.testing.assert_frame_equal(table, ROWS)
    wanted = np.array([True, False, True, True])
    pd.testing.assert_frame_equal(kept.taken(table, wanted), ROWS[wanted])


@pytest.mark.fault(75)
def test_the_files_have_no_name(tmp_path: Path, nothing_held: None) -> None:
    table = Spill(tmp_path).table(ROWS[name] for name in ROWS)
    assert not list(tmp_path.iterdir())
    assert table["x"].iloc[0] == 0.1


def test_without_a_folder_and_up_to_the_bound_columns_stay_in_memory(tmp_path: Path) -> None:
    values = ROWS["x"]
    assert Spill().column(values) is values
    kept = Spill(tmp_path)
    assert kept.holds(spill.HELD)
    assert not kept.holds(1)


def written(folder: Path, ending: str) -> Path:
    rng = np.random.default_rng(0)
    count = 3000
    table = pd.DataFrame(
        {
            "x": rng.normal(size=count),
            "gap": np.where(rng.random(count) < 0.1, np.nan, rng.normal(size=count).round(2)),
            "city": rng.choice(["Rome", "Oslo", ""], count),
            "day": pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 900, count), "D"),
            "y": rng.choice(["yes", "no"], count),
        }
    )
    table = pd.concat([table, table.head(40)])
    path = folder / f"t{ending}"
    if ending == ".csv":
        table.to_csv(path, index=False)
    else:
        pq.write_table(pa.Table.from_pandas(table, preserve_index=False), path, row_group_size=700)
    return path


@pytest.mark.slow
@pytest.mark.fault(75)
@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_a_pack_is_the_same_by_both_ways(
    ending: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = {"table": written(tmp_path, ending)}
    manifests = []
    for folder, held in (("memory", spill.HELD), ("files", 0)):
        monkeypatch.setattr(spill, "HELD", held)
        manifests.append(prepare(made_tables.table(), raw, tmp_path / folder, made_with={}))
    assert manifests[0] == manifests[1]
    assert manifests[0] == Manifest.read(tmp_path / "files/manifest.json")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["files", "memory", f"t{ending}"]
