"""hydra.sweeper.search_space, which the released sweeper replaced by params in version 1.2."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from typing import Any

from hydra_plugins.hydra_optuna_sweeper._errors import SweepError


def overrides(search_space: Mapping[str, Any], params: Mapping[str, Any] | None) -> list[str]:
    """What stands in search_space as one would write it in params; nothing where params are given too.

    Raises:
        SweepError: a range of another type than int, float and categorical, or without its ends.
    """
    if params is not None:
        warnings.warn(
            "Both hydra.sweeper.params and hydra.sweeper.search_space are configured."
            "\nHydra will use hydra.sweeper.params for defining search space.",
            stacklevel=2,
        )
        return []
    warnings.warn(
        "`hydra.sweeper.search_space` is deprecated and will be removed in the next major release."
        "\nPlease configure with `hydra.sweeper.params`.",
        stacklevel=2,
    )
    return [f"{key}={_range(key, item)}" for key, item in search_space.items()]


def _range(key: str, item: Mapping[str, Any]) -> str:
    try:
        match item["type"]:
            case "categorical":
                return f"choice({','.join(_typed(choice) for choice in item['choices'])})"
            case "int" if item.get("step") and not item.get("log"):
                return f"range({item['low']:.0f},{item['high']:.0f},step={item['step']:.0f})"
            case "int":
                found = f"int(interval({item['low']:.0f},{item['high']:.0f}))"
            case "float" if item.get("step") and not item.get("log"):
                return f"range({float(item['low'])},{float(item['high'])},step={item['step']})"
            case "float":
                found = f"interval({float(item['low'])},{float(item['high'])})"
            case other:
                raise SweepError(f"hydra.sweeper.search_space.{key}: type {other}, expected int, float or categorical")
    except (KeyError, TypeError, ValueError) as error:
        raise SweepError(f"hydra.sweeper.search_space.{key}: {error} is missing or wrong") from None
    return f"tag(log, {found})" if item.get("log") else found


def _typed(choice: Any) -> str:
    if isinstance(choice, str):
        return json.dumps(choice, ensure_ascii=False)
    return "null" if choice is None else str(choice)
