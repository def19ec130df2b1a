"""A configuration is right before anything heavy starts: names, types, ranges, and parts that fit.

Everything here reads YAML and source text; torch, Lightning and MLflow are not imported (a test
holds that).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, NamedTuple

from omegaconf import DictConfig, OmegaConf

from goodfit.config import signature, tree
from goodfit.config.augmented import check_augmented
from goodfit.config.sections import SECTIONS, SEVERAL, check_stopping, check_together, several
from goodfit.config.signature import Signature
from goodfit.config.sources import check_sources
from goodfit.config.transfer import check_layers
from goodfit.config.values import annotated_type, check_value
from goodfit.contract import LENGTH
from goodfit.errors import UserError, nearest

# what a section's `_target_` may begin with: `instantiate` calls whatever it is given, and a
# configuration from a stranger must not choose freely (of 18 hostile targets, Hydra's own list of
# forbidden ones stopped 9)
ALLOWED = {
    "data": "goodfit.data.",
    "model": "goodfit.model.",
    "task": "goodfit.task.",
    "augment": "goodfit.augment.",
    "guard": "goodfit.guard.",
    "baseline": "goodfit.baseline.",
    "schedule": "goodfit.schedule.",
    "optimizer": "torch.optim.",
    "trainer": "pytorch_lightning.Trainer",
}
# what the class that a section names is derived from
BASES = {
    "data": "goodfit.data.base.DataSet",
    "task": "goodfit.task.base.Task",
    "augment": "goodfit.augment.base.Augment",
    "guard": "goodfit.guard.base.Guard",
    "baseline": "goodfit.baseline.base.Baseline",
}
# called by the program, with arguments that it alone knows
PARTIAL = {"optimizer", "schedule"}
# arguments that training gives; a user's own would be lost without a word
SET_BY_TRAINING = {
    "optimizer": {"params"},
    "trainer": {
        "callbacks",
        "default_root_dir",
        "enable_model_summary",
        "enable_progress_bar",
        "logger",
        "num_sanity_val_steps",
        "plugins",
        "use_distributed_sampler",
    },
}


def check(cfg: DictConfig) -> None:
    """A configuration that passes has every section, values in their ranges, and parts that fit.

    Raises:
        UserError: the first thing that cannot be right, with what is.
    """
    _check(cfg, tuple(ALLOWED), SECTIONS)
    content: dict[str, Any] = OmegaConf.to_container(cfg, resolve=True)  # type: ignore[assignment]
    check_together(content)
    check_stopping(content)
    check_layers(content)


def check_model(cfg: DictConfig) -> None:
    """As `check`, of a trained model: what serves its training alone is not looked at.

    Baselines and augmentations may have been renamed or deleted since, for which nothing is trained
    again, and the trainer's library need not be installed. Options of a training that are newer
    than the model are no fault of it.

    Raises:
        UserError: as `check`.
    """
    check_allowed("trainer", str(OmegaConf.select(cfg, "trainer._target_")))
    unused = {*SEVERAL, "other_baselines", "trainer"}
    kept = [str(key) for key in cfg if key not in unused]
    sections = {name: expected for name, expected in SECTIONS.items() if name in kept}
    _check(OmegaConf.masked_copy(cfg, kept), tuple(set(ALLOWED) - unused), sections)


def _check(cfg: DictConfig, groups: tuple[str, ...], others: Mapping[str, Any]) -> None:
    _check_sections(cfg, [*groups, *others])
    content: dict[str, Any] = OmegaConf.to_container(cfg, resolve=True)  # type: ignore[assignment]
    named = {}
    for group in SEVERAL:
        named[group] = several(group, content[group]) if group in groups else {}
    sections = {name: content[name] for name in groups if name not in SEVERAL}
    sections |= named["augment"] | named["baseline"]
    for name, section in sections.items():
        _check_part(name, section)
    for section, expected in others.items():
        check_value(section, expected, content[section])

    parts = {name: _part(section) for name, section in sections.items()}
    _check_network(parts)
    methods = {name: parts[name] for name in named["baseline"]}
    _check_kind_of_target(content, parts, methods)
    _check_inputs(parts, methods)
    augments = {name: parts[name].signature for name in named["augment"]}
    weight = content["data"].get("weight")
    fitting = (parts[name].signature for name in ("data", "model", "task"))
    check_augmented(augments, *fitting, weight=weight)
    _check_weighing(weight, methods)
    _check_scores(content["task"], parts["task"].signature)


def mode(cfg: DictConfig) -> str:
    """Whether the validation score that the task monitors is better when it is "max" or "min"."""
    return _modes(_part(cfg.task).signature)[cfg.task.monitor]


def allowed(section: str, target: str) -> bool:
    """Whether a section of the configuration may name this target."""
    prefix = ALLOWED[_group(section)]
    return target.startswith(prefix) if prefix.endswith(".") else target == prefix


def check_allowed(section: str, target: str) -> None:
    """The target is one that the section may name.

    Raises:
        UserError: it is another one.
    """
    if not allowed(section, target):
        raise UserError(
            f"{section}._target_ is '{target}'; only {ALLOWED[_group(section)]}* may be named there"
        )


def hyperparameters(target: str) -> dict[str, Any]:
    """Name and type of each argument that a configuration must give; {} for no such target.

    They are the keyword-only ones whose annotation is a type of `schema`, or str. The program
    itself gives the others (total_steps: int, optimizer: Partial).
    """
    declared = signature.read(target)
    if declared is None:
        return {}
    types = {name: annotated_type(text) for name, text in declared.parameters.items()}
    return {name: expected for name, expected in types.items() if expected is not None}


class _Part(NamedTuple):
    """The class that a section names, and what its source says about it."""

    name: str
    signature: Signature


def _part(section: Mapping[str, Any] | DictConfig) -> _Part:
    target = str(section["_target_"])
    declared = signature.read_imported(target)
    assert declared is not None  # the section has been checked
    return _Part(target.rpartition(".")[2], declared)


def _group(section: str) -> str:
    """The group of conf/ that a section is from."""
    return section.partition(".")[0]


def _check_sections(cfg: DictConfig, known: Collection[str]) -> None:
    """Every section is there, and no other."""
    if OmegaConf.is_missing(cfg, "name"):
        raise UserError(
            "no experiment chosen: add experiment=<name>, "
            "or name=... with data=, model=, task=, baseline="
        )
    for key in sorted({str(key) for key in cfg} - set(known)):
        raise UserError(f"unknown key '{key}'.{nearest(key, set(known))}")
    for key in known:
        if key not in cfg or OmegaConf.is_missing(cfg, key):
            advice = f"; name one or several: '{key}=[...]'" if key in SEVERAL else ""
            raise UserError(f"'{key}' is missing from the configuration{advice}")


def _check_part(key: str, section: Any) -> None:
    """A section names a class that it may name, with the arguments that the class takes."""
    if not isinstance(section, Mapping) or "_target_" not in section:
        # a file of conf/experiment/ may set an argument of a baseline that an override leaves out
        unchosen = f"; if it was left out, add '~{key}'" if key != _group(key) else ""
        raise UserError(
            f"'{key}' names no class; "
            f"expected {key}._target_ ({ALLOWED[_group(key)]}*) and its arguments{unchosen}"
        )
    target = str(section["_target_"])
    check_allowed(key, target)
    _check_keys_of_hydra(key, section)
    if target.startswith("goodfit."):
        _check_hyperparameters(key, target, section)
    else:
        _check_foreign(key, target, section)


def _check_keys_of_hydra(key: str, section: Mapping[str, Any]) -> None:
    """`instantiate` obeys keys such as _target_, _args_ and _partial_ wherever they stand."""
    for path in tree.dotted_keys(section):
        if path != "_target_" and path.rpartition(".")[2].startswith("_target_"):
            raise UserError(f"{key}.{path}: a _target_ may stand only at the top of a section")

    known = {"_target_", "_partial_"} if key in PARTIAL else {"_target_"}
    for name in sorted(str(name) for name in section):
        if name.startswith("_") and name not in known:
            raise UserError(
                f"unknown key '{key}.{name}'; of Hydra's own keys only _target_ may be set"
            )

    if key in PARTIAL and section.get("_partial_") is not True:
        raise UserError(f"{key}._partial_ is {section.get('_partial_')}; expected true")


def _check_hyperparameters(key: str, target: str, section: Mapping[str, Any]) -> None:
    """A class of this project gets each of its hyperparameters, in its range, and nothing else."""
    declared = signature.read(target)
    if declared is None:
        raise UserError(f"{key}._target_: there is no {target}")
    _check_class(key, target, declared)

    expected = hyperparameters(target)
    given = _given(section)
    for name in sorted(given - set(expected)):
        options = [f"{key}.{parameter}" for parameter in expected]
        raise UserError(
            f"unknown key '{key}.{name}' for {target}.{nearest(f'{key}.{name}', options)} "
            f"If the experiment's file sets it, add '~{key}.{name}'."
        )
    for name in sorted(set(expected) - given):
        raise UserError(f"'{key}.{name}' is missing: {target} needs it")

    if key == "data" and isinstance(section["sources"], Mapping):
        check_sources(section["sources"], target, declared)
    for name, expected_type in expected.items():
        check_value(f"{key}.{name}", expected_type, section[name])


def _check_class(key: str, target: str, declared: Signature) -> None:
    """The target can be used as what the section stands for."""
    base = BASES.get(_group(key))
    if base and base not in declared.classes:
        raise UserError(f"{key}._target_: {target} is not derived from {base}")
    if key == "model" and not declared.forward:
        raise UserError(f"{key}._target_: {target} is no network, for it has no forward")
    if declared.undefined:
        raise UserError(
            f"{key}._target_: {target} does not define {', '.join(declared.undefined)}; "
            "name a subclass that does"
        )


def _check_foreign(key: str, target: str, section: Mapping[str, Any]) -> None:
    """A library's class exists and takes the arguments by name; `SECTIONS` checks some types."""
    declared = signature.read_imported(target)
    if declared is None:
        raise UserError(f"{key}._target_: there is no {target}")
    # torch.optim holds schedules, averages and functions too
    if key == "optimizer" and declared.arguments[:1] != ("params",):
        raise UserError(f"{key}._target_: {target} is no optimizer")

    ours = SET_BY_TRAINING[key]
    for name in sorted(ours & _given(section)):
        raise UserError(f"{key}.{name} is set by goodfit itself; leave it out")
    for name in sorted(_given(section) - set(declared.arguments)):
        options = [f"{key}.{argument}" for argument in declared.arguments if argument not in ours]
        raise UserError(
            f"unknown key '{key}.{name}' for {target}.{nearest(f'{key}.{name}', options)}"
        )


def _given(section: Mapping[str, Any]) -> set[str]:
    """The arguments that a section gives to its class."""
    return {str(name) for name in section if not str(name).startswith("_")}


def _check_network(parts: Mapping[str, _Part]) -> None:
    """Data set and task give what the network's `forward` needs, by name; data may give more.

    The network has the methods that the task calls, and gives an output of the form that it reads.
    """
    name, model = parts["model"]
    task_name, task = parts["task"]
    gives = parts["data"].signature.gives
    feeds = task.constants["feeds"]
    needed = set(_without_lengths(model.needed, gives)) - set(feeds)
    # of arguments that may all be left out, one is given
    if not needed <= set(gives) or not set(model.forward) & set(gives):
        raise UserError(
            f"{name}.forward takes {list(model.forward)}, the data set gives {gives}; "
            "choose another model= or data="
        )
    if not set(feeds) <= set(model.forward):
        raise UserError(
            f"task {task_name} gives the network {list(feeds)}, {name}.forward takes "
            f"{list(model.forward)}; choose another model= or task="
        )
    _check_methods(parts)
    if not task.can_read(model):
        raise UserError(
            f"task {task_name} reads a {task.output_form}, {name} gives a {model.given_form}; "
            "choose another model= or task="
        )


def _check_methods(parts: Mapping[str, _Part]) -> None:
    """The network has the methods that the task calls beside `forward`."""
    name, model = parts["model"]
    task_name, task = parts["task"]
    wanted = task.constants["network_methods"]
    lacking = [method for method in wanted if method not in model.methods]
    if not lacking:
        return
    lacks = f"lacks {' and '.join(lacking)}"
    if lacking == list(wanted):
        lacks = "has neither" if len(wanted) == 2 else "has none"
    raise UserError(
        f"task {task_name} needs a network with {' and '.join(wanted)}, {name} {lacks}; "
        "choose another model= or task="
    )


def _without_lengths(arguments: Iterable[str], gives: Collection[str]) -> list[str]:
    """The arguments that are no lengths of what a data set gives: a batch holds those, too."""
    return [name for name in arguments if name.removesuffix(LENGTH) not in gives or name in gives]


def _check_kind_of_target(
    content: Mapping[str, Any], parts: Mapping[str, _Part], baselines: Mapping[str, _Part]
) -> None:
    """Task and baseline are for the kind of target that the data set has, by the same names."""
    constant = parts["data"].signature.constants["kind"]
    kind = content["data"].get("kind", constant)  # of a table, it is a hyperparameter
    for section, (name, part) in {"task": parts["task"], **baselines}.items():
        kinds = part.constants["kinds"]
        if kind not in kinds:
            raise UserError(
                f"{section} {name} is for targets of kind {' or '.join(kinds)}, "
                f"the data set's are of kind {kind}; choose another {_group(section)}="
            )

    name, task = parts["task"]
    gives = list(parts["data"].signature.constants["targets"])
    if set(_without_lengths(task.loss, gives)) != set(gives):
        raise UserError(
            f"the loss of task {name} takes {list(task.loss)}, the data set gives {gives}; "
            "choose another task= or data="
        )


def _check_inputs(parts: Mapping[str, _Part], baselines: Mapping[str, _Part]) -> None:
    """A baseline can use an input."""
    gives = parts["data"].signature.gives
    for section, (name, baseline) in baselines.items():
        if not set(takes := list(baseline.constants["inputs"])) & set(gives):
            raise UserError(
                f"{section} {name} takes {takes}, the data set gives {gives}; "
                "choose another baseline="
            )


def _check_weighing(column: str | None, baselines: Mapping[str, _Part]) -> None:
    """Where a column weighs the rows, every baseline takes that into account."""
    for section, (name, baseline) in baselines.items():
        if column and not baseline.constants["weighs"]:
            raise UserError(
                f"{section} {name} does not weigh rows, as data.weight={column} asks; choose "
                "another baseline=, or data.weight=null"
            )


def _check_scores(section: Mapping[str, Any], task: Signature) -> None:
    """What is reported is a score of the task, what is monitored one of its epochs, or the loss."""
    for key, options in (("monitor", _modes(task)), ("score", task.constants["scores"])):
        score = section[key]
        if score not in options:
            raise UserError(f"task.{key}={score} does not exist.{nearest(score, options)}")


def _modes(task: Signature) -> dict[str, str]:
    """Whether each score that a task can monitor is better when it is "max" or "min"."""
    watched = task.constants["watched"] or task.constants["scores"]
    return {**watched, "loss": "min"}
