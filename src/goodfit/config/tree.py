"""A configuration as a tree: resolved, dumped, loaded, and flattened to dotted names."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf

from goodfit.config import read
from goodfit.errors import UserError

_SEPARATOR = "\u2063"  # Unicode's invisible separator: occurs in no configuration
_PLACEHOLDER = re.compile(rf"{_SEPARATOR}(\d+){_SEPARATOR}")
_ENV = "${oc.env:"
_ADDED = ("code", "sources")  # sections of a composed file that DVC and the report read


def frozen(cfg: DictConfig) -> dict[str, Any]:
    """The tree with every interpolation resolved except ${oc.env:...}, which stays a reference.

    So a password in the environment reaches neither the composed file nor the tracked run, not even
    through a second key that refers to the first.
    """
    content = OmegaConf.to_container(cfg, resolve=False)
    assert isinstance(content, dict)
    content.pop("hydra", None)
    references: list[str] = []

    def hide(text: str) -> str:
        """Each reference, whatever it holds, becomes a placeholder that resolving leaves alone."""
        while (start := text.find(_ENV)) >= 0:
            end = _closing(text, start)
            placeholder = f"{_SEPARATOR}{len(references)}{_SEPARATOR}"
            references.append(text[start:end])
            text = text[:start] + placeholder + text[end:]
        return text

    def restore(text: str) -> str:
        return _PLACEHOLDER.sub(lambda match: references[int(match[1])], text)

    resolved = _map_texts(content, hide)
    # none is left in a tree that was frozen before: the way through OmegaConf takes 10 ms
    if _has_interpolation(resolved):
        resolved = OmegaConf.to_container(OmegaConf.create(resolved), resolve=True)
    result = _map_texts(resolved, restore)
    assert isinstance(result, dict)
    return result


def data_section(cfg: DictConfig) -> dict[str, Any]:
    """The section `data` as far as it decides what prepare writes.

    The sources are left out: a raw file is known by its hash, wherever it came from.
    """
    content = OmegaConf.to_container(cfg.data, resolve=True)
    assert isinstance(content, dict)
    return {str(key): value for key, value in content.items() if key != "sources"}


def dump(content: dict[str, Any]) -> str:
    """YAML with sorted keys: equal configurations are equal bytes."""
    return yaml.safe_dump(content, sort_keys=True, allow_unicode=True, width=100)


def load(path: Path) -> DictConfig:
    """A composed configuration from its file, without what compose adds for DVC and the report.

    Raises:
        UserError: the file is missing, is no YAML, or holds anything else than names and values.
    """
    if not path.exists():
        experiment = path.stem if path.suffix == ".json" else path.parent.name
        raise UserError(f"{path} does not exist; `make repro ONLY={experiment}` makes it")
    content = read.mapping(path)
    for section in _ADDED:
        content.pop(section, None)
    cfg = OmegaConf.create(content)
    assert isinstance(cfg, DictConfig)
    return cfg


def dotted(content: Any, prefix: str = "") -> dict[str, Any]:
    """The leaves of a nested configuration by their dotted names; a list is a leaf."""
    if not isinstance(content, Mapping):
        return {prefix[:-1]: content}
    leaves: dict[str, Any] = {}
    for key, value in content.items():
        leaves |= dotted(value, f"{prefix}{key}.")
    return leaves


def dotted_keys(content: Any, prefix: str = "") -> Iterator[str]:
    """The dotted name of every key, of inner nodes too; `[]` stands for any item of a list."""
    if isinstance(content, Mapping):
        for key, value in content.items():
            yield f"{prefix}{key}"
            yield from dotted_keys(value, f"{prefix}{key}.")
    elif isinstance(content, list):
        for item in content:
            yield from dotted_keys(item, f"{prefix}[].")


def _closing(text: str, start: int) -> int:
    """The index behind the brace that closes the `${` at `start`."""
    depth = 0
    for index in range(start + 1, len(text)):
        depth += {"{": 1, "}": -1}.get(text[index], 0)
        if depth == 0 and text[index] == "}":
            return index + 1
    return len(text)


def _has_interpolation(value: Any) -> bool:
    """Whether a text of the tree refers to another value."""
    if isinstance(value, dict):
        return any(map(_has_interpolation, value.values()))
    if isinstance(value, list):
        return any(map(_has_interpolation, value))
    return isinstance(value, str) and "${" in value


def _map_texts(value: Any, change: Callable[[str], str]) -> Any:
    """A copy of a tree in which `change` has been applied to every text but the keys."""
    if isinstance(value, dict):
        return {key: _map_texts(item, change) for key, item in value.items()}
    if isinstance(value, list):
        return [_map_texts(item, change) for item in value]
    return change(value) if isinstance(value, str) else value
