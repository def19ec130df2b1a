"""From overrides to a search space, and from a trial to the overrides of its job."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import optuna
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
    distribution_to_json,
)

from hydra_plugins.hydra_optuna_sweeper import _grammar as grammar
from hydra_plugins.hydra_optuna_sweeper._constraints import Constraint, facts
from hydra_plugins.hydra_optuna_sweeper._errors import SweepError


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
    given: Mapping[str, Any] = field(default_factory=dict)  # the values of `fixed`; numbers are numbers

    def suggest(self, trial: optuna.Trial, cfg: DictConfig) -> list[str]:
        """Chooses a value for each range and returns the overrides of the trial's job."""
        self._tell(trial)
        for key, distribution in self.searched.items():
            trial._suggest(key, distribution)
        for condition in self.conditions:
            if condition.holds(trial.params):
                for key, distribution in condition.searched.items():
                    trial._suggest(key, distribution)
        if self.custom:
            self.custom(cfg, trial)
        names = {grammar.bare(override.partition("=")[0]) for override in self.fixed}
        if both := sorted(key for key in trial.params if grammar.bare(key) in names):
            raise SweepError(f"{', '.join(both)}: searched by custom_search_space and given as a value; leave one out")
        own = {*self.searched, *(key for condition in self.conditions for key in condition.searched)}
        chosen = {
            key: grammar.written(value) if key in own else grammar.typed(value) for key, value in trial.params.items()
        }
        return [*self.fixed, *(f"{key}={value}" for key, value in chosen.items())]

    def _tell(self, trial: optuna.Trial) -> None:
        """Fixed values where someone asks: constraints, and custom_search_space as in the released sweeper."""
        asked = {*self.given} if self.custom else {name for item in self.constraints for name in item.names}
        for key in sorted(asked & {*self.given}):
            if key not in trial.user_attrs:  # some names are the sweeper's own
                trial.set_user_attr(key, self.given[key])

    def lacking(self, trial: optuna.Trial) -> str | None:
        """What a constraint lacks when the job is over: it would hold in all trials, and nobody would notice."""
        if self.custom:  # which may choose something in some trials only
            return None
        known = {*facts(trial), *self.keys()}
        found = [(item.text, name) for item in self.constraints for name in sorted(item.names - known)]
        return f"constraint '{found[0][0]}': the job has told no '{found[0][1]}'" if found else None

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
        return found[1:] or found

    def fingerprint(self) -> str:
        """The space as text: a study is resumed only with the space that it was begun with."""
        ranges = {key: json.loads(distribution_to_json(found)) for key, found in self.searched.items()}
        for condition in self.conditions:
            ranges |= {
                f"{key} if {dict(condition.when)}": json.loads(distribution_to_json(found))
                for key, found in condition.searched.items()
            }
        return json.dumps(ranges, sort_keys=True)

    def keys(self) -> set[str]:
        """The dotted keys that are searched, in some trials or in all."""
        conditional = {key for condition in self.conditions for key in condition.searched}
        return {grammar.bare(key) for key in {*self.searched, *conditional}}

    def described(self) -> dict[str, str]:
        """A few words on each range, and on when it exists."""
        found = {key: _words(distribution) for key, distribution in self.searched.items()}
        for condition in self.conditions:
            when = " and ".join(f"{key} is {value}" for key, value in condition.when.items())
            found |= {f"{key} (if {when})": _words(item) for key, item in condition.searched.items()}
        return found


@dataclass(frozen=True)
class Points:
    """A list of jobs instead of ranges: each trial is one of them."""

    rows: Sequence[Sequence[str]]
    constraints: Sequence[Constraint] = ()

    def suggest(self, trial: optuna.Trial, cfg: DictConfig) -> list[str]:
        """The overrides of the row that waits in the queue."""
        return list(self.rows[trial.suggest_int("row", 0, len(self.rows) - 1)])

    def lacking(self, trial: optuna.Trial) -> None:
        """Nothing: rows have no constraints."""

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
    fixed: dict[str, Override] = {}
    for override in grammar.parsed(arguments, loader):
        key = override.get_key_element()
        for same in [name for name in (*searched, *fixed) if grammar.bare(name) == grammar.bare(key)]:
            searched.pop(same, None)
            fixed.pop(same, None)
        if override.is_sweep_override():
            searched[key] = grammar.distribution(override)
        else:
            fixed[key] = override
    given = {grammar.bare(key): grammar.given(one) for key, one in fixed.items() if not one.is_delete()}
    found = [_condition(item, searched, fixed, loader) for item in conditions]
    known = {grammar.bare(key) for key in searched} | {grammar.bare(key) for item in found for key in item.searched}
    inequalities = [Constraint.read(text, known | {*given}) for text in constraints]
    return Space(searched, [str(one.input_line) for one in fixed.values()], found, inequalities, custom, given)


def _condition(item: Any, searched: Mapping[str, Any], fixed: Collection[str], loader: Any) -> Condition:
    right = isinstance(item, dict) and set(item) == {"when", "params"}
    if not right or not all(isinstance(part, dict) for part in item.values()):
        raise SweepError(f"hydra.sweeper.conditions: got {item}, expected when: {{key: value}} and params: {{...}}")
    for key, value in item["when"].items():
        options = searched.get(key)
        wanted = value if isinstance(value, list) else [value]
        if not isinstance(options, CategoricalDistribution):
            raise SweepError(f"hydra.sweeper.conditions: '{key}' is not searched as a choice; add {key}=choice(...)")
        for missing in [one for one in wanted if one not in options.choices]:
            raise SweepError(
                f"hydra.sweeper.conditions: {key} is never {missing}; choices: {', '.join(map(str, options.choices))}"
            )
    parsed = grammar.parsed([f"{key}={value}" for key, value in item["params"].items()], loader)
    names = {grammar.bare(key) for key in (*searched, *fixed)}
    for override in parsed:
        if not override.is_sweep_override() or grammar.bare(override.get_key_element()) in names:
            raise SweepError(f"hydra.sweeper.conditions: '{override.input_line}' must be a range of its own")
    return Condition(item["when"], {override.get_key_element(): grammar.distribution(override) for override in parsed})


def _points(key: str, found: BaseDistribution) -> list[Any]:
    """As in the released sweeper, a grid over range(a, b) leaves b out, like Hydra's own grammar."""
    if isinstance(found, CategoricalDistribution):
        return list(found.choices)
    if isinstance(found, IntDistribution) and not found.log:
        return list(range(found.low, found.high, found.step))
    if isinstance(found, FloatDistribution) and found.step:
        return [found.low + place * found.step for place in range(round((found.high - found.low) / found.step))]
    raise SweepError(f"{key}: the grid sampler counts values up, an interval has no end of them; use range or choice")


def _words(found: BaseDistribution) -> str:
    if isinstance(found, CategoricalDistribution):
        return ", ".join(map(str, found.choices))
    assert isinstance(found, IntDistribution | FloatDistribution)
    step = f" by {found.step}" if found.step not in (None, 1) else ""
    return f"{found.low:g} to {found.high:g}{step}{', logarithmic' if found.log else ''}"


def _ends(found: BaseDistribution) -> list[Any]:
    if isinstance(found, CategoricalDistribution):
        return list(found.choices)
    assert isinstance(found, IntDistribution | FloatDistribution)
    return [found.low, found.high]
