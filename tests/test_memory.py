"""Data four times as large as the memory that a process may have: prepared, and trained on."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import memory
import pytest

from benchmarks import made_rows, noise
from benchmarks.processes import ROOT, with_python_path
from goodfit.data.split import SPLITS
from goodfit.records import Manifest

pytestmark = pytest.mark.slow

ROWS, COLUMNS = 20_000, 250  # of a table of 40 MB
LIMIT = 600 * 10**6  # bytes; importing torch and Lightning takes 350 million of them
SAMPLES = 4 * LIMIT // (4 * noise.WIDTH)


def run(call: str, folder: Path) -> memory.Held:
    """Runs one of the functions by which `make bench` draws its curve."""
    script = f"from benchmarks import {call.partition('.')[0]}; {call}"
    return memory.run([sys.executable, "-c", script], folder, LIMIT, with_python_path({}))


def test_data_four_times_as_large_as_the_memory_are_prepared_and_trained_on(tmp_path: Path) -> None:
    prepared = run(f"noise.prepared('data', {SAMPLES})", tmp_path)
    assert prepared.code == 0, prepared
    assert prepared.peak < LIMIT
    arrays = sum((tmp_path / "data" / split / "numbers.npy").stat().st_size for split in SPLITS)
    assert arrays >= 4 * LIMIT

    manifest = Manifest.read(tmp_path / "data/manifest.json")
    assert sum(manifest.samples(split) for split in SPLITS) == SAMPLES
    trained = run(f"memory.epoch('data', {str(ROOT)!r}, accuracy=0.9)", tmp_path)
    assert trained.code == 0, trained
    assert trained.peak < LIMIT


@pytest.mark.fault(75)
def test_of_a_parquet_file_prepare_holds_less_than_its_size(tmp_path: Path) -> None:
    peaks = []
    for name, rows in (("few", 1_000), ("many", ROWS)):
        raw = tmp_path / f"{name}.parquet"
        made_rows.write_numbers(raw, rows, COLUMNS)
        # the bound is a part of this file, as 64 MB are of one that does not fit into memory
        script = (
            "from benchmarks import made_rows; from goodfit.data import spill; "
            f"spill.HELD = {raw.stat().st_size // 10}; "
            f"made_rows.prepared('{name}.parquet', '{name}')"
        )
        python = [sys.executable, "-c", script]
        held = memory.run(python, tmp_path, LIMIT, with_python_path(os.environ))
        assert held.code == 0, held
        peaks.append(held.peak)
    # the first one tells what libraries take; its texts alone, read whole, are twice its size
    assert peaks[1] - peaks[0] < raw.stat().st_size
