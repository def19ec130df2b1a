"""Options checked before a worker starts: what a configuration's types do not say."""

from __future__ import annotations

import importlib
import logging
import warnings
from collections.abc import Sequence
from typing import Any

import optuna
from hydra.utils import get_method, instantiate
from omegaconf import DictConfig, OmegaConf

from hydra_plugins.hydra_optuna_sweeper._errors import SweepError


def check_options(options: DictConfig) -> None:
    """Accepts only values that a sweep can work with.

    Raises:
        SweepError: a number out of its range, a value of the wrong type, a pruner that cannot be
            made.
    """
    _check_numbers(options)
    _check_types(options)
    make("pruner", options.pruner)


def preload(modules: Sequence[str]) -> None:
    """Imports the modules, so that workers, which are forks, have them.

    Raises:
        SweepError: a module cannot be imported.
    """
    for module in modules:
        try:
            importlib.import_module(module)
        except Exception as error:  # whatever importing it raises is the user's to know
            raise SweepError(
                f"hydra.sweeper.preload: {module}: {type(error).__name__}: {error}"
            ) from None


def make(key: str, config: Any) -> Any:
    """The object of a group, a sampler or a pruner.

    Raises:
        SweepError: its class does not take the options.
    """
    try:
        # of experimental ones, and of those that, like constraints_func, will be gone in Optuna 7
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            return instantiate(config)
    except Exception as error:  # whatever a constructor raises is about its arguments
        cause = error.__cause__ or error
        raise SweepError(f"hydra.sweeper.{key}: {' '.join(str(cause).split())[:300]}") from None


def load_function(key: str, name: str) -> Any:
    """The function of a dotted name; the released examples write a dot before it.

    Raises:
        SweepError: there is no such function.
    """
    logger = logging.getLogger("hydra.utils")
    logger.disabled = True  # get_method logs what it raises
    try:
        return get_method(name.lstrip("."))
    except Exception as error:  # whatever importing the module raises is the user's to know
        raise SweepError(f"hydra.sweeper.{key}={name}: {error}") from None
    finally:
        logger.disabled = False


def parse_directions(direction: Any) -> list[str]:
    """minimize or maximize, one for each objective.

    Raises:
        SweepError: another word, or none.
    """
    items = list(direction) if OmegaConf.is_list(direction) else [direction]
    directions = [str(getattr(item, "name", item)).lower() for item in items]
    if not directions or not set(directions) <= {"minimize", "maximize"}:
        raise SweepError(
            f"hydra.sweeper.direction={direction}: expected minimize, maximize, or a list of them"
        )
    return directions


def _check_numbers(options: DictConfig) -> None:
    for key in ("n_trials", "n_jobs", "recycle", "heartbeat"):
        if options[key] < 1:
            raise SweepError(f"hydra.sweeper.{key}={options[key]}: expected 1 or more")
    if options.max_retry < 0:
        raise SweepError(f"hydra.sweeper.max_retry={options.max_retry}: expected 0 or more")

    rate = options.max_failure_rate
    if not 0 <= rate <= 1:
        raise SweepError(f"hydra.sweeper.max_failure_rate={rate}: expected 0 to 1")

    timeout = options.timeout
    if timeout is not None and not (isinstance(timeout, int | float) and timeout > 0):
        raise SweepError(f"hydra.sweeper.timeout={timeout}: expected seconds, more than 0, or null")


def _check_types(options: DictConfig) -> None:
    for key in ("params", "search_space"):
        if options[key] is not None and not OmegaConf.is_dict(options[key]):
            raise SweepError(f"hydra.sweeper.{key}={options[key]}: expected key: range")

    for key in ("conditions", "constraints"):
        if options[key] is not None and not OmegaConf.is_list(options[key]):
            raise SweepError(f"hydra.sweeper.{key}={options[key]}: expected a list")
    for item in options.constraints or []:
        if not isinstance(item, str):
            raise SweepError(
                f"hydra.sweeper.constraints: {item} is not of the form a <= b or a >= b"
            )

    name = options.study_name
    if not isinstance(name, str | None):
        raise SweepError(f"hydra.sweeper.study_name={name}: expected a string; quote a number")

    for key in ("sampler", "pruner"):
        if not OmegaConf.is_dict(options[key]):
            raise SweepError(
                f"hydra.sweeper.{key}={options[key]}: expected a group: hydra/sweeper/{key}=<name>"
            )
