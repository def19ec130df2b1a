"""`make repro` around stages that are plain commands: what it knows of DVC needs no training."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import tiny
import yaml

CODE = "source"
REPRO = "import sys; from goodfit.cli import guarded; from goodfit.stages.repro import main; "
REPRO += "guarded(lambda: sys.exit(main()))"


def repro(*, code: int = 0) -> str:
    """What `make repro` prints here."""
    done = subprocess.run(
        [sys.executable, "-c", REPRO], capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with one experiment, of which one stage writes a folder of 200 kB."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    Path("params.yaml").write_text("experiments: [tiny]\n")
    Path("conf/experiment").mkdir(parents=True)
    Path("conf/experiment/tiny.yaml").touch()
    Path(CODE).mkdir()
    Path(CODE, "code.py").write_text("1")
    shutil.copy(tiny.ROOT / ".dvcignore", ".dvcignore")
    model = "models/${item.experiment}"
    stage = {
        "matrix": {"experiment": "${experiments}"},
        "cmd": f"mkdir -p {model} && head -c 200000 /dev/urandom > {model}/weights",
        "deps": [CODE],
        "outs": [model],
    }
    Path("dvc.yaml").write_text(yaml.safe_dump({"stages": {"train": stage}}))
    subprocess.run(["git", "init", "-q"], check=True)
    subprocess.run(["dvc", "init", "-q"], check=True)
    return tmp_path


@pytest.mark.slow
@pytest.mark.fault(10)
def test_a_cache_on_a_full_disk_is_no_success(project: Path) -> None:
    """DVC 3.67 prints ERROR, exits with 0, and writes dvc.lock."""
    disk = project / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=100k", "tmpfs", str(disk)]
    if subprocess.run(mount, check=False).returncode:
        pytest.skip("a small disk wants the right to mount one")
    try:
        subprocess.run(["dvc", "config", "--local", "cache.dir", str(disk)], check=True)
        assert "DVC's cache lacks 1 outputs that dvc.lock names: models/tiny" in repro(code=2)
    finally:
        subprocess.run(["umount", str(disk)], check=True)
    assert "models/tiny" in Path("dvc.lock").read_text()


@pytest.mark.slow
@pytest.mark.fault(69)
def test_bytecode_beside_the_source_runs_nothing_again(project: Path) -> None:
    assert "Running stage 'train@tiny'" in repro()
    kept = Path("dvc.lock").read_bytes()
    Path(CODE, "__pycache__").mkdir()
    Path(CODE, "__pycache__/code.cpython-311.pyc").write_bytes(b"made by Python")
    assert "Running stage" not in repro()
    assert Path("dvc.lock").read_bytes() == kept
    Path(CODE, "code.py").write_text("2")
    assert "Running stage 'train@tiny'" in repro()
