"""The sections of a configuration that no class of ours receives: their keys, types and ranges."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from goodfit.errors import UserError
from goodfit.schema import (
    Amount,
    Count,
    Fraction,
    Name,
    ParameterRules,
    Pretrained,
    Proportion,
    Rate,
    Share,
    Whole,
)


class _OpenSection(BaseModel):
    """Listed keys are checked; others are left to the library's class that receives them."""

    model_config = ConfigDict(extra="allow", arbitrary_types_allowed=True)


class _ClosedSection(BaseModel):
    """Listed keys are checked; others are refused."""

    model_config = ConfigDict(extra="forbid")


def _duration(value: object) -> object:
    """Refuses what Lightning's timer does not read."""
    if value is not None and not re.fullmatch(r"\d\d(:\d\d){3}", str(value)):
        raise ValueError('expected days, hours, minutes and seconds, as in "00:12:00:00"')
    return value


class _Trainer(_OpenSection):
    accelerator: Literal["auto", "cpu", "gpu", "mps", "tpu"] = "auto"
    devices: Count | Literal["auto"]
    num_nodes: Count = 1
    strategy: Literal["auto", "ddp", "fsdp"] = "auto"
    # no 16-mixed: it overflows by design before it finds its scale, and the guard would take that
    # for a broken gradient
    precision: Literal["32-true", "64-true", "bf16-mixed", "bf16-true"] = "32-true"

    max_epochs: Count
    min_epochs: Count | None = None
    max_steps: Count | Literal[-1] = -1
    accumulate_grad_batches: Count = 1
    gradient_clip_val: Amount | None = None
    limit_train_batches: Rate | None = None
    limit_val_batches: Rate | None = None
    max_time: Annotated[Any, AfterValidator(_duration)] = None
    # the best epoch is chosen among all, each by the weights that it ends with
    check_val_every_n_epoch: Literal[1] = 1
    val_check_interval: None = None
    # it keeps no weights; trainer.max_epochs=1 tries a training
    fast_dev_run: Literal[False] = False


class _Optimizer(_OpenSection):
    lr: Rate
    weight_decay: Amount = 0


class _Loader(_ClosedSection):
    batch_size: Count
    workers: Whole
    share: Proportion


class _Checkpoint(_ClosedSection):
    seconds: Amount


class _EarlyStopping(_ClosedSection):
    patience: Count | Share | None
    min_delta: Amount


class _Evaluate(_ClosedSection):
    # 95 % of fewer is the range of two or three
    resamples: Annotated[Count, Field(ge=100)]
    examples: Whole


class _Tracking(_ClosedSection):
    uri: str
    run_name: str | None


# groups of which an experiment may choose several, each under its name
SEVERAL = ("augment", "baseline")

SECTIONS: dict[str, Any] = {
    "name": Name,
    "title": str | None,
    "about": str | None,
    "seed": Whole,
    "average": Fraction,
    "sharpness": Amount,
    "regularization": Literal["none", "light", "strong"] | None,
    "transfer": Literal["probe", "finetune", "scratch"] | None,
    "resume": Literal["auto", "must", "never"],
    "loader": _Loader,
    "checkpoint": _Checkpoint,
    "early_stopping": _EarlyStopping,
    "evaluate": _Evaluate,
    "tracking": _Tracking,
    "trainer": _Trainer,
    "optimizer": _Optimizer,
    "parameters": ParameterRules,
    "pretrained": Pretrained,
}


def several(group: str, named: Any) -> dict[str, Any]:
    """The sections of a group of `SEVERAL`, by their keys: "baseline.logistic".

    Raises:
        UserError: there is none, one is there twice, or one does not stand under its own name.
    """
    if not isinstance(named, Mapping) or not named:
        raise UserError(f"{group} is {named!r}; expected one or several: '{group}=[...]'")
    if "_target_" in named:
        raise UserError(
            f"a file of conf/{group}/ ({named['_target_']}) does not begin with the line "
            f"'# @package {group}.<its name>'; without it, two choices are mixed into one"
        )
    targets: dict[Any, str] = {}
    for name, section in named.items():
        target = section.get("_target_") if isinstance(section, Mapping) else None
        if target in targets:
            raise UserError(
                f"{group}.{name} is {target} a second time, as {group}.{targets[target]}; "
                "leave it out"
            )
        if target:
            targets[target] = str(name)
    return {f"{group}.{name}": section for name, section in named.items()}


def check_stopping(content: Mapping[str, Any]) -> None:
    """Early stopping can end the training: what never acts is not on, whatever the file says.

    Raises:
        UserError: it would have to wait for longer than the training lasts.
    """
    patience, epochs = content["early_stopping"]["patience"], content["trainer"]["max_epochs"]
    if isinstance(patience, int) and patience >= epochs:
        raise UserError(
            f"early_stopping.patience={patience} never ends a training of "
            f"trainer.max_epochs={epochs}; set fewer epochs, a share of them such as "
            "early_stopping.patience=0.33, or null for no early stopping"
        )


def check_together(content: Mapping[str, Any]) -> None:
    """Values of two sections, or of two keys, go together.

    Raises:
        UserError: they do not.
    """
    if content["average"] and content["trainer"].get("strategy") == "fsdp":
        raise UserError(
            "average keeps a whole copy of the weights, which trainer=fsdp divides; set average=0"
        )
    levels = content["task"].get("quantiles")
    for name, section in content.get("baseline", {}).items():
        if section.get("quantiles", levels) != levels:
            raise UserError(
                f"baseline.{name}.quantiles={section['quantiles']}, but task.quantiles={levels}; "
                "leave it out: it follows the task"
            )
    _check_sharpness(content)
    parameters = content["parameters"]
    if parameters["unfreeze_at"] is not None and not parameters["freeze"]:
        raise UserError(
            f"parameters.unfreeze_at={parameters['unfreeze_at']}, but parameters.freeze names "
            "nothing; give patterns there, or set unfreeze_at=null"
        )


def _check_sharpness(content: Mapping[str, Any]) -> None:
    """Sharpness-aware steps need the gradient of the whole step twice, at weights that move."""
    sharpness, trainer = content["sharpness"], content["trainer"]
    if not sharpness:
        return
    if trainer.get("strategy") == "fsdp":
        reason = "trainer=fsdp divides the gradient, whose norm they need"
    elif trainer.get("accumulate_grad_batches", 1) > 1:
        reason = "trainer.accumulate_grad_batches divides the step, and the gradient comes twice"
    elif trainer.get("precision") == "bf16-true":
        reason = "trainer.precision=bf16-true rounds their small moves of the weights away"
    else:
        return
    raise UserError(f"sharpness={sharpness}: {reason}; set sharpness=0")
