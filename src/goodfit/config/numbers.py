"""Numbers as they are meant, in whatever notation a file or an override has them."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import TypeAdapter, ValidationError

from goodfit.config import check, read, tree
from goodfit.config.sections import SECTIONS, SEVERAL


def exact(content: dict[str, Any]) -> dict[str, Any]:
    """The tree with '.5e3' as 500.0 where a number is expected, and 1e3 as 1000 where a whole one.

    Hydra and OmegaConf take the first for a text, and the second for a float. What is no such
    number is left as it is: the check then says what was expected.
    """
    if not any(_is_candidate(leaf) for leaf in _leaves(content)):
        return content
    result = copy.deepcopy(content)
    for section in check.ALLOWED:
        parts = result.get(section)
        for part in parts.values() if section in SEVERAL and parts else [parts]:
            _repair_part(part)
    for section, expected in SECTIONS.items():
        if section in result:
            _repair(result, section, expected)
    return result


def _leaves(content: Any) -> Iterator[Any]:
    for leaf in tree.dotted(content).values():
        yield from leaf if isinstance(leaf, list) else [leaf]


def _is_candidate(leaf: Any) -> bool:
    if isinstance(leaf, float):
        return leaf.is_integer() and leaf >= 1
    # in a list, a mapping may hold one
    return isinstance(leaf, Mapping) or (isinstance(leaf, str) and read.has_exponent(leaf))


def _repair_part(part: Any) -> None:
    """The hyperparameters of a section that names a class."""
    if not isinstance(part, dict):
        return
    for name, expected in check.hyperparameters(str(part.get("_target_"))).items():
        if name in part:
            _repair(part, name, expected)


def _repair(parent: dict[str, Any], key: str, expected: Any) -> None:
    """Replaces each number of the wrong type that stands under a key."""
    try:
        TypeAdapter(expected).validate_python(parent[key])
    except ValidationError as error:
        for problem in error.errors():
            number = _meant(problem["type"], problem["input"])
            if number is not None:
                _replace(parent, [key, *problem["loc"]], number)


def _meant(kind: str, given: Any) -> int | float | None:
    """The number of the expected type that a value is; None where it is none."""
    if isinstance(given, str) and read.has_exponent(given):
        given = float(given)
    if not isinstance(given, float):
        return None
    if kind == "int_type":
        return int(given) if given.is_integer() else None
    return given if kind == "float_type" else None


def _replace(node: Any, location: list[Any], number: float) -> None:
    """Sets a number where Pydantic saw the wrong one; some of its steps name branches of unions."""
    steps = []
    inner = node
    for step in location:
        is_key = isinstance(inner, dict) and step in inner
        is_index = isinstance(inner, list) and isinstance(step, int) and step < len(inner)
        if is_key or is_index:
            steps.append(step)
            inner = inner[step]
    for step in steps[:-1]:
        node = node[step]
    node[steps[-1]] = number
