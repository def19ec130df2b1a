"""An import does nothing, and whoever uses a model does not wait for what trained it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import tiny

from goodfit import build

SOURCE = tiny.ROOT / "src/goodfit"

ASK = """
import importlib, json, logging, sys, warnings

import lightning_fabric, pytorch_lightning
import pytorch_lightning.callbacks, pytorch_lightning.strategies

ABOUT = ("lightning", "pytorch_lightning", "lightning_fabric")

def state():
    names = [name for name in logging.root.manager.loggerDict if name.startswith(ABOUT)]
    levels = {name: logging.getLogger(name).level for name in names}
    return levels, list(warnings.filters)

def changes(before, after):
    levels = {name: level for name, level in after[0].items() if before[0].get(name, 0) != level}
    filters = [str(each) for each in after[1] if each not in before[1]]
    return [levels, filters]

answer = {}
before = state()
for module in sys.argv[1:]:
    importlib.import_module(module)
    answer[module] = changes(before, state())
sys.modules["goodfit.training.trainer"].quiet_lightning()
answer["quiet_lightning"] = changes(before, state())
print(json.dumps(answer))
"""


@pytest.mark.slow
def test_importing_training_leaves_loggers_and_warnings_of_lightning_as_they_are() -> None:
    folder = tiny.ROOT / "src/goodfit/training"
    modules = [f"goodfit.training.{path.stem}" for path in sorted(folder.glob("[a-z]*.py"))]
    done = subprocess.run(
        [sys.executable, "-c", ASK, *modules], capture_output=True, text=True, check=True
    )
    changed = json.loads(done.stdout)

    levels, filters = changed.pop("quiet_lightning")
    # the call does what no import does
    assert levels
    assert filters
    assert changed == {module: [{}, []] for module in modules}


USE = """
import importlib, sys
from pathlib import Path

import pandas

for name in ("pytorch_lightning", "lightning_fabric", "torch._dynamo"):
    sys.modules[name] = None  # not installed
model, rows, *modules = sys.argv[1:]
for module in modules:
    importlib.import_module(module)
from goodfit.predictor import Predictor

print(len(Predictor.load(Path(model)).predict(pandas.read_parquet(rows))))
"""


@pytest.mark.slow
def test_a_model_is_used_evaluated_and_registered_without_lightning(
    trained: Any, tmp_path: Path
) -> None:
    """Its import took 4 s of the 8 before the first answer; that of torch._dynamo, which making an
    optimizer imports, takes 2 s.
    """
    folder, cfg, _ = trained
    data = build.data_set(cfg)
    data.read(tiny.raw(data)).head(7).to_parquet(tmp_path / "rows.parquet")
    tasks = [f"goodfit.task.{path.stem}" for path in (SOURCE / "task").glob("[a-z]*.py")]
    stages = [f"goodfit.stages.{name}" for name in ("evaluate", "predict", "register", "report")]
    files = [str(folder / "model"), str(tmp_path / "rows.parquet")]
    command = [sys.executable, "-c", USE, *files, *tasks, *stages]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout == "7\n", done.stderr[-2000:]


PREPARE = """
import sys
from pathlib import Path

tests, out = sys.argv[1:]
sys.path.insert(0, tests)
import tiny
from goodfit import build
from goodfit.config import tree
from goodfit.store.prepare import prepare

cfg = tiny.cfg("breast_cancer")
data = build.data_set(cfg)
prepare(data, tiny.raw(data), Path(out), made_with=tree.data_section(cfg))
print("torch" in sys.modules, Path(out, "train/numbers.npy").exists())
"""


def test_a_table_is_prepared_without_torch(tmp_path: Path) -> None:
    """Its import took 2 s of 4."""
    command = [sys.executable, "-c", PREPARE, str(tiny.ROOT / "tests"), str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[-1:] == ["False True"], done.stderr[-2000:]
