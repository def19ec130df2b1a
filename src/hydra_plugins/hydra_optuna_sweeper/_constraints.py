"""Inequalities that a trial must keep: `parameters <= 1e5`, `model.width * model.depth <= 512`.

Names are hyperparameters, or facts that the job sets with `trial.set_user_attr` before it does the work.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import optuna

from hydra_plugins.hydra_optuna_sweeper._errors import SweepError

_SIGNS: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}


_FAR = 1e300  # the excess of what has no value, such as a division by zero


@dataclass(frozen=True)
class Constraint:
    """left <= right or left >= right, over names and numbers."""

    text: str
    left: ast.expr
    right: ast.expr
    names: frozenset[str]

    @classmethod
    def read(cls, text: str, known: Collection[str] | None = None) -> Constraint:
        """Parses the inequality; dotted names must be among those `known`, others may come from the job.

        Raises:
            SweepError: not an inequality of sums and products, or a dotted name without a range or a value.
        """
        try:
            tree = ast.parse(text, mode="eval").body
        except SyntaxError:
            tree = ast.Constant(None)
        match tree:
            case ast.Compare(left=left, ops=[ast.LtE()], comparators=[right]):
                pass
            case ast.Compare(left=right, ops=[ast.GtE()], comparators=[left]):
                pass
            case _:
                raise SweepError(f"hydra.sweeper.constraints: '{text}' is not of the form a <= b or a >= b")
        names = frozenset(_names(left, text) | _names(right, text))
        for name in sorted(name for name in names if known is not None and "." in name and name not in known):
            raise SweepError(
                f"hydra.sweeper.constraints: '{text}' speaks of '{name}', which is not searched and not given"
            )
        return cls(text, left, right, names)

    def excess(self, values: Mapping[str, Any]) -> float | None:
        """By how much the left side is too large (positive: violated); None where a name has no value yet."""
        if not self.names <= set(values):
            return None
        try:
            return float(_value(self.left, values) - _value(self.right, values))
        except (ZeroDivisionError, OverflowError):
            return _FAR
        except TypeError:
            raise SweepError(f"hydra.sweeper.constraints: '{self.text}' needs numbers, got {dict(values)}") from None


def violated(constraints: Collection[Constraint], trial: optuna.Trial) -> str | None:
    """The first constraint that the trial breaks, by what is known of it now."""
    values = facts(trial)
    return next((item.text for item in constraints if (item.excess(values) or 0) > 0), None)


def tell(constraints: Collection[Constraint], trial: optuna.Trial) -> None:
    """Says by how much each is broken, for samplers that learn from it; once a trial, when all is known."""
    values = facts(trial)
    for item in constraints:
        trial.set_constraint(item.text, item.excess(values) or 0.0)


def facts(trial: optuna.Trial | optuna.trial.FrozenTrial) -> dict[str, Any]:
    """A trial's hyperparameters, without Hydra's + before a key, and what its job said of it.

    A job may be another process, of which the trial at hand knows nothing: the storage is asked.
    """
    if isinstance(trial, optuna.Trial):
        trial = trial.study._storage.get_trial(trial._trial_id)
    return {**trial.user_attrs, **{key.lstrip("+"): value for key, value in trial.params.items()}}


def _names(node: ast.expr, text: str) -> set[str]:
    match node:
        case ast.Constant(value=int() | float()):
            return set()
        case ast.Name() | ast.Attribute():
            return {ast.unparse(node)}
        case ast.BinOp(left=left, op=sign, right=right) if type(sign) in _SIGNS:
            return _names(left, text) | _names(right, text)
    raise SweepError(f"hydra.sweeper.constraints: '{text}' may hold names, numbers and + - * / ** only")


def _value(node: ast.expr, values: Mapping[str, Any]) -> Any:
    match node:
        case ast.Constant(value=value):
            return value
        case ast.BinOp(left=left, op=sign, right=right):
            return _SIGNS[type(sign)](_value(left, values), _value(right, values))
    return values[ast.unparse(node)]
