"""A sweep that was stopped, killed or started twice ends with all trials that were asked for."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest
import sweeping
from omegaconf import DictConfig, OmegaConf
from optuna.trial import TrialState
from sweeping import Sweep

from hydra_plugins.hydra_optuna_sweeper import _lock, _study, _sweep

# jobs from the `free`-th on wait for a file
WAITS = """
with open("begun", "a") as file:
    print(cfg.x, file=file)
if len(open("begun").readlines()) > cfg.free:
    while not os.path.exists("go"):
        time.sleep(0.02)
with open("ended", "a") as file:
    print(cfg.x, file=file)
return cfg.x ** 2
"""


@pytest.fixture
def waits(tmp_path: Path) -> Path:
    """An app with two workers whose first two jobs end at once, the others when a file is there."""
    sweeper = {"params": {"x": "interval(0.0,1.0)"}, "n_trials": 5, "n_jobs": 2}
    return sweeping.app(tmp_path, WAITS, hydra={"sweeper": sweeper}, free=2)


def busy(folder: Path) -> bool:
    """Two trials have ended and two jobs wait."""
    return len(sweeping.lines(folder / "ended")) == 2 and len(sweeping.lines(folder / "begun")) == 4


def check_resumed(folder: Path, *, interrupted: int) -> None:
    """The same command, once more, repeats trials that were interrupted, not those that ended."""
    ended = sweeping.lines(folder / "ended")
    (folder / "go").touch()
    done = sweeping.call(folder)
    assert done.code == 0, done.err
    states = done.states()
    assert (states.count(TrialState.COMPLETE), states.count(TrialState.FAIL)) == (5, interrupted)
    assert len(states) == 5 + interrupted
    again = sweeping.lines(folder / "ended")
    assert again[:2] == ended
    assert len(again) == len(set(again)) == 5
    lost = {trial.params["x"] for trial in done.trials if trial.state == TrialState.FAIL}
    assert lost <= {
        trial.params["x"] for trial in done.trials if trial.state == TrialState.COMPLETE
    }


@pytest.mark.slow
def test_a_sweep_killed_with_all_its_workers_goes_on(waits: Path) -> None:
    process = sweeping.start(waits)
    sweeping.until(lambda: busy(waits), "two jobs that wait")
    sweeping.kill(process)
    assert sweeping.Done(0, "", "", waits).states().count(TrialState.RUNNING) == 2
    check_resumed(waits, interrupted=2)


@pytest.mark.fault(7)
@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, 130), pytest.param(signal.SIGTERM, 143, marks=pytest.mark.slow)],
)
def test_a_stopped_sweep_leaves_no_process_and_no_running_trial(
    waits: Path, number: signal.Signals, code: int
) -> None:
    process = sweeping.start(waits)
    sweeping.until(lambda: busy(waits), "two jobs that wait")
    if number == signal.SIGINT:  # Ctrl-C in a terminal reaches the workers too
        os.killpg(process.pid, number)
    else:
        process.send_signal(number)
    done = sweeping.end(process, waits, seconds=10)
    assert (done.code, sweeping.alive(process.pid)) == (code, False)
    assert TrialState.RUNNING not in done.states()
    assert "Traceback" not in done.err


@pytest.mark.slow
def test_workers_end_their_trials_when_the_sweep_alone_is_killed(waits: Path) -> None:
    process = sweeping.start(waits)
    sweeping.until(lambda: busy(waits), "two jobs that wait")
    process.kill()
    process.wait()
    sweeping.until(lambda: not sweeping.alive(process.pid), "the end of the workers")
    process.communicate()
    assert TrialState.RUNNING not in sweeping.Done(0, "", "", waits).states()
    check_resumed(waits, interrupted=2)


@pytest.mark.slow
def test_two_sweeps_on_one_study_share_its_trials(tmp_path: Path) -> None:
    sweeper = {"params": {"x": "interval(0.0,1.0)"}, "n_trials": 7, "n_jobs": 2}
    folder = sweeping.app(tmp_path, "return cfg.x", hydra={"sweeper": sweeper})
    one, other = (sweeping.start(folder, f"hydra.sweep.dir={name}") for name in ("one", "other"))
    ends = [sweeping.end(one, folder), sweeping.end(other, folder)]
    assert [done.code for done in ends] == [0, 0], [done.err for done in ends]
    assert ends[0].states() == [TrialState.COMPLETE] * 7
    # though all began with the same seed
    assert len({trial.params["x"] for trial in ends[0].trials}) == 7


def die_once(cfg: DictConfig) -> float:
    """Is killed at the first attempt of each point, or at all of them where y is 0."""
    with Path("attempts").open("a") as file:
        print(cfg.x, file=file)
    attempts = sweeping.lines(Path("attempts")).count(str(cfg.x))
    if cfg.y == 0 or attempts == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return 0.0


@pytest.mark.slow
@pytest.mark.fault(16)
def test_an_interrupted_trial_is_retried(sweep: Sweep) -> None:
    done = sweep(die_once, "x=interval(0.0,1.0)", "hydra.sweeper.n_trials=2")
    assert sorted(state.name for state in done.states()) == ["COMPLETE", "COMPLETE", "FAIL", "FAIL"]
    assert "2/2 trials, 2 complete, 2 interrupted and retried" in done.out


@pytest.mark.fault(16)
@pytest.mark.slow
@pytest.mark.parametrize(
    "retries", [1, pytest.param(0, marks=pytest.mark.slow), pytest.param(2, marks=pytest.mark.slow)]
)
def test_a_trial_is_retried_so_many_times_and_then_has_failed(sweep: Sweep, retries: int) -> None:
    done = sweep(
        die_once, "x=5,6", "y=0", "hydra.sweeper.n_trials=1", f"hydra.sweeper.max_retry={retries}"
    )
    assert (done.code, done.states()) == (1, [TrialState.FAIL] * (retries + 1))
    assert len({trial.params["x"] for trial in done.trials}) == 1


def test_a_queued_point_that_was_interrupted_before_it_was_chosen_is_not_lost() -> None:
    study = optuna.create_study()
    study.enqueue_trial({"x": 7})
    _study.interrupt(study, study.ask().number, "killed", 1)
    assert study.ask().suggest_int("x", 0, 9) == 7


class KilledWorkers:
    """Workers that run the first row and are killed before the second one is chosen."""

    def __init__(self, study: optuna.Study) -> None:
        self.study = study

    def run(self, *_: object) -> Iterator[int]:
        trial = self.study.ask()
        trial.suggest_int("row", 0, 1)
        self.study.tell(trial, 0.5)
        yield trial.number
        number = self.study.ask().number
        _study.interrupt(self.study, number, "killed", 0)
        yield number


def test_a_row_that_was_interrupted_before_it_was_chosen_has_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_sweep.Sweep, "_workers", lambda _self, _job, study: KilledWorkers(study))
    parts: Any = {name: OmegaConf.create({"max_retry": 0}) for name in ("options", "config")}
    sweep = _sweep.Sweep(**parts, context=None, launcher=None, url=f"sqlite:///{tmp_path}/s.db")
    repeated = sweep.repeat(optuna.create_study(), [["x=1"], ["x=2"]])
    assert [trial.state for trial in repeated] == [TrialState.COMPLETE, TrialState.FAIL]


def test_of_two_sweeps_that_find_a_dead_trial_one_queues_it_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    study = optuna.create_study()
    study.ask().suggest_int("x", 0, 9)
    seen = study.get_trials()
    _study.interrupt(study, 0, "killed", 1)
    monkeypatch.setattr(study, "get_trials", lambda **_: seen)  # what the other one read before
    _study.interrupt(study, 0, "killed", 1)
    monkeypatch.undo()
    assert [trial.state for trial in study.get_trials()] == [TrialState.FAIL, TrialState.WAITING]


@pytest.mark.parametrize(
    ("url", "word"),
    [
        ("sqlite:///s.db", "timeout"),
        ("postgresql://host/db", "connect_timeout"),
        ("mysql+pymysql://host/db", "connect_timeout"),
        ("postgresql+pg8000://host/db", None),
    ],
)
def test_a_driver_is_told_to_wait_in_its_own_words_or_not_at_all(
    url: str, word: str | None
) -> None:
    assert list(_lock.connect_args(url)) == ([word] if word else [])


def square(cfg: DictConfig) -> float:
    return float(cfg.x) ** 2


@pytest.mark.parametrize("sampler", ["random", pytest.param("tpe", marks=pytest.mark.slow)])
def test_a_resumed_study_keeps_its_seed_and_goes_to_new_points(sweep: Sweep, sampler: str) -> None:
    arguments = ("x=interval(0.0,1.0)", f"hydra/sweeper/sampler={sampler}")
    before = sweep(square, *arguments, "hydra.sweeper.n_trials=2").trials
    done = sweep(square, *arguments, "hydra.sweeper.n_trials=3")
    assert [trial.params for trial in done.trials[:2]] == [trial.params for trial in before]
    assert len({trial.params["x"] for trial in done.trials}) == 3
    assert "goes on after 2 trials, up to 3 trials" in done.out


@pytest.mark.slow
def test_a_finished_study_is_left_as_it_is(sweep: Sweep) -> None:
    arguments = ("x=shuffle(range(0,9))", "hydra.sweeper.n_trials=2")
    before = sweep(square, *arguments).trials
    done = sweep(square, *arguments)
    assert (done.code, done.trials) == (0, before), done.err


@pytest.mark.slow
def test_a_grid_goes_on_with_the_points_that_are_left(sweep: Sweep) -> None:
    arguments = ("x=choice(1,2,3)", "hydra/sweeper/sampler=grid")
    sweep(square, *arguments, "hydra.sweeper.n_trials=2")
    done = sweep(square, *arguments, "hydra.sweeper.n_trials=9")
    assert sorted(trial.params["x"] for trial in done.trials) == [1, 2, 3]


def nap(cfg: DictConfig) -> Any:
    import time

    time.sleep(0.4)
    return 0.0


@pytest.mark.slow
def test_no_trial_starts_after_the_timeout(sweep: Sweep) -> None:
    done = sweep(nap, "x=1,2", "hydra.sweeper.n_trials=50", "hydra.sweeper.timeout=0.5")
    assert done.code == 0
    assert set(done.states()) == {TrialState.COMPLETE}
    assert 1 <= len(done.trials) <= 2
