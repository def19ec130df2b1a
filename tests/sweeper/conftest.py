"""A sweep in this very process, which saves the second that a new interpreter takes."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sweeping
from hydra._internal.hydra import Hydra
from hydra.core.global_hydra import GlobalHydra


@pytest.fixture
def sweep(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    hydra_restore_singletons: None,
) -> sweeping.Sweep:
    """Runs a sweep of a task function in `tmp_path`; gives what a shell would see of it."""
    monkeypatch.chdir(tmp_path)

    def run(task: Callable[[Any], Any], *overrides: str, **changes: Any) -> sweeping.Done:
        if changes or not Path("config.yaml").exists():
            sweeping.configure(tmp_path, **changes)
        code = 0
        capfd.readouterr()
        made = Hydra.create_main_hydra_file_or_module(str(tmp_path / "app.py"), None, ".", "app")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("default")
                made.multirun("config", task, list(overrides), with_log_configuration=False)
        except SystemExit as stop:
            code = int(stop.code or 0)
        finally:
            GlobalHydra.instance().clear()
        out, err = capfd.readouterr()
        return sweeping.Done(code, out, err, tmp_path)

    return run
