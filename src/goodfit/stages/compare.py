"""Two experiments or runs beside each other: which one is better, or whether they are tied."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from goodfit.errors import UserError
from goodfit.repeats.compare import WORDS, Compared, compared
from goodfit.repeats.sides import Side, side
from goodfit.system import units
from goodfit.tracking import places

_USAGE = """\
python pipelines/compare.py <a> <b>

a and b are experiments (mnist) or runs of MLflow by their ids. Two runs of cv= or seeds= are
compared by the folds and seeds that both have, two trainings on the same test, or where one has not
seen it on the same validation. Nothing is written."""


def main() -> int:
    """Prints both scores, the paired difference with its interval and p value, and who is better.

    Raises:
        UserError: they are not two, one is not there, or they cannot be compared.
    """
    names = sys.argv[1:]
    if {"-h", "--help"} & set(names):
        print(_USAGE)
        return 0
    if len(names) != 2:
        raise UserError(f"expected two experiments or runs, got {len(names)}\n{_USAGE}")
    os.chdir(Path(sys.argv[0]).resolve().parents[1])
    uri = places.of_environment()
    with side(names[0], uri) as first, side(names[1], uri) as second:
        if names[0] == names[1]:
            raise UserError(f"'{names[0]}' is compared with itself; name two")
        for line in lines(first, second, compared(first, second)):
            print(line)
    return 0


def lines(first: Side, second: Side, found: Compared) -> list[str]:
    """What is printed: a is the first, b the second."""
    difference = found.difference
    p = "< 0.001" if difference.p < 0.001 else f"= {units.number(difference.p, 2)}"
    word = found.few or f"a {WORDS[found.outcome]} b"
    return [
        f"a  {found.score} {found.first.text()}  {first.title}",
        f"b  {found.score} {found.second.text()}  {second.title}",
        f"a is better by {difference.interval.text(sign=True)}, 95 % interval, p {p}: {word}",
        f"  on {found.on}",
        f"  it counts {found.counts}",
    ]
