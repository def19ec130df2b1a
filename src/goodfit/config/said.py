"""Which keys were said by whom chose a level, or behind that: those stand, whatever the level sets.

A level is a file of a group, such as `regularization`, that sets keys of the whole configuration.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from goodfit.config import read, tree

# files that may choose a level, in the order in which Hydra merges them
_FILES = ("experiment", "size", "tuned")


def said(group: str, overrides: Sequence[str]) -> Iterator[str]:
    """The dotted keys that overrides set, and, where a file chooses the level, those of the files.

    Of files they are those of the file that chooses it, and of those that Hydra merges behind it. A
    file of a group, such as a network's, comes before all of them.
    """
    chosen = by_key(overrides)
    for key, value in chosen.items():
        yield key
        if value.startswith("{"):
            for name in _names(value):
                yield f"{key}.{name}"
    if group not in chosen:
        for content in _files(group, chosen):
            yield from tree.dotted(content)


def chosen_groups(group: str, overrides: Sequence[str]) -> set[str]:
    """The groups that the files of `said` choose, too."""
    chosen = by_key(overrides)
    groups: set[str] = set()
    for content in [] if group in chosen else _files(group, chosen):
        groups |= {key.removeprefix("override /") for key in _choices(content)}
    return groups


def by_key(overrides: Sequence[str]) -> dict[str, str]:
    """The values of overrides as they were written, by their keys."""
    keys = {}
    for override in overrides:
        key, _, value = override.partition("=")
        keys[key.lstrip("+~")] = value
    return keys


def put(content: dict[str, Any], dotted: str, value: Any) -> None:
    """Sets a key, by its dotted name, that the configuration has."""
    *path, last = dotted.split(".")
    for name in path:
        content = content[name]
    content[last] = value


def _files(group: str, chosen: Mapping[str, str]) -> list[dict[str, Any]]:
    files = []
    for folder in _FILES:
        path = Path("conf", folder, f"{chosen.get(folder)}.yaml")
        if path.is_file():
            files.append(read.mapping(path))
    places = [at for at, file in enumerate(files) if f"override /{group}" in _choices(file)]
    return files[places[-1] if places else 0 :]


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
