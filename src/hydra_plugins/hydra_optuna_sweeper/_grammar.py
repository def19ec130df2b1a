"""Hydra's override grammar and Optuna's distributions: from text to a range, from value to text."""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import (
    ChoiceSweep,
    IntervalSweep,
    Override,
    Quote,
    QuotedString,
    RangeSweep,
)
from hydra.errors import HydraException
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from hydra_plugins.hydra_optuna_sweeper._errors import SweepError


def parse_overrides(arguments: Sequence[str], loader: Any) -> list[Override]:
    """The overrides that the arguments stand for.

    Raises:
        SweepError: an argument is outside Hydra's grammar.
    """
    parser = OverridesParser.create(config_loader=loader)
    overrides: list[Override] = []
    for argument in arguments:
        try:
            overrides += parser.parse_overrides([argument])
        except HydraException as error:
            raise SweepError(f"{argument}: {' '.join(str(error).split())}") from None
    return overrides


def bare_key(key: str) -> str:
    """The key without Hydra's signs for adding and deleting."""
    return key.lstrip("+~")


def distribution(override: Override) -> BaseDistribution:
    """The values that a sweep override stands for, in Optuna's terms.

    As in the released sweeper, range(a, b) has both ends: Hydra's own sweeper leaves b out.

    Raises:
        SweepError: there is no value in the range.
    """
    value = override.value()
    if isinstance(value, ChoiceSweep | RangeSweep) and value.shuffle:
        # the order means nothing to a sampler, and a resumed study must have the same one
        value.shuffle = False
        return CategoricalDistribution([_choice(item) for item in override.sweep_iterator()])

    try:
        if override.is_choice_sweep():
            choices = [_choice(item) for item in override.sweep_iterator()]
            return CategoricalDistribution(list(dict.fromkeys(choices)))
        if isinstance(value, RangeSweep):
            return _range(value)
        assert isinstance(value, IntervalSweep)
        return _interval(value)
    except ValueError as error:
        key = override.get_key_element()
        raise SweepError(
            f"{override.input_line}: there is nothing to choose from '{key}': {error}"
        ) from None


def fixed_value(override: Override) -> Any:
    """A number as it is, anything else as it is typed."""
    value = override.value()
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return value if is_number else override.get_value_element_as_str()


def to_text(value: Any) -> str:
    """A value as Hydra's grammar wants it behind `key=`."""
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)


def to_quoted_text(value: Any) -> str:
    """The same, in quotes where Hydra's grammar would take the text for something else."""
    text = to_text(value)
    try:
        if not OverridesParser.create().parse_override(f"key={text}").is_sweep_override():
            return text
    except HydraException:
        pass
    return Override._get_value_element_as_str(QuotedString(text=text, quote=Quote.single))


def _choice(item: Any) -> Any:
    """A choice is kept as it would be typed, so that blanks, quotes, commas and = reach the job.

    Numbers, booleans and null stay what they are; quotes that change nothing go.
    """
    if item is None or isinstance(item, bool | int | float):
        return item

    text = item.text if isinstance(item, QuotedString) else item
    if isinstance(text, str) and _needs_no_quotes(text):
        return text
    if isinstance(item, str):  # of str(choice(1,2)): without quotes, the job would get a number
        item = QuotedString(text=item, quote=Quote.single)
    return Override._get_value_element_as_str(item)


def _needs_no_quotes(text: str) -> bool:
    """Whether the text without quotes is read as the same text."""
    try:
        override = OverridesParser.create().parse_override(f"key={text}")
    except HydraException:
        return False
    if override.is_sweep_override():
        return False
    value = override.value()
    return isinstance(value, str) and value == text


def _range(value: RangeSweep) -> BaseDistribution:
    start, stop, step = value.start, value.stop, value.step
    assert start is not None and stop is not None  # noqa: PT018 - the grammar gives both or neither
    if not all(map(math.isfinite, (start, stop, step))):
        raise ValueError("the ends of a range are numbers, not nan or inf")
    if step <= 0:
        raise ValueError(f"range from {start} to {stop} has step {step}, expected more than 0")

    log = "log" in value.tags
    if log and (step != 1 or not isinstance(start, int) or not isinstance(stop, int)):
        raise ValueError(
            "a logarithmic range has integers and step 1; use tag(log,interval(...)) for others"
        )
    if stop <= start:
        raise ValueError(f"range from {start} to {stop} is empty")

    if any(isinstance(number, float) for number in (start, stop, step)):
        # as decimals, for in binary 3 * 0.3 is less than 0.9
        first, stride = Decimal(str(start)), Decimal(str(step))
        # Optuna warns where the last step does not meet the end
        n_steps = (Decimal(str(stop)) - first) // stride
        return FloatDistribution(float(start), float(first + n_steps * stride), step=float(step))

    last = start + (stop - start) // step * step
    return IntDistribution(int(start), int(last), step=int(step), log=log)


def _interval(value: IntervalSweep) -> BaseDistribution:
    start, end = value.start, value.end
    assert start is not None and end is not None  # noqa: PT018 - the grammar demands both
    if not all(map(math.isfinite, (start, end))):
        raise ValueError("the ends of an interval are numbers, not nan or inf")
    if end <= start:
        raise ValueError(f"interval from {start} to {end} is empty")

    log = "log" in value.tags
    if isinstance(start, int) and isinstance(end, int):
        return IntDistribution(start, end, log=log)
    return FloatDistribution(float(start), float(end), log=log)
