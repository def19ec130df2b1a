"""Every search of conf/search/, also a new one, can be run with each experiment of its network."""

from __future__ import annotations

from typing import Any

import optuna
import pytest
import tiny
import yaml
from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from omegaconf import OmegaConf

from goodfit.config import check, tree
from goodfit.config.compose import compose
from hydra_plugins.hydra_optuna_sweeper import _space as spaces

SEARCHES = [name for name in tiny.names("search") if name != "custom"]


def network(experiment: str) -> str:
    content = yaml.safe_load((tiny.ROOT / "conf/experiment" / f"{experiment}.yaml").read_text())
    chosen = [item["override /model"] for item in content["defaults"] if "override /model" in item]
    return str(chosen[0])


PAIRS = [
    (search, name)
    for search in SEARCHES
    for name in tiny.names("experiment")
    if network(name) == search
]


def sweeper(*overrides: str) -> Any:
    """The composed hydra.sweeper."""
    with initialize_config_dir(str(tiny.ROOT / "conf"), version_base="1.3", job_name="goodfit"):
        return hydra_compose("config", list(overrides), return_hydra_config=True).hydra.sweeper


def test_every_search_has_an_experiment() -> None:
    assert {search for search, _ in PAIRS} == set(SEARCHES)


# of the experiments with a network, one: their ranges are the same
@pytest.mark.slow
@pytest.mark.parametrize(("search", "experiment"), list({pair[0]: pair for pair in PAIRS}.values()))
def test_each_end_of_each_range_makes_a_right_configuration(search: str, experiment: str) -> None:
    options = sweeper(f"experiment={experiment}", f"search={search}")
    space = spaces.read(
        [f"{key}={value}" for key, value in options.params.items()],
        conditions=OmegaConf.to_container(options.conditions) if options.conditions else [],  # type: ignore[arg-type]
        constraints=list(options.constraints or []),
        custom=None,
    )
    assert space.searched
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for corner in space.corners():
        study.enqueue_trial(corner)
        overrides = space.suggest(study.ask(), options)
        cfg = compose(tiny.ROOT, [f"experiment={experiment}", *overrides])
        check.check(OmegaConf.create(tree.frozen(cfg)))
    assert options.direction == {"min": "minimize", "max": "maximize"}[check.mode(cfg)]


@pytest.mark.slow
@pytest.mark.parametrize(("search", "experiment"), PAIRS)
def test_a_search_names_a_study_of_its_own(search: str, experiment: str) -> None:
    with initialize_config_dir(str(tiny.ROOT / "conf"), version_base="1.3", job_name="goodfit"):
        cfg = hydra_compose(
            "config", [f"experiment={experiment}", f"search={search}"], return_hydra_config=True
        )
    assert cfg.hydra.sweeper.study_name == f"{experiment}-{search}"


@pytest.mark.slow
@pytest.mark.parametrize("sampler", ["tpe", "random", "grid", "cmaes", "qmc", "gp", "nsgaii"])
def test_every_sampler_can_be_chosen_for_a_search(sampler: str) -> None:
    assert sweeper(
        "experiment=mnist", "search=cnn", f"hydra/sweeper/sampler={sampler}"
    ).sampler._target_


@pytest.mark.slow
@pytest.mark.parametrize(
    "pruner", ["median", "hyperband", "percentile", "patient", "threshold", "none"]
)
def test_every_pruner_can_be_chosen_for_a_search(pruner: str) -> None:
    assert sweeper(
        "experiment=mnist", "search=cnn", f"hydra/sweeper/pruner={pruner}"
    ).pruner._target_
