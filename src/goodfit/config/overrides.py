"""Overrides before Hydra reads them: the files that they name, and values in its grammar."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra.core.override_parser.types import Quote, QuotedString

from goodfit.config import read
from goodfit.errors import UserError

# groups whose files set keys of the whole configuration
_GLOBAL = ("experiment", "search", "size", "tuned")
_PACKAGE = re.compile(r"^#\s*@package\s+_global_\s*$", re.M)


def check_files(root: Path, overrides: Sequence[str]) -> None:
    """The files of conf/ that overrides name hold what Hydra makes a configuration of.

    Raises:
        UserError: one does not; with line and column where it is no YAML.
    """
    for override in overrides:
        group, _, choices = override.lstrip("+").partition("=")
        for choice in choices.split(","):
            _check_choice(root, group, choice.strip())


def of_mapping(content: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Overrides that set the same values as a nested mapping."""
    overrides = []
    for key, value in content.items():
        if isinstance(value, Mapping) and value:
            overrides += of_mapping(value, f"{prefix}{key}.")
        else:
            overrides.append(f"{prefix}{key}={_literal(value)}")
    return overrides


def _check_choice(root: Path, group: str, choice: str) -> None:
    """A file of conf/ that an override names holds what Hydra would not refuse with a traceback."""
    path = root / "conf" / group / f"{choice}.yaml"
    if not path.is_file():
        return
    content = read.mapping(path)
    if group in _GLOBAL and not _is_global(path):
        raise UserError(
            f"conf/{group}/{choice}.yaml does not begin with the line '# @package _global_'; "
            f"without it, its keys are taken for those of a section {group}"
        )
    if not isinstance(content.get("defaults", []), list):
        raise UserError(
            f"conf/{group}/{choice}.yaml: defaults is {content['defaults']!r}; "
            "expected a list, such as [override /model: mlp]"
        )


def _is_global(path: Path) -> bool:
    """Whether Hydra takes the keys of a file for those of the whole configuration."""
    for line in path.read_text().splitlines():
        if not line.startswith("#"):
            return False
        if _PACKAGE.match(line):
            return True
    return False


def _literal(value: Any) -> str:
    """A value as Hydra's grammar of overrides writes it."""
    if isinstance(value, str):
        return QuotedString(text=value, quote=Quote.double).with_quotes()
    if isinstance(value, list):
        return f"[{','.join(_literal(item) for item in value)}]"
    if isinstance(value, dict):
        items = [f"{key}:{_literal(item)}" for key, item in value.items()]
        return f"{{{','.join(items)}}}"
    return repr(value) if isinstance(value, float) else json.dumps(value)
