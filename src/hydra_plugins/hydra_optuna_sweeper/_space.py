"""From overrides to a search space, and from a trial to the overrides of its job."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
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
from optuna.trial import FrozenTrial

from hydra_plugins.hydra_optuna_sweeper import _grammar as grammar
from hydra_plugins.hydra_optuna_sweeper._constraints import Constraint, trial_values
from hydra_plugins.hydra_optuna_sweeper._errors import SweepError

CustomSearchSpace = Callable[[DictConfig, optuna.Trial], None]


@dataclass(frozen=True)
class Condition:
    """Ranges that exist only in trials with these choices; a list of values means any of them."""

    when: Mapping[str, Any]
    searched: Mapping[str, BaseDistribution]

    def holds(self, chosen: Mapping[str, Any]) -> bool:
        """Whether a trial with these values has the ranges."""
        for key, value in self.when.items():
            allowed = value if isinstance(value, list) else [value]
            if chosen.get(key) not in allowed:
                return False
        return True


@dataclass(frozen=True)
class Space:
    """What a trial may choose, and what all trials have in common."""

    searched: Mapping[str, BaseDistribution]
    fixed: Sequence[str] = ()  # overrides, as they were typed
    conditions: Sequence[Condition] = ()
    constraints: Sequence[Constraint] = ()
    custom: CustomSearchSpace | None = field(default=None, compare=False)
    # the values of `fixed`; numbers are numbers
    given: Mapping[str, Any] = field(default_factory=dict)

    def suggest(self, trial: optuna.Trial, cfg: DictConfig) -> list[str]:
        """Chooses a value for each range; the result is the overrides of the trial's job.

        Raises:
            SweepError: custom_search_space searched a key that has a fixed value.
        """
        self._record_fixed_values(trial)

        # _suggest: Optuna's public suggest_* take numbers and choices, and no distribution
        for key, distribution in self.searched.items():
            trial._suggest(key, distribution)
        for condition in self.conditions:
            if condition.holds(trial.params):
                for key, distribution in condition.searched.items():
                    trial._suggest(key, distribution)
        if self.custom:
            self.custom(cfg, trial)

        fixed_keys = {grammar.bare_key(override.partition("=")[0]) for override in self.fixed}
        both = sorted(key for key in trial.params if grammar.bare_key(key) in fixed_keys)
        if both:
            raise SweepError(
                f"{', '.join(both)}: searched by custom_search_space and given as a value; "
                "leave one out"
            )

        own = self._all_searched()
        chosen = []
        for key, value in trial.params.items():
            text = grammar.to_text(value) if key in own else grammar.to_quoted_text(value)
            chosen.append(f"{key}={text}")
        return [*self.fixed, *chosen]

    def missing_fact(self, trial: optuna.Trial) -> str | None:
        """What a constraint lacks when the job is over: it would hold in all trials, unnoticed."""
        if self.custom:  # which may choose something in some trials only
            return None

        known = {*trial_values(trial), *self.keys()}
        for constraint in self.constraints:
            missing = sorted(constraint.names - known)
            if missing:
                return f"constraint '{constraint.text}': the job did not set '{missing[0]}'"
        return None

    def grid(self) -> list[dict[str, Any]]:
        """Every combination of values.

        Raises:
            SweepError: a range without a finite set of values, a condition, or a
                custom_search_space.
        """
        if self.conditions or self.custom:
            raise SweepError(
                "the grid sampler supports neither conditions nor custom_search_space; "
                "choose another sampler"
            )
        columns = [_grid_values(key, item) for key, item in self.searched.items()]
        return [dict(zip(self.searched, row, strict=True)) for row in itertools.product(*columns)]

    def corners(self) -> list[dict[str, Any]]:
        """Points that show whether each range can be used: every choice, both ends of intervals."""
        points: list[dict[str, Any]] = []
        for key, distribution in self.searched.items():
            points += [{key: value} for value in _ends(distribution)]

        for condition in self.conditions:
            when = {}
            for key, value in condition.when.items():
                when[key] = value[0] if isinstance(value, list) else value
            for key, distribution in condition.searched.items():
                points += [{**when, key: value} for value in _ends(distribution)]
        return points or [{}]

    def fingerprint(self) -> str:
        """The space as JSON: a study is resumed only with the space that it was begun with."""
        ranges = {key: _to_json(item) for key, item in self.searched.items()}
        for condition in self.conditions:
            when = dict(condition.when)
            for key, item in condition.searched.items():
                ranges[f"{key} if {when}"] = _to_json(item)
        return json.dumps(ranges, sort_keys=True)

    def keys(self) -> set[str]:
        """The dotted keys that are searched, in some trials or in all."""
        return {grammar.bare_key(key) for key in self._all_searched()}

    def described(self) -> dict[str, str]:
        """Each range in a few words, with the choice on which it depends."""
        descriptions = {key: _describe(distribution) for key, distribution in self.searched.items()}
        for condition in self.conditions:
            when = " and ".join(f"{key} is {value}" for key, value in condition.when.items())
            for key, distribution in condition.searched.items():
                descriptions[f"{key} (if {when})"] = _describe(distribution)
        return descriptions

    def _all_searched(self) -> set[str]:
        """Keys as they are typed, with Hydra's signs."""
        keys = set(self.searched)
        for condition in self.conditions:
            keys |= set(condition.searched)
        return keys

    def _record_fixed_values(self, trial: optuna.Trial) -> None:
        """For constraints, and for custom_search_space as in the released sweeper."""
        if self.custom:
            used = set(self.given)
        else:
            used = {name for constraint in self.constraints for name in constraint.names}

        for key in sorted(used & set(self.given)):
            if key not in trial.user_attrs:  # some names are the sweeper's own
                trial.set_user_attr(key, self.given[key])


@dataclass(frozen=True)
class JobList:
    """Jobs that are given instead of ranges: each trial is one row of overrides."""

    rows: Sequence[Sequence[str]]
    constraints: Sequence[Constraint] = ()

    def suggest(self, trial: optuna.Trial, cfg: DictConfig) -> list[str]:
        """The overrides of the row that waits in the queue."""
        return list(self.rows[trial.suggest_int("row", 0, len(self.rows) - 1)])

    @staticmethod
    def row_of(trial: FrozenTrial) -> int | None:
        """The index of the trial's row; None where it was interrupted before it had one."""
        # one from the queue has its point before it has params
        point = trial.params or trial.system_attrs.get("fixed_params", {})
        row: int | None = point.get("row")
        return row

    def missing_fact(self, trial: optuna.Trial) -> None:
        """Nothing: rows have no constraints."""

    def fingerprint(self) -> str:
        """The rows as JSON."""
        return json.dumps({"rows": [list(row) for row in self.rows]})


def read(
    arguments: Sequence[str],
    *,
    conditions: Sequence[Any],
    constraints: Sequence[str],
    custom: CustomSearchSpace | None,
    loader: Any = None,
) -> Space:
    """The space that these overrides span; of two with the same key the later one counts.

    Raises:
        SweepError: a range without a value in it, a condition on a key that is not searched, or a
            constraint that is not an inequality.
    """
    searched: dict[str, BaseDistribution] = {}
    fixed: dict[str, Override] = {}
    for override in grammar.parse_overrides(arguments, loader):
        key = override.get_key_element()
        for name in [*searched, *fixed]:
            if grammar.bare_key(name) == grammar.bare_key(key):
                searched.pop(name, None)
                fixed.pop(name, None)
        if override.is_sweep_override():
            searched[key] = grammar.distribution(override)
        else:
            fixed[key] = override

    given = {}
    for key, override in fixed.items():
        if not override.is_delete():
            given[grammar.bare_key(key)] = grammar.fixed_value(override)

    space = Space(
        searched,
        fixed=[str(override.input_line) for override in fixed.values()],
        conditions=[_condition(item, searched, fixed, loader) for item in conditions],
        custom=custom,
        given=given,
    )
    known = space.keys() | set(given)
    return replace(space, constraints=[Constraint.parse(text, known) for text in constraints])


def _condition(
    item: Any, searched: Mapping[str, Any], fixed: Collection[str], loader: Any
) -> Condition:
    has_keys = isinstance(item, dict) and set(item) == {"when", "params"}
    if not has_keys or not all(isinstance(part, dict) for part in item.values()):
        raise SweepError(
            f"hydra.sweeper.conditions: got {item}, expected when: {{key: value}} "
            "and params: {...}"
        )

    for key, value in item["when"].items():
        _check_choices(key, value if isinstance(value, list) else [value], searched.get(key))

    overrides = grammar.parse_overrides(
        [f"{key}={value}" for key, value in item["params"].items()], loader
    )
    known = {grammar.bare_key(key) for key in (*searched, *fixed)}
    ranges = {}
    for override in overrides:
        key = override.get_key_element()
        if not override.is_sweep_override() or grammar.bare_key(key) in known:
            raise SweepError(
                f"hydra.sweeper.conditions: '{override.input_line}' must be a range of its own"
            )
        ranges[key] = grammar.distribution(override)
    return Condition(item["when"], ranges)


def _check_choices(key: str, values: Sequence[Any], distribution: BaseDistribution | None) -> None:
    if not isinstance(distribution, CategoricalDistribution):
        raise SweepError(
            f"hydra.sweeper.conditions: '{key}' is not searched as a choice; add {key}=choice(...)"
        )
    if not values:
        raise SweepError(f"hydra.sweeper.conditions: {key} is never one of no values; name some")
    for value in values:
        if value not in distribution.choices:
            choices = ", ".join(map(str, distribution.choices))
            raise SweepError(
                f"hydra.sweeper.conditions: {key} is never {value}; choices: {choices}"
            )


def _grid_values(key: str, distribution: BaseDistribution) -> list[Any]:
    """As in the released sweeper, a grid over range(a, b) leaves b out, as Hydra's sweeper does."""
    if isinstance(distribution, CategoricalDistribution):
        return list(distribution.choices)
    if isinstance(distribution, IntDistribution) and not distribution.log:
        return list(range(distribution.low, distribution.high, distribution.step))
    if isinstance(distribution, FloatDistribution) and distribution.step:
        count = round((distribution.high - distribution.low) / distribution.step)
        return [distribution.low + index * distribution.step for index in range(count)]
    raise SweepError(
        f"{key}: the grid sampler needs a finite set of values, got an interval; "
        "use range or choice"
    )


def _describe(distribution: BaseDistribution) -> str:
    if isinstance(distribution, CategoricalDistribution):
        return ", ".join(map(str, distribution.choices))
    assert isinstance(distribution, IntDistribution | FloatDistribution)
    step = f" by {distribution.step}" if distribution.step not in (None, 1) else ""
    log = ", logarithmic" if distribution.log else ""
    return f"{distribution.low:g} to {distribution.high:g}{step}{log}"


def _to_json(distribution: BaseDistribution) -> Any:
    return json.loads(distribution_to_json(distribution))


def _ends(distribution: BaseDistribution) -> list[Any]:
    if isinstance(distribution, CategoricalDistribution):
        return list(distribution.choices)
    assert isinstance(distribution, IntDistribution | FloatDistribution)
    return [distribution.low, distribution.high]
