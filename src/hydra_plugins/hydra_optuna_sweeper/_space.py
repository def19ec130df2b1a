"""From overrides to a search space, and from a trial to the overrides of its job."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import optuna
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import (
    IntervalSweep,
    Override,
    QuotedString,
    RangeSweep,
)
from hydra.errors import HydraException
from omegaconf import DictConfig
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
    distribution_to_json,
)

from hydra_plugins.hydra_optuna_sweeper._constraints import Constraint
from hydra_plugins.hydra_optuna_sweeper.errors import SweepError


@dataclass(frozen=True)
class Condition:
    """Ranges that exist only in trials whose chosen values are these; a list of values means any of them."""

    when: Mapping[str, Any]
    searched: Mapping[str, BaseDistribution]

    def holds(self, chosen: Mapping[str, Any]) -> bool:
        """Whether a trial with these values has the ranges."""
        return all(
            chosen.get(key) in (value if isinstance(value, list) else [value]) for key, value in self.when.items()
        )


@dataclass(frozen=True)
class Space:
    """What a trial may choose, and what all trials have in common."""

    searched: Mapping[str, BaseDistribution]
    fixed: Sequence[str] = ()  # overrides, as they were typed
    conditions: Sequence[Condition] = ()
    constraints: Sequence[Constraint] = ()
    custom: Callable[[DictConfig, optuna.Trial], None] | None = field(default=None, compare=False)

    def suggest(self, trial: optuna.Trial, cfg: DictConfig) -> list[str]:
        """Chooses a value for each range and returns the overrides of the trial's job."""
        for key, distribution in self.searched.items():
            trial._suggest(key, distribution)
        for condition in self.conditions:
            if condition.holds(trial.params):
                for key, distribution in condition.searched.items():
                    trial._suggest(key, distribution)
        if self.custom:
            self.custom(cfg, trial)
        names = {_bare(override.partition("=")[0]) for override in self.fixed}
        if both := sorted(key for key in trial.params if _bare(key) in names):
            raise SweepError(f"{', '.join(both)}: searched by custom_search_space and given as a value; leave one out")
        return [*self.fixed, *(f"{key}={written(value)}" for key, value in trial.params.items())]

    def grid(self) -> list[dict[str, Any]]:
        """Every combination of values; raises SweepError for a range that cannot be counted up."""
        if self.conditions or self.custom:
            raise SweepError("the grid sampler knows no conditions and no custom_search_space; choose another sampler")
        columns = [_points(key, distribution) for key, distribution in self.searched.items()]
        return [dict(zip(self.searched, row, strict=True)) for row in itertools.product(*columns)]

    def corners(self) -> list[dict[str, Any]]:
        """Points that show whether each range can be used: every choice, and both ends of every interval."""
        found: list[dict[str, Any]] = [{}]
        for key, distribution in self.searched.items():
            found += [{key: value} for value in _ends(distribution)]
        for condition in self.conditions:
            when = {key: value[0] if isinstance(value, list) else value for key, value in condition.when.items()}
            for key, distribution in condition.searched.items():
                found += [{**when, key: value} for value in _ends(distribution)]
        return found

    def fingerprint(self) -> str:
        """The space as text: a study is resumed only with the space that it was begun with."""
        ranges = {key: json.loads(distribution_to_json(found)) for key, found in self.searched.items()}
        for condition in self.conditions:
            ranges |= {
                f"{key} if {dict(condition.when)}": json.loads(distribution_to_json(found))
                for key, found in condition.searched.items()
            }
        return json.dumps(ranges, sort_keys=True)


@dataclass(frozen=True)
class Points:
    """A list of jobs instead of ranges: each trial is one of them."""

    rows: Sequence[Sequence[str]]
    constraints: Sequence[Constraint] = ()

    def suggest(self, trial: optuna.Trial, cfg: DictConfig) -> list[str]:
        """The overrides of the row that waits in the queue."""
        return list(self.rows[trial.suggest_int("row", 0, len(self.rows) - 1)])

    def fingerprint(self) -> str:
        """The rows as text."""
        return json.dumps({"rows": [list(row) for row in self.rows]})


def read(
    arguments: Sequence[str],
    *,
    conditions: Sequence[Any],
    constraints: Sequence[str],
    custom: Callable[[DictConfig, optuna.Trial], None] | None,
    loader: Any = None,
) -> Space:
    """The space that these overrides span; of two with the same key the later one counts.

    Raises:
        SweepError: a range without a value in it, or a condition on a key that is not searched.
    """
    searched: dict[str, BaseDistribution] = {}
    fixed: dict[str, str] = {}
    for override in _parsed(arguments, loader):
        key = override.get_key_element()
        for same in [name for name in (*searched, *fixed) if _bare(name) == _bare(key)]:
            searched.pop(same, None)
            fixed.pop(same, None)
        if override.is_sweep_override():
            searched[key] = distribution(override)
        else:
            fixed[key] = str(override.input_line)
    found = [_condition(dict(item), searched, fixed, loader) for item in conditions]
    known = {_bare(key) for key in searched} | {_bare(key) for item in found for key in item.searched}
    return Space(searched, list(fixed.values()), found, [Constraint.read(text, known) for text in constraints], custom)


def distribution(override: Override) -> BaseDistribution:
    """The values that a sweep override stands for, in Optuna's terms.

    As in the released sweeper, range(a, b) has both ends: Hydra's own sweeper leaves b out.
    """
    key = override.get_key_element()
    value = override.value()
    try:
        if override.is_choice_sweep():
            return CategoricalDistribution(list(dict.fromkeys(_choice(item) for item in override.sweep_iterator())))
        if isinstance(value, RangeSweep):
            if value.shuffle:
                return CategoricalDistribution([_choice(item) for item in override.sweep_iterator()])
            return _range(value)
        assert isinstance(value, IntervalSweep)
        return _interval(value)
    except ValueError as error:
        raise SweepError(f"{override.input_line}: there is nothing to choose from '{key}': {error}") from None


def written(value: Any) -> str:
    """A value as Hydra's grammar wants it behind `key=`."""
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _choice(item: Any) -> Any:
    """A choice is kept as it would be typed, so that spaces, quotes, commas and = survive the trip.

    Numbers, booleans and null stay what they are; quotes that change nothing go.
    """
    if item is None or isinstance(item, bool | int | float):
        return item
    text = Override._get_value_element_as_str(item)
    if isinstance(item, QuotedString) and _plain(item.text):
        return item.text
    return text


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
    if stop <= start:
        raise ValueError(f"range from {start} to {stop} is empty")
    if any(isinstance(number, float) for number in (start, stop, step)):
        steps = int((stop - start) / step + 1e-9)  # Optuna warns where the last step does not meet the end
        return FloatDistribution(float(start), float(start + steps * step), step=float(step))
    return IntDistribution(int(start), int(start + (stop - start) // step * step), step=int(step))


def _interval(value: IntervalSweep) -> BaseDistribution:
    assert value.start is not None and value.end is not None  # noqa: PT018 - the grammar demands both
    if value.end <= value.start:
        raise ValueError(f"interval from {value.start} to {value.end} is empty")
    log = "log" in value.tags
    if isinstance(value.start, int) and isinstance(value.end, int):
        return IntDistribution(value.start, value.end, log=log)
    return FloatDistribution(float(value.start), float(value.end), log=log)


def _condition(item: dict[str, Any], searched: Mapping[str, Any], fixed: Mapping[str, str], loader: Any) -> Condition:
    if set(item) != {"when", "params"}:
        raise SweepError(f"hydra.sweeper.conditions: got keys {sorted(item)}, expected when and params")
    for key, value in item["when"].items():
        options = searched.get(key)
        wanted = value if isinstance(value, list) else [value]
        if not isinstance(options, CategoricalDistribution):
            raise SweepError(f"hydra.sweeper.conditions: '{key}' is not searched as a choice; add {key}=choice(...)")
        for missing in [one for one in wanted if one not in options.choices]:
            raise SweepError(
                f"hydra.sweeper.conditions: {key} is never {missing}; choices: {', '.join(map(str, options.choices))}"
            )
    parsed = _parsed([f"{key}={value}" for key, value in item["params"].items()], loader)
    names = {_bare(key) for key in (*searched, *fixed)}
    for override in parsed:
        if not override.is_sweep_override() or _bare(override.get_key_element()) in names:
            raise SweepError(f"hydra.sweeper.conditions: '{override.input_line}' must be a range of its own")
    return Condition(item["when"], {override.get_key_element(): distribution(override) for override in parsed})


def _points(key: str, found: BaseDistribution) -> list[Any]:
    """As in the released sweeper, a grid over range(a, b) leaves b out, like Hydra's own grammar."""
    if isinstance(found, CategoricalDistribution):
        return list(found.choices)
    if isinstance(found, IntDistribution) and not found.log:
        return list(range(found.low, found.high, found.step))
    if isinstance(found, FloatDistribution) and found.step:
        return [found.low + place * found.step for place in range(round((found.high - found.low) / found.step))]
    raise SweepError(f"{key}: the grid sampler counts values up, an interval has no end of them; use range or choice")


def _ends(found: BaseDistribution) -> list[Any]:
    if isinstance(found, CategoricalDistribution):
        return list(found.choices)
    assert isinstance(found, IntDistribution | FloatDistribution)
    return [found.low, found.high]


def _parsed(arguments: Sequence[str], loader: Any) -> list[Override]:
    try:
        return OverridesParser.create(config_loader=loader).parse_overrides(list(arguments))
    except HydraException as error:
        raise SweepError(" ".join(str(error).split())) from None


def _bare(key: str) -> str:
    return key.lstrip("+~")
