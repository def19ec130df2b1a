"""One training, in this process or as several, in micro-batches where memory runs out."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import DictConfig

from goodfit.config import gallery
from goodfit.errors import OutOfMemory, UserError
from goodfit.launch import devices
from goodfit.launch.ranks import train_together
from goodfit.paths import Paths
from goodfit.records import Job, Trained
from goodfit.system import allocator
from goodfit.tracking.server import check_answers

if TYPE_CHECKING:
    from pytorch_lightning import Callback

_TRAINING = threading.Lock()  # held while this process trains


def fit(
    cfg: DictConfig,
    *,
    out: Path | None = None,
    data: Path | None = None,
    overrides: Sequence[str] = (),
    tags: Mapping[str, str] | None = None,
    keep: bool = True,
    callbacks: Sequence[Callback] = (),
) -> Trained | None:
    """Trains on what `trainer` asks for; None on a machine that is not the first.

    `out`, `data`, `overrides`, `tags` and `keep` are those of `Job`. `callbacks` can watch a
    training on one device. It may run in any thread, one at a time, and in the project's folder.

    Raises:
        UserError: configuration, data, or what an interrupted training left do not fit; the
            tracking server does not answer; single samples need too much memory; this process
            trains already; or the present folder has no prepared data.
        FailureError: the training could not be finished, and says why.
        PrunedError: as a trial of a sweep it was not worth going on with.
    """
    _check_folder(cfg)
    job = Job(out=out, data=data, overrides=tuple(overrides), tags=dict(tags or {}), keep=keep)
    with _alone():
        return _fit(cfg, job, callbacks)


def _fit(asked: DictConfig, job: Job, callbacks: Sequence[Callback]) -> Trained | None:
    cfg = devices.resolved(asked)
    if job.keep and "mlflow.parentRunId" not in job.tags:  # of many, the parent says it once
        print_devices(asked, cfg)
    check_answers(str(cfg.tracking.uri))  # before torch is imported, which takes seconds

    micro_batches = 1
    while True:
        try:
            if devices.world(cfg) > 1:
                return train_together(cfg, job, micro_batches)
            return _train_alone(cfg, job, micro_batches, callbacks)
        except OutOfMemory as error:
            micro_batches = _double(cfg, error.micro_batches)


def _check_folder(cfg: DictConfig) -> None:
    """Raises UserError where the present folder is not the project's: a notebook's, for example."""
    prepared = Paths(cfg.name).prepared
    if not prepared.is_dir():
        raise UserError(
            f"there is no {prepared} in {Path.cwd()}; training runs in the project's folder: "
            f"change to it, or make the data there with `{gallery.command('prepare', cfg.name)}`"
        )


@contextmanager
def _alone() -> Iterator[None]:
    """In the block, no other thread of this process trains.

    Raises:
        UserError: one does.
    """
    if not _TRAINING.acquire(blocking=False):
        raise UserError(
            "this process trains already, in another thread, and two would draw from the same "
            "random numbers; wait for it, or train in another process"
        )
    try:
        yield
    finally:
        _TRAINING.release()


def print_devices(asked: DictConfig, chosen: DictConfig) -> None:
    """Says what is trained on, and what is amiss with it."""
    print(f"training {chosen.name} on {devices.describe(chosen)}", flush=True)
    unseen = devices.unseen_accelerator_hint(asked, chosen)
    for hint in (unseen, devices.slow_precision_hint(chosen)):
        if hint:
            print(hint, flush=True)


def _train_alone(
    cfg: DictConfig, job: Job, micro_batches: int, callbacks: Sequence[Callback]
) -> Trained | None:
    allocator.spare_imports()
    from goodfit.launch import session  # imports torch, which a launcher of several does not need

    return session.train(cfg, job, micro_batches, callbacks=callbacks)


def _double(cfg: DictConfig, micro_batches: int) -> int:
    """Twice as many micro-batches in a step; UserError where a device would get no sample."""
    if cfg.sharpness:
        raise UserError(
            f"memory runs out, and sharpness={cfg.sharpness} takes no micro-batches: the gradient "
            "of the whole step comes twice; set sharpness=0, or a smaller loader.batch_size"
        )
    doubled = 2 * micro_batches
    size = int(cfg.loader.batch_size)
    if doubled * devices.world(cfg) > size:
        raise UserError(
            "memory runs out with single samples; choose a smaller model "
            f"({micro_batches} micro-batches tried)"
        )

    at_once = -(-size // (doubled * devices.world(cfg)))  # rounded up
    print(
        f"memory ran out: {at_once} samples at once from now on, "
        f"{doubled} times for each step of {size}",
        flush=True,
    )
    return doubled
