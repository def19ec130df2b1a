"""A configuration as a tree: resolved, dumped, loaded, as dotted names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf

from goodfit.errors import UserError

_SIGN = "\u2063"  # invisible separator: occurs in no configuration


def frozen(cfg: DictConfig) -> dict[str, Any]:
    """The tree with every interpolation resolved except ${oc.env:...}, which stays a reference.

    So a password in the environment reaches neither the composed file nor the tracked run, not even
    through a second key that refers to the first.
    """
    content = OmegaConf.to_container(cfg, resolve=False)
    assert isinstance(content, dict)
    content.pop("hydra", None)
    references: list[str] = []

    def mark(text: str) -> str:
        """Each ${oc.env:...}, whatever it holds, becomes a sign that resolving leaves alone."""
        while (start := text.find("${oc.env:")) >= 0:
            end = _closing(text, start)
            references.append(text[start:end])
            text = f"{text[:start]}{_SIGN}{len(references) - 1}{_SIGN}{text[end:]}"
        return text

    resolved = OmegaConf.to_container(OmegaConf.create(_map(content, mark)), resolve=True)
    sign = re.compile(rf"{_SIGN}(\d+){_SIGN}")
    result = _map(resolved, lambda text: sign.sub(lambda match: references[int(match[1])], text))
    assert isinstance(result, dict)
    return result


def _closing(text: str, start: int) -> int:
    """The place after the brace that closes the one of `${` at `start`."""
    depth = 0
    for place in range(start + 1, len(text)):
        depth += {"{": 1, "}": -1}.get(text[place], 0)
        if depth == 0 and text[place] == "}":
            return place + 1
    return len(text)


def data_section(cfg: DictConfig) -> dict[str, Any]:
    """The section `data` as it decides what is prepared; where the raw file comes from is told by
    its hash.
    """
    content: dict[str, Any] = OmegaConf.to_container(cfg.data, resolve=True)  # type: ignore[assignment]
    return {key: value for key, value in content.items() if key != "source"}


def dump(content: dict[str, Any]) -> str:
    """YAML with sorted keys: equal configurations are equal bytes."""
    return yaml.safe_dump(content, sort_keys=True, allow_unicode=True, width=100)


def load(path: Path) -> DictConfig:
    """A composed configuration from its file; what compose adds for DVC and reports is left out."""
    if not path.exists():
        raise UserError(f"{path} does not exist; `dvc repro` composes it from conf/")
    try:
        content = yaml.safe_load(path.read_text())
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(
            f"{path} is not a configuration: {' '.join(str(error).split())[:200]}"
        ) from None
    if not isinstance(content, dict):
        raise UserError(
            f"{path} is not a configuration: it holds {type(content).__name__}, expected names and values"
        )
    for added in ("code", "sources"):
        content.pop(added, None)
    cfg = OmegaConf.create(content)
    assert isinstance(cfg, DictConfig)
    return cfg


def _map(value: Any, change: Any) -> Any:
    if isinstance(value, dict):
        return {key: _map(item, change) for key, item in value.items()}
    if isinstance(value, list):
        return [_map(item, change) for item in value]
    return change(value) if isinstance(value, str) else value


def dotted(content: Any, prefix: str = "") -> dict[str, Any]:
    """A nested configuration as dotted names and values."""
    if isinstance(content, Mapping):
        return {
            k: v
            for key, item in content.items()
            for k, v in dotted(item, f"{prefix}{key}.").items()
        }
    return {prefix[:-1]: content}
