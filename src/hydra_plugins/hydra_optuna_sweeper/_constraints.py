"""Inequalities that a trial must satisfy: `parameters <= 1e5`, `model.width * model.depth <= 512`.

Names are hyperparameters, or facts that the job sets with `trial.set_user_attr` before it does the
work.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import optuna

from hydra_plugins.hydra_optuna_sweeper._errors import SweepError

# not eval, which would run whatever the text calls
_OPERATORS: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}
_UNDEFINED = 1e300  # the violation where a side has no value, such as a division by zero


@dataclass(frozen=True)
class Constraint:
    """left <= right, over names and numbers; a >= b is read as b <= a."""

    text: str
    left: ast.expr
    right: ast.expr
    names: frozenset[str]

    @classmethod
    def parse(cls, text: str, known: Collection[str] | None = None) -> Constraint:
        """The inequality; dotted names must be among those `known`, others may come from the job.

        Raises:
            SweepError: not an inequality of sums and products, or a dotted name without a range or
                a value.
        """
        left, right = _sides(text)
        names = frozenset(_names(left, text) | _names(right, text))

        for name in sorted(names):
            if known is not None and "." in name and name not in known:
                raise SweepError(
                    f"hydra.sweeper.constraints: '{text}' names '{name}', which is not searched "
                    "and has no fixed value"
                )
        return cls(text, left, right, names)

    def violation(self, values: Mapping[str, Any]) -> float | None:
        """left - right, positive where violated; None where a name has no value yet.

        Raises:
            SweepError: a value is not a number.
        """
        if not self.names <= set(values):
            return None

        try:
            return float(_evaluate(self.left, values) - _evaluate(self.right, values))
        except (ZeroDivisionError, OverflowError):
            return _UNDEFINED
        except TypeError:
            raise SweepError(
                f"hydra.sweeper.constraints: '{self.text}' needs numbers, got {dict(values)}"
            ) from None


def first_violated(constraints: Collection[Constraint], trial: optuna.Trial) -> str | None:
    """The text of the first constraint that the trial breaks, by what is known of it now.

    Raises:
        SweepError: a value in a constraint is not a number.
    """
    values = trial_values(trial)
    for constraint in constraints:
        violation = constraint.violation(values)
        if violation is not None and violation > 0:
            return constraint.text
    return None


def record_violations(constraints: Collection[Constraint], trial: optuna.Trial) -> None:
    """Stores by how much each is violated, for samplers that learn from it; once, at the end."""
    values = trial_values(trial)
    for constraint in constraints:
        trial.set_constraint(constraint.text, constraint.violation(values) or 0.0)


def trial_values(trial: optuna.Trial | optuna.trial.FrozenTrial) -> dict[str, Any]:
    """Hyperparameters, without Hydra's + before a key, and the facts that the job set.

    A job may be another process, of which the trial at hand knows nothing: the storage is asked.
    """
    if isinstance(trial, optuna.Trial):
        trial = trial.study._storage.get_trial(trial._trial_id)
    params = {key.lstrip("+"): value for key, value in trial.params.items()}
    return {**trial.user_attrs, **params}


def _sides(text: str) -> tuple[ast.expr, ast.expr]:
    """The smaller and the larger side of the inequality."""
    try:
        tree = ast.parse(text, mode="eval").body
    except SyntaxError:
        tree = ast.Constant(None)  # no inequality either

    match tree:
        case ast.Compare(left=left, ops=[ast.LtE()], comparators=[right]):
            return left, right
        case ast.Compare(left=right, ops=[ast.GtE()], comparators=[left]):
            return left, right
    raise SweepError(f"hydra.sweeper.constraints: '{text}' is not of the form a <= b or a >= b")


def _names(node: ast.expr, text: str) -> set[str]:
    match node:
        case ast.Constant(value=int() | float()):
            return set()
        case ast.Name() | ast.Attribute():
            return {ast.unparse(node)}
        case ast.BinOp(left=left, op=sign, right=right) if type(sign) in _OPERATORS:
            return _names(left, text) | _names(right, text)
    raise SweepError(
        f"hydra.sweeper.constraints: '{text}' may hold names, numbers and + - * / ** only"
    )


def _evaluate(node: ast.expr, values: Mapping[str, Any]) -> Any:
    match node:
        case ast.Constant(value=value):
            return value
        case ast.BinOp(left=left, op=sign, right=right):
            return _OPERATORS[type(sign)](_evaluate(left, values), _evaluate(right, values))
    return values[ast.unparse(node)]
