"""No secret reaches the database of runs or an artifact.

The database is a real one.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from goodfit.tracking import database

if TYPE_CHECKING:
    from omegaconf import DictConfig

CANARY, HERON = "canary-7f3a", "heron-55d1"


def leaks(home: Path) -> list[str]:
    """The files of database and artifacts that hold a secret."""
    leaking = []
    for path in [home / "mlflow.db", *(home / "mlruns").rglob("*")]:
        content = path.read_bytes() if path.is_file() else b""
        leaking += [
            f"{secret} in {path}" for secret in (CANARY, HERON) if secret.encode() in content
        ]
    return leaking


@pytest.mark.fault(25)
def test_a_secret_of_the_environment_is_in_no_byte_of_database_and_artifacts(
    home: Callable[..., DictConfig], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from goodfit.launch.fit import fit

    monkeypatch.setenv("DEPLOY_TOKEN", CANARY)  # its name says it is secret
    monkeypatch.setenv("PLAIN", HERON)  # that the configuration refers to it says so
    mirrors = ["https://me:${oc.env:PLAIN}@host/x", "https://host/${oc.env:DEPLOY_TOKEN}"]
    cfg = home(data={"sources": {"table": {"mirrors": mirrors}}}, trainer={"max_epochs": 1})
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf/notes.yaml").write_text("nothing")
    git = ["git", "-c", "user.name=x", "-c", "user.email=x@x"]
    for arguments in (["init", "-q"], ["add", "conf"], ["commit", "-qm", "x"]):
        subprocess.run([*git, *arguments], check=True)
    (tmp_path / "conf/notes.yaml").write_text(f"tokens {CANARY} {HERON}")
    (tmp_path / "conf/packed.npy").write_bytes(b"\0" + CANARY.encode())
    (tmp_path / "conf/plain.yaml").write_text("width: 1\n")
    run = fit(cfg, overrides=["experiment=x", f"+note={CANARY}"])
    tags = database.connect(cfg.tracking.uri).get_run(run.run_id).data.tags
    assert tags["goodfit.git_dirty"] == "true"
    assert leaks(tmp_path) == []
    (stored,) = (tmp_path / "mlruns").rglob("uncommitted.diff")
    assert "width: 1" in stored.read_text()  # and it applies: what shows a secret stands elsewhere
    assert "+tokens *** ***" in stored.with_name("redacted.diff").read_text()
    left_out = stored.with_name("restore.md").read_text().partition("**Not stored**")[2]
    assert "`conf/notes.yaml`: holds a secret" in left_out
    assert "`conf/packed.npy`: binary, and holds a secret" in left_out


@pytest.mark.fault(25)
def test_a_login_written_into_the_configuration_reaches_no_artifact(
    home: Callable[..., DictConfig], tmp_path: Path
) -> None:
    from goodfit.launch.fit import fit

    mirrors = [f"https://me:{CANARY}@host/x"]
    fit(home(data={"sources": {"table": {"mirrors": mirrors}}}, trainer={"max_epochs": 1}))
    assert leaks(tmp_path) == []
