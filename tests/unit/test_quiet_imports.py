"""An import does nothing: only a call of `quiet_lightning` changes what Lightning says."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import tiny

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
