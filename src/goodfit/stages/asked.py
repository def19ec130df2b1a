"""What commands that train several times are asked for: an experiment, and options beside it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from goodfit.config import gallery
from goodfit.config.check import check
from goodfit.config.compose import compose
from goodfit.config.regularization import settled
from goodfit.errors import UserError
from goodfit.paths import Paths


def divided(
    arguments: Sequence[str], options: Collection[str]
) -> tuple[dict[str, str], tuple[str, ...]]:
    """The values of `options` by their names, and the overrides, which are all else."""
    given, overrides = {}, []
    for item in arguments:
        name, equals, value = item.partition("=")
        if equals and name in options:
            given[name] = value
        else:  # a bare name, too: Hydra says what is wrong with it
            overrides.append(item)
    return given, tuple(overrides)


def composed(overrides: Sequence[str]) -> DictConfig:
    """The configuration of overrides, checked.

    Raises:
        UserError: they make none.
    """
    content, _ = settled(compose(Path(), overrides), overrides)
    cfg = OmegaConf.create(content)
    check(cfg)
    return cfg


def check_prepared(cfg: DictConfig) -> None:
    """Raises UserError where nothing of the experiment is prepared."""
    if not Paths(cfg.name).prepared.is_dir():
        command = gallery.command("prepare", cfg.name)
        raise UserError(f"there is no {Paths(cfg.name).prepared}; make it with `{command}`")
