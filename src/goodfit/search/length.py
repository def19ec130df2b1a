"""How long the experiment itself trains: a sweep may search with shorter trainings.

Values that are best after five epochs may be worse after thirty, as a large rate is.
Docs: docs/decisions/0011-winners-of-sweeps.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from hydra_plugins.hydra_optuna_sweeper import _grammar as grammar

if TYPE_CHECKING:
    from hydra_plugins.hydra_optuna_sweeper._sweep import Sweep

_KEYS = (
    "trainer.max_epochs",
    "trainer.min_epochs",
    "trainer.max_steps",
    "trainer.max_time",
    "trainer.limit_train_batches",
    "trainer.limit_val_batches",
    "early_stopping.patience",
    "early_stopping.min_delta",
)
# groups whose files belong to the experiment, and may say how long it trains
_OWN_FILES = ("experiment", "size", "tuned")
_ABSENT = object()


@dataclass(frozen=True)
class Length:
    """Where a sweep trains for another time than its experiment: values by dotted name.

    `added` are the overrides that it takes beside leaving out those of these names.
    """

    searched_with: dict[str, Any]
    own: dict[str, Any]
    added: tuple[str, ...] = ()

    def apply(self, overrides: Sequence[str]) -> tuple[str, ...]:
        """The overrides of a job that trains as long as the experiment itself."""
        kept = [override for override in overrides if key_of(override) not in self.own]
        return (*kept, *self.added)

    def __str__(self) -> str:
        return (
            f"searched with {_written(self.searched_with)}; "
            f"confirmed at the experiment's own length, with {_written(self.own)}"
        )


def own(sweep: Sweep) -> Length:
    """The length of the experiment that is swept, as far as the sweep has another one.

    What is itself searched stays: it is one of the values that may win. Without an experiment there
    is no length of its own.
    """
    if not sweep.config.hydra.runtime.choices.get("experiment"):
        return Length({}, {})

    loader = sweep.context.config_loader
    fixed = list(sweep.space.fixed)
    of_experiment = [override for override in fixed if key_of(override) in _OWN_FILES]
    experiment = _values(loader.load_configuration("config", of_experiment, RunMode.RUN))
    swept = _values(loader.load_sweep_config(sweep.config, fixed))

    searched = sweep.space.keys()
    keys = []
    for key in _KEYS:
        if key not in searched and experiment[key] != swept[key]:
            keys.append(key)
    length = Length({key: swept[key] for key in keys}, {key: experiment[key] for key in keys})

    # a file of conf/search may give a length as well: its values outlive the overrides
    left = _values(loader.load_sweep_config(sweep.config, list(length.apply(fixed))))
    added = []
    for key, value in length.own.items():
        if value is _ABSENT and left[key] is not _ABSENT:
            added.append(f"~{key}")
        elif value != left[key]:
            added.append(f"++{key}={grammar.to_quoted_text(value)}")
    return replace(length, added=tuple(added))


def key_of(override: str) -> str:
    """The dotted name that an override sets, adds or deletes."""
    return grammar.bare_key(override).partition("=")[0]


def _values(cfg: DictConfig) -> dict[str, Any]:
    return {key: OmegaConf.select(cfg, key, default=_ABSENT) for key in _KEYS}


def _written(values: Mapping[str, Any]) -> str:
    texts = []
    for key, value in values.items():
        texts.append(f"no {key}" if value is _ABSENT else f"{key}={value}")
    return ", ".join(texts)
