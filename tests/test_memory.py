"""Data four times as large as the memory that a process may have: prepared, and trained on."""

from __future__ import annotations

import sys
from pathlib import Path

import memory
import noise
import pytest
import tiny

from goodfit.data.split import SPLITS
from goodfit.records import Manifest

pytestmark = pytest.mark.slow

LIMIT = 600 * 10**6  # bytes; importing torch and Lightning takes 350 million of them
SAMPLES = 4 * LIMIT // (4 * noise.WIDTH)

PREPARE = """
from pathlib import Path
import noise, tiny
from goodfit.config import tree
from goodfit.store.prepare import prepare

data = noise.Noise(sources={}, test=0.1, validation=0.1, split_seed=0)
prepare(data, {"samples": Path("samples")}, Path("data"), made_with={})
"""
TRAIN = """
from pathlib import Path
import tiny
from goodfit.store.loader import Shard
from goodfit.system import allocator
from goodfit.training import loop
from goodfit.training.trainer import quiet_lightning

class Nobody:
    def log(self, row, step=0):
        print(row)

quiet_lightning()
allocator.tune()  # as a session does
# 120 steps of 64 samples of 80 kB: more than the memory, at random from all that there are
trainer = {"max_epochs": 1, "limit_train_batches": 120}
cfg = tiny.cfg("breast_cancer", trainer=trainer, loader={"batch_size": 64})
cfg.model.width = 4
task, data = loop.prepare(cfg, Path("data"), Shard())
optimized = loop.optimize(
    cfg, task, data, folder=Path("checkpoints"), checkpoint=None, recorder=Nobody()
)
assert optimized.history[-1]["val/accuracy"] > 0.9, optimized.history
"""


def run(script: str, folder: Path) -> memory.Held:
    path = f"{tiny.ROOT / 'src'}:{tiny.ROOT / 'tests'}"
    return memory.run([sys.executable, "-c", script], folder, LIMIT, {"PYTHONPATH": path})


def test_data_four_times_as_large_as_the_memory_are_prepared_and_trained_on(tmp_path: Path) -> None:
    (tmp_path / "samples").write_text(str(SAMPLES))
    prepared = run(PREPARE, tmp_path)
    assert prepared.code == 0, prepared
    assert prepared.peak < LIMIT
    arrays = sum((tmp_path / "data" / split / "numbers.npy").stat().st_size for split in SPLITS)
    assert arrays >= 4 * LIMIT

    manifest = Manifest.read(tmp_path / "data/manifest.json")
    assert sum(manifest.samples(split) for split in SPLITS) == SAMPLES
    trained = run(TRAIN, tmp_path)
    assert trained.code == 0, trained
    assert trained.peak < LIMIT
