"""The columns that a configuration names are those of the file, and say one thing of each."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from goodfit.data import delimited, target
from goodfit.data.columns import Column
from goodfit.errors import UserError, nearest
from goodfit.schema import ReadAs


def check_names(
    file: str,
    present: Collection[str],
    goals: Sequence[str],
    kind: str,
    columns: Mapping[str, ReadAs],
    others: Mapping[str, Collection[str]],
) -> None:
    """Each name is one of the columns `present`, and no option of inputs names a target.

    `goals` are the targets, of one `kind`; `others` has, by option, what is no target.

    Raises:
        UserError: the file lacks a column, or two options say different things of a target.
    """
    for name in (*goals, *columns, *(name for names in others.values() for name in names)):
        if name not in present:
            hint = nearest(name, present)
            if len(present) == 1:
                known = " ".join(delimited.SEPARATORS.values())
                hint += f" It has this one alone; cells are separated by one of: {known}."
            raise UserError(f"{file} lacks column '{name}'.{hint}")
    for name in goals:
        for option, names in others.items():
            if name in names:
                raise UserError(f"data.{option} names '{name}', which is the target")
        asked = columns.get(name)
        if asked and asked not in target.READ_AS[kind]:
            raise UserError(
                f"data.columns reads '{name}' as {asked}, but it is the target, and "
                f"data.kind={kind}; leave one of them out"
            )


def check_any_left(file: str, label: str, decided: Mapping[str, Column]) -> None:
    """Some column is an input.

    Raises:
        UserError: all are left out, each for its reason.
    """
    if not any(column.kind for column in decided.values()):
        raise UserError(
            f"{file}: no column is left to predict '{label}' from"
            + "".join(f"\n  {name}: {column.why}" for name, column in decided.items())
        )
