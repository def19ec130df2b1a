"""A configuration is right before anything heavy starts: names, types, ranges, and that the parts
fit.

Everything here reads YAML and source text; torch, Lightning and MLflow are not imported (a test
holds that).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf
from pydantic import TypeAdapter, ValidationError

from goodfit import schema
from goodfit.config import signature
from goodfit.config.sections import SECTIONS
from goodfit.errors import UserError, nearest
from goodfit.schema import Source

# `instantiate` calls whatever a `_target_` names; a configuration from a stranger must not choose
# freely
ALLOWED = {
    "data": ("goodfit.data.",),
    "model": ("goodfit.model.",),
    "task": ("goodfit.task.",),
    "augment": ("goodfit.augment.",),
    "guard": ("goodfit.guard.",),
    "baseline": ("goodfit.baseline.",),
    "schedule": ("goodfit.schedule.",),
    "optimizer": ("torch.optim.",),
    "trainer": ("pytorch_lightning.Trainer",),
}
# arguments of Trainer that training gives; a user's own would be lost without a word
OURS = {
    "callbacks",
    "logger",
    "plugins",
    "default_root_dir",
    "enable_progress_bar",
    "enable_model_summary",
}
OURS |= {"num_sanity_val_steps", "use_distributed_sampler"}
PARTIAL = {"optimizer", "schedule"}  # called later, with what the program alone knows
_NAMES: dict[str, Any] = {
    **{name: getattr(schema, name) for name in schema.__all__},
    "Source": Source,
    "str": str,
}


def check(cfg: DictConfig) -> None:
    """Raises UserError for the first thing in `cfg` that cannot be right."""
    keys = {str(key) for key in cfg}
    if OmegaConf.is_missing(cfg, "name"):
        raise UserError(
            "no experiment chosen: add experiment=<name>, or name=... with data=, model=, task=, baseline="
        )
    for key in sorted(keys - {*ALLOWED, *SECTIONS}):
        raise UserError(f"unknown key '{key}'.{nearest(key, {*ALLOWED, *SECTIONS})}")
    for key in [*ALLOWED, *SECTIONS]:
        if key not in cfg or OmegaConf.is_missing(cfg, key):
            raise UserError(f"'{key}' is missing from the configuration")
    content: dict[str, Any] = OmegaConf.to_container(cfg, resolve=True)  # type: ignore[assignment]
    for key in ALLOWED:
        _check_target(key, content[key])
    for key, kind in SECTIONS.items():
        _validate(key, kind, content[key])
    _check_fit(content)


def mode(cfg: DictConfig) -> str:
    """Whether the validation score that the task monitors is better when it is "max" or "min"."""
    found = signature.read(cfg.task["_target_"])
    assert found is not None  # the configuration has been checked
    return str({**found.constants["scores"], "loss": "min"}[cfg.task.monitor])


def allowed(key: str, target: str) -> bool:
    """Whether a section of the configuration may name this target."""
    return any(
        target == prefix or (prefix[-1] == "." and target.startswith(prefix))
        for prefix in ALLOWED[key]
    )


def _check_target(key: str, section: Mapping[str, Any]) -> None:
    target = str(section.get("_target_", ""))
    if not allowed(key, target):
        raise UserError(
            f"{key}._target_ is '{target}'; only {' and '.join(ALLOWED[key])}* may be named there"
        )
    hidden = [
        path
        for path, name in _leaves(section)
        if name.startswith("_target_") and path != "_target_"
    ]
    if hidden:
        raise UserError(f"{key}.{hidden[0]}: a _target_ may stand only at the top of a section")
    for name in sorted(str(name) for name in section if str(name).startswith("_")):
        if name != "_target_" and not (name == "_partial_" and key in PARTIAL):
            raise UserError(
                f"unknown key '{key}.{name}'; of Hydra's own keys only _target_ may be set"
            )
    if key in PARTIAL and section.get("_partial_") is not True:
        raise UserError(f"{key}._partial_ is {section.get('_partial_')}; expected true")
    if not target.startswith("goodfit."):
        _check_foreign(key, target, section)
        return
    if signature.read(target) is None:
        raise UserError(f"{key}._target_: there is no {target}")
    expected = hyperparameters(target)
    given = {name for name in section if not name.startswith("_")}
    for name in sorted(given - set(expected)):
        options = [f"{key}.{parameter}" for parameter in expected]
        hint = f"{nearest(f'{key}.{name}', options)} If the experiment's file sets it, add '~{key}.{name}'."
        raise UserError(f"unknown key '{key}.{name}' for {target}.{hint}")
    for name in sorted(set(expected) - given):
        raise UserError(f"'{key}.{name}' is missing: {target} needs it")
    for name, kind in expected.items():
        _validate(f"{key}.{name}", kind, section[name])


def _check_foreign(key: str, target: str, section: Mapping[str, Any]) -> None:
    """torch.optim.AdamW is the class AdamW of torch/optim/adamw.py; Lightning's Trainer lies two
    folders deep.
    """
    package, _, name = target.rpartition(".")
    module = f"{package}.trainer.trainer" if name == "Trainer" else f"{package}.{name.lower()}"
    found = signature.read(f"{module}.{name}")
    if found is None:
        raise UserError(f"{key}._target_: there is no {target}")
    for option in sorted(OURS & set(section)) if name == "Trainer" else []:
        raise UserError(f"{key}.{option} is set by goodfit itself; leave it out")
    for option in sorted(
        name for name in section if not name.startswith("_") and name not in found.arguments
    ):
        options = [f"{key}.{known}" for known in found.arguments]
        raise UserError(
            f"unknown key '{key}.{option}' for {target}.{nearest(f'{key}.{option}', options)}"
        )


def hyperparameters(target: str) -> dict[str, Any]:
    """Name and type of each keyword that a configuration must give; {} where there is no such
    target.

    They are the keyword-only parameters whose annotation is made of `kinds`, str or Source. The
    program itself gives the others (total_steps: int, optimizer: Partial).
    """
    found = signature.read(target)
    types = {name: _type(text) for name, text in found.parameters.items()} if found else {}
    return {name: kind for name, kind in types.items() if kind is not None}


def _type(annotation: str) -> Any:
    try:
        return eval(annotation, {"__builtins__": {}}, _NAMES)  # noqa: S307 - source text of this project
    except NameError:
        return None


def _validate(key: str, kind: Any, value: Any) -> None:
    if value == "???":
        raise UserError(f"'{key}' has no value; set {key}=...")
    try:
        TypeAdapter(kind).validate_python(value)
    except ValidationError as error:
        fault = error.errors()[0]
        place = ".".join([key, *(str(part) for part in fault["loc"] if str(part) in _keys(value))])
        got = f", got {fault['input']!r}" if not isinstance(fault["input"], dict) else ""
        message = (
            fault["msg"]
            .replace("Input should be", "expected")
            .replace("Extra inputs are not permitted", "unknown key")
        )
        known = (
            nearest(place, [f"{key}.{name}" for name in kind.model_fields])
            if "unknown" in message
            else ""
        )
        raise UserError(f"{place}: {message}{got}.{known}") from None


def _check_fit(content: Mapping[str, Any]) -> None:
    """Data, network, task and baseline name each other's inputs and kinds of target."""
    data, model, task, baseline, augment = (
        _signature(content, key) for key in ("data", "model", "task", "baseline", "augment")
    )
    gives, takes = list(data.constants["inputs"]), list(model.forward)
    needs = [name for name in takes if name not in model.optional]
    if not set(needs) <= set(gives) <= set(takes):
        raise UserError(
            f"{_name(content, 'model')}.forward takes {takes}, the data set gives {gives}; "
            "choose another model= or data="
        )
    if content["average"] and content["trainer"].get("strategy") == "fsdp":
        raise UserError(
            "average keeps a whole copy of the weights, which trainer=fsdp divides; set average=0"
        )
    kind = content["data"].get("kind", data.constants["kind"])
    for part, found in (("task", task), ("baseline", baseline)):
        if kind not in found.constants["kinds"]:
            raise UserError(
                f"{part} {_name(content, part)} is for targets of kind {' or '.join(found.constants['kinds'])}, "
                f"the data set's are of kind {kind}; choose another {part}="
            )
    if not set(baseline.constants["inputs"]) & set(gives):
        raise UserError(
            f"baseline {_name(content, 'baseline')} takes {list(baseline.constants['inputs'])}, "
            f"the data set gives {gives}; choose another baseline="
        )
    if lacking := sorted(set(augment.constants["inputs"]) - set(gives)):
        raise UserError(
            f"augmentation {_name(content, 'augment')} changes {lacking}, the data set gives {gives}; "
            "choose another augment="
        )
    scores = task.constants["scores"]
    for key, options in (("monitor", {**scores, "loss": "min"}), ("score", scores)):
        if content["task"][key] not in options:
            raise UserError(
                f"task.{key}={content['task'][key]} does not exist.{nearest(content['task'][key], options)}"
            )


def _name(content: Mapping[str, Any], key: str) -> str:
    return str(content[key]["_target_"]).rpartition(".")[2]


def _signature(content: Mapping[str, Any], key: str) -> signature.Signature:
    found = signature.read(content[key]["_target_"])
    assert found is not None  # _check_target ran before
    return found


def _keys(value: Any) -> set[str]:
    return {path.rpartition(".")[2] for path, _ in _leaves(value)} | {
        path for path, _ in _leaves(value)
    }


def _leaves(value: Any, path: str = "") -> list[tuple[str, str]]:
    if isinstance(value, dict):
        return [
            leaf
            for key, item in value.items()
            for leaf in [(f"{path}{key}", str(key)), *_leaves(item, f"{path}{key}.")]
        ]
    if isinstance(value, list):
        return [leaf for item in value for leaf in _leaves(item, f"{path}[].")]
    return []
