"""Configurations of models that were trained before an option was there."""

from __future__ import annotations

from omegaconf import DictConfig, OmegaConf

from goodfit.config import signature


def with_later_options(cfg: DictConfig) -> DictConfig:
    """The configuration of a trained model, with the options of its task that are newer than it.

    They say what it was trained with, before there was a choice.
    """
    declared = signature.read(str(cfg.get("task", {}).get("_target_", "")))
    if declared is None:
        return cfg
    options = {**declared.constants.get("came_later", {}), **cfg.task}
    return OmegaConf.merge(cfg, {"task": options})  # type: ignore[return-value]
