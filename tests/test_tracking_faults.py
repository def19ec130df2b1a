"""Tracking by a server that is killed, and on a full disk: nothing is lost, nothing doubled."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import pytorch_lightning as pl
import requests
import slurm
from omegaconf import DictConfig

from goodfit.launch.fit import fit
from goodfit.tracking import runs, spool
from goodfit.tracking.database import connect, disconnect

pytestmark = pytest.mark.slow
Home = Callable[..., DictConfig]
AWAY = 10.0  # seconds


class Server:
    """`mlflow server` on this machine, over a database in the present folder."""

    def __init__(self) -> None:
        self.port = slurm.ports(1)[0]
        self.uri = f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        command = [sys.executable, "-m", "mlflow", "server", "--workers", "1"]
        command += ["--host", "127.0.0.1", "--port", str(self.port)]
        command += ["--backend-store-uri", "sqlite:///server.db"]
        env = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
        self.process = subprocess.Popen(
            command, env=env, stdout=-3, stderr=-3, start_new_session=True
        )
        deadline = time.monotonic() + 90
        while not self._answers():
            assert time.monotonic() < deadline
            time.sleep(0.1)

    def kill(self) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def _answers(self) -> bool:
        try:
            return requests.get(f"{self.uri}/health", timeout=1).ok
        except requests.ConnectionError:
            return False


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database: Path) -> Iterator[Server]:
    monkeypatch.chdir(tmp_path)
    shutil.copy(database, "server.db")
    made = Server()
    made.start()
    yield made
    made.kill()


@pytest.mark.fault(15)
def test_a_server_that_is_killed_for_ten_seconds_loses_no_metric_and_holds_up_no_step(
    server: Server, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(spool, "RETRY_INTERVAL", 1.0)
    # MLflow's seven, with longer and longer pauses, may outlast the server's absence
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    run = runs.start(server.uri, "x", "a run", tags={}, params={})

    def restart() -> None:
        time.sleep(AWAY)
        server.start()

    back = threading.Thread(target=restart)
    began = time.monotonic()
    longest = 0.0
    step = 0
    while step < 400 or back.is_alive():
        if step == 100:
            server.kill()
            back.start()
        before = time.monotonic()
        run.log({"loss": float(step)}, step)
        longest = max(longest, time.monotonic() - before)
        time.sleep(0.02)
        step += 1
        assert time.monotonic() - began < 120
    back.join()
    assert longest < 1
    time.sleep(1.5)
    run.log({"loss": float(step)}, step)
    run.end(runs.FINISHED)
    history = connect(server.uri).get_metric_history(run.run_id, "loss")
    arrived = sorted((metric.step, metric.value) for metric in history)
    assert arrived == [(logged, float(logged)) for logged in range(step + 1)]
    assert connect(server.uri).get_run(run.run_id).info.status == runs.FINISHED
    assert capfd.readouterr().err.count("tracking does not answer") == 1


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[Path]:
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    done = subprocess.run(mount, check=False)
    if done.returncode:
        pytest.skip("a small disk wants the right to mount one")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


class Fill(pl.Callback):
    """No byte is free on the disk from the second epoch on."""

    def __init__(self, disk: Path) -> None:
        self.filler = disk / "filler"

    def on_train_epoch_start(self, trainer: pl.Trainer, task: object) -> None:
        if trainer.current_epoch == 1:
            with self.filler.open("wb", buffering=0) as stream, suppress(OSError):
                while True:
                    stream.write(bytes(512))


@pytest.mark.fault(13)
def test_training_goes_on_beside_a_database_on_a_full_disk(
    home: Home,
    tmp_path: Path,
    database: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(runs, "SEND_INTERVAL", 0.0)
    monkeypatch.setattr(spool, "FLUSH_TIMEOUT", 1.0)
    cfg = home(trainer={"max_epochs": 40}, early_stopping={"patience": None})
    with small_disk(tmp_path / "disk", database.stat().st_size + 600_000) as disk:
        shutil.copy(database, disk / "mlflow.db")
        cfg.tracking.uri = f"sqlite:///{disk / 'mlflow.db'}"
        done = fit(cfg, out=Path("model"), callbacks=[Fill(disk)])
        assert Path("model/weights.pt").exists()
        assert capfd.readouterr().err.count("tracking does not answer") == 1
        connect(cfg.tracking.uri)
        assert "entries go on waiting in build/spool/" in capfd.readouterr().err
        (disk / "filler").unlink()
        client = connect(cfg.tracking.uri)
        history = client.get_metric_history(done.run_id, "val/loss")
        assert sorted(metric.step for metric in history) == list(range(40))
        assert client.get_run(done.run_id).info.status == runs.FINISHED
        disconnect(client)
