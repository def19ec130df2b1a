"""The rows of a CSV text one after the other, also those that cannot be read as they stand."""

from __future__ import annotations

import contextlib
import csv
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

# cells, the line in which the row ends, counted from 1, and what is wrong with it, or ""
Row = tuple[list[str], int, str]
# letters of a cell: a text may be long, and a quote that nobody closes takes in all that follows
_MOST = 2**24
_LINES = 1024  # that are read at once
_OPEN = 'has a quote (") that is opened and not closed'


def rows(lines: Iterable[str], separator: str, *, spaced: bool, above: int = 0) -> Iterator[Row]:
    """A row for each line, or for several where a quoted cell holds them; a blank one has no cells.

    A quote that is not closed spoils its own line: those that it took in are read again. `spaced`
    is whether spaces stand between separators and quotes, `above` how many lines were read before.
    """
    dialect = _Dialect(separator, spaced)
    coming, done = iter(lines), above
    while some := list(islice(coming, _LINES)):
        with _long_cells():
            plain = _plain(some, dialect)
        if plain is not None:
            for line, cells in enumerate(plain, done + 1):
                yield cells, line, ""
            done += len(some)
            continue
        for cells, count, problem in _one_by_one(some, coming, dialect):
            done += count
            yield cells, done, problem


@contextlib.contextmanager
def _long_cells() -> Iterator[None]:
    """Python's reader takes long cells; its limit is the whole process's, so it is put back.

    No row is yielded within: whoever holds an iterator that is not at its end reads with the
    limit of before.
    """
    before = csv.field_size_limit(_MOST)
    try:
        yield
    finally:
        csv.field_size_limit(before)


@dataclass(frozen=True)
class _Dialect:
    separator: str
    spaced: bool

    def read(self, lines: Iterable[str], *, strict: bool = False) -> Iterator[list[str]]:
        return csv.reader(
            lines, delimiter=self.separator, skipinitialspace=self.spaced, strict=strict
        )

    def problem(self, lines: list[str]) -> str:
        """What is wrong with the quotes of a row, "" where nothing is.

        In a row of one line, letters behind a closing quote are read as they always were.
        """
        try:
            for _ in self.read(lines, strict=True):
                pass
        except csv.Error as error:
            if len(lines) > 1 or "unexpected end" in str(error):
                return _OPEN
        return ""


def _plain(lines: list[str], dialect: _Dialect) -> list[list[str]] | None:
    """The cells of lines of which each is a row; None where one is not."""
    try:
        found = list(dialect.read(lines))
    except csv.Error:
        return None
    # what is open at the end of the last one, the next ones may close
    return None if len(found) < len(lines) or dialect.problem(lines[-1:]) else found


def _one_by_one(some: list[str], coming: Iterator[str], dialect: _Dialect) -> Iterator[Row]:
    """The rows that begin in some lines, each with its number of lines; others are still coming."""
    back, taken = deque(some), list[str]()

    def source() -> Iterator[str]:
        while (line := back.popleft() if back else next(coming, None)) is not None:
            taken.append(line)
            yield line

    read = dialect.read(source())
    while back:
        taken.clear()
        with _long_cells():
            cells, problem = _next(read, taken, dialect)
            if problem:
                back.extendleft(reversed(taken[1:]))
                del taken[1:]
                read = dialect.read(source())
                with contextlib.suppress(csv.Error):
                    cells = next(dialect.read(taken))
        yield cells, len(taken), problem


def _next(read: Iterator[list[str]], taken: list[str], dialect: _Dialect) -> tuple[list[str], str]:
    """The cells of the next row, whose lines stand in `taken` then, and what is wrong with it."""
    try:
        return next(read), dialect.problem(taken)
    except csv.Error as error:
        return [], _OPEN if len(taken) > 1 else f"cannot be read: {error}"
