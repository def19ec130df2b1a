"""Worker processes: forked once, warm; each gets its next trial as soon as one has ended.

The parent decides how many trials there are and sees who dies; the storage is the truth about
trials. A worker is a fork: what the parent has imported is there, and a task function needs no name
to be found by.
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
from typing import TYPE_CHECKING

import optuna

from hydra_plugins.hydra_optuna_sweeper import _study as studies
from hydra_plugins.hydra_optuna_sweeper._errors import SweepError
from hydra_plugins.hydra_optuna_sweeper._job import Event, Job
from hydra_plugins.hydra_optuna_sweeper._signals import SignalCheck

if TYPE_CHECKING:
    from optuna.storages import RDBStorage

_GRACE_PERIOD = 15.0  # seconds that a stopped worker has to record what became of its trial
_MAX_FAILED_STARTS = 3  # in a row, without a trial: the fault is not in a trial


@dataclass
class Worker:
    """One process with its connection to the parent."""

    process: BaseProcess
    connection: Connection
    is_starting: bool = False  # was told to start a trial, and has not said which one it is
    trial: int | None = None  # the number of the trial that it works on
    n_trials: int = 0  # that have ended

    @property
    def is_busy(self) -> bool:
        """Whether it must not be given another trial."""
        return self.is_starting or self.trial is not None


class Workers:
    """A fixed number of worker processes; yields the number of each trial that ended."""

    def __init__(
        self, job: Job, study: optuna.Study, count: int, *, recycle: int, max_retry: int
    ) -> None:
        self.job = job
        self.study = study
        self.count = count
        self.recycle = recycle
        self.max_retry = max_retry
        self._workers: dict[int, Worker] = {}
        self._retired: list[tuple[BaseProcess, float]] = []  # with the time at which it is killed
        self._failed_starts = 0

    def run(
        self, n_trials: int, deadline: float | None, check_signals: SignalCheck
    ) -> Generator[int]:
        """Runs trials until the study has `n_trials`; yields each one's number when it ends.

        No trial starts after the `deadline`, in seconds of the monotonic clock. Whoever leaves the
        loop early must close it: workers live until then, and write to the databases.

        Raises:
            SweepError: workers keep dying before they have a trial.
        """
        try:
            while True:
                check_signals()
                self._dispatch(n_trials, deadline)
                if self._any_busy():
                    ended = list(self._poll())
                    # before the caller looks at what ended, which may take long
                    self._dispatch(n_trials, deadline)
                    yield from ended
                elif not self._await_other_sweeps(n_trials, deadline):
                    return
        finally:
            self._shut_down()

    def _any_busy(self) -> bool:
        return any(worker.is_busy for worker in self._workers.values())

    def _dispatch(self, n_trials: int, deadline: float | None) -> None:
        """Gives each idle worker a trial while there are some left."""
        if deadline is not None and time.monotonic() > deadline:
            return

        n_starting = sum(worker.is_starting for worker in self._workers.values())
        n_left = n_trials - studies.counts(self.study).claimed - n_starting
        for index in range(self.count):
            if n_left <= 0:
                return
            worker = self._workers.get(index)
            if worker is not None and worker.is_busy:
                continue

            worker = worker or self._fork(index)
            with contextlib.suppress(BrokenPipeError):  # it died while idle; _poll finds out
                worker.connection.send(n_trials)
            worker.is_starting = True
            n_left -= 1

    def _await_other_sweeps(self, n_trials: int, deadline: float | None) -> bool:
        """Waits a second for trials of other sweeps, which may be interrupted; False at the end.

        Their points are queued again then, and there is work.
        """
        counts = studies.counts(self.study)
        is_late = deadline is not None and time.monotonic() > deadline
        if is_late or not counts.running or counts.finished >= n_trials:
            return False

        time.sleep(1.0)
        studies.fail_stale(self.study)
        return True

    def _fork(self, index: int) -> Worker:
        ours, theirs = multiprocessing.Pipe()
        context = multiprocessing.get_context("fork")
        # what is buffered would be written by the worker once more
        sys.stdout.flush()
        # SQLite's locks do not survive a fork with an open file
        studies.disconnect(self.study)

        inherited = [ours, *(worker.connection for worker in self._workers.values())]
        arguments = (self.job, index, self.count, theirs, self.recycle, inherited)
        process = context.Process(target=_worker_main, args=arguments, daemon=False)
        process.start()
        theirs.close()

        self._workers[index] = Worker(process, ours)
        return self._workers[index]

    def _poll(self) -> Iterator[int]:
        """Waits until workers report or die, a second at most; yields the trials that ended."""
        connections = [worker.connection for worker in self._workers.values()]
        wait_for(connections, timeout=1.0)
        self._reap_retired()

        for index, worker in list(self._workers.items()):
            # asked first: a process that the job left behind may hold a dead worker's pipe open
            is_alive = worker.process.is_alive()
            if worker.connection.poll():
                yield from self._receive(index, worker)
            elif not is_alive:
                yield from self._on_worker_exit(index)

    def _receive(self, index: int, worker: Worker) -> Iterator[int]:
        event: Event
        try:
            event, number = worker.connection.recv()
        except (EOFError, ConnectionResetError):
            yield from self._on_worker_exit(index)
            return

        worker.is_starting = False
        worker.trial = number if event == "began" else None
        if event in ("ended", "out_of_memory"):
            self._failed_starts = 0
            worker.n_trials += 1
            if worker.n_trials >= self.recycle or event == "out_of_memory":
                self._retire(index)
            yield number

    def _on_worker_exit(self, index: int) -> Iterator[int]:
        """Its trial is interrupted; the next one gets a new process.

        Raises:
            SweepError: too many workers in a row died before they had a trial.
        """
        worker = self._workers.pop(index)
        worker.connection.close()
        worker.process.join()
        code = worker.process.exitcode or 0
        if code < 0:
            reason = f"killed by {signal.Signals(-code).name}"
        else:
            reason = f"its process ended with exit code {code}"

        if worker.trial is None:
            studies.fail_orphans(self.study, self.max_retry)
        else:
            studies.interrupt(self.study, worker.trial, reason, self.max_retry)

        if worker.trial is None or not self._params(worker.trial):
            self._failed_starts += 1
        if self._failed_starts >= _MAX_FAILED_STARTS:
            raise SweepError(
                f"{_MAX_FAILED_STARTS} workers died before they began a trial, "
                f"the last one: {reason}"
            )
        if worker.trial is not None:
            yield worker.trial

    def _params(self, number: int) -> dict[str, object]:
        return self.study.get_trials(deepcopy=False)[number].params

    def _retire(self, index: int) -> None:
        worker = self._workers.pop(index)
        worker.connection.close()
        # one that leaves at once has given its memory back before the next one begins
        worker.process.join(0.5)
        self._retired.append((worker.process, time.monotonic() + _GRACE_PERIOD))

    def _reap_retired(self) -> None:
        """Kills those that do not exit: a thread that a job left behind would hold them forever."""
        for process, kill_time in self._retired:
            if process.is_alive() and time.monotonic() > kill_time:
                process.kill()
        self._retired = [item for item in self._retired if item[0].is_alive()]

    def _shut_down(self) -> None:
        """No worker outlives the sweep; one that is busy is told to stop, then killed."""
        was_busy = self._any_busy()
        for worker in self._workers.values():
            worker.connection.close()
            if worker.is_busy and worker.process.pid:
                worker.process.terminate()

        deadline = time.monotonic() + _GRACE_PERIOD
        processes = [worker.process for worker in self._workers.values()]
        processes += [process for process, _ in self._retired]
        for process in processes:
            process.join(max(0.1, deadline - time.monotonic()))
            if process.is_alive():
                process.kill()
                process.join()

        if was_busy:
            studies.fail_orphans(self.study, self.max_retry)
        self._workers.clear()


def _worker_main(
    job: Job,
    index: int,
    n_workers: int,
    connection: Connection,
    recycle: int,
    inherited: Sequence[Connection],
) -> None:
    """Runs a trial for each message of the parent, until it closes the connection."""
    # Ctrl-C reaches the whole group; the parent decides
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for other in inherited:  # a pipe whose parent's end is open here too is never seen to be closed
        other.close()
    parent = multiprocessing.parent_process()
    assert parent is not None
    assert parent.pid is not None
    # not os.getppid(), which is already another one where the parent has died since the fork
    _exit_with_parent(parent.pid)
    job.set_up_worker(index, n_workers)
    storage: RDBStorage = job.connect()

    def report(event: Event, number: int | None) -> None:
        with contextlib.suppress(BrokenPipeError):
            connection.send((event, number))

    for _ in range(recycle):
        try:
            n_trials = connection.recv()
        except EOFError:
            break
        job.run(storage, n_trials, report)

    # the parent closes the connection when it has counted the last trial
    with contextlib.suppress(EOFError, OSError):
        connection.recv()


def _exit_with_parent(parent: int) -> None:
    """A worker whose parent was killed ends its trial as if told to stop: nobody would count it."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(_GRACE_PERIOD)
        os._exit(128 + signal.SIGTERM)  # the job is deep in a library and handles no signal

    threading.Thread(target=watch, daemon=True).start()
