"""Checkpoints that are whole or absent, known by their hash, and as many as a training needs to go on."""

from __future__ import annotations

import errno
import hashlib
import math
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from lightning_fabric.plugins.io.torch_io import TorchCheckpointIO
from pytorch_lightning.callbacks import Checkpoint
from typing_extensions import override

from goodfit import stop
from goodfit.errors import NoRoomError, UserError
from goodfit.files import replacing, write_json
from goodfit.kept import note, remove, steps, verified
from goodfit.tensors import read

KEPT = 2  # the newest may be broken


class AtomicCheckpoints(TorchCheckpointIO):
    """Writes beside the final name, syncs, renames, and notes the hash: kill -9 leaves no half file.

    (Lightning writes to TMPDIR first; a move to another file system is a copy, and 3 of 12 kills cut it.)
    """

    @override
    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        path = Path(path)
        path.with_suffix(".json").unlink(missing_ok=True)  # a checkpoint without its hash was not finished
        with replacing(path) as part, _room(path):
            digest = _write(checkpoint, part)
        facts = {
            "epoch": checkpoint["epoch"],
            "step": checkpoint["global_step"],
            "epoch_over": checkpoint["loops"]["fit_loop"]["epoch_loop.batch_progress"]["is_last_batch"],
            "best": checkpoint["callbacks"].get(Keeper.__qualname__, {}).get("best", {}).get("file", ""),
            "sha256": digest,
        }
        write_json(path.with_suffix(".json"), facts)

    @override
    def load_checkpoint(self, path: str | Path, map_location: Any = None, weights_only: bool | None = None) -> Any:
        # onto the CPU, as Lightning's own way: what lay on the first GPU would come to the first GPU from all processes
        return load(Path(path), map_location or "cpu")


@contextmanager
def _room(path: Path) -> Iterator[None]:
    """Says of a full disk what is needed; torch calls it a failed write of some record."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        full = getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT)
        if not full and shutil.disk_usage(path.parent).free > 2**20:  # half of the checkpoint lies there still
            raise
        kept = steps(path.parent)
        last = f"{kept[0]} is whole, and the same command goes on from it" if kept else "there was none before"
        size = f" of about {kept[0].stat().st_size / 1e6:.1f} MB" if kept else ""
        raise NoRoomError(f"no room for the checkpoint {path}{size}; {last}") from error


def _write(checkpoint: dict[str, Any], path: Path) -> str:
    """The SHA-256 of what it writes, computed in a second thread behind the writing.

    100 MB take 56 ms to write and 51 to hash, one after the other 1.4 times as long as Lightning's own way.
    """
    path.touch()
    written = threading.Event()
    with ThreadPoolExecutor(1) as second:
        digest = second.submit(_follow, path, written)
        try:
            torch.save(checkpoint, path)  # from the first byte to the last: it refuses to go back in a file
        finally:
            written.set()
        return digest.result()


def _follow(path: Path, written: threading.Event) -> str:
    """The SHA-256 of a file that grows until `written` is set."""
    digest, piece = hashlib.sha256(), memoryview(bytearray(2**20))
    with path.open("rb", buffering=0) as stream:
        while True:
            whole = written.is_set()  # asked before reading: an end that is found after this is the file's own
            if count := stream.readinto(piece):
                digest.update(piece[:count])
            elif whole:
                return digest.hexdigest()
            else:
                written.wait(0.001)


def load(path: Path, map_location: Any = "cpu") -> dict[str, Any]:
    """The content of a checkpoint, read as data; raises UserError where it is not what was written."""
    if not verified(path):
        raise UserError(f"{path} fails its checksum: it is not what training wrote")
    found: dict[str, Any] = read(path, map_location)
    return found


class Keeper(Checkpoint):
    """Keeps the best weights, and every `seconds` what is needed to go on; saves once more when told to stop.

    The best weights that the kept checkpoints speak of stay, so that going on from any of them can end well.
    """

    def __init__(self, folder: Path, *, monitor: str, mode: str, seconds: float) -> None:
        self.folder, self.monitor, self.mode, self.seconds = folder, monitor, mode, seconds
        self.best: dict[str, Any] = {}
        self._before = 0.0  # seconds that earlier processes have trained
        self._over = False
        self._began = self._saved = time.monotonic()
        self._ended: float | None = None
        self._on_sigterm = signal.getsignal(signal.SIGTERM)

    @property
    def trained(self) -> float:
        """Seconds of training so far, by all processes that had a part in it."""
        return self._before + (self._ended or time.monotonic()) - self._began

    def stop_clock(self) -> None:
        """What follows is no training."""
        self._ended = time.monotonic()

    @override
    def state_dict(self) -> dict[str, Any]:
        return {"best": dict(self.best), "seconds": self.trained, "over": self._over}

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.best, self._before, self._over = state_dict["best"], state_dict["seconds"], state_dict["over"]

    @override
    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._began = self._saved = time.monotonic()
        trainer.should_stop |= self._over  # early stopping had ended it; Lightning has forgotten
        # Lightning's own answer broadcasts from inside the handler, amid whatever else the ranks are exchanging
        signal.signal(signal.SIGTERM, self._on_sigterm)

    @override
    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        # after an epoch's last step, Lightning would go on without the epoch's validation
        whole = (batch_idx + 1) % trainer.accumulate_grad_batches == 0
        if whole and not trainer.fit_loop.epoch_loop.batch_progress.is_last_batch:
            self._save(trainer)

    @override
    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """After early stopping has judged the epoch: Lightning calls checkpoints last."""
        self._over = trainer.should_stop
        value, sign = float(trainer.callback_metrics[self.monitor]), 1 if self.mode == "min" else -1
        if math.isfinite(value) and (not self.best or sign * value < sign * self.best["value"]):
            self.best = {"value": value, "file": f"best-{trainer.current_epoch:05}.ckpt"}
            trainer.save_checkpoint(self.folder / self.best["file"], weights_only=False)
        self._save(trainer)

    def _save(self, trainer: pl.Trainer) -> None:
        """All devices save together, on the word of any; one that is told to stop ends them all."""
        due = time.monotonic() - self._saved >= self.seconds
        due, asked = self._agreed(trainer, due, stop.asked())
        if not (due or asked):
            return
        trainer.save_checkpoint(self.folder / f"step-{trainer.global_step:09}.ckpt", weights_only=False)
        self._saved = time.monotonic()
        if trainer.is_global_zero:
            self._tidy()
        if asked:
            raise SystemExit(128 + asked)

    def _agreed(self, trainer: pl.Trainer, due: bool, asked: int) -> tuple[bool, int]:
        if trainer.world_size == 1:
            return due, asked
        word = torch.tensor([float(due), float(asked)], device=trainer.strategy.root_device)
        torch.distributed.all_reduce(word, torch.distributed.ReduceOp.MAX)
        return bool(word[0]), int(word[1])

    def _tidy(self) -> None:
        """Old checkpoints go, and the best weights of which neither a kept one nor the present speaks."""
        kept = steps(self.folder)
        for path in kept[KEPT:]:
            remove(path)
        needed = {note(path).get("best", "") for path in kept[:KEPT]} | {self.best.get("file", "")}
        for path in self.folder.glob("best-*.ckpt"):
            if path.name not in needed:
                remove(path)
