"""Hydra's override grammar and Optuna's distributions: from what is typed to a range, and from a value back."""

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


def parsed(arguments: Sequence[str], loader: Any) -> list[Override]:
    """The overrides that these words stand for; raises SweepError for one outside the grammar."""
    parser, found = OverridesParser.create(config_loader=loader), []
    for argument in arguments:
        try:
            found += parser.parse_overrides([argument])
        except HydraException as error:
            raise SweepError(f"{argument}: {' '.join(str(error).split())}") from None
    return found


def bare(key: str) -> str:
    """The key without Hydra's signs for adding and deleting."""
    return key.lstrip("+~")


def distribution(override: Override) -> BaseDistribution:
    """The values that a sweep override stands for, in Optuna's terms.

    As in the released sweeper, range(a, b) has both ends: Hydra's own sweeper leaves b out.
    """
    key = override.get_key_element()
    value = override.value()
    if isinstance(value, ChoiceSweep | RangeSweep) and value.shuffle:
        value.shuffle = False  # the order means nothing to a sampler, and a resumed study must find the same one
        return CategoricalDistribution([_choice(item) for item in override.sweep_iterator()])
    try:
        if override.is_choice_sweep():
            return CategoricalDistribution(list(dict.fromkeys(_choice(item) for item in override.sweep_iterator())))
        if isinstance(value, RangeSweep):
            return _range(value)
        assert isinstance(value, IntervalSweep)
        return _interval(value)
    except ValueError as error:
        raise SweepError(f"{override.input_line}: there is nothing to choose from '{key}': {error}") from None


def given(override: Override) -> Any:
    """A fixed value: a number as it is, anything else as it is typed."""
    value = override.value()
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return value if number else override.get_value_element_as_str()


def written(value: Any) -> str:
    """A value as Hydra's grammar wants it behind `key=`."""
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)


def typed(value: Any) -> str:
    """What a function suggested, in quotes where Hydra's grammar would take it for something else."""
    text = written(value)
    try:
        if not OverridesParser.create().parse_override(f"key={text}").is_sweep_override():
            return text
    except HydraException:
        pass
    return Override._get_value_element_as_str(QuotedString(text=text, quote=Quote.single))


def _choice(item: Any) -> Any:
    """A choice is kept as it would be typed, so that spaces, quotes, commas and = survive the trip.

    Numbers, booleans and null stay what they are; quotes that change nothing go.
    """
    if item is None or isinstance(item, bool | int | float):
        return item
    word = item.text if isinstance(item, QuotedString) else item
    if isinstance(word, str) and _plain(word):
        return word
    if isinstance(item, str):  # of str(choice(1,2)): without quotes, the job would get a number
        item = QuotedString(text=item, quote=Quote.single)
    return Override._get_value_element_as_str(item)


def _plain(text: str) -> bool:
    """Whether the text without quotes is read as the same text."""
    try:
        override = OverridesParser.create().parse_override(f"key={text}")
    except HydraException:
        return False
    return not override.is_sweep_override() and isinstance(override.value(), str) and override.value() == text


def _range(value: RangeSweep) -> BaseDistribution:
    assert value.start is not None and value.stop is not None  # noqa: PT018 - the grammar gives both or neither
    start, stop, step = value.start, value.stop, value.step
    if not all(map(math.isfinite, (start, stop, step))):
        raise ValueError("the ends of a range are numbers, not nan or inf")
    if step <= 0:
        raise ValueError(f"range from {start} to {stop} goes by {step}; write it upwards, by more than 0")
    log = "log" in value.tags
    if log and (step != 1 or not isinstance(start, int) or not isinstance(stop, int)):
        raise ValueError("a logarithmic range goes by whole numbers, 1 at a time; tag(log,interval(...)) by any")
    if stop <= start:
        raise ValueError(f"range from {start} to {stop} is empty")
    if any(isinstance(number, float) for number in (start, stop, step)):
        first, stride = Decimal(str(start)), Decimal(str(step))  # of 0.1 as of 1/10: 3 * 0.3 is less than 0.9
        steps = (Decimal(str(stop)) - first) // stride  # Optuna warns where the last step does not meet the end
        return FloatDistribution(float(start), float(first + steps * stride), step=float(step))
    return IntDistribution(int(start), int(start + (stop - start) // step * step), step=int(step), log=log)


def _interval(value: IntervalSweep) -> BaseDistribution:
    assert value.start is not None and value.end is not None  # noqa: PT018 - the grammar demands both
    if not all(map(math.isfinite, (value.start, value.end))):
        raise ValueError("the ends of an interval are numbers, not nan or inf")
    if value.end <= value.start:
        raise ValueError(f"interval from {value.start} to {value.end} is empty")
    log = "log" in value.tags
    if isinstance(value.start, int) and isinstance(value.end, int):
        return IntDistribution(value.start, value.end, log=log)
    return FloatDistribution(float(value.start), float(value.end), log=log)
