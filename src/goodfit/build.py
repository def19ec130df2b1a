"""Configuration to objects: the only place that calls `instantiate`."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from hydra.errors import InstantiationException
from hydra.utils import get_class, instantiate
from omegaconf import DictConfig, OmegaConf

from goodfit.config import signature
from goodfit.config.check import BASES, allowed, check_allowed
from goodfit.contract import DataSpec
from goodfit.errors import UserError
from goodfit.schema import ParameterRules, Pretrained, Source

if TYPE_CHECKING:
    from goodfit.augment.base import Augment
    from goodfit.baseline.base import Baseline
    from goodfit.data.base import DataSet
    from goodfit.guard.base import Guard
    from goodfit.task.base import Task


def sources(cfg: DictConfig) -> dict[str, Source]:
    """Where the raw files come from, by name."""
    content: Any = OmegaConf.to_container(cfg.data.sources, resolve=True)
    return {name: Source(**fields) for name, fields in content.items()}


def data_set(cfg: DictConfig) -> DataSet:
    """The data set that `data` describes; nothing is read yet."""
    # they have no _target_: `instantiate` would hand them on as dictionaries
    options = OmegaConf.masked_copy(cfg.data, [key for key in cfg.data if key != "sources"])
    made: DataSet = make("data", options, sources=sources(cfg))
    return made


def data_class(spec: DataSpec) -> type[DataSet]:
    """The class that prepared the data; its `encode` and `show` need no configuration.

    Raises:
        UserError: the spec names something else than a data set of this project.
    """
    # read, not imported: a spec may come with a stranger's model, and importing runs code
    declared = signature.read(spec.data) if allowed("data", spec.data) else None
    if declared is None or BASES["data"] not in declared.classes:
        raise UserError(f"spec.json names '{spec.data}', which is no data set of this project")
    prepared_by: type[DataSet] = get_class(spec.data)
    return prepared_by


def task(cfg: DictConfig, spec: DataSpec) -> Task:
    """The network inside its task; optimizer and schedule still wait for its parameters.

    The network is sized by what the task says that it gives; the task keeps the data's own spec.

    Raises:
        UserError: the data set lacks an input that the network's `forward` needs, the network
            cannot take arrays of their shapes, the task's methods do not fit together, or a pattern
            of `parameters` matches nothing.
    """
    # both import torch, which most stages do without
    from goodfit.task.dry_run import dry_run
    from goodfit.task.parameter_groups import check_patterns, make_optimizer

    check_inputs(cfg, spec)
    outputs = _outputs(cfg, spec)
    model = make("model", cfg.model, replace(spec, outputs=outputs))
    rules = parameter_rules(cfg)
    check_patterns(model, rules)

    # functions still: the network, sharded or not, and the number of steps come with the training
    optimizer = partial(make_optimizer, optimizer=make("optimizer", cfg.optimizer), rules=rules)
    schedule = make("schedule", cfg.schedule)
    made: Task = make("task", cfg.task, model, spec, optimizer=optimizer, schedule=schedule)
    dry_run(made, outputs)
    return made


def check_optimizer(task: Task) -> None:
    """The optimizer takes the network's parameters: it looks at its arguments only then.

    It has no state before its first step, so this costs no memory. For a training alone: making
    any of torch's optimizers imports torch._dynamo, for 1.9 s.

    Raises:
        UserError: its arguments are out of its range, or it cannot step such parameters.
    """
    try:
        task.optimizer(task.model)
    except (ValueError, TypeError) as error:
        raise UserError(f"optimizer: {_one_line(error)}") from error


def parameter_rules(cfg: DictConfig) -> ParameterRules:
    """How the optimizer treats the network's parameters, and which it leaves alone."""
    content: Any = OmegaConf.to_container(cfg.parameters, resolve=True)
    return ParameterRules(**content)


def pretrained(cfg: DictConfig) -> Pretrained:
    """The weights that a training starts from; they concern nobody who has a trained model."""
    content: Any = OmegaConf.to_container(cfg.pretrained, resolve=True)
    return Pretrained(**content)


def augment(cfg: DictConfig) -> Augment:
    """The augmentation of training batches: one, or several in the order of their names."""
    from goodfit.augment.chain import Chain  # imports torch

    # sorted: neither DVC nor the composed file keeps the order of a mapping
    names = sorted(str(name) for name in cfg.augment)
    return Chain([make(f"augment.{name}", cfg.augment[name]) for name in names])


def guard(cfg: DictConfig) -> Guard:
    """What looks at loss and gradient before each step."""
    made: Guard = make("guard", cfg.guard)
    return made


def baselines(cfg: DictConfig) -> list[Baseline]:
    """The classical methods that the network is compared with, by their names."""
    # sorted: neither DVC nor the composed file keeps the order of a mapping
    names = sorted(str(name) for name in cfg.baseline)
    return [make(f"baseline.{name}", cfg.baseline[name]) for name in names]


def trainer(cfg: DictConfig, **options: Any) -> Any:
    """Lightning's Trainer; `options` are those that the program sets itself."""
    return make("trainer", cfg.trainer, **options)


def make(key: str, section: DictConfig, *args: Any, **options: Any) -> Any:
    """What the `_target_` of a section makes of its keys.

    Raises:
        UserError: the target is not one that `key` may name, or refuses its arguments.
    """
    check_allowed(key, str(section["_target_"]))
    try:
        return instantiate(section, *args, **options)
    except InstantiationException as error:
        cause = error.__cause__ or error
        if isinstance(cause, UserError):
            raise cause from None
        # Lightning's; by its name, so that only a section that needs Lightning imports it
        misused = type(cause).__name__ == "MisconfigurationException"
        if misused or isinstance(cause, ValueError | TypeError):
            raise UserError(f"{key}: {_one_line(cause)}") from error
        # a defect, with its own traceback instead of Hydra's
        raise cause from None


def check_inputs(cfg: DictConfig, spec: DataSpec) -> None:
    """Data and task give all that the network needs, the augmentation and each baseline can use.

    The data may give more. Read from their sources: a network without its input fails while it is
    made. What is not there any more, as a baseline that was renamed since, is not looked at.

    Raises:
        UserError: they do not.
    """
    fed = _constant(cfg.task, "feeds")
    declared = signature.read(str(cfg.model["_target_"]))
    needs = [name for name in declared.needed if name not in fed] if declared else []
    given = set(spec.inputs)
    has_none = declared is not None and not given & set(declared.forward)
    if not set(needs) <= given or has_none:
        name = str(cfg.model["_target_"]).rpartition(".")[2]
        takes = needs or list(declared.forward if declared else ())
        raise UserError(f"{name}.forward takes {takes}, the data give {list(spec.inputs)}")
    for name, section in (cfg.get("augment") or {}).items():
        changed = set(_constant(section, "inputs"))
        # of those that one which mixes takes, the network may be given a part: `check` has seen it
        if changed and not changed & given:
            raise UserError(
                f"augment {name} changes {sorted(changed)}, the data give {list(spec.inputs)}; "
                "choose another augment="
            )
    for name, section in (cfg.get("baseline") or {}).items():
        takes = list(_constant(section, "inputs"))
        if takes and not set(takes) & given:
            raise UserError(
                f"baseline {name} takes {takes}, the data give {list(spec.inputs)}; choose another "
                "baseline="
            )


def _constant(section: Any, name: str) -> tuple[str, ...]:
    """What the class of a section declares; nothing where there is none, or it is no section."""
    is_section = isinstance(section, DictConfig)
    declared = signature.read(str(section["_target_"])) if is_section and section else None
    return tuple(declared.constants[name]) if declared else ()


def _outputs(cfg: DictConfig, spec: DataSpec) -> int:
    """How many numbers the task, with its options, asks the network for."""
    target = str(cfg.task["_target_"])
    check_allowed("task", target)
    options: Any = OmegaConf.to_container(cfg.task, resolve=True)
    del options["_target_"]
    task_class: type[Task] = get_class(target)
    return task_class.outputs(spec, **options)


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:300]
