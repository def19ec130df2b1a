"""`regularization=none|light|strong`: what a level means for an experiment's data and network.

A file of conf/regularization/ says what a level sets where an experiment has the key. It is set in
the composed configuration, for a file that Hydra merges can neither ask for a key nor for an input.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from goodfit.config import numbers, read, signature, tree
from goodfit.config.augmented import misfit
from goodfit.config.signature import Signature
from goodfit.errors import UserError

# files that may choose a level, in the order in which Hydra merges them
_FILES = ("experiment", "size", "tuned")
_GROUP, _AUGMENT = "regularization", "augment"


def settled(cfg: DictConfig, overrides: Sequence[str]) -> tuple[dict[str, Any], str | None]:
    """A composed configuration as plain values, with its level set, and a line that says what.

    What is said where the level is chosen, or later, stands: of a level on the command line other
    overrides, of one in a file also its values and those of files merged behind it.

    Raises:
        UserError: the level sets nothing, or there are several.
    """
    content = tree.frozen(cfg)
    line = None
    if isinstance(content.get(_GROUP), Mapping):
        line = _set_level(content, overrides)
    return numbers.exact(content), line


def _set_level(content: dict[str, Any], overrides: Sequence[str]) -> str:
    table = content[_GROUP]
    level = content[_GROUP] = str(table["level"])
    chosen = _by_key(overrides)
    if chosen.get(_GROUP, "").startswith("["):
        raise UserError(f"{_GROUP}={chosen[_GROUP]}: expected one of none, light and strong")
    said = set(_said(chosen))

    wanted = dict(_wanted(content, table))
    augments = _augments(content, table)
    values = {key: value for key, value in wanted.items() if key not in said}
    for key, value in values.items():
        _set(content, key, value)
    told = [f"{key}={value}" for key, value in values.items()]
    left = [key for key in wanted if key in said]
    if augments and _AUGMENT in said:
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


def _said(chosen: Mapping[str, str]) -> Iterator[str]:
    """The dotted keys that overrides set, and, where a file chooses the level, those of the files.

    `augment` is among them where one of its keys, or the group, is.
    """
    keys: list[str] = []
    for key, value in chosen.items():
        keys.append(key)
        if value.startswith("{"):
            keys += [f"{key}.{name}" for name in _names(value)]
    if _GROUP not in chosen:
        for content in _files(chosen):
            keys += tree.dotted(content)
            if f"override /{_AUGMENT}" in _choices(content):
                keys.append(_AUGMENT)
    for key in keys:
        yield _AUGMENT if key.partition(".")[0] == _AUGMENT else key


def _files(chosen: Mapping[str, str]) -> list[dict[str, Any]]:
    """The file that chooses the level, and those that Hydra merges behind it."""
    files = []
    for folder in _FILES:
        path = Path("conf", folder, f"{chosen.get(folder)}.yaml")
        if path.is_file():
            files.append(read.mapping(path))
    choosing = [
        place for place, file in enumerate(files) if f"override /{_GROUP}" in _choices(file)
    ]
    return files[choosing[-1] :] if choosing else []


def _choices(file: Mapping[str, Any]) -> set[str]:
    """The keys of a file's list of defaults."""
    keys: set[str] = set()
    for item in file.get("defaults", []):
        keys |= item.keys() if isinstance(item, Mapping) else set()
    return keys


def _names(value: str) -> Collection[str]:
    """The dotted keys of a mapping as an override writes it."""
    from hydra.core.override_parser.overrides_parser import OverridesParser

    (parsed,) = OverridesParser.create().parse_overrides([f"x={value}"])
    return tree.dotted(parsed.value()).keys()


def _by_key(overrides: Sequence[str]) -> dict[str, str]:
    by_key = {}
    for override in overrides:
        key, _, value = override.partition("=")
        by_key[key.lstrip("+~")] = value
    return by_key


def _set(content: dict[str, Any], dotted: str, value: Any) -> None:
    *path, last = dotted.split(".")
    for name in path:
        content = content[name]
    content[last] = value
