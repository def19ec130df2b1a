"""Checkpoints: written whole or not at all, known by their hash, as few as resuming needs."""

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
from goodfit.system import signals, units
from goodfit.system.files import replacing_file
from goodfit.system.tensors import load_tensors
from goodfit.training.agreement import Agreement
from goodfit.training.checkpoint_files import (
    CheckpointNote,
    note_path,
    read_note,
    remove,
    step_checkpoints,
    verified,
)

KEPT = 2  # checkpoints to go on from: the newest may be broken


class AtomicCheckpoints(TorchCheckpointIO):
    """A checkpoint is whole, with a note of its hash beside it, or does not count.

    That holds after kill -9, too: it is written beside its final name, synced, renamed, then noted.
    (Lightning writes to TMPDIR first; a move to another file system is a copy, and 3 of 12 kills
    cut it.)
    """

    @override
    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None
    ) -> None:
        """Replaces the file at `path`.

        Raises:
            NoRoomError: the disk is full; checkpoints that were there before are whole.
        """
        path = Path(path)
        note_path(path).unlink(missing_ok=True)  # a checkpoint without its note was not finished
        with replacing_file(path) as part, _explain_full_disk(path):
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
        # to the CPU, as Lightning's own IO does: else what lay on the first GPU would come back to
        # the first GPU in all processes
        return load(Path(path), map_location or "cpu")


def _is_last_of_epoch(trainer: pl.Trainer) -> bool:
    """Whether the epoch ends with this batch: all were seen, or training may stop here."""
    loop = trainer.fit_loop
    # where it is told to stop, but min_epochs is not reached, it goes on
    stops = trainer.should_stop and loop._can_stop_early
    return bool(loop.epoch_loop.batch_progress.is_last_batch or stops)


@contextmanager
def _explain_full_disk(path: Path) -> Iterator[None]:
    """Raises NoRoomError where the block fails for want of space on the disk.

    torch reports a failed write of some record of its file, and no errno.
    """
    try:
        yield
    except (OSError, RuntimeError) as error:
        full = getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT)
        # what was written of the checkpoint still takes the space that it found
        full = full or shutil.disk_usage(path.parent).free <= 2**20
        if not full:
            raise
        earlier = [other for other in step_checkpoints(path.parent) if verified(other)]
        raise NoRoomError(_no_room(path, earlier)) from error


def _no_room(path: Path, earlier: list[Path]) -> str:
    if not earlier:
        return f"no room for the checkpoint {path}; there was none before"
    newest = earlier[0]
    size = units.size(newest.stat().st_size)
    return (
        f"no room for the checkpoint {path} of about {size}; "
        f"{newest} is whole, and the same command goes on from it"
    )


def _write(checkpoint: dict[str, Any], path: Path) -> str:
    """Writes a checkpoint and gives the SHA-256 of its bytes.

    A second thread computes it behind the writing: 100 MB take 56 ms to write and 51 to hash, one
    after the other 1.4 times as long as Lightning's own way.
    """
    path.touch()
    written = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        digest = pool.submit(_hash_growing, path, written)
        try:
            # from the first byte to the last: torch refuses to go back in a file that it appends to
            torch.save(checkpoint, path)
        finally:
            written.set()
        return digest.result()


def _hash_growing(path: Path, written: threading.Event) -> str:
    """The SHA-256 of a file that grows until `written` is set."""
    digest = hashlib.sha256()
    chunk = memoryview(bytearray(2**20))
    with path.open("rb", buffering=0) as stream:
        while True:
            # asked before reading: the end of the file, if it comes now, is then its last
            complete = written.is_set()
            count = stream.readinto(chunk)
            if count:
                digest.update(chunk[:count])
            elif complete:
                return digest.hexdigest()
            else:
                written.wait(0.001)


def load(path: Path, map_location: Any = "cpu") -> dict[str, Any]:
    """The content of a checkpoint, read as data: no code in it runs.

    Raises:
        UserError: it fails its checksum, or holds more than data.
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
    """Keeps the best weights, and every `seconds` a checkpoint to go on from.

    A request to stop (`signals.stop_requested`) is met after a step, with a checkpoint, by
    SystemExit on all ranks. The best weights that a kept checkpoint names stay as well, so that a
    training that goes on from it can end with them.
    """

    def __init__(self, folder: Path, *, monitor: str, mode: str, seconds: float) -> None:
        self.folder, self.monitor, self.mode, self.seconds = folder, monitor, mode, seconds
        self.best: Best | None = None
        self._stopped_early = False
        self._agreement = Agreement()
        self._on_sigterm = signal.getsignal(signal.SIGTERM)

        now = time.monotonic()
        self._seconds_before = 0.0  # that earlier processes have trained
        self._started = now
        self._last_save = now
        self._ended: float | None = None

    @property
    def trained(self) -> float:
        """Seconds of training so far, in all processes that had a part in it."""
        return self._seconds_before + (self._ended or time.monotonic()) - self._started

    def stop_clock(self) -> None:
        """From now on no time counts as training."""
        self._ended = time.monotonic()

    @override
    def state_dict(self) -> dict[str, Any]:
        best = asdict(self.best) if self.best else None
        return {"best": best, "seconds": self.trained, "over": self._stopped_early}

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.best = Best(**state_dict["best"]) if state_dict["best"] else None
        self._seconds_before = state_dict["seconds"]
        self._stopped_early = state_dict["over"]

    @override
    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._started = time.monotonic()
        self._last_save = self._started
        trainer.should_stop |= self._stopped_early  # Lightning stores it in no checkpoint
        # Lightning's own handler broadcasts from inside it, amid whatever else the ranks are
        # exchanging: that broke processes which were told to stop (decision 0012)
        if threading.current_thread() is threading.main_thread():  # Lightning sets none elsewhere
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
        if not step_over or _is_last_of_epoch(trainer):
            return
        if trainer.world_size > 1:
            self._agreement.count_step()
            if not self._agreement.is_due():
                return
        self._save_if_due(trainer)

    @override
    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """After early stopping has judged the epoch: Lightning calls checkpoints last."""
        self._stopped_early = trainer.should_stop
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
        """All ranks save when any of them is due to, and stop when any of them is told to."""
        save = time.monotonic() - self._last_save >= self.seconds
        stop = signals.stop_requested()
        if trainer.world_size > 1:
            save, stop = self._agreement.reach(save, stop, trainer.strategy.root_device)
        if not (save or stop):
            return

        path = self.folder / f"step-{trainer.global_step:09}.ckpt"
        trainer.save_checkpoint(path, weights_only=False)
        self._last_save = time.monotonic()
        if trainer.is_global_zero:
            self._remove_old()
        if stop:
            raise SystemExit(128 + stop)

    def _remove_old(self) -> None:
        """Leaves the newest checkpoints, their best weights and those of this process."""
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
