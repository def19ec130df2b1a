"""Somebody's file of series as a command line names it: found, read, split, and what is made."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rich.markup import escape

from goodfit.data import look_series
from goodfit.data.split import SPLITS
from goodfit.errors import UserError
from goodfit.stages import own
from goodfit.stages.own import Looked, Parts

_CHOICE = "series"
_PARTS = Parts(
    model="rnn",
    task="forecasting",
    baselines=["lag_boosting", "lag_ridge"],
    network="an encoder of the past and a decoder of the steps ahead",
    lr=3.0e-3,
)
# exponential smoothing learns each past by itself: so many forecasts take a minute
_MOST_SMOOTHED = 300
_SHARE, _FEWEST = 0.9, 9  # of an interval, and how many forecasts of validation it takes
_LENGTHS = (64, 12)


def looked(name: str, content: dict[str, Any], here: Path, usage: str) -> Looked:
    """A look at a file with a row for each step of a series.

    Raises:
        UserError: the file cannot be read, or leaves something open.
    """
    rest = dict(content)
    source = own.file_of_rows(own.found(rest, here, usage))
    rest.pop("source")
    own.check_known(_CHOICE, rest, [], usage)
    if rest.get("target") is None:
        raise UserError(f"target=... is missing\n{usage}")
    if rest.get("time") is None:
        held = look_series.times(source, rest.get("sheet"), rest.get("encoding"))
        raise UserError(
            f"time=... is missing: the column of the steps' times; {source.name} has dates in "
            f"{', '.join(held) or 'no column'}"
        )
    # the context is chosen when the step is known
    options = own.with_defaults(_CHOICE, {"context": 1} | rest)
    found = look_series.find(source, look_series.series(options, source.name))
    chosen = rest | look_series.suited(found, options, rest)
    data = look_series.series(options | chosen, source.name)
    windows = data.read({"table": source})
    spec = data.fit(windows[windows["split"] == "train"])

    counts = {split: int((windows["split"] == split).sum()) for split in SPLITS}
    parts = _fitting(counts)
    learned = "; ".join(spec.facts["said"][1:])  # the first is how many series, and how long
    why = f"{', '.join(data.roles.targets)}, the next {data.horizon} steps"
    return Looked(
        own.printed_columns(look_series.seen(found, data, spec)),
        [
            f"[bold]series[/]  {escape(found.said)}",
            f"[bold]found[/]   {escape(learned)}",
            f"[bold]input[/]   {data.context} steps of the past; another number: context=...",
            *own.explained(parts, why, data.rule, counts),
        ],
        look_series.notes(found, windows, data, spec),
        own.experiment(
            name,
            f"{', '.join(data.roles.targets)} of {source.name}, {data.horizon} steps ahead.",
            parts,
            _CHOICE,
            {"sources": {"table": own.pinned(source)}} | chosen,
            _LENGTHS,
            **_sections(counts),
        ),
    )


def _sections(counts: Mapping[str, int]) -> dict[str, Any]:
    """How to train for so many forecasts of each split: with an interval, if validation can."""
    task = {"task": {"interval": _SHARE}} if counts["validation"] >= _FEWEST else {}
    return {**task, "average": 0.99, "schedule": {"warmup": 0.15}}


def _fitting(counts: Mapping[str, int]) -> Parts:
    """The parts for so many forecasts of each split; of few, exponential smoothing, too."""
    forecasts = counts["validation"] + counts["test"]
    if forecasts > _MOST_SMOOTHED or find_spec("statsmodels") is None:
        return _PARTS
    return _PARTS._replace(baselines=[*_PARTS.baselines, "ets"])
