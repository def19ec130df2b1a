"""A look at somebody's series before anything is made of them: the step, the span, lengths that
suit them.

Letters: N rows of the table.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from goodfit.contract import DataSpec
from goodfit.data import columns, evidence, long_rows, table_files
from goodfit.data.long_rows import Reading
from goodfit.data.look import Seen, example
from goodfit.data.regular import Run, filled
from goodfit.data.series import Series
from goodfit.data.table_files import Wanted
from goodfit.errors import UserError
from goodfit.schema import Source
from goodfit.system.units import counted

_MOST_CONTEXT = 1_000  # steps of the past
_LEAST_CONTEXT = 28
_MOST_WINDOWS = 8_000  # of train


@dataclass(frozen=True)
class Found:
    """A file of series: its cells (N rows), how they are read, and the series up to their ends."""

    path: Path
    cells: pd.DataFrame
    reading: Reading
    runs: Sequence[Run]

    @property
    def said(self) -> str:
        """How many series there are, how long, from when to when, by which step, with what gaps."""
        lengths = sorted({len(run) for run in self.runs})
        spread = f"{lengths[0]:,} to {lengths[-1]:,}" if len(lengths) > 1 else f"{lengths[0]:,}"
        first = min(run.first for run in self.runs)
        last = max(run.first + len(run) - 1 for run in self.runs)
        begin, end = self.reading.text(np.array([first, last]))
        count = filled(self.runs, len(self.reading.roles.targets))
        gaps = f"{counted(count, 'step')} filled" if count else "no gaps"
        number = "1 series" if len(self.runs) == 1 else f"{len(self.runs):,} series"
        said = f"{number} of {spread} steps of {self.reading.step.words}, {begin} to {end}, {gaps}"
        return "; ".join([said, *self.cells.attrs["said"]])


def find(path: Path, data: Series) -> Found:
    """The series of a file, as a data set will read them.

    Raises:
        UserError: a column is missing, cells cannot be used, or times are no regular series.
    """
    cells = data.frame(path)
    reading = long_rows.decided(path.name, cells, data.roles, data.columns, data.zone)
    reading = reading.with_gaps(data.gaps, data.longest_gap)
    runs = [
        run.known() for run in long_rows.runs(path.name, cells, reading) if run.ahead < len(run)
    ]
    if not runs:
        raise UserError(f"{path.name} has no value of {', '.join(data.roles.targets)}")
    return Found(path, cells, reading, runs)


def series(options: Mapping[str, Any], file: str) -> Series:
    """The data set with these options, of a file.

    Raises:
        UserError: a column has two roles.
    """
    return Series(**{**options, "sources": {"table": Source(file=file, sha256=None)}})


def times(path: Path, sheet: str | None, encoding: str | None) -> list[str]:
    """The columns of a file that hold dates: one of them may be the time.

    Raises:
        UserError: the file cannot be read.
    """
    cells = table_files.cells(path, sheet=sheet, encoding=encoding, wanted=Wanted(drops=False))
    found = []
    for name in map(str, cells):
        try:
            column = columns.decide(name, cells[name])
        except UserError:  # in two ways, or not at all
            continue
        if column.kind == "date":
            found.append(name)
    return found


def suited(found: Found, options: Mapping[str, Any], given: Collection[str]) -> dict[str, int]:
    """A context that holds two of the longest periods of the calendar, where train does.

    And a stride that gives train some thousand windows; those that are `given` stay.
    """
    horizon, step = int(options["horizon"]), found.reading.step
    natural = [length for length in step.natural if length <= _MOST_CONTEXT] or [1]
    share = 1 - options["test"] - options["validation"]
    train = int(max(len(run) for run in found.runs) * share)
    wanted = max(2 * natural[-1], 2 * horizon, _LEAST_CONTEXT)
    wanted = min(-(-wanted // natural[0]) * natural[0], _MOST_CONTEXT)
    fits = max(train // 2 - horizon, 1)
    if fits < wanted:  # whole periods of what is there
        wanted = max(fits // natural[0] * natural[0], min(fits, natural[0]))
    context = int(options["context"]) if "context" in given else wanted
    windows = len(found.reading.roles.targets) * sum(
        max(int(len(run) * share) - context - horizon, 0) for run in found.runs
    )
    stride = max(-(-windows // _MOST_WINDOWS), 1)
    chosen = {"context": context, "train_stride": stride}
    return {name: int(options[name]) if name in given else chosen[name] for name in chosen}


def seen(found: Found, data: Series, spec: DataSpec) -> list[Seen]:
    """The columns of the file, in its order."""
    read = {column.name: column for column in data.columns_read(spec)}
    rows = []
    for name in map(str, found.cells):
        texts, column = found.cells[name], read[name]
        missing = texts.str.lower().isin(columns.MISSING)
        present = texts[~missing]
        # what concerns all series is told beside the table
        said = set(spec.facts["said"])
        why = "; ".join(part for part in column.why.split("; ") if part not in said)
        share, distinct = float(missing.mean()), int(present.nunique())
        rows.append(Seen(name, column.read_as, why, share, distinct, example(present)))
    return rows


def notes(found: Found, windows: pd.DataFrame, data: Series, spec: DataSpec) -> list[str]:
    """What should be known before a score is believed, of the windows (N,) in all splits."""
    of_test = (windows["split"] == "test").to_numpy()
    blocks, worth = evidence.units(data.clusters(windows)[of_test], None)
    block = f"{data.cluster_of(spec)}{'s' * (blocks != 1)}"
    what = f"{of_test.sum():,} forecasts in {blocks} {block}"
    more = "a longer file or a larger test= has more"
    said = evidence.too_few(blocks, worth, what, more)
    numbers = []
    for name in found.reading.left_out:
        cells = found.cells[name]
        present = cells[~cells.str.lower().isin(columns.MISSING)]
        if len(present) and pd.to_numeric(present, errors="coerce").notna().all():
            numbers.append(name)
    if numbers:
        listed = ",".join(numbers)
        said.append(
            f"{', '.join(numbers)}: numbers that are not used; observed=[{listed}] takes what is "
            f"known up to now, known=[{listed}] what is known ahead, as holidays"
        )
    return said
