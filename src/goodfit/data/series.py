"""Series of a user's own: a table with a time column, and the next T values are forecast.

Several series may be in one file, told apart by a column, and have covariates.

Letters: N windows, B of them that are encoded together, L steps of a series, C steps of the past,
T steps ahead.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from goodfit.contract import DataSpec, Field
from goodfit.data import delimited, long_answers, long_rows, origins, split, table_files, windows
from goodfit.data.base import Array, DataSet
from goodfit.data.long_rows import Roles
from goodfit.data.regular import Run, filled
from goodfit.data.steps import WEEK, Step
from goodfit.errors import UserError
from goodfit.records import ColumnRead, Exhibit
from goodfit.schema import Calendar, Columns, Count, Fraction, Names, Source, TextOrNone, Whole
from goodfit.system.units import counted

_FACTS = "series"  # of a table's attributes, and of the spec's facts
_NAMED = 5  # series in a message
_LEAST = 1e-12  # of a deviation: by rounding, that of a constant 0.1 is not 0


class Series(DataSet):
    """A row of the file is a step of a series; a sample is a window of one.

    `time` and `target` name columns, `group` the one that tells series apart, `known` covariates
    that are known for the steps ahead, `observed` those that are not. A forecast sees `context`
    steps and is of the `horizon` next ones. Test is the last part of the time of all series,
    validation the one before it, each with origins every `stride` steps (0: the horizon), and
    `gap` steps between the splits; train has one every `train_stride`.
    """

    sources = ("table",)
    inputs = ("past", "days", "lags", "known")
    kind = "series"
    modality = "series"
    cluster = "block"
    label = "target"
    rule = "by time, at the same moments of all series: test is the last part"
    takes_any_cell = True
    generic = True
    row_is_sample = False
    together = "tick"
    in_time = True

    def __init__(
        self,
        *,
        sources: Mapping[str, Source],
        time: str,
        target: str | Names,
        group: TextOrNone,
        known: Names,
        observed: Names,
        horizon: Count,
        context: Count,
        stride: Whole,
        train_stride: Count,
        gap: Whole,
        block: Whole,
        zone: TextOrNone,
        sheet: TextOrNone,
        encoding: TextOrNone,
        calendar: Calendar,
        columns: Columns,
        scale: Literal["series", "none"],
        gaps: Literal["refuse", "fill"],
        longest_gap: Count,
        short: Literal["refuse", "leave_out"],
        test: Fraction,
        validation: Fraction,
    ) -> None:
        super().__init__(sources=sources, test=test, validation=validation)
        targets = [target] if isinstance(target, str) else list(target)
        self.roles = Roles.named(
            time=time, group=group, targets=targets, known=known, observed=observed
        )
        self.columns = {delimited.normal(name): read_as for name, read_as in columns.items()}
        self.horizon, self.context, self.stride = horizon, context, stride or horizon
        self.train_stride, self.gap, self.block = train_stride, gap, block
        self.zone, self.calendar, self.scale = zone, calendar, scale
        self.gaps, self.longest_gap, self.short = gaps, longest_gap, short
        self.form = dict[str, Any](sheet=sheet, encoding=encoding)

    def frame(self, raw: Path) -> pd.DataFrame:
        """The cells of a file of rows with named columns, as text.

        Raises:
            UserError: the file is not what its name says.
        """
        wanted = table_files.Wanted(needed=self.roles.names, drops=False)
        return table_files.cells(raw, **self.form, wanted=wanted)

    def read(self, raw: Mapping[str, Path]) -> pd.DataFrame:
        """Windows of all series that are in a split, (N,), by their first step ahead.

        Raises:
            UserError: a column is missing, cells cannot be used, times are no regular series, or
                series are too short.
        """
        path = raw["table"]
        cells = self.frame(path)
        for told in cells.attrs.get("said", ()):
            print(f"{path.name}: {told}")
        reading = long_rows.decided(path.name, cells, self.roles, self.columns, self.zone)
        reading = reading.with_gaps(self.gaps, self.longest_gap)
        runs = long_rows.runs(path.name, cells, reading)
        known = [run.known() for run in runs if run.ahead < len(run)]
        if not known:
            raise UserError(f"{path.name} has no value of {self.roles.targets}")

        plan, table = self._planned(known, reading)
        trained = dict.fromkeys(table.loc[table["split"] == "train", "group"])
        short = [run for run in runs if run.name not in trained]
        if short and self.short == "leave_out" and trained:
            # without them, the time of all others may begin later or end earlier
            known = [run for run in known if run.name in trained]
            plan, table = self._planned(known, reading)
            trained = dict.fromkeys(table.loc[table["split"] == "train", "group"])
        said = [
            *self._said(runs, known),
            *self._without_short(path.name, runs, list(trained)),
            *plan.said,
            *long_rows.constant(known, self.roles.targets),
        ]
        table = table[table["group"].isin(list(trained))]
        _check_splits(path.name, table)
        # by time, as forecasts are asked for; series in the order of the file
        table = table.sort_values("tick", kind="stable", ignore_index=True)
        table.attrs = {_FACTS: self._facts(reading) | {"series": list(trained), "said": said}}
        return table

    def split(self, rows: pd.DataFrame, duplicate_group: Array) -> Array:
        """Names of splits, (N,): `read` has found them with the windows themselves."""
        return rows["split"].to_numpy("<U10")

    def clusters(self, rows: pd.DataFrame) -> Array:
        """The block of time of each forecast, (N,), of all series alike.

        What errs in one series errs in another at the same moment, and in the next forecast, too.
        """
        length, _ = self._block(origins.step_of(rows.attrs[_FACTS]))
        ticks = rows["tick"].to_numpy("int64")
        return np.asarray((ticks - ticks.min()) // length)

    @classmethod
    def cluster_of(cls, spec: DataSpec) -> str:
        """A week, a year, or a block of another length."""
        return str(spec.facts["block"])

    def key(self, rows: pd.DataFrame) -> None:
        """None: windows overlap by design, and `split` keeps targets apart by time."""
        return

    def fit(self, train: pd.DataFrame) -> DataSpec:
        """Mean and deviation of each series and covariate, and the season.

        Raises:
            UserError: a series has no sample in train, or all are constant there.
        """
        facts = dict(train.attrs[_FACTS])
        said, unit = list(facts.pop("said")), facts.pop("unit")
        series = [(group, name) for group in facts.pop("series") for name in facts["targets"]]
        per_series = self.scale == "series" and len(series) > 1
        facts["scales"] = _scales(train, series, per_series=per_series)
        facts["covariates"] = _covariates(train, facts)

        mean, std = windows.scales(train, facts)
        target = (np.stack(list(train["target"])) - mean) / std
        centre, spread = float(target.mean()), float(target.std())
        if spread < _LEAST:
            listed = " and ".join(self.roles.targets)
            raise UserError(f"{listed} is the same in all of train: nothing to learn")
        past = (np.stack(list(train["past"])) - mean) / std
        used = facts["context"] // facts["period"] * facts["period"]
        facts["season"] = windows.season(past[:, -used:], target)
        said.append(f"season of {facts['season']} steps: on train its last one errs least")
        if per_series:
            said.append("each series is scaled by its mean and deviation in train")
            unit = "deviations of a series"
        return DataSpec(
            data=f"{type(self).__module__}.{type(self).__qualname__}",
            kind=self.kind,
            outputs=self.horizon,
            inputs=windows.fields(facts, centre, spread),
            targets={"target": Field((self.horizon,), "float32", (centre,), (spread,))},
            facts={
                "season": facts["season"],
                "step": origins.step_of(facts).words,
                "block": self._block(origins.step_of(facts))[1],
                _FACTS: facts,
                "said": said,
                **({"unit": unit} if unit else {}),
            },
        )

    @staticmethod
    def encode(rows: pd.DataFrame, spec: DataSpec) -> dict[str, Array]:
        """The arrays of windows (B,): see `windows.encode`."""
        return windows.encode(rows, spec.facts[_FACTS])

    def encode_targets(self, rows: pd.DataFrame, spec: DataSpec) -> dict[str, Array]:
        """`target` (B, T), in the scale of its series."""
        mean, std = windows.scales(rows, spec.facts[_FACTS])
        return {"target": ((np.stack(list(rows["target"])) - mean) / std).astype(np.float32)}

    @staticmethod
    def received(rows: pd.DataFrame, spec: DataSpec) -> pd.DataFrame:
        """The last window of each series, of steps in long form, as a caller sends them.

        Raises:
            CellsError: cells cannot be used, a series is unknown, too short or has gaps, or what
                should be known of the steps ahead is missing.
        """
        return long_answers.last_windows(rows, spec.facts[_FACTS])

    @staticmethod
    def given(rows: pd.DataFrame, answers: pd.DataFrame, spec: DataSpec) -> pd.DataFrame:
        """Answers to windows (B,) in long form: time, group and forecast, in the user's unit."""
        return long_answers.forecasts(rows, answers, spec.facts[_FACTS])

    @staticmethod
    def apart(rows: pd.DataFrame, spec: DataSpec) -> Iterator[pd.DataFrame]:
        """The rows of each series: what is wrong with one says nothing of another."""
        return long_answers.apart(rows, spec.facts[_FACTS])

    def first(self, rows: pd.DataFrame) -> pd.DataFrame:
        """The windows of one series, of all of its targets: a caller sends them together."""
        alike = (rows[["tick", "group"]] == rows[["tick", "group"]].iloc[0]).all(axis=1)
        return rows[alike]

    def sent(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Windows of one origin (B,) in long form, as a caller would send them."""
        return long_answers.of_windows(rows, rows.attrs[_FACTS])

    @staticmethod
    def show(sample: Mapping[str, Array], row: pd.Series[Any], spec: DataSpec) -> Exhibit:
        """The end of the past (P, S), twice the horizon long; which series, and its first step."""
        recent = sample["past"].reshape(-1)[-2 * spec.outputs :]
        group = spec.facts[_FACTS]["group"]
        words = {str(group): str(row["group"])} if group else {}
        return Exhibit(curve=recent.tolist(), start=str(row["start"]), words=words)

    @staticmethod
    def columns_read(spec: DataSpec) -> list[ColumnRead]:
        """What each column is to a forecast, and what was found about the series."""
        facts = spec.facts[_FACTS]
        return long_rows.columns_read(facts, spec.facts["said"])

    def _block(self, step: Step) -> tuple[int, str]:
        """The steps that intervals draw together, and what they are called."""
        length = self.block or origins.block(step, self.horizon)
        if not step.months and length * step.seconds == WEEK:
            return length, "week"
        is_year = step.months > 0 and length * step.months == 12
        return length, "year" if is_year else "block"

    def _planned(
        self, known: Sequence[Run], reading: long_rows.Reading
    ) -> tuple[origins.Plan, pd.DataFrame]:
        """Where forecasts of the series start, and a row for each, (N,)."""
        plan = origins.Plan.of(known, self)
        parts = [self._windows(run, plan, reading) for run in known]
        filled_parts = [part for part in parts if len(part)] or parts[:1]
        return plan, pd.concat(filled_parts, ignore_index=True)

    def _windows(self, run: Run, plan: origins.Plan, reading: long_rows.Reading) -> pd.DataFrame:
        """The windows of one series, of each of its targets, with their splits."""
        starts, names = plan.starts(run)
        length = len(self.roles.targets)
        tables = []
        for column in range(length):
            usable = origins.usable(run, starts, column, self.context, self.horizon)
            tables.append(self._table(run, starts[usable], names[usable], column, reading))
        return pd.concat(tables, ignore_index=True)

    def _table(
        self, run: Run, starts: Array, names: Array, column: int, reading: long_rows.Reading
    ) -> pd.DataFrame:
        """A row for each window of a target that begins at one of the numbers `starts` (N,)."""
        at = starts - run.first
        observed, known = reading.places("observed"), reading.places("known")
        ends = {"past": 0, "observed": 0, "known": self.horizon}
        values = {
            "past": run.values[:, column],
            "observed": run.values[:, observed],
            "known": run.values[:, known],
        }
        cells: dict[str, Any] = {
            "group": [run.name] * len(at),
            "variable": [self.roles.targets[column]] * len(at),
            "start": reading.text(starts),
            "tick": starts,
            "split": names,
        }
        for name, array in values.items():
            cells[name] = [array[place - self.context : place + ends[name]] for place in at]
        cells["target"] = [values["past"][place : place + self.horizon] for place in at]
        return pd.DataFrame(cells)

    def _facts(self, reading: long_rows.Reading) -> dict[str, Any]:
        """What encoding must know beside what is learned from train."""
        return reading.facts() | {
            "context": self.context,
            "horizon": self.horizon,
            "calendar": windows.calendar(self.calendar, reading.step),
            "period": windows.period(self.context, self.horizon, reading.step),
        }

    def _said(self, runs: Sequence[Run], known: Sequence[Run]) -> list[str]:
        """How many series there are, how long, and what became of their rows."""
        lengths = sorted({len(run) for run in known})
        spread = f"{lengths[0]:,} to {lengths[-1]:,}" if len(lengths) > 1 else f"{lengths[0]:,}"
        said = [f"{len(known)} series of {spread} steps"]
        if any(not run.in_order for run in runs):
            said.append("rows are sorted by time")
        ahead = sum(run.ahead for run in runs)
        if ahead:
            said.append(f"{counted(ahead, 'step')} behind the last value of a series: not used")
        count = filled(known, len(self.roles.targets))
        if count:
            said.append(f"{counted(count, 'step')} filled with the value before, and in no target")
        return said

    def _without_short(self, file: str, runs: Sequence[Run], trained: list[str]) -> list[str]:
        """Series that are left out because train has no sample of them, in words.

        Raises:
            UserError: there are such, and the configuration does not leave them out.
        """
        short = [run for run in runs if run.name not in trained]
        if not short:
            return []
        listed = [f"'{run.name}' ({len(run) - run.ahead} steps)" for run in short[:_NAMED]]
        more = f" and {len(short) - _NAMED} more" if len(short) > _NAMED else ""
        named = ", ".join(listed) + more
        if self.short == "leave_out" and trained:
            return [f"{len(short)} series are too short and left out: {named}"]
        raise UserError(
            f"{file}: {len(short)} of {len(runs)} series have no sample in train, {self.context} "
            f"steps of the past and {self.horizon} ahead before validation: {named}; choose a "
            "shorter data.context, or data.short=leave_out"
        )


def _check_splits(file: str, table: pd.DataFrame) -> None:
    """Each split has a forecast.

    Raises:
        UserError: one has none, as where series end long before the last of them.
    """
    empty = [name for name in split.SPLITS if not (table["split"] == name).any()]
    if empty:
        raise UserError(
            f"{file}: no series has a whole forecast in {' and '.join(empty)}; origins are counted "
            "back from the end by data.stride, series may end before, and what was filled is no "
            "target: choose a larger share, or leave out series of other times"
        )


def _scales(
    train: pd.DataFrame, series: Sequence[tuple[str, str]], *, per_series: bool
) -> list[list[Any]]:
    """Group, target, mean and deviation of each series in train.

    Raises:
        UserError: a series has no sample there.
    """
    rows = train.groupby(["group", "variable"], sort=False)["target"]
    values = {key: np.concatenate(list(targets)) for key, targets in rows}
    found: list[list[Any]] = []
    for group, name in series:
        if (group, name) not in values:
            raise UserError(f"column '{name}' of series '{group}' has no sample in train")
        of_series = values[group, name]
        std = float(of_series.std()) if np.ptp(of_series) > 0 else 1.0
        found.append([group, name, *((float(of_series.mean()), std) if per_series else (0.0, 1.0))])
    return found


def _covariates(train: pd.DataFrame, facts: Mapping[str, Any]) -> dict[str, list[float]]:
    """Mean and deviation of each covariate in train, over all series."""
    scale = {}
    for kind in ("known", "observed"):
        for column, name in enumerate(facts[kind]):
            values = np.concatenate([cell[-facts["horizon"] :, column] for cell in train[kind]])
            std = float(values.std()) if np.ptp(values) > 0 else 1.0
            scale[name] = [float(values.mean()), std]
    return scale
