"""hydra.sweeper.search_space, which the released sweeper replaced by params in version 1.2."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from typing import Any

from hydra_plugins.hydra_optuna_sweeper._errors import SweepError


def overrides(search_space: Mapping[str, Any], params: Mapping[str, Any] | None) -> list[str]:
    """search_space as one would write it in params; nothing where params are given too.

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
    return [f"{key}={_range(key, options)}" for key, options in search_space.items()]


def _range(key: str, options: Mapping[str, Any]) -> str:
    name = f"hydra.sweeper.search_space.{key}"
    try:
        range_type = options["type"]
        if range_type == "categorical":
            choices = [_choice(choice) for choice in options["choices"]]
            return f"choice({','.join(choices)})"
        if range_type not in ("int", "float"):
            raise SweepError(f"{name}: type {range_type}, expected int, float or categorical")
        return _number_range(options)
    except (KeyError, TypeError, ValueError) as error:
        raise SweepError(f"{name}: {error} is missing or wrong") from None


def _number_range(options: Mapping[str, Any]) -> str:
    """A step counts on a linear scale only, as in the released sweeper."""
    is_int, is_log, step = options["type"] == "int", options.get("log"), options.get("step")
    low, high = options["low"], options["high"]

    if step and not is_log:
        if is_int:
            return f"range({low:.0f},{high:.0f},step={step:.0f})"
        return f"range({float(low)},{float(high)},step={step})"

    if is_int:
        interval = f"int(interval({low:.0f},{high:.0f}))"
    else:
        interval = f"interval({float(low)},{float(high)})"
    return f"tag(log, {interval})" if is_log else interval


def _choice(choice: Any) -> str:
    if isinstance(choice, str):
        return json.dumps(choice, ensure_ascii=False)
    return "null" if choice is None else str(choice)
