"""Files that users write, read as they are meant; a mistake has its line and column."""

from __future__ import annotations

import contextlib
import json
import re
from pathlib import Path
from typing import Any

import yaml
from yaml.constructor import ConstructorError

from goodfit.errors import UserError

_NUMBER = "tag:yaml.org,2002:float"
# YAML 1.1 wants a dot before and a sign behind the e: it takes 1e-5 and .5e3 for texts
_WITH_EXPONENT = re.compile(r"^[-+]?(\d[\d_]*\.?[\d_]*|\.\d[\d_]*)[eE][-+]?\d+$")
_DATE = "tag:yaml.org,2002:timestamp"


class _Loader(yaml.SafeLoader):
    """YAML as OmegaConf reads conf/: 1e-5 is a number, a date a text, and no key stands twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """The mapping of a node."""
        seen = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            if key.value in seen:
                problem = f"the key '{key.value}' stands here a second time"
                raise ConstructorError(None, None, problem, key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep=deep)


_Loader.add_implicit_resolver(_NUMBER, _WITH_EXPONENT, list("-+0123456789."))
_without_dates = {}
for _first, _resolvers in _Loader.yaml_implicit_resolvers.items():
    _without_dates[_first] = [item for item in _resolvers if item[0] != _DATE]
_Loader.yaml_implicit_resolvers = _without_dates


def read(path: Path) -> Any:
    """The content of a YAML or JSON file, None where it is empty.

    Raises:
        UserError: it is missing or cannot be decoded, or is no YAML or JSON.
    """
    text, shown = _text(path), _shown(path)
    if path.suffix == ".json":
        # JSON is YAML, and YAML's parser many times as slow
        with contextlib.suppress(json.JSONDecodeError):
            return json.loads(text)
    try:
        return yaml.load(text, Loader=_Loader)  # noqa: S506 - it is a safe one
    except yaml.YAMLError as error:
        raise UserError(f"{shown}, {_yaml_mistake(error, text)}") from None


def has_exponent(text: str) -> bool:
    """Whether a text is a number with an exponent, such as 1e-5 or .5e3."""
    return _WITH_EXPONENT.match(text) is not None


def mapping(path: Path) -> dict[str, Any]:
    """The names and values that a file holds.

    Raises:
        UserError: it holds something else, or cannot be read.
    """
    content = read(path)
    if not isinstance(content, dict):
        held = "nothing" if content is None else f"a {type(content).__name__}"
        raise UserError(f"{_shown(path)} holds {held}; expected names and values")
    return content


def _yaml_mistake(error: yaml.YAMLError, text: str) -> str:
    """Line, column and problem of what is no YAML, of the text of the file."""
    if isinstance(error, yaml.reader.ReaderError):
        before = text[: error.position]
        place = _position(before.count("\n") + 1, len(before.rpartition("\n")[2]) + 1)
        return f"{place}: a character that no YAML may hold, {chr(error.character)!r}"
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return " ".join(str(error).split())[:200]

    mark, begin = error.problem_mark, error.context_mark
    place = _position(mark.line + 1, mark.column + 1)
    # where a brace is not closed, the mistake is rather where it was opened
    opened = f" {error.context} of line {begin.line + 1}" if begin and error.context else ""
    return f"{place}: {error.problem}{opened}; expected YAML"


def _text(path: Path) -> str:
    try:
        content = path.read_bytes()
        return content.decode()
    except UnicodeDecodeError as error:
        before = content[: error.start]
        place = _position(before.count(b"\n") + 1, len(before.rpartition(b"\n")[2]) + 1)
        raise UserError(
            f"{_shown(path)}, {place}: the byte 0x{content[error.start]:02x} is no UTF-8; "
            "save the file as UTF-8"
        ) from None
    except OSError as error:
        raise UserError(f"{_shown(path)} cannot be read: {error.strerror}") from None


def _position(line: int, column: int) -> str:
    return f"line {line}, column {column}"


def _shown(path: Path) -> Path:
    """The path from the repository's root, which commands work in."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
