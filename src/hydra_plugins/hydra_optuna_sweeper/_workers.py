"""Worker processes: forked once, warm, each on one trial at a time; a free one takes the next trial at once.

The parent decides how many trials there are and sees who dies; the storage is the truth about trials. A worker
is a fork: what the parent has imported is there, and a task function needs no name to be found by.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.connection import wait as wait_for
from multiprocessing.process import BaseProcess
from typing import TYPE_CHECKING, Any

import optuna

from hydra_plugins.hydra_optuna_sweeper import _study as studies
from hydra_plugins.hydra_optuna_sweeper._errors import SweepError
from hydra_plugins.hydra_optuna_sweeper._job import Job
from hydra_plugins.hydra_optuna_sweeper._signals import Heard

if TYPE_CHECKING:
    from optuna.storages import RDBStorage

_GRACE = 15.0  # seconds that a stopped worker has to record what became of its trial
_STARTING = -1  # a worker that was told to begin and has not said with which trial
_STILLBORN = 3  # workers in a row that die before their first trial: the fault is not in a trial


@dataclass
class Worker:
    """One process with its line to the parent; `trial` is None while it waits."""

    process: BaseProcess
    line: Connection
    trial: int | None = None
    trials: int = 0


class Workers:
    """A fixed number of worker processes; yields the number of each trial that ended."""

    def __init__(self, job: Job, study: optuna.Study, count: int, *, recycle: int, max_retry: int) -> None:
        self.job, self.study, self.count = job, study, count
        self.recycle, self.max_retry = recycle, max_retry
        self._workers: dict[int, Worker] = {}
        self._leaving: list[tuple[BaseProcess, float]] = []  # with the time at which each is made to
        self._stillborn = 0

    def run(self, n_trials: int, deadline: float | None, heard: Heard) -> Generator[int]:
        """Hands out trials until the study has `n_trials`, and yields each one's number when it ends.

        Whoever leaves the loop early must close it: workers live until then, and write to the databases.
        """
        try:
            while True:
                heard()
                self._hand_out(n_trials, deadline)
                if any(worker.trial is not None for worker in self._workers.values()):
                    ended = list(self._hear())
                    self._hand_out(n_trials, deadline)  # before the caller looks at what ended, which may take long
                    yield from ended
                elif not self._others(n_trials, deadline):
                    return
        finally:
            self._end()

    def _hand_out(self, n_trials: int, deadline: float | None) -> None:
        if deadline is not None and time.monotonic() > deadline:
            return
        found = studies.counts(self.study)
        starting = sum(worker.trial == _STARTING for worker in self._workers.values())
        left = n_trials - studies.done(found) - found["running"] - starting
        for place in range(self.count):
            worker = self._workers.get(place)
            if left <= 0:
                return
            if worker is None or worker.trial is None:
                worker = worker or self._fork(place)
                with contextlib.suppress(BrokenPipeError):  # it died while it waited; _hear finds out
                    worker.line.send(n_trials)
                worker.trial = _STARTING
                left -= 1

    def _others(self, n_trials: int, deadline: float | None) -> bool:
        """Whether the last trials are another sweep's: they may be cut, and then there is work again."""
        found = studies.counts(self.study)
        late = deadline is not None and time.monotonic() > deadline
        if late or not found["running"] or studies.done(found) >= n_trials:
            return False
        time.sleep(1.0)
        studies.reap(self.study)
        return True

    def _fork(self, place: int) -> Worker:
        ours, theirs = multiprocessing.Pipe()
        context = multiprocessing.get_context("fork")
        sys.stdout.flush()
        studies.disconnect(self.study)
        inherited = [ours, *(worker.line for worker in self._workers.values())]
        arguments = (self.job, place, self.count, theirs, self.recycle, inherited)
        process = context.Process(target=_work, args=arguments, daemon=False)
        process.start()
        theirs.close()
        self._workers[place] = Worker(process, ours)
        return self._workers[place]

    def _hear(self) -> Iterator[int]:
        """Waits for a word from a worker, or for its death."""
        wait_for([worker.line for worker in self._workers.values()], timeout=1.0)
        self._see_off()
        for place, worker in list(self._workers.items()):
            alive = worker.process.is_alive()  # a process that the job left behind may hold a dead worker's line open
            if not worker.line.poll():
                if not alive:
                    yield from self._mourn(place)
                continue
            try:
                word, number = worker.line.recv()
            except (EOFError, ConnectionResetError):
                yield from self._mourn(place)
                continue
            worker.trial = number if word == "began" else None
            if word in ("ended", "left"):
                self._stillborn = 0
                worker.trials += 1
                if worker.trials >= self.recycle or word == "left":
                    self._dismiss(place)
                yield number

    def _mourn(self, place: int) -> Iterator[int]:
        """A worker is gone: its trial is cut, the next one gets a new process."""
        worker = self._workers.pop(place)
        worker.process.join()
        code = worker.process.exitcode or 0
        reason = f"killed by {signal.Signals(-code).name}" if code < 0 else f"its process ended with exit code {code}"
        began = worker.trial if worker.trial != _STARTING else None
        if began is None:
            studies.bury(self.study, self.max_retry)
        else:
            studies.cut(self.study, began, reason, self.max_retry)
        if began is None or not self.study.get_trials(deepcopy=False)[began].params:
            self._stillborn += 1
        if self._stillborn >= _STILLBORN:
            raise SweepError(f"{_STILLBORN} workers died before they began a trial, the last one: {reason}")
        if began is not None:
            yield began

    def _dismiss(self, place: int) -> None:
        worker = self._workers.pop(place)
        worker.line.close()
        worker.process.join(0.5)  # one that leaves at once has given its memory back before the next one begins
        self._leaving.append((worker.process, time.monotonic() + _GRACE))

    def _see_off(self) -> None:
        """Makes those leave who were dismissed long ago: a thread that the job left behind would hold them for ever."""
        for process, last in self._leaving:
            if process.is_alive() and time.monotonic() > last:
                process.kill()
        self._leaving = [(process, last) for process, last in self._leaving if process.is_alive()]

    def _end(self) -> None:
        """No worker outlives the sweep; one in the middle of a trial is told to stop, then made to."""
        for worker in self._workers.values():
            worker.line.close()
            if worker.trial is not None and worker.process.pid:
                worker.process.terminate()
        deadline = time.monotonic() + _GRACE
        for process in [*(worker.process for worker in self._workers.values()), *(each for each, _ in self._leaving)]:
            process.join(max(0.1, deadline - time.monotonic()))
            if process.is_alive():
                process.kill()
                process.join()
        if any(worker.trial is not None for worker in self._workers.values()):
            studies.bury(self.study, self.max_retry)
        self._workers.clear()


def _work(job: Job, place: int, count: int, line: Connection, recycle: int, inherited: Sequence[Connection]) -> None:
    """The life of a worker: a trial for each word of the parent, until the line is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    for other in inherited:  # a line whose near end is open here too is never seen to be closed
        other.close()
    _die_with_parent(os.getppid())
    job.settle(place, count)
    storage: RDBStorage = job.connect()
    for _ in range(recycle):
        try:
            n_trials = line.recv()
        except EOFError:
            break
        job.run(storage, n_trials, say=lambda *word: _say(line, word))
    with contextlib.suppress(EOFError, OSError):
        line.recv()  # the parent closes the line when it has counted the last trial


def _say(line: Connection, word: Any) -> None:
    with contextlib.suppress(BrokenPipeError):
        line.send(word)


def _die_with_parent(parent: int) -> None:
    """A worker whose parent was killed ends its trial as if told to stop: nobody would count it."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(_GRACE)
        os._exit(128 + signal.SIGTERM)  # the job is deep in a library and hears no signal

    threading.Thread(target=watch, daemon=True).start()
