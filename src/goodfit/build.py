"""Configuration to objects: the only place that calls `instantiate`."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from goodfit import check, devices
from goodfit.contract import DataSpec
from goodfit.errors import UserError

if TYPE_CHECKING:
    from goodfit.augment.base import Augment
    from goodfit.baseline.base import Baseline
    from goodfit.data.base import DataSet
    from goodfit.guard.base import Guard
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
        UserError: the data set's inputs and the network's arguments have different names, the network cannot
            take arrays of their shapes, or the optimizer's arguments are out of its range.
    """
    model = _make("model", cfg.model, spec)
    takes = inspect.signature(model.forward).parameters
    if unknown := set(spec.inputs) - set(takes):
        raise UserError(f"{type(model).__name__}.forward takes {list(takes)}, the data give {sorted(unknown)} too")
    partials = {"optimizer": _make("optimizer", cfg.optimizer), "schedule": _make("schedule", cfg.schedule)}
    made: Task = _make("task", cfg.task, model, spec, **partials)
    _try(cfg, made, spec)
    return made


def augment(cfg: DictConfig) -> Augment:
    """The augmentation of training batches."""
    made: Augment = _make("augment", cfg.augment)
    return made


def guard(cfg: DictConfig) -> Guard:
    """What looks at loss and gradient before each step."""
    made: Guard = _make("guard", cfg.guard)
    return made


def baseline(cfg: DictConfig) -> Baseline:
    """The classical method that the network is compared with."""
    made: Baseline = _make("baseline", cfg.baseline)
    return made


def trainer(cfg: DictConfig, **more: Any) -> Any:
    """Lightning's Trainer with our callbacks; strategy "fsdp" is PyTorch's fully sharded data parallel, version 2."""
    from lightning_fabric.plugins.environments.lightning import LightningEnvironment
    from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment
    from pytorch_lightning.strategies import DDPStrategy, ModelParallelStrategy

    # named, so that Lightning does not take over where it finds itself under srun
    world = devices.ranks().world
    place = LightningEnvironment() if world == 1 else TorchElasticEnvironment()
    more["plugins"] = [*more.get("plugins", ()), place]
    if cfg.trainer.get("strategy") == "fsdp":
        more["strategy"] = ModelParallelStrategy(world, 1, save_distributed_checkpoint=False)
    if cfg.trainer.get("strategy") == "ddp":
        # the only buffers that training changes are BatchNorm's, and those are alike on all devices (everywhere.py)
        more["strategy"] = DDPStrategy(forward_sync_buffers=False)
    return _make("trainer", cfg.trainer, **more)


def _try(cfg: DictConfig, made: Task, spec: DataSpec) -> None:
    """Two samples of ones pass the network, and a parameter the optimizer: what cannot work says so at once."""
    import torch

    ones = {name: torch.ones(2, *field.shape, dtype=getattr(torch, field.dtype)) for name, field in spec.inputs.items()}
    training = made.training
    try:
        with torch.inference_mode():
            made.eval()(**ones)
    except (RuntimeError, ValueError, IndexError, ArithmeticError) as error:
        raise UserError(f"{type(made.model).__name__} cannot take these data: {_line(error)}") from error
    finally:
        made.train(training)
    try:
        instantiate(cfg.optimizer)([torch.nn.Parameter(torch.zeros(1))])
    except (ValueError, TypeError) as error:
        raise UserError(f"optimizer: {_line(error)}") from error


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:300]


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
            raise UserError(f"{key}: {_line(cause)}") from error
        raise cause from None
