"""A mistake ends the sweep with 2, in at most two lines, before a job runs; failed jobs with 1."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import sweeping
from omegaconf import DictConfig
from optuna.trial import TrialState
from sweeping import Sweep


def note(cfg: DictConfig) -> float:
    with Path("ran").open("a") as file:
        print(cfg.x, file=file)
    return float(cfg.x)


def check_mistake(done: sweeping.Done, *messages: str) -> None:
    """Code 2, a line or two, no traceback, and no job has run."""
    assert (done.code, done.out) == (2, "")
    assert all(message in done.err for message in messages), done.err
    assert len(done.err.splitlines()) <= 2
    assert done.err.startswith("hydra-optuna-sweeper: ")
    assert "Traceback" not in done.err
    assert not sweeping.lines(done.folder / "ran")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "messages"),
    [
        (["hydra.sweeper.direction=down"], ["hydra.sweeper.direction=down", "minimize, maximize"]),
        (["hydra.sweeper.direction=[]"], ["hydra.sweeper.direction=[]"]),
        (["hydra.sweeper.direction=null"], ["hydra.sweeper.direction=None"]),
        (["hydra.sweeper.direction=[minimize,down]"], ["minimize, maximize"]),
        (["hydra.sweeper.n_trials=0"], ["hydra.sweeper.n_trials=0"]),
        (["hydra.sweeper.n_jobs=-1"], ["hydra.sweeper.n_jobs=-1"]),
        (["hydra.sweeper.max_failure_rate=2"], ["hydra.sweeper.max_failure_rate=2"]),
        (["hydra.sweeper.timeout=soon"], ["hydra.sweeper.timeout=soon"]),
        (["hydra.sweeper.timeout=0"], ["hydra.sweeper.timeout=0", "more than 0"]),
        (["hydra.sweeper.params=5"], ["hydra.sweeper.params=5"]),
        (["hydra.sweeper.preload=[nowhere]"], ["hydra.sweeper.preload", "nowhere"]),
        (
            ["hydra.sweeper.pruner=null"],
            ["hydra.sweeper.pruner=None", "hydra/sweeper/pruner=<name>"],
        ),
        (
            ["hydra.sweeper.sampler=null"],
            ["hydra.sweeper.sampler=None", "hydra/sweeper/sampler=<name>"],
        ),
        (["hydra.sweeper.constraints=[5]"], ["hydra.sweeper.constraints: 5", "a <= b or a >= b"]),
        (["hydra.sweeper.constraints=[null]"], ["hydra.sweeper.constraints: None"]),
        (["hydra.sweeper.study_name=[a]"], ["hydra.sweeper.study_name", "expected a string"]),
        (
            ["hydra.sweeper.custom_search_space=nowhere.f"],
            ["hydra.sweeper.custom_search_space=nowhere.f"],
        ),
        (["hydra/sweeper/sampler=cmaes", "x=choice(1,2)"], ["cmaes", "a space of choices only"]),
        (
            ["hydra/sweeper/sampler=cmaes", "hydra.sweeper.direction=[minimize,maximize]"],
            ["several directions"],
        ),
        (
            ["hydra/sweeper/sampler=grid", "x=interval(0.0,1.0)"],
            ["x: the grid sampler", "use range or choice"],
        ),
        (["hydra.sweeper.sampler.seed=word"], ["hydra.sweeper.sampler"]),
        (
            ["hydra/sweeper/sampler=tpe", "hydra.sweeper.sampler.n_startup_trials=word"],
            ["hydra.sweeper.sampler cannot draw with these values"],
        ),
        (["hydra/sweeper/pruner=threshold"], ["hydra.sweeper.pruner"]),
        (["hydra.sweeper.storage=study.db"], ["hydra.sweeper.storage=study.db", "expected a URL"]),
        (["hydra.sweeper.storage='sqlite:///:memory:'"], ["workers share no memory"]),
        (["hydra.sweeper.storage='sqlite+pysqlite:///:memory:'"], ["workers share no memory"]),
        (
            ["hydra.sweeper.storage='sqlite:////proc/none/s.db'"],
            ["sqlite:////proc/none/s.db does not answer"],
        ),
        (["hydra.sweeper.storage='nosql://host/db'"], ["nosql://host/db"]),
        (["hydra.sweeper.storage='mysql://u:p@host/db'"], ["install the database's driver"]),
        (["hydra.sweeper.constraints=['x < 5']"], ["'x < 5'", "a <= b or a >= b"]),
        (["hydra.sweeper.constraints=['y.z <= 5']"], ["'y.z', which is not searched"]),
        (["hydra.sweeper.constraints=['x <= 5']", "x=choice(1,abc)"], ["needs numbers"]),
        (["hydra.sweeper.constraints='x <= 5'"], ["expected a list"]),
        (
            ["hydra.sweeper.conditions=[{when:{z:1},params:{y:'1,2'}}]"],
            ["'z' is not searched as a choice"],
        ),
        (["hydra.sweeper.conditions=[5]"], ["expected when"]),
    ],
)
def test_a_mistake_is_told_in_two_lines(
    sweep: Sweep, arguments: list[str], messages: list[str]
) -> None:
    ranges = [] if any(item.startswith("x=") for item in arguments) else ["x=range(1,9)"]
    check_mistake(sweep(note, *ranges, *arguments), *messages)


def test_a_wrong_search_space_of_old_is_a_mistake(sweep: Sweep) -> None:
    with pytest.warns(UserWarning, match="search_space` is deprecated"):
        done = sweep(note, "hydra.sweeper.search_space={x: 5}")
    check_mistake(done, "hydra.sweeper.search_space.x")


def test_a_function_that_raises_is_a_mistake(sweep: Sweep, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parent)
    done = sweep(note, "y=1,2", "hydra.sweeper.custom_search_space=test_sweeper_mistakes.wrong")
    check_mistake(done, "custom_search_space: KeyError: 'nowhere'")


def wrong(cfg: DictConfig, trial: Any) -> None:
    trial.suggest_int("x", 0, trial.params["nowhere"])


@pytest.mark.slow
def test_a_study_is_resumed_with_its_own_space_and_direction(sweep: Sweep, tmp_path: Path) -> None:
    sweep(note, "x=range(1,9)", "hydra.sweeper.n_trials=1")
    (tmp_path / "ran").unlink()
    advice = "choose another hydra.sweeper.study_name"
    check_mistake(sweep(note, "x=range(1,5)"), "study 's' searches another space: x differ", advice)
    told = "study 's' has directions ['minimize'], got ['maximize']"
    check_mistake(sweep(note, "x=range(1,9)", "hydra.sweeper.direction=maximize"), told, advice)
    both = "hydra.sweeper.direction=[minimize,minimize]"
    check_mistake(
        sweep(note, "x=range(1,9)", both), "study 's' has directions ['minimize'], got", advice
    )


class Refusing:
    """A listener that finds a mistake when the study is there."""

    def check(self, config: DictConfig) -> None: ...

    def began(self, study: Any, sweep: Any) -> None:
        raise ValueError("not like this")


@pytest.mark.slow
def test_a_study_without_a_trial_binds_nobody(
    sweep: Sweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parent)
    refused = sweep(
        note, "x=range(1,9)", "+hydra.sweeper.listener._target_=test_sweeper_mistakes.Refusing"
    )
    assert (refused.code, refused.err) == (2, "hydra-optuna-sweeper: not like this\n")
    assert sweep(note, "x=range(1,5)", "y=7", "hydra.sweeper.n_trials=1").code == 0


def fail(cfg: DictConfig) -> float:
    """Fails where x is less than 3."""
    if cfg.x < 3:
        raise RuntimeError("too small")
    return 0.0


@pytest.mark.parametrize(
    ("values", "rate", "code", "ended"),
    [
        ("1,2", 1.0, 1, 2),
        pytest.param("5,1,2,6", 0.5, 1, 3, marks=pytest.mark.slow),
        pytest.param("1,5,6", 1.0, 0, 3, marks=pytest.mark.slow),
        pytest.param("1,5,6", 0.3, 1, 1, marks=pytest.mark.slow),
        pytest.param("5,6,1", 0.4, 0, 3, marks=pytest.mark.slow),
    ],
)
def test_the_share_of_failed_trials_decides_the_code(
    sweep: Sweep, values: str, rate: float, code: int, ended: int
) -> None:
    done = sweep(
        fail, f"x={values}", "hydra/sweeper/sampler=grid", f"hydra.sweeper.max_failure_rate={rate}"
    )
    states = done.states()
    began = sum(state.is_finished() for state in states)
    assert done.code == code
    # the next one is handed out before one is judged
    assert began in (ended, min(ended + 1, len(values.split(","))))
    assert TrialState.RUNNING not in states
    if code:
        assert "RuntimeError: too small" in done.err.splitlines()[-1]
