"""Configuration to objects: the only place that calls `instantiate`."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from goodfit import check
from goodfit.contract import DataSpec
from goodfit.errors import UserError

if TYPE_CHECKING:
    from goodfit.augment.base import Augment
    from goodfit.baseline.base import Baseline
    from goodfit.data.base import DataSet
    from goodfit.task.base import Task


def data_set(cfg: DictConfig) -> DataSet:
    """The data set that `data` describes; nothing is read yet."""
    from goodfit.fetch import Source

    source = Source(**OmegaConf.to_container(cfg.data.source, resolve=True))  # type: ignore[arg-type]
    plain = OmegaConf.masked_copy(cfg.data, [key for key in cfg.data if key != "source"])
    made: DataSet = _make("data", plain, source=source)
    return made


def task(cfg: DictConfig, spec: DataSpec) -> Task:
    """The network inside its task, with optimizer and schedule still to be given parameters.

    Raises:
        UserError: the data set's inputs and the network's arguments have different names.
    """
    model = _make("model", cfg.model, spec)
    takes = inspect.signature(model.forward).parameters
    if unknown := set(spec.inputs) - set(takes):
        raise UserError(f"{type(model).__name__}.forward takes {list(takes)}, the data give {sorted(unknown)} too")
    partials = {"optimizer": _make("optimizer", cfg.optimizer), "schedule": _make("schedule", cfg.schedule)}
    made: Task = _make("task", cfg.task, model, spec, **partials)
    return made


def augment(cfg: DictConfig) -> Augment:
    """The augmentation of training batches."""
    made: Augment = _make("augment", cfg.augment)
    return made


def baseline(cfg: DictConfig) -> Baseline:
    """The classical method that the network is compared with."""
    made: Baseline = _make("baseline", cfg.baseline)
    return made


def trainer(cfg: DictConfig, **more: Any) -> Any:
    """Lightning's Trainer with our callbacks."""
    return _make("trainer", cfg.trainer, **more)


def _make(key: str, section: DictConfig, *args: Any, **more: Any) -> Any:
    target = str(section["_target_"])
    if not check.allowed(key, target):
        raise UserError(f"{key}._target_ is '{target}'; only {' and '.join(check.ALLOWED[key])}* may be named there")
    try:
        return instantiate(section, *args, **more)
    except InstantiationException as error:
        cause = error.__cause__ or error
        if isinstance(cause, UserError):
            raise cause from None
        if isinstance(cause, ValueError | TypeError) or type(cause).__name__ == "MisconfigurationException":
            raise UserError(f"{key}: {cause}") from error
        raise cause from None
