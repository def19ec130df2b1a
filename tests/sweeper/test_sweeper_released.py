"""What the released plugin's own tests and documented examples expect, from files as they are."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import optuna
import pytest
import released
import studies
import sweeping
from hydra import compose, initialize
from hydra.core.plugins import Plugins
from hydra.errors import ConfigCompositionException
from hydra.plugins.sweeper import Sweeper
from omegaconf import DictConfig, OmegaConf
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from sweeping import Sweep

from hydra_plugins.hydra_optuna_sweeper import _deprecated, _space
from hydra_plugins.hydra_optuna_sweeper._errors import SweepError
from hydra_plugins.hydra_optuna_sweeper._job import make_sampler
from hydra_plugins.hydra_optuna_sweeper.config import SAMPLERS


def example(
    folder: Path, name: str, source: str, conf: str, *arguments: str
) -> subprocess.CompletedProcess[str]:
    """Runs a documented example as its users do."""
    (folder / "conf").mkdir()
    (folder / "conf/config.yaml").write_text(conf)
    (folder / name).write_text(source)
    command = [sys.executable, name, "--multirun", f"hydra.sweep.dir={folder}", *arguments]
    return subprocess.run(
        command, cwd=folder, env=sweeping.environment(), capture_output=True, text=True, check=False
    )


def results(folder: Path) -> Any:
    return OmegaConf.load(folder / "optimization_results.yaml")


def test_hydra_discovers_the_plugin() -> None:
    assert "OptunaSweeper" in [sweeper.__name__ for sweeper in Plugins.instance().discover(Sweeper)]


def hundred(cfg: DictConfig) -> float:
    return 100.0


@pytest.mark.slow
def test_jobs_without_a_range_are_launched_all_the_same(sweep: Sweep) -> None:
    done = sweep(hundred, "hydra.sweeper.n_trials=2", "hydra.sweeper.n_jobs=2")
    assert (done.code, [trial.value for trial in done.trials]) == (0, [100.0] * 2)
    assert "no range is searched" in done.err


@pytest.mark.slow
@pytest.mark.parametrize("with_commandline", [True, False])
def test_the_sphere_example(tmp_path: Path, with_commandline: bool) -> None:
    storage = f"sqlite:///{tmp_path}/test.db"
    arguments = [
        f"hydra.sweeper.storage={storage}",
        "hydra.sweeper.study_name=test",
        "hydra.job.chdir=True",
        "~z",
    ]
    arguments += ["x=choice(0, 1, 2)", "y=0"] if with_commandline else []
    done = example(tmp_path, "sphere.py", released.SPHERE, released.SPHERE_CONF, *arguments)
    assert done.returncode == 0, done.stderr
    best = studies.load(storage, "test").best_trial
    written = results(tmp_path)
    assert (written.name, written.best_params, written.best_value) == (
        "optuna",
        best.params,
        best.value,
    )
    assert set(best.params) == ({"x"} if with_commandline else {"x", "y"})
    assert written.best_value <= 2.27  # the 95th percentile of 1,000 seeds, says the released test


@pytest.mark.slow
@pytest.mark.parametrize("sampler", ["cmaes", "qmc"])
def test_the_sphere_with_other_samplers(sweep: Sweep, sampler: str) -> None:
    arguments = ("x=range(-5.5,5.5,step=0.5)", "y=range(-5,5)", f"hydra/sweeper/sampler={sampler}")
    done = sweep(lambda cfg: cfg.x**2 + cfg.y**2, *arguments, "hydra.sweeper.n_trials=4")
    best = done.study.best_trial
    assert done.results == {"name": "optuna", "best_params": best.params, "best_value": best.value}
    assert all(trial.params["x"] % 0.5 == 0 for trial in done.trials)


@pytest.mark.slow
@pytest.mark.parametrize(("n_trials", "count"), [(10, 8), (1, 1)])
def test_the_grid_example(tmp_path: Path, n_trials: int, count: int) -> None:
    arguments = [
        f"hydra.sweeper.n_trials={n_trials}",
        f"hydra.sweeper.storage=sqlite:///{tmp_path}/s.db",
    ]
    done = example(tmp_path, "sphere.py", released.SPHERE, released.GRID_CONF, *arguments)
    assert done.returncode == 0, done.stderr
    written = results(tmp_path)
    assert written.best_params.x in (-1, 1)
    assert written.best_params.y in (-1, 0)
    assert written.best_params.z in ("foo", "bar")
    study = studies.load(tmp_path / "s.db", "sphere")
    assert len(study.trials) == count
    if count == 8:
        assert written.best_value == 1


def dominates(one: list[float], other: list[float]) -> bool:
    pairs = list(zip(one, other, strict=True))
    return all(x <= y for x, y in pairs) and any(x < y for x, y in pairs)


@pytest.mark.slow
@pytest.mark.parametrize("with_commandline", [True, False])
def test_the_example_with_two_objectives(tmp_path: Path, with_commandline: bool) -> None:
    arguments = [
        "hydra/sweeper/sampler=random",
        "hydra.sweeper.sampler.seed=123",
        "hydra.sweeper.n_trials=8",
    ]
    arguments += ["x=range(0, 5)", "y=range(0, 3)"] if with_commandline else []
    done = example(tmp_path, "multi-objective.py", released.MULTI, released.MULTI_CONF, *arguments)
    assert done.returncode == 0, done.stderr
    written = results(tmp_path)
    assert (written.name, set(written.solutions[0])) == ("optuna", {"params", "values"})
    for one in written.solutions:
        assert one.params.x % 1 in ({0} if with_commandline else {0, 0.5})
        assert not any(dominates(one["values"], other["values"]) for other in written.solutions)


@pytest.mark.slow
def test_the_example_with_a_search_space_function(tmp_path: Path) -> None:
    arguments = [
        "hydra/sweeper/sampler=random",
        "max_z_difference_from_x=0.3",
        "hydra.sweeper.n_trials=2",
    ]
    done = example(
        tmp_path,
        "custom-search-space-objective.py",
        released.CUSTOM,
        released.CUSTOM_CONF,
        *arguments,
    )
    assert done.returncode == 0, done.stderr
    best = results(tmp_path).best_params
    assert abs(best.x - best.z) <= 0.3
    assert 0 <= best["+w"] <= 1


@pytest.mark.slow
@pytest.mark.parametrize("max_failure_rate", [0.5, 1.0])
def test_too_many_failures_end_the_sweep_with_1(tmp_path: Path, max_failure_rate: float) -> None:
    arguments = [
        f"hydra.sweeper.max_failure_rate={max_failure_rate}",
        "hydra.sweeper.n_trials=4",
        "error=true",
    ]
    done = example(tmp_path, "sphere.py", released.SPHERE, released.SPHERE_CONF, *arguments)
    assert done.returncode == 1
    ended = "1 of 1" if max_failure_rate == 0.5 else "4 of 4"
    assert f"{ended} trials failed" in done.stderr
    assert "RuntimeError: cfg.error is True" in done.stderr


@pytest.mark.parametrize(
    ("old", "expected"),
    [
        ({"type": "categorical", "choices": [1, 2, 3]}, CategoricalDistribution([1, 2, 3])),
        (
            {"type": "categorical", "choices": ["a", "b c", "x,y"]},
            CategoricalDistribution(["a", "b c", "'x,y'"]),
        ),
        ({"type": "int", "low": 0, "high": 10}, IntDistribution(0, 10)),
        ({"type": "int", "low": 0, "high": 10, "step": 2}, IntDistribution(0, 10, step=2)),
        ({"type": "int", "low": 1, "high": 100, "log": True}, IntDistribution(1, 100, log=True)),
        ({"type": "float", "low": 0, "high": 1}, FloatDistribution(0, 1)),
        ({"type": "float", "low": 0, "high": 10, "step": 2}, FloatDistribution(0, 10, step=2)),
        (
            {"type": "float", "low": 1, "high": 100, "log": True},
            FloatDistribution(1, 100, log=True),
        ),
    ],
)
def test_the_deprecated_search_space_is_understood(old: Mapping[str, Any], expected: Any) -> None:
    with pytest.warns(UserWarning, match="search_space` is deprecated"):
        arguments = _deprecated.overrides({"x": old}, None)
    assert _space.read(arguments, conditions=(), constraints=(), custom=None).searched == {
        "x": expected
    }


def test_params_win_over_the_deprecated_search_space() -> None:
    with pytest.warns(
        UserWarning, match="Both hydra.sweeper.params and hydra.sweeper.search_space are configured"
    ):
        assert _deprecated.overrides({"x": {"type": "int", "low": 0, "high": 1}}, {}) == []


@pytest.mark.parametrize(
    "old", [{"type": "uniform"}, {"type": "int", "low": 0}, {}, {"type": "categorical"}]
)
def test_a_wrong_search_space_is_a_mistake(old: Mapping[str, Any]) -> None:
    with (
        pytest.warns(UserWarning, match="deprecated"),
        pytest.raises(SweepError, match=r"search_space\.x"),
    ):
        _deprecated.overrides({"x": old}, None)


def drawn(**changes: Any) -> list[float]:
    """The points of a TPE sampler that is configured as its users do, after a known history."""
    config = OmegaConf.create(
        {"_target_": "optuna.samplers.TPESampler", **SAMPLERS["TPESampler"], "seed": 0, **changes}
    )
    study = optuna.create_study(sampler=make_sampler(config))
    study.optimize(lambda trial: trial.suggest_float("x", -1.0, 1.0) ** 2, n_trials=15)
    return [trial.params["x"] for trial in study.trials]


@pytest.mark.parametrize(
    "change",
    [{"prior_weight": 0.2}, {"consider_magic_clip": False}, {"consider_endpoints": True}],
    ids=str,
)
def test_a_deprecated_key_of_tpe_still_changes_what_is_drawn(change: dict[str, Any]) -> None:
    assert drawn(**change) != drawn()


def test_a_key_of_tpe_that_does_nothing_any_more_is_refused() -> None:
    """A prior is always considered since Optuna 4.3."""
    assert drawn(consider_prior=False) == drawn()
    overrides = ["hydra/sweeper=optuna", "hydra.sweeper.sampler.consider_prior=false"]
    refused = pytest.raises(ConfigCompositionException, match=r"sampler\.consider_prior")
    with initialize(version_base=None), refused:
        compose(overrides=overrides)


@pytest.mark.slow
def test_results_are_written_as_documented(sweep: Sweep, tmp_path: Path) -> None:
    sweep(hundred, "x=1,2", "+z=a,b", "hydra.sweeper.n_trials=1")
    written = json.loads(
        json.dumps(
            OmegaConf.to_container(OmegaConf.load(tmp_path / "swept/optimization_results.yaml"))
        )
    )
    assert set(written) == {"name", "best_params", "best_value"}
    assert set(written["best_params"]) == {"x", "+z"}
