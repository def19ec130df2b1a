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

# of a table of 1.6 GB, of which prepare without files held 2.5
ANSWERS, QUESTIONS = 40_000, 160
LIMIT_OF_ROWS = 400 * 10**6  # bytes; 64 MB of the table and imports are 220 million of them
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
def test_a_parquet_file_four_times_as_large_as_the_memory_is_prepared(tmp_path: Path) -> None:
    made_rows.write_texts(tmp_path / "rows.parquet", ANSWERS, QUESTIONS)
    assert (tmp_path / "rows.parquet").stat().st_size >= 4 * LIMIT_OF_ROWS
    script = "from benchmarks import made_rows; made_rows.prepared('rows.parquet', 'data')"
    python = [sys.executable, "-c", script]
    held = memory.run(python, tmp_path, LIMIT_OF_ROWS, with_python_path(os.environ))
    assert held.code == 0, held
    assert held.peak < LIMIT_OF_ROWS
    manifest = Manifest.read(tmp_path / "data/manifest.json")
    assert sum(manifest.samples(split) for split in SPLITS) == ANSWERS
