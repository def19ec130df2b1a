"""The layers of a network in their order, as it declares them: `layer_groups`, input to head.

Each layer is a tuple of patterns of parameters' names, as those of `ParameterRules` are. Whatever
treats layers by their depth is built upon this alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from typing import cast

from torch import nn

LayerGroups = Sequence[Sequence[str]]


def layer_of(model: nn.Module) -> dict[str, int]:
    """The place of each parameter's layer by the parameter's name: 0 is next to the input."""
    # the configuration's check has refused a network without
    groups = cast(LayerGroups, model.layer_groups)
    layers: dict[str, int] = {}
    for name, _ in model.named_parameters():
        places = [place for place, patterns in enumerate(groups) if matches(name, patterns)]
        assert len(places) == 1, f"{name} is in {len(places)} layers of {type(model).__name__}"
        layers[name] = places[0]
    return layers


def matches(name: str, patterns: Iterable[str]) -> bool:
    """Whether one of the patterns matches the whole name."""
    return any(fnmatchcase(name, pattern) for pattern in patterns)
