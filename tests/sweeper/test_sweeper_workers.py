"""Workers: one trial's end is not another's, a dead one is replaced, an idle one does not wait."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import optuna
import psutil
import pytest
import sweeping
from omegaconf import DictConfig
from optuna.exceptions import StorageInternalError
from optuna.storages._heartbeat import HeartbeatThread
from optuna.trial import TrialState
from sweeping import Sweep

from hydra_plugins.hydra_optuna_sweeper import _process, _workers
from hydra_plugins.hydra_optuna_sweeper._job import objective_values
from hydra_plugins.hydra_optuna_sweeper._space import Space


def exhaust() -> float:
    """Runs out of memory at 256 MB more than the process has."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + 2**28,) * 2)
    return float(len(bytearray(2**32)))


ENDS: dict[str, Callable[[], Any]] = {
    "raises": lambda: 1 / 0,
    "not_finite": lambda: float("nan"),
    "text": lambda: "fast",
    "killed": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "exits": lambda: os._exit(3),
    "quits": lambda: sys.exit(4),
    "memory": exhaust,
    "good": lambda: 1.0,
    "number_as_text": lambda: "2.5",
}
REASONS = {
    "raises": "ZeroDivisionError: division by zero",
    "not_finite": "ValueError: the job returned nan, which is not finite",
    "text": "ValueError: the job returned 'fast', expected a number",
    "killed": "killed by SIGKILL",
    "exits": "its process ended with exit code 3",
    "quits": "SystemExit: 4",
    "memory": "MemoryError: ",
    "good": None,
    "number_as_text": None,
}


def ending(cfg: DictConfig) -> Any:
    """Ends as x says."""
    with Path("pids").open("a") as file:
        print(cfg.x, os.getpid(), file=file)
    return ENDS[cfg.x]()


@pytest.mark.slow
@pytest.mark.fault(17)
def test_each_way_to_fail_has_its_reason_and_the_others_go_on(sweep: Sweep, tmp_path: Path) -> None:
    done = sweep(
        ending, f"x={','.join(ENDS)}", "hydra/sweeper/sampler=grid", "hydra.sweeper.max_retry=0"
    )
    assert done.code == 0, done.err
    assert {trial.params["x"]: trial.user_attrs.get("reason") for trial in done.trials} == REASONS
    complete = [trial.params["x"] for trial in done.trials if trial.state == TrialState.COMPLETE]
    assert sorted(complete) == ["good", "number_as_text"]
    pids = dict(line.split() for line in sweeping.lines(tmp_path / "pids"))
    assert pids["raises"] == pids["not_finite"] == pids["killed"] != pids["exits"] != pids["quits"]
    assert pids["quits"] == pids["memory"]
    assert pids["memory"] != pids["good"]


@pytest.mark.parametrize(
    ("result", "count", "message"),
    [
        (None, 1, "returned None, expected a number"),
        ((1.0, 2.0), 1, "returned 2 numbers, expected 1"),
        ([1.0], 2, "returned 1 numbers, expected 2"),
        (float("inf"), 1, "returned inf, which is not finite"),
        ((1.0, float("nan")), 2, "which is not finite"),
        ({"a": 1}, 1, "expected a number"),
        (("a", 1.0), 2, "expected numbers"),
    ],
)
def test_what_is_no_score_is_told(result: Any, count: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        objective_values(result, count)


@pytest.mark.slow
def test_a_failed_job_shows_its_traceback_and_the_sweep_one_line(sweep: Sweep) -> None:
    done = sweep(ending, "x=raises,good", "hydra/sweeper/sampler=grid")
    assert "ZeroDivisionError" in done.err
    assert "in <lambda>" in done.err
    assert [
        line
        for line in done.out.splitlines()
        if "failed    ZeroDivisionError: division by zero  x=raises" in line
    ]


def pid(cfg: DictConfig) -> float:
    with Path("pids").open("a") as file:
        print(os.getpid(), file=file)
    return 0.0


@pytest.mark.slow
def test_a_worker_is_replaced_after_its_share_of_trials(sweep: Sweep, tmp_path: Path) -> None:
    done = sweep(pid, "x=range(1,9)", "hydra.sweeper.recycle=2", "hydra.sweeper.n_trials=3")
    first, second, third = sweeping.lines(tmp_path / "pids")
    assert (first == second, len({first, third, str(os.getpid())})) == (True, 3)
    assert done.states() == [TrialState.COMPLETE] * 3


def leaves_a_thread(cfg: DictConfig) -> float:
    """As a library that was not shut down: Python waits for it at the process's end."""
    threading.Thread(target=time.sleep, args=(600,), daemon=False).start()
    return 0.0


@pytest.mark.slow
def test_a_worker_that_does_not_leave_holds_nobody_up(
    sweep: Sweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_workers, "_GRACE_PERIOD", 2.0)
    before, started = psutil.Process().children(), time.monotonic()
    done = sweep(
        leaves_a_thread, "x=range(1,9)", "hydra.sweeper.recycle=1", "hydra.sweeper.n_trials=3"
    )
    assert done.states() == [TrialState.COMPLETE] * 3
    assert time.monotonic() - started < 20
    assert psutil.Process().children() == before


def slow(cfg: DictConfig) -> float:
    """With x=0, waits until the three others are done."""
    if cfg.x == 0:
        sweeping.until(lambda: len(sweeping.lines(Path("ended"))) == 3, "the other trials")
    with Path("ended").open("a") as file:
        print(cfg.x, file=file)
    return 0.0


@pytest.mark.slow
def test_a_slow_job_does_not_hold_up_the_others(sweep: Sweep, tmp_path: Path) -> None:
    done = sweep(slow, "x=0,1,2,3", "hydra/sweeper/sampler=grid", "hydra.sweeper.n_jobs=2")
    assert done.states() == [TrialState.COMPLETE] * 4
    assert sweeping.lines(tmp_path / "ended")[-1] == "0"


@pytest.mark.fault(14)
@pytest.mark.slow
def test_eight_workers_share_a_new_database(sweep: Sweep) -> None:
    done = sweep(pid, "x=range(1,99)", "hydra.sweeper.n_jobs=8", "hydra.sweeper.n_trials=9")
    assert (done.code, done.states()) == (0, [TrialState.COMPLETE] * 9), done.err


def device(cfg: DictConfig) -> float:
    """Notes the GPUs that it sees; ends when each worker has had a trial."""
    with Path("devices").open("a") as file:
        print(os.environ["CUDA_VISIBLE_DEVICES"], file=file)
    sweeping.until(lambda: len(sweeping.lines(Path("devices"))) >= cfg.y, "the other worker")
    return 0.0


@pytest.mark.parametrize(
    ("workers", "seen"), [(2, ["0", "1"]), pytest.param(1, ["0,1"], marks=pytest.mark.slow)]
)
def test_each_of_several_workers_has_a_gpu_of_its_own(
    sweep: Sweep, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int, seen: list[str]
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    sweep(
        device,
        "x=1,2",
        f"y={workers}",
        f"hydra.sweeper.n_jobs={workers}",
        f"hydra.sweeper.n_trials={workers}",
    )
    assert sorted(sweeping.lines(tmp_path / "devices")) == seen


def talk(cfg: DictConfig) -> float:
    os.write(1, b"a word of the job\n")
    return 0.0


@pytest.mark.slow
def test_a_quiet_sweep_keeps_what_jobs_print_in_a_file(sweep: Sweep, tmp_path: Path) -> None:
    done = sweep(talk, "x=1,2", "hydra.sweeper.quiet=true", "hydra.sweeper.n_trials=1")
    assert "a word of the job" not in done.out
    assert "a word of the job" in (tmp_path / "swept/worker-0.log").read_text()


def dies_at_start(cfg: DictConfig, trial: Any) -> None:
    """In a worker, not in the parent, which tries it first, it dies before it chooses a value."""
    if os.getpid() != int(Path("parent").read_text()):
        os._exit(7)
    trial.suggest_int("x", 0, 9)


@pytest.mark.slow
def test_workers_that_die_before_each_trial_end_the_sweep(
    sweep: Sweep, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parent)
    (tmp_path / "parent").write_text(str(os.getpid()))
    done = sweep(talk, "hydra.sweeper.custom_search_space=test_sweeper_workers.dies_at_start")
    assert done.code == 2
    told = "3 workers died before they began a trial, the last one: "
    assert f"{told}its process ended with exit code 7" in done.err
    assert set(done.states()) == {TrialState.FAIL}


def wild(cfg: DictConfig, trial: Any) -> None:
    """In a worker it raises before any value is chosen."""
    if os.getpid() != int(Path("parent").read_text()):
        raise KeyError("nowhere")
    trial.suggest_int("x", 0, 9)


@pytest.mark.fault(17)
@pytest.mark.slow
def test_a_function_that_always_raises_ends_the_sweep(
    sweep: Sweep, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parent)
    (tmp_path / "parent").write_text(str(os.getpid()))
    done = sweep(
        talk,
        "hydra.sweeper.custom_search_space=test_sweeper_workers.wild",
        "hydra.sweeper.n_trials=3",
    )
    assert (done.code, len(done.trials)) == (1, 3)
    assert "3 of 3 trials failed, none is complete; the last one: KeyError: 'nowhere'" in done.err


def leave_a_child(cfg: DictConfig) -> float:
    """Dies, and leaves a process behind that holds all that it had open."""
    if os.fork() == 0:
        sweeping.until(lambda: len(sweeping.lines(Path("done"))) == 1, "the sweep")
        os._exit(0)
    os.kill(os.getpid(), signal.SIGKILL)
    return 0.0


@pytest.mark.slow
def test_a_dead_worker_is_seen_though_its_child_lives(sweep: Sweep, tmp_path: Path) -> None:
    done = sweep(leave_a_child, "x=1,2", "hydra.sweeper.n_trials=1", "hydra.sweeper.max_retry=0")
    (tmp_path / "done").write_text("1\n")
    assert [trial.user_attrs["reason"] for trial in done.trials] == ["killed by SIGKILL"]


@pytest.mark.slow
def test_a_worker_that_is_told_to_stop_as_a_trial_starts_leaves_no_thread_to_wait_for(
    sweep: Sweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = HeartbeatThread.start

    def stopped(thread: HeartbeatThread) -> None:
        start(thread)
        os.kill(os.getpid(), signal.SIGTERM)  # a worker's: a fork inherits what is changed here

    def give_up(number: int, frame: object) -> None:
        raise TimeoutError

    monkeypatch.setattr(HeartbeatThread, "start", stopped)
    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(20)
    try:
        done = sweep(pid, "x=1,2", "hydra.sweeper.n_trials=1", "hydra.sweeper.max_retry=0")
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    # none has chosen a point, so three of them end the sweep
    assert [trial.user_attrs["reason"] for trial in done.trials] == ["told to stop"] * 3
    assert not sweeping.lines(done.folder / "pids")


@contextlib.contextmanager
def stopped_in_a_commit() -> Iterator[None]:
    """This process is told to stop as the block writes, and its library makes an error of that."""
    try:
        os.kill(os.getpid(), signal.SIGTERM)
        yield
    except SystemExit as stopped:
        raise StorageInternalError("the commit") from stopped


def write_and_be_stopped(cfg: DictConfig) -> float:
    """A job that is told to stop in the midst of what it writes."""
    with stopped_in_a_commit():
        time.sleep(10)
    return 0.0


@pytest.mark.slow
@pytest.mark.parametrize(("at", "job"), [("suggest", pid), ("job", write_and_be_stopped)])
def test_a_trial_that_is_told_to_stop_in_the_midst_of_a_commit_has_not_failed(
    sweep: Sweep, monkeypatch: pytest.MonkeyPatch, at: str, job: Callable[[DictConfig], float]
) -> None:
    suggest = Space.suggest
    parent = os.getpid()

    def write_suggestion(space: Space, trial: optuna.Trial, config: DictConfig) -> list[str]:
        if os.getpid() == parent:  # it draws a point to check the sampler
            return suggest(space, trial, config)
        with stopped_in_a_commit():
            return suggest(space, trial, config)

    if at == "suggest":
        monkeypatch.setattr(Space, "suggest", write_suggestion)
    done = sweep(job, "x=1,2", "hydra.sweeper.n_trials=1", "hydra.sweeper.max_retry=0")
    assert {trial.user_attrs["reason"] for trial in done.trials} == {"told to stop"}
    assert not sweeping.lines(done.folder / "pids")


class WaitingJob:
    """Stands for a job of which nothing but its worker's process matters."""

    def set_up_worker(self, index: int, n_workers: int) -> None:
        pass

    def connect(self) -> None:
        pass

    def run(self, *_: object) -> None:
        time.sleep(60)


def fork_and_die() -> None:
    """A parent that is killed before its worker has begun to look at it."""
    ours, theirs = multiprocessing.Pipe()
    ours.send(1)

    def begin_late(parent: int) -> None:
        sweeping.until(lambda: os.getppid() != parent, "the parent's death")
        Path("worker").write_text(_process.identity())
        job: Any = WaitingJob()
        _workers._worker_main(job, 0, 1, theirs, 1, [ours])

    context = multiprocessing.get_context("fork")
    context.Process(target=begin_late, args=(os.getpid(),)).start()
    os._exit(0)


def test_a_worker_whose_parent_is_killed_at_once_ends_its_trial(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    parent = multiprocessing.get_context("fork").Process(target=fork_and_die)
    parent.start()
    parent.join()
    (worker,) = sweeping.until(lambda: sweeping.lines(Path("worker")), "the worker")
    sweeping.until(lambda: _process.is_gone(worker), "the worker's end", seconds=10)
