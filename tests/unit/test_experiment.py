"""In a copy that DVC deletes, runs go to the project's own database."""

from __future__ import annotations

from pathlib import Path

import pytest

from goodfit.system import experiment

BESIDE = "sqlite:///mlflow.db"


@pytest.mark.fault(56)
def test_a_database_of_a_copy_is_that_of_the_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    monkeypatch.chdir(copy)
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    monkeypatch.delenv("DVC_EXP_NAME", raising=False)
    assert experiment.at_home(BESIDE) == BESIDE
    assert not experiment.is_copy()

    monkeypatch.setenv("DVC_EXP_NAME", "brave-name")
    assert experiment.at_home(BESIDE) == f"sqlite:///{tmp_path}/mlflow.db"
    assert experiment.at_home("http://127.0.0.1:5000") == "http://127.0.0.1:5000"
    assert experiment.is_copy()
