"""The sweeper's keys with their types and defaults: hydra/sweeper=optuna, its sampler and pruner.

The keys of the released sweeper keep their names and meanings. New ones say "new" and can be left
alone.
"""

import copy
from dataclasses import dataclass, field, make_dataclass
from functools import partial
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING

Nullable = Any | None  # a structured config knows no unions of int, float and None


@dataclass
class OptunaSweeperConf:
    """hydra.sweeper.*"""

    _target_: str = "hydra_plugins.hydra_optuna_sweeper.optuna_sweeper.OptunaSweeper"
    _recursive_: bool = False  # each worker makes a sampler of its own, with a seed of its own
    defaults: list[Any] = field(default_factory=lambda: [{"sampler": "tpe"}, {"pruner": "median"}])

    sampler: Any = MISSING
    pruner: Any = MISSING  # new: asked at every trial.report(); without a report it has no say
    direction: Any = "minimize"  # or maximize, or a list of them for several objectives
    storage: Nullable = None  # a database's URL; null: a SQLite file optuna.db in hydra.sweep.dir
    study_name: Nullable = None  # the same name on the same storage goes on where it stopped
    n_trials: int = 20  # of the whole study: a study that is resumed is topped up
    n_jobs: int = 2  # worker processes
    max_failure_rate: float = 1.0  # the sweep ends when a larger share of its trials has failed
    search_space: Nullable = None  # deprecated since 1.2: params says the same in fewer words
    params: Nullable = None  # key: what could stand behind `key=` on the command line
    # dotted name of a function (cfg, trial) that suggests more
    custom_search_space: Nullable = None
    conditions: Nullable = None  # new: [{when: {key: value}, params: {...}}], ranges only then
    constraints: Nullable = None  # new: ["parameters <= 1e5", "model.width * model.depth <= 512"]
    timeout: Nullable = None  # new: seconds; no trial starts later
    heartbeat: int = 10  # new: seconds between heartbeats; six missed ones mean a dead trial
    max_retry: int = 1  # new: how often a trial that was interrupted, not failed, is retried
    recycle: int = 50  # new: trials after which a worker is replaced, so that memory is given back
    # new: modules imported before workers fork; torch, Lightning and MLflow take 8 s in each one
    preload: list[str] = field(default_factory=list)
    quiet: bool = False  # new: what trials print goes to worker-<n>.log in hydra.sweep.dir
    # new: an object to instantiate that is told of the sweep; see Listener
    listener: Nullable = None


SAMPLERS: dict[str, dict[str, Any]] = {
    "TPESampler": {
        "seed": None,
        "n_startup_trials": 10,
        "n_ei_candidates": 24,
        "multivariate": None,
        "group": False,
        "constant_liar": True,
        "warn_independent_sampling": None,
        # not consider_prior, which does nothing since Optuna 4.3; the next three go with Optuna 6
        "prior_weight": None,
        "consider_magic_clip": None,
        "consider_endpoints": None,
    },
    "RandomSampler": {"seed": None},
    "GridSampler": {"seed": None, "_partial_": True},  # the grid comes from params
    "CmaEsSampler": {
        "seed": None,
        "x0": None,
        "sigma0": None,
        "n_startup_trials": 1,
        "independent_sampler": None,
        "warn_independent_sampling": False,
        "consider_pruned_trials": False,
        "restart_strategy": None,
        "popsize": None,
        "inc_popsize": -1,
        "use_separable_cma": False,
        "with_margin": False,
        "lr_adapt": False,
        "source_trials": None,
    },
    "QMCSampler": {
        "seed": None,
        "qmc_type": "sobol",
        "scramble": False,
        "independent_sampler": None,
        "warn_asynchronous_seeding": False,
        "warn_independent_sampling": False,
    },
    # 0.66 s a trial to choose its point
    "GPSampler": {
        "seed": None,
        "independent_sampler": None,
        "n_startup_trials": 10,
        "deterministic_objective": False,
        "warn_independent_sampling": False,
    },
    "NSGAIISampler": {
        "seed": None,
        "population_size": 50,
        "mutation_prob": None,
        "crossover_prob": 0.9,
        "swapping_prob": 0.5,
        "constraints_func": None,
    },
}
PRUNERS: dict[str, dict[str, Any]] = {
    # two steps of grace, where Optuna gives none: the first epochs say little about the last ones
    "MedianPruner": {
        "n_startup_trials": 5,
        "n_warmup_steps": 2,
        "interval_steps": 1,
        "n_min_trials": 1,
    },
    "HyperbandPruner": {
        "min_resource": 1,
        "max_resource": "auto",
        "reduction_factor": 3,
        "bootstrap_count": 0,
    },
    "PercentilePruner": {
        "percentile": 25.0,
        "n_startup_trials": 5,
        "n_warmup_steps": 2,
        "interval_steps": 1,
        "n_min_trials": 1,
    },
    "PatientPruner": {
        "wrapped_pruner": {"_target_": "optuna.pruners.MedianPruner"},
        "patience": 2,
        "min_delta": 0.0,
    },
    "ThresholdPruner": {"lower": None, "upper": None, "n_warmup_steps": 0, "interval_steps": 1},
    "NopPruner": {},
}
_GROUPS = {
    "sampler": {
        "tpe": "TPESampler",
        "random": "RandomSampler",
        "grid": "GridSampler",
        "cmaes": "CmaEsSampler",
        "qmc": "QMCSampler",
        "gp": "GPSampler",
        "nsgaii": "NSGAIISampler",
    },
    "pruner": {
        "median": "MedianPruner",
        "hyperband": "HyperbandPruner",
        "percentile": "PercentilePruner",
        "patient": "PatientPruner",
        "threshold": "ThresholdPruner",
        "none": "NopPruner",
    },
}


def _node(module: str, name: str, defaults: dict[str, Any]) -> Any:
    """The structured config of a class of Optuna."""
    fields: list[Any] = [("_target_", str, field(default=f"optuna.{module}.{name}"))]
    for key, value in defaults.items():
        fields.append((key, Any, field(default_factory=partial(copy.deepcopy, value))))
    made = make_dataclass(f"{name}Conf", fields)
    made.__module__ = __name__
    return made


# when this file is imported, and not in `register`: pickle looks for them here, in a worker that
# copies the configuration of each trial from bytes, and in a job of Slurm, which registers nothing
for _module, _classes in {"samplers": SAMPLERS, "pruners": PRUNERS}.items():
    for _name, _defaults in _classes.items():
        globals()[f"{_name}Conf"] = _node(_module, _name, _defaults)


def register() -> None:
    """Puts hydra/sweeper=optuna and its groups where Hydra's composition finds them."""
    store = ConfigStore.instance()
    store.store(
        group="hydra/sweeper", name="optuna", node=OptunaSweeperConf, provider="optuna_sweeper"
    )
    for group, choices in _GROUPS.items():
        for choice, name in choices.items():
            node = globals()[f"{name}Conf"]
            store.store(
                group=f"hydra/sweeper/{group}", name=choice, node=node, provider="optuna_sweeper"
            )
