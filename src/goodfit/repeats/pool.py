"""Several trainings at once: warm processes, each with its share of the cores."""

from __future__ import annotations

import contextlib
import io
import multiprocessing
import os
import signal
import sys
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import FrameType
from typing import TextIO

from omegaconf import DictConfig
from typing_extensions import override

from goodfit.errors import FailureError, UserError
from goodfit.launch import devices
from goodfit.launch.fit import fit
from goodfit.system import processes, signals
from goodfit.system.hardware import cores
from goodfit.system.units import counted

_MEMORY = 2 * 2**30  # bytes that a worker may take: torch and Lightning 0.6 GB, and its training


@dataclass(frozen=True)
class Asked:
    """One training: what it is called, and what `fit` is told."""

    title: str
    cfg: DictConfig
    out: Path
    data: Path | None
    overrides: tuple[str, ...]
    tags: Mapping[str, str]

    def train(self) -> None:
        """Trains in this process."""
        fit(self.cfg, out=self.out, data=self.data, overrides=self.overrides, tags=self.tags)


@dataclass
class _Worker:
    process: BaseProcess
    connection: Connection
    index: int | None = None  # of the training that it works on


@dataclass
class Pool:
    """Trains each that is asked for; in this process where it has no workers."""

    _workers: list[_Worker] = field(default_factory=list)

    def train(self, asked: Sequence[Asked]) -> Iterator[int]:
        """Yields the index of each training as it comes to its end.

        Raises:
            What the first training raised that failed; the others have stopped by then, after
            their present step, and go on with the same command.
        """
        if not self._workers or len(asked) == 1:
            for index, one in enumerate(asked):
                one.train()
                yield index
            return
        try:
            yield from self._train(asked)
        except BaseException:
            self.stop()
            raise

    def _train(self, asked: Sequence[Asked]) -> Iterator[int]:
        waiting = list(enumerate(asked))[::-1]
        for worker in self._workers:
            _give(worker, waiting)
        while busy := [worker for worker in self._workers if worker.index is not None]:
            for worker in _ready(busy):
                index = _outcome(worker)
                _give(worker, waiting)
                yield index

    def stop(self) -> None:
        """No worker outlives this call; one that trains has saved what it has done."""
        for worker in self._workers:
            worker.connection.close()
            if worker.index is not None and worker.process.is_alive():
                worker.process.terminate()
        deadline = time.monotonic() + signals.GRACE
        for worker in self._workers:
            worker.process.join(max(0.1, deadline - time.monotonic()))
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()
        self._workers.clear()


@contextmanager
def pool(cfg: DictConfig, trainings: int) -> Iterator[Pool]:
    """In the block, up to so many trainings at once, as cores and memory allow.

    To be opened before this process computes or connects to anything: workers are its forks, and
    threads and connections do not outlive a fork. A training on a GPU or as several processes has
    the machine for itself.
    """
    count = _count(cfg, trainings)
    if count < 2:
        yield Pool()
        return
    from goodfit.launch import session  # noqa: F401 - imported once, before workers fork

    opened = Pool(_forked(count))
    print(f"{count} trainings at once, each on {counted(_threads(count), 'core')}", flush=True)
    try:
        yield opened
    finally:
        opened.stop()


def _count(cfg: DictConfig, trainings: int) -> int:
    trainer = devices.resolved(cfg).trainer
    if trainer.accelerator != "cpu" or devices.world(devices.resolved(cfg)) > 1:
        return 1
    import psutil

    fitting = int(psutil.virtual_memory().available) // _MEMORY
    return max(1, min(trainings, len(cores()), fitting))


def _threads(count: int) -> int:
    """The cores of each of so many workers."""
    return max(1, len(cores()) // count)


def _forked(count: int) -> list[_Worker]:
    context = multiprocessing.get_context("fork")
    # what is buffered would be written by each worker once more
    sys.stdout.flush()
    workers: list[_Worker] = []
    for _ in range(count):
        ours, theirs = multiprocessing.Pipe()
        inherited = [ours, *(worker.connection for worker in workers)]
        process = context.Process(target=_work, args=(theirs, inherited, count))
        process.start()
        theirs.close()
        workers.append(_Worker(process, ours))
    return workers


def _give(worker: _Worker, waiting: list[tuple[int, Asked]]) -> None:
    """The next training, if any is left."""
    worker.index = None
    if waiting:
        worker.index, asked = waiting.pop()
        with contextlib.suppress(BrokenPipeError):  # it died while idle: its sentinel tells
            worker.connection.send(asked)


def _ready(busy: Sequence[_Worker]) -> list[_Worker]:
    """Waits until a training ends, or a worker does."""
    wait([each for worker in busy for each in (worker.connection, worker.process.sentinel)])
    return [worker for worker in busy if worker.connection.poll() or not worker.process.is_alive()]


def _outcome(worker: _Worker) -> int:
    """The index of the training that has ended; raises what it raised."""
    assert worker.index is not None
    index = worker.index
    try:
        error: BaseException | None = worker.connection.recv()
    except (EOFError, ConnectionResetError):
        worker.process.join()
        code = worker.process.exitcode or 0
        reason = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with {code}"
        worker.index = None
        raise FailureError(
            f"the process of a training {reason}; the same command goes on"
        ) from None
    worker.index = None
    if error is not None:
        raise error
    return index


def _work(connection: Connection, inherited: Sequence[Connection], count: int) -> None:
    """Trains what the parent sends, until it closes the connection."""
    for other in inherited:  # a pipe whose parent's end is open here too is never seen to be closed
        other.close()
    signals.exit_on_signals()
    _stop_once()
    processes.exit_with_parent()
    _share_cores(count)
    while True:
        try:
            asked: Asked = connection.recv()
        except EOFError:
            return
        error = _trained(asked)
        with contextlib.suppress(BrokenPipeError):  # the parent has ended
            connection.send(error)
        if isinstance(error, SystemExit):
            return


def _trained(asked: Asked) -> BaseException | None:
    """What the training raised, for the parent to raise again; a defect's traceback is printed."""
    with contextlib.redirect_stdout(Titled(sys.stdout, f"{asked.title}: ")):
        try:
            asked.train()
        except (UserError, FailureError, SystemExit) as error:
            return error
        except BaseException:
            traceback.print_exc()
            return SystemExit(1)
    return None


def _stop_once() -> None:
    """From now on Ctrl-C is the parent's alone, and of several SIGTERM the first one counts.

    A terminal sends SIGINT, and some schedulers SIGTERM, to parent and workers alike; the parent
    then stops its workers, and a second signal would end a training before it has saved itself.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    stop = signal.getsignal(signal.SIGTERM)
    assert callable(stop)

    def once(number: int, frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_IGN)
        stop(number, frame)

    signal.signal(signal.SIGTERM, once)


def _share_cores(count: int) -> None:
    if "OMP_NUM_THREADS" in os.environ:  # the user's own number stays
        return
    import torch

    torch.set_num_threads(_threads(count))


class Titled(io.TextIOBase):
    """Writes whole lines to `stream`, each with `title` before it: those of several mix there."""

    def __init__(self, stream: TextIO, title: str) -> None:
        self._stream, self._title, self._begun = stream, title, ""

    @override
    def write(self, text: str) -> int:
        """Keeps what does not end a line until its end comes."""
        *lines, self._begun = (self._begun + text).split("\n")
        self._stream.write("".join(f"{self._title}{line}\n" for line in lines))
        return len(text)

    @override
    def flush(self) -> None:
        self._stream.flush()
