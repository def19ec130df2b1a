"""Checkpoints that are whole or absent, known by their hash, and as many as a training needs to go
on.
"""

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
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from lightning_fabric.plugins.io.torch_io import TorchCheckpointIO
from pytorch_lightning.callbacks import Checkpoint
from typing_extensions import override

from goodfit.errors import NoRoomError, UserError
from goodfit.system import signals
from goodfit.system.files import replacing_file
from goodfit.system.tensors import load_tensors
from goodfit.training.checkpoint_files import (
    CheckpointNote,
    note_path,
    read_note,
    remove,
    step_checkpoints,
    verified,
)

KEPT = 2  # the newest may be broken
AGREEMENT_SECONDS = 1.0  # between two agreements of the ranks: a signal may wait as long
_MOST_STEPS = 1000  # between two agreements, however short a step is


class AtomicCheckpoints(TorchCheckpointIO):
    """Writes beside the final name, syncs, renames, and notes the hash: kill -9 leaves no half
    file.

    (Lightning writes to TMPDIR first; a move to another file system is a copy, and 3 of 12 kills
    cut it.)
    """

    @override
    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None
    ) -> None:
        path = Path(path)
        note_path(path).unlink(missing_ok=True)  # a checkpoint without its note was not finished
        with replacing_file(path) as part, _room(path):
            digest = _write(checkpoint, part)

        progress = checkpoint["loops"]["fit_loop"]["epoch_loop.batch_progress"]
        state = checkpoint["callbacks"].get(BestAndLatest.__qualname__, {})
        best = state.get("best")
        note = CheckpointNote(
            epoch=checkpoint["epoch"],
            step=checkpoint["global_step"],
            epoch_over=progress["is_last_batch"],
            best=best["file"] if best else None,
            sha256=digest,
        )
        note.write(note_path(path))

    @override
    def load_checkpoint(
        self, path: str | Path, map_location: Any = None, weights_only: bool | None = None
    ) -> Any:
        # onto the CPU, as Lightning's own way: else what lay on the first GPU would come back to
        # the first GPU from all processes
        return load(Path(path), map_location or "cpu")


@contextmanager
def _room(path: Path) -> Iterator[None]:
    """Says of a full disk what is needed; torch calls it a failed write of some record."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        full = getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT)
        # half of the checkpoint lies there still
        if not full and shutil.disk_usage(path.parent).free > 2**20:
            raise
        raise NoRoomError(_no_room(path, step_checkpoints(path.parent))) from error


def _no_room(path: Path, kept: list[Path]) -> str:
    if not kept:
        return f"no room for the checkpoint {path}; there was none before"
    megabytes = kept[0].stat().st_size / 1e6
    return (
        f"no room for the checkpoint {path} of about {megabytes:.1f} MB; "
        f"{kept[0]} is whole, and the same command goes on from it"
    )


def _write(checkpoint: dict[str, Any], path: Path) -> str:
    """The SHA-256 of what it writes, computed in a second thread behind the writing.

    100 MB take 56 ms to write and 51 to hash, one after the other 1.4 times as long as Lightning's
    own way.
    """
    path.touch()
    written = threading.Event()
    with ThreadPoolExecutor(1) as second:
        digest = second.submit(_hash_growing, path, written)
        try:
            # from the first byte to the last: torch refuses to go back in a file that it appends to
            torch.save(checkpoint, path)
        finally:
            written.set()
        return digest.result()


def _hash_growing(path: Path, written: threading.Event) -> str:
    """The SHA-256 of a file that grows until `written` is set."""
    digest, piece = hashlib.sha256(), memoryview(bytearray(2**20))
    with path.open("rb", buffering=0) as stream:
        while True:
            # asked before reading: an end that is found after this is the file's own
            whole = written.is_set()
            count = stream.readinto(piece)
            if count:
                digest.update(piece[:count])
            elif whole:
                return digest.hexdigest()
            else:
                written.wait(0.001)


def load(path: Path, map_location: Any = "cpu") -> dict[str, Any]:
    """The content of a checkpoint, read as data.

    Raises:
        UserError: it is not what training wrote.
    """
    if not verified(path):
        raise UserError(f"{path} fails its checksum: it is not what training wrote")
    content: dict[str, Any] = load_tensors(path, map_location)
    return content


@dataclass(frozen=True)
class Best:
    """The best monitored score so far, and the checkpoint that holds its weights."""

    value: float
    file: str


class BestAndLatest(Checkpoint):
    """Keeps the best weights, and every `seconds` what is needed to go on; saves once more when
    told to stop.

    The best weights that the kept checkpoints speak of stay, so that going on from any of them can
    end well.
    """

    def __init__(self, folder: Path, *, monitor: str, mode: str, seconds: float) -> None:
        self.folder, self.monitor, self.mode, self.seconds = folder, monitor, mode, seconds
        self.best: Best | None = None
        self._seconds_before = 0.0  # that earlier processes have trained
        self._over = False
        self._began = self._saved = time.monotonic()
        self._ended: float | None = None
        self._on_sigterm = signal.getsignal(signal.SIGTERM)
        self._agreement = _Agreement()

    @property
    def trained(self) -> float:
        """Seconds of training so far, by all processes that had a part in it."""
        return self._seconds_before + (self._ended or time.monotonic()) - self._began

    def stop_clock(self) -> None:
        """What follows is no training."""
        self._ended = time.monotonic()

    @override
    def state_dict(self) -> dict[str, Any]:
        best = asdict(self.best) if self.best else None
        return {"best": best, "seconds": self.trained, "over": self._over}

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.best = Best(**state_dict["best"]) if state_dict["best"] else None
        self._seconds_before = state_dict["seconds"]
        self._over = state_dict["over"]

    @override
    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._began = self._saved = time.monotonic()
        trainer.should_stop |= self._over  # early stopping had ended it; Lightning has forgotten
        # Lightning's own handler broadcasts from inside it, amid whatever else the ranks are
        # exchanging
        signal.signal(signal.SIGTERM, self._on_sigterm)

    @override
    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        step_over = (batch_idx + 1) % trainer.accumulate_grad_batches == 0
        # saved after an epoch's last step, Lightning would go on without the epoch's validation
        if not step_over or trainer.fit_loop.epoch_loop.batch_progress.is_last_batch:
            return
        if trainer.world_size == 1 or self._agreement.is_due():
            self._save_if_due(trainer)

    @override
    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """After early stopping has judged the epoch: Lightning calls checkpoints last."""
        self._over = trainer.should_stop
        value = float(trainer.callback_metrics[self.monitor])
        if math.isfinite(value) and self._is_better(value):
            self.best = Best(value, f"best-{trainer.current_epoch:05}.ckpt")
            trainer.save_checkpoint(self.folder / self.best.file, weights_only=False)
        self._save_if_due(trainer)

    def _is_better(self, value: float) -> bool:
        if self.best is None:
            return True
        return value < self.best.value if self.mode == "min" else value > self.best.value

    def _save_if_due(self, trainer: pl.Trainer) -> None:
        """All ranks save together, on the word of any; one that is told to stop ends them all."""
        due = time.monotonic() - self._saved >= self.seconds
        stop = signals.stop_requested()
        if trainer.world_size > 1:
            due, stop = self._agreement.reach(due, stop, trainer.strategy.root_device)
        if not (due or stop):
            return
        path = self.folder / f"step-{trainer.global_step:09}.ckpt"
        trainer.save_checkpoint(path, weights_only=False)
        self._saved = time.monotonic()
        if trainer.is_global_zero:
            self._tidy()
        if stop:
            raise SystemExit(128 + stop)

    def _tidy(self) -> None:
        """Old checkpoints go, and the best weights of which neither a kept one nor the present
        speaks.
        """
        checkpoints = step_checkpoints(self.folder)
        for path in checkpoints[KEPT:]:
            remove(path)

        needed = {self.best.file} if self.best else set()
        for path in checkpoints[:KEPT]:
            note = read_note(path)
            if note and note.best:
                needed.add(note.best)
        for path in self.folder.glob("best-*.ckpt"):
            if path.name not in needed:
                remove(path)


class _Agreement:
    """The ranks agree about every second on saving and stopping, after a number of steps that all
    know.

    An exchange in each step, and the wait for its answer, would stand in the way of a GPU's queue.
    """

    def __init__(self) -> None:
        self._steps = 0  # since the last agreement
        self._interval = 1
        self._reached = time.monotonic()

    def is_due(self) -> bool:
        """Counts a step; whether the ranks agree after it, which is the same on all of them."""
        self._steps += 1
        return self._steps >= self._interval

    def reach(self, due: bool, stop: int, device: torch.device) -> tuple[bool, int]:
        """What any rank wants is what all do; the slowest rank's steps set the next interval."""
        seconds = (time.monotonic() - self._reached) / max(self._steps, 1)
        words = torch.tensor([float(due), float(stop), seconds], device=device)
        torch.distributed.all_reduce(words, torch.distributed.ReduceOp.MAX)
        any_due, any_stop, slowest = words.tolist()

        self._interval = min(max(int(AGREEMENT_SECONDS / max(slowest, 1e-9)), 1), _MOST_STEPS)
        self._steps, self._reached = 0, time.monotonic()
        return bool(any_due), int(any_stop)
