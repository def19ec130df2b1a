"""`regularization=none|light|strong`: what a level means for an experiment's data and network.

A file of conf/regularization/ says what a level sets where an experiment has the key. It is set in
the composed configuration, for a file that Hydra merges can neither ask for a key nor for an input.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from goodfit.config import numbers, read, signature, transfer, tree
from goodfit.config.augmented import misfit
from goodfit.config.compose import tuned
from goodfit.config.said import by_key, chosen_groups, put, said
from goodfit.config.signature import Signature
from goodfit.errors import UserError

_GROUP, _AUGMENT = "regularization", "augment"


def settled(cfg: DictConfig, overrides: Sequence[str]) -> tuple[dict[str, Any], str | None]:
    """A composed configuration as plain values, with its levels set, and lines that say what.

    They are those of regularization, and of `transfer`.

    What is said where the level is chosen, or later, stands: of a level on the command line other
    overrides, of one in a file also its values and those of files merged behind it.

    Raises:
        UserError: the level sets nothing, or there are several.
    """
    content = tree.frozen(cfg)
    overrides = [*overrides, *tuned(Path(), overrides)]
    lines = []
    if isinstance(content.get(transfer.GROUP), Mapping):
        lines.append(transfer.set_way(content, overrides))
    if isinstance(content.get(_GROUP), Mapping):
        lines.append(_set_level(content, overrides))
    return numbers.exact(content), "\n".join(lines) or None


def _set_level(content: dict[str, Any], overrides: Sequence[str]) -> str:
    table = content[_GROUP]
    level = content[_GROUP] = str(table["level"])
    chosen = by_key(overrides)
    if chosen.get(_GROUP, "").startswith("["):
        raise UserError(f"{_GROUP}={chosen[_GROUP]}: expected one of none, light and strong")
    others = set(said(_GROUP, overrides))
    said_augment = any(key.partition(".")[0] == _AUGMENT for key in others)
    said_augment |= _AUGMENT in chosen_groups(_GROUP, overrides)

    wanted = dict(_wanted(content, table))
    augments = _augments(content, table)
    values = {key: value for key, value in wanted.items() if key not in others}
    for key, value in values.items():
        put(content, key, value)
    told = [f"{key}={value}" for key, value in values.items()]
    left = [key for key in wanted if key in others]
    if augments and said_augment:
        left.append(_AUGMENT)
    elif augments:
        content[_AUGMENT] = augments
        told.append(f"{_AUGMENT}=[{','.join(augments)}]")
    if not told:
        raise UserError(
            f"{_GROUP}={level} sets nothing: {', '.join(left)} are said elsewhere; leave it out"
        )
    leaves = f", and leaves {', '.join(left)} as said" if left else ""
    return f"{_GROUP}={level} sets {', '.join(told)}{leaves}"


def _wanted(content: Mapping[str, Any], table: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The keys that the experiment has, with their values."""
    trainer = content["trainer"]
    is_divided = trainer.get("strategy") == "fsdp"
    if not is_divided:
        yield "average", table["average"]
    if not is_divided and trainer.get("accumulate_grad_batches", 1) == 1:
        yield "sharpness", table["sharpness"]

    optimizer = str(content["optimizer"]["_target_"]).rpartition(".")[2].lower()
    for key, value in table["optimizer"].get(optimizer, {}).items():
        yield f"optimizer.{key}", value
    for key, value in table["task"].items():
        if key in content["task"]:
            yield f"task.{key}", value

    network = str(content["model"]["_target_"]).split(".")[-2]
    own = table["model"].get(network, {})  # of a part of it, as in branches, by dotted names
    for key in tree.dotted(content["model"]):
        name = key.rpartition(".")[2]
        if key in own or name in table["model"]["any"]:
            yield f"model.{key}", own.get(key, table["model"]["any"].get(name))


def _augments(content: Mapping[str, Any], table: Mapping[str, Any]) -> dict[str, Any]:
    """The sections of the augmentations that fit; {} where the level has none for the experiment.

    Of `none` it is that one.
    """
    if not table[_AUGMENT]:
        return {"none": _section("none", {})}
    data, model, task = (_signature(content[part]) for part in ("data", "model", "task"))
    if data is None or model is None or task is None:
        return {}  # the check says what is wrong
    given = [name for name in data.constants["inputs"] if name in model.forward]
    # who may be given more is not mixed: it would see the rest as it is
    may_see = [name for name in data.gives if name in model.forward]
    targets = list(data.constants["targets"])

    by_name: dict[str, Any] = dict(table[_AUGMENT]["any"])
    tables = [by_name, table[_AUGMENT]["of_classes"]] if task.constants["mixes"] else [by_name]
    sections = {}
    for of_names in tables:
        for name in [*given, *targets]:
            for augment, values in of_names.get(name, {}).items():
                section = _section(augment, values)
                declared = _signature(section)
                assert declared is not None  # a test composes each level with each experiment
                seen = may_see if declared.constants["mixes"] else given
                weighs = declared.constants["mixes"] and content["data"].get("weight")
                if not weighs and misfit(declared, seen, targets, task) is None:
                    sections[augment] = section
    return sections


def _section(augment: str, values: Mapping[str, Any]) -> dict[str, Any]:
    return {**read.mapping(Path("conf", _AUGMENT, f"{augment}.yaml")), **values}


def _signature(section: Any) -> Signature | None:
    target = section.get("_target_") if isinstance(section, Mapping) else None
    return signature.read(str(target)) if target else None
