"""params.yaml: the experiments that `make repro` runs, and what it overrides in each."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeGuard

from goodfit.config import read
from goodfit.errors import UserError
from goodfit.system.names import check_experiment

PARAMS = Path("params.yaml")


def experiments() -> list[str]:
    """The names of the experiments, in the order in which they run.

    Raises:
        UserError: params.yaml cannot be read, or does not list them.
    """
    names = read.mapping(PARAMS).get("experiments")
    for name in names if isinstance(names, list) else []:
        check_experiment(name, f"{PARAMS}: ")
    if not _is_list_of_texts(names):
        raise UserError(f"{PARAMS}: experiments is {names!r}; expected a list of names")
    return names


def overrides(name: str) -> list[str]:
    """Hydra's overrides of one experiment; none where params.yaml has none for it.

    They are a list, or names and values: so `dvc exp run -S ++overrides.mnist.seed=1` writes them.

    Raises:
        UserError: params.yaml cannot be read, or holds something else than a list of them.
    """
    chosen = _by_experiment(name).get(name) or []
    if isinstance(chosen, dict):
        from goodfit.config.overrides import of_mapping  # Hydra takes 0.3 s

        return of_mapping(chosen)
    # a text is a sequence as well: each of its letters would become an override
    if not _is_list_of_texts(chosen):
        raise UserError(
            f"{PARAMS}: overrides.{name} is {chosen!r}; expected a list such as [model.width=64]"
        )
    return chosen


def overridden() -> list[str]:
    """The names that params.yaml has overrides for, whether or not they are experiments.

    Raises:
        UserError: params.yaml cannot be read, or holds no overrides by name.
    """
    return [str(name) for name in _by_experiment("<experiment>")]


def _by_experiment(example: str) -> dict[Any, Any]:
    chosen = read.mapping(PARAMS).get("overrides") or {}
    if not isinstance(chosen, dict):
        raise UserError(
            f"{PARAMS}: overrides is {chosen!r}; expected overrides: {{{example}: [key=value]}}"
        )
    return chosen


def _is_list_of_texts(value: object) -> TypeGuard[list[str]]:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)
