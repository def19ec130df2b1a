"""Options checked before a worker starts: what a configuration's types do not say."""

from __future__ import annotations

import importlib
import logging
import warnings
from typing import Any

import optuna
from hydra.utils import get_method, instantiate
from omegaconf import DictConfig, OmegaConf

from hydra_plugins.hydra_optuna_sweeper._errors import SweepError


def check(options: DictConfig) -> None:
    """Imports what is to be preloaded.

    Raises:
        SweepError: a number out of its range, a pruner that cannot be made, a module that is not there.
    """
    for key in ("n_trials", "n_jobs", "recycle", "heartbeat"):
        if options[key] < 1:
            raise SweepError(f"hydra.sweeper.{key}={options[key]}: expected 1 or more")
    if options.max_retry < 0:
        raise SweepError(f"hydra.sweeper.max_retry={options.max_retry}: expected 0 or more")
    if not 0 <= options.max_failure_rate <= 1:
        raise SweepError(f"hydra.sweeper.max_failure_rate={options.max_failure_rate}: expected 0 to 1")
    seconds = options.timeout
    if seconds is not None and not (isinstance(seconds, int | float) and seconds > 0):
        raise SweepError(f"hydra.sweeper.timeout={seconds}: expected seconds, more than 0, or null")
    for key in ("params", "search_space"):
        if options[key] is not None and not OmegaConf.is_dict(options[key]):
            raise SweepError(f"hydra.sweeper.{key}={options[key]}: expected key: range")
    for key in ("conditions", "constraints"):
        if options[key] is not None and not OmegaConf.is_list(options[key]):
            raise SweepError(f"hydra.sweeper.{key}={options[key]}: expected a list")
    for item in options.constraints or []:
        if not isinstance(item, str):
            raise SweepError(f"hydra.sweeper.constraints: {item} is not of the form a <= b or a >= b")
    if not isinstance(options.study_name, str | None):
        raise SweepError(f"hydra.sweeper.study_name={options.study_name}: expected a text; quote a number")
    for key in ("sampler", "pruner"):
        if not OmegaConf.is_dict(options[key]):
            raise SweepError(f"hydra.sweeper.{key}={options[key]}: expected a group: hydra/sweeper/{key}=<name>")
    make("pruner", options.pruner)
    for module in options.preload:
        try:
            importlib.import_module(module)
        except Exception as error:  # whatever importing it raises is the user's to know
            raise SweepError(f"hydra.sweeper.preload: {module}: {type(error).__name__}: {error}") from None


def make(key: str, config: Any) -> Any:
    """The object of a group; raises SweepError where it does not take its options."""
    try:
        with warnings.catch_warnings():  # that it is experimental or, like constraints_func, will be gone in Optuna 7
            warnings.simplefilter("ignore", FutureWarning)
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            return instantiate(config)
    except Exception as error:  # whatever a constructor raises is about its arguments
        cause = error.__cause__ or error
        raise SweepError(f"hydra.sweeper.{key}: {' '.join(str(cause).split())[:300]}") from None


def function(key: str, name: str) -> Any:
    """The function of a dotted name; the released examples write a dot before it."""
    log = logging.getLogger("hydra.utils")
    log.disabled = True  # get_method logs what it raises
    try:
        return get_method(name.lstrip("."))
    except Exception as error:  # whatever importing the module raises is the user's to know
        raise SweepError(f"hydra.sweeper.{key}={name}: {error}") from None
    finally:
        log.disabled = False


def directions(direction: Any) -> list[str]:
    """minimize or maximize, one for each objective."""
    found = list(direction) if OmegaConf.is_list(direction) else [direction]
    words = [str(getattr(item, "name", item)).lower() for item in found]
    if not words or any(word not in ("minimize", "maximize") for word in words):
        raise SweepError(f"hydra.sweeper.direction={direction}: expected minimize, maximize, or a list of them")
    return words
