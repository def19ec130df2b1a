"""Objectives, conditions, constraints, samplers and pruners, seen from the study that is left."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import optuna
import pytest
import sweeping
from omegaconf import DictConfig, OmegaConf
from optuna.storages import RDBStorage
from optuna.trial import TrialState
from sweeping import Sweep

from hydra_plugins.hydra_optuna_sweeper import trial as trials
from hydra_plugins.hydra_optuna_sweeper._job import make_sampler


def bowl(cfg: DictConfig) -> float:
    return float(cfg.x) ** 2 + float(cfg.y) ** 2


def pair(cfg: DictConfig) -> tuple[float, float]:
    trial = trials.current()
    assert trial is not None
    assert not trials.report(trial, 1.0, 0)  # Optuna prunes by one value only
    return cfg.x**2, (cfg.x - 2) ** 2


@pytest.mark.parametrize("sampler", ["nsgaii", pytest.param("tpe", marks=pytest.mark.slow)])
def test_two_objectives_give_the_solutions_that_none_dominates(sweep: Sweep, sampler: str) -> None:
    options = ["hydra.sweeper.direction=[minimize,maximize]", f"hydra/sweeper/sampler={sampler}"]
    done = sweep(pair, "x=choice(-1,0,1)", *options, "hydra.sweeper.n_trials=3")
    best = [{"params": trial.params, "values": trial.values} for trial in done.study.best_trials]
    assert done.results == {"name": "optuna", "solutions": best}
    assert all(len(trial.values) == 2 for trial in done.trials)


CONDITIONS = [
    {"when": {"y": "sgd"}, "params": {"x": "interval(0.5,0.9)", "+momentum": "choice(1,2)"}},
    {"when": {"y": ["adam", "adamw"]}, "params": {"+beta": "range(3,4)"}},
]


def conditional(cfg: DictConfig) -> float:
    """Fails unless the keys of its optimizer, and those only, are set."""
    assert ("momentum" in cfg, "beta" in cfg) == (cfg.y == "sgd", cfg.y != "sgd")
    return float(cfg.x)


@pytest.mark.slow
@pytest.mark.parametrize("sampler", ["tpe", pytest.param("random", marks=pytest.mark.slow)])
def test_a_range_exists_only_where_its_condition_holds(sweep: Sweep, sampler: str) -> None:
    options = {
        "sweeper": {
            "conditions": CONDITIONS,
            "params": {"y": "choice(sgd,adam,adamw)"},
            "n_trials": 4,
        }
    }
    done = sweep(conditional, f"hydra/sweeper/sampler={sampler}", hydra=options)
    keys = {"sgd": {"y", "x", "+momentum"}, "adam": {"y", "+beta"}, "adamw": {"y", "+beta"}}
    assert done.states() == [TrialState.COMPLETE] * 4
    assert all(set(trial.params) == keys[trial.params["y"]] for trial in done.trials)


def note(cfg: DictConfig) -> float:
    with Path("ran").open("a") as file:
        print(cfg.x * cfg.y, file=file)
    return float(cfg.x)


@pytest.mark.slow
def test_a_point_outside_a_constraint_is_pruned_without_a_run(sweep: Sweep, tmp_path: Path) -> None:
    options = ["hydra.sweeper.constraints=['x * y <= 4', 'x >= 2']", "hydra/sweeper/sampler=grid"]
    done = sweep(note, "x=choice(1,2,3)", "y=choice(1,2)", *options)
    said = {
        (trial.params["x"], trial.params["y"]): trial.user_attrs.get("pruned")
        for trial in done.trials
    }
    small, large = "not tried: x >= 2 does not hold", "not tried: x * y <= 4 does not hold"
    assert said == {
        (1, 1): small,
        (1, 2): small,
        (2, 1): None,
        (2, 2): None,
        (3, 1): None,
        (3, 2): large,
    }
    assert sorted(sweeping.lines(tmp_path / "ran")) == ["2", "3", "4"]
    assert large in done.out


def sized(cfg: DictConfig) -> float:
    """Tells its size in one of the two ways, and gives the better score the larger it is."""
    trial = trials.current()
    assert trial is not None
    if cfg.y == "admit":
        if broken := trials.admit(trial, parameters=100 * cfg.x):
            raise trials.prune(trial, f"not tried: {broken} does not hold")
    else:
        trial.set_user_attr("parameters", 100 * cfg.x)
    return -float(cfg.x)


@pytest.mark.parametrize("way", ["set", pytest.param("admit", marks=pytest.mark.slow)])
@pytest.mark.parametrize("sampler", ["tpe", pytest.param("grid", marks=pytest.mark.slow)])
def test_a_fact_outside_a_constraint_prunes_the_trial(sweep: Sweep, way: str, sampler: str) -> None:
    options = [
        "hydra.sweeper.constraints=['parameters <= 250']",
        f"hydra/sweeper/sampler={sampler}",
    ]
    done = sweep(sized, "x=choice(2,3)", f"y={way}", *options, "hydra.sweeper.n_trials=3")
    states = {trial.params["x"]: trial.state.name for trial in done.trials}
    assert states == {key: "PRUNED" if key == 3 else "COMPLETE" for key in states}
    assert done.results.best_params.x == max(key for key in states if key < 3)


@pytest.mark.slow
def test_a_constraint_over_a_given_value_is_kept(sweep: Sweep, tmp_path: Path) -> None:
    sweep(
        note,
        "x=choice(1,2,3)",
        "y=2",
        "hydra.sweeper.constraints=['x * y <= 4']",
        "hydra/sweeper/sampler=grid",
    )
    assert sorted(sweeping.lines(tmp_path / "ran")) == ["2", "4"]


@pytest.mark.slow
def test_a_constraint_on_what_no_job_tells_fails_the_trial(sweep: Sweep) -> None:
    done = sweep(
        bowl, "x=1,2", "hydra.sweeper.constraints=['paramters <= 9']", "hydra.sweeper.n_trials=1"
    )
    assert done.code == 1
    missing = "constraint 'paramters <= 9': the job did not set 'paramters'"
    assert missing in done.err.splitlines()[-1]


@pytest.mark.slow
def test_a_constraint_on_a_range_that_another_trial_has_fails_none(sweep: Sweep) -> None:
    conditions = [{"when": {"y": "a"}, "params": {"x": "interval(0.5,0.9)"}}]
    options = {
        "sweeper": {
            "conditions": conditions,
            "constraints": ["x <= 5"],
            "params": {"y": "choice(a,b)"},
        }
    }
    done = sweep(lambda cfg: 0.0, "hydra.sweeper.n_trials=4", hydra=options)
    assert done.states() == [TrialState.COMPLETE] * 4
    assert {trial.params["y"] for trial in done.trials} == {"a", "b"}


def with_given(cfg: DictConfig, trial: Any) -> None:
    """As the released sweeper documents, fixed values are among the trial's user attributes."""
    trial.suggest_int("x", 0, int(trial.user_attrs["y"]))


@pytest.mark.slow
def test_a_search_space_function_sees_the_given_values(
    sweep: Sweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parent)
    function = "hydra.sweeper.custom_search_space=test_sweeper_search.with_given"
    done = sweep(bowl, "y=7", function, "hydra.sweeper.n_trials=1")
    assert done.code == 0, done.err
    assert done.trials[0].user_attrs["y"] == 7


OTHERS = [
    pytest.param(name, marks=pytest.mark.slow)
    for name in ("tpe", "random", "grid", "qmc", "nsgaii")
]


@pytest.mark.slow
@pytest.mark.parametrize("sampler", ["cmaes", *OTHERS])
def test_each_sampler_runs(sweep: Sweep, sampler: str) -> None:
    options = [
        f"hydra/sweeper/sampler={sampler}",
        "hydra.sweeper.n_trials=3",
        "hydra.sweeper.n_jobs=2",
    ]
    done = sweep(bowl, "x=range(0,9)", "y=range(0.0,1.0,step=0.25)", *options)
    assert (done.code, done.states()) == (0, [TrialState.COMPLETE] * 3), done.err
    assert len({tuple(trial.params.items()) for trial in done.trials}) == 3


@pytest.mark.slow
def test_no_two_workers_take_the_same_point_of_a_sequence(
    sweep: Sweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = RDBStorage.set_study_system_attr

    def late(*arguments: Any) -> None:
        # between reading and writing how far the sequence is; workers are forks, and inherit this
        time.sleep(0.1)
        write(*arguments)

    monkeypatch.setattr(RDBStorage, "set_study_system_attr", late)
    options = ["hydra/sweeper/sampler=qmc", "hydra.sweeper.n_trials=8", "hydra.sweeper.n_jobs=3"]
    done = sweep(bowl, "x=interval(0.0,1.0)", "y=interval(0.0,1.0)", *options)
    assert len({tuple(trial.params.items()) for trial in done.trials}) == 8


def test_before_a_sequence_begins_no_two_workers_draw_alike() -> None:
    config = OmegaConf.create({"_target_": "optuna.samplers.QMCSampler", "seed": 0})
    studies = [optuna.create_study(sampler=make_sampler(config, offset)) for offset in (0, 1000)]
    first, second = [study.ask().suggest_float("x", 0.0, 1.0) for study in studies]
    assert first != second


@pytest.mark.slow  # imports torch
def test_the_gaussian_process_runs(sweep: Sweep) -> None:
    options = [
        "hydra/sweeper/sampler=gp",
        "hydra.sweeper.sampler.n_startup_trials=2",
        "hydra.sweeper.n_trials=4",
    ]
    done = sweep(bowl, "x=interval(-1.0,1.0)", "y=interval(-1.0,1.0)", *options)
    assert (done.code, done.states()) == (0, [TrialState.COMPLETE] * 4), done.err


def climb(cfg: DictConfig) -> float:
    """Reports x at each of six steps, until it is told to stop."""
    trial = trials.current()
    assert trial is not None
    for step in range(6):
        if trials.report(trial, float(cfg.x) + step, step):
            raise trials.prune(trial, f"at step {step + 1}")
    return float(cfg.x)


@pytest.mark.parametrize(
    ("pruner", "options"),
    [
        pytest.param("median", ["n_startup_trials=2"], marks=pytest.mark.slow),
        pytest.param("percentile", ["n_startup_trials=2", "percentile=50"], marks=pytest.mark.slow),
        ("threshold", ["upper=50"]),
        pytest.param("patient", ["patience=1", "wrapped_pruner=null"], marks=pytest.mark.slow),
        pytest.param("hyperband", ["max_resource=6", "reduction_factor=2"], marks=pytest.mark.slow),
        pytest.param("none", [], marks=pytest.mark.slow),
    ],
)
def test_each_pruner_is_asked_and_its_word_recorded(
    sweep: Sweep, pruner: str, options: list[str]
) -> None:
    arguments = [
        f"hydra/sweeper/pruner={pruner}",
        *(f"hydra.sweeper.pruner.{option}" for option in options),
    ]
    done = sweep(climb, "x=choice(1,2,99)", "hydra/sweeper/sampler=grid", *arguments)
    assert done.code == (1 if pruner == "patient" else 0), done.err
    states = {trial.params["x"]: trial.state for trial in done.trials}
    pruned = [trial for trial in done.trials if trial.state == TrialState.PRUNED]
    if pruner == "threshold":
        assert {key for key, state in states.items() if state == TrialState.PRUNED} == {99}
    if pruner == "patient":  # the score gets worse at each step
        assert set(states.values()) == {TrialState.PRUNED}
    if pruner == "none":
        assert set(states.values()) == {TrialState.COMPLETE}
    for trial in pruned:
        assert trial.user_attrs["pruned"] == f"at step {trial.last_step + 1}"
        assert f"pruned    {trial.user_attrs['pruned']}" in done.out


def test_outside_a_sweep_there_is_no_trial() -> None:
    assert (trials.current(), trials.active()) == (None, False)


@pytest.mark.slow
def test_a_process_that_a_job_starts_finds_the_trial_and_holds_no_connection(
    tmp_path: Path,
) -> None:
    child = (
        "from hydra_plugins.hydra_optuna_sweeper import trial as t; trial = t.current();"
        "trial.set_user_attr('by', 'child'); print(t.report(trial, 99.0, 0), flush=True);"
        "import psutil; print('open:', psutil.Process().open_files(), flush=True)"
    )
    command = f"[sys.executable, '-c', {child!r}]"
    body = f"import subprocess\nsubprocess.run({command}, check=True)\nreturn cfg.x"
    sweeper = {"params": {"x": "1,2"}, "n_trials": 1, "pruner": {"upper": 50}}
    defaults = [
        "_self_",
        {"override hydra/sweeper": "optuna"},
        {"override hydra/sweeper/pruner": "threshold"},
    ]
    done = sweeping.call(
        sweeping.app(tmp_path, body, hydra={"sweeper": sweeper}, defaults=defaults)
    )
    assert (done.code, "True" in done.out.splitlines()) == (0, True), done.err
    assert "open: []" in done.out
    (trial,) = done.trials
    assert (trial.user_attrs["by"], trial.intermediate_values) == ("child", {0: 99.0})


def maximum(cfg: DictConfig) -> float:
    return float(cfg.x)


@pytest.mark.slow
def test_the_best_of_a_maximized_study_is_the_largest(sweep: Sweep) -> None:
    options = ["hydra/sweeper/sampler=grid", "hydra.sweeper.direction=maximize"]
    done = sweep(maximum, "x=choice(1,3,2)", *options)
    assert done.results == {"name": "optuna", "best_params": {"x": 3}, "best_value": 3.0}


@pytest.mark.slow
def test_a_seed_gives_the_same_points_as_optuna_itself(sweep: Sweep) -> None:
    done = sweep(
        maximum, "x=interval(0.0,1.0)", "hydra/sweeper/sampler=tpe", "hydra.sweeper.n_trials=3"
    )
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=0))
    study.optimize(lambda trial: trial.suggest_float("x", 0.0, 1.0), n_trials=3)
    assert [trial.params for trial in done.trials] == [trial.params for trial in study.trials]


@pytest.mark.slow
def test_the_listener_hears_of_each_trial(
    sweep: Sweep, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parent)
    sweep(
        maximum,
        "x=1,2",
        "hydra.sweeper.n_trials=2",
        "+hydra.sweeper.listener._target_=test_sweeper_search.Heard",
    )
    corners, rest = sweeping.lines(tmp_path / "heard")[:2], sweeping.lines(tmp_path / "heard")[2:]
    assert corners == ["check"] * 2
    assert rest == ["began", "trial_ended 0", "trial_ended 1", "ended"]


class Heard:
    """Writes down what it is told."""

    def check(self, config: DictConfig) -> None:
        self._note("check")
        assert OmegaConf.select(config, "x") in (1, 2)

    def began(self, study: optuna.Study, sweep: Any) -> None:
        self._note("began")

    def trial_ended(self, study: optuna.Study, trial: optuna.trial.FrozenTrial) -> None:
        self._note(f"trial_ended {trial.number}")

    def ended(self, study: optuna.Study, sweep: Any) -> None:
        self._note("ended")

    def stopped(self, study: optuna.Study) -> None:
        self._note("stopped")

    def _note(self, word: str) -> None:
        with Path("heard").open("a") as file:
            print(word, file=file)
