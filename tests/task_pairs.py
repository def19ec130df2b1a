"""Every task with every data set that it fits: what the contract of tasks is asked of."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import tiny
from answers import Targets, arrays_of, targets_of

from goodfit import build
from goodfit.contract import DataSpec
from goodfit.task.base import Task

Prepared = Callable[[str], Path]
FEW = 14  # samples, where each is looked at by itself


def pairs() -> list[tuple[str, str]]:
    """Every task with every kind of input and target that it fits, and some network takes."""
    fitting = {}
    for name in tiny.names("task"):
        for case in tiny.cases():
            if name in tiny.tasks(case) and tiny.models(case, name):
                alike = (name, frozenset(tiny.gives(case)), tiny.kind(case))
                fitting.setdefault(alike, (name, case))
    return list(fitting.values())


fits = pytest.mark.parametrize(("name", "case"), pairs())


def made(name: str, case: str, folder: Path) -> tuple[Task, Targets]:
    """A task with its network, and the targets of train."""
    spec = DataSpec.read(folder / "spec.json")
    task = build.task(tiny.cfg(case, task=name), spec)
    task.learn(arrays_of(folder, "targets"), held_out=100)
    return task, targets_of(folder)
