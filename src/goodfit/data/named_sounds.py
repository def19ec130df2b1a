"""Sounds that a table names, each with a class or a number."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from goodfit.data.named import FileTable, NamedFiles
from goodfit.data.sounds import Sounds
from goodfit.schema import Count, Fraction, Gap, Rate, Source, TextOrNone, Whole


class NamedSounds(NamedFiles, Sounds):
    """The column `sound` of a table names files of a folder or an archive, `label` the target.

    Files are read as `Sounds` reads them, and rows are split as `Table` splits them.
    """

    def __init__(
        self,
        *,
        sources: Mapping[str, Source],
        sound: str,
        label: str,
        kind: Literal["class", "number"],
        ending: TextOrNone,
        unnamed: Literal["refuse", "leave_out"],
        alike_labels: Literal["refuse", "join", "keep"],
        sheet: TextOrNone,
        encoding: TextOrNone,
        group: TextOrNone,
        time: TextOrNone,
        gap: Gap,
        assigned: TextOrNone,
        weight: TextOrNone,
        rate: Count,
        seconds: Rate,
        most_seconds: Rate,
        faults: Literal["fail", "quarantine"],
        most_faults: Fraction,
        test: Fraction,
        validation: Fraction,
        split_seed: Whole,
    ) -> None:
        shares: dict[str, Any] = {"test": test, "validation": validation, "split_seed": split_seed}
        columns: dict[str, Any] = {"label": label, "group": group, "time": time, "gap": gap}
        columns |= {"assigned": assigned, "weight": weight}
        columns |= {"sheet": sheet, "encoding": encoding}
        super().__init__(
            sources=sources,
            rate=rate,
            seconds=seconds,
            most_seconds=most_seconds,
            faults=faults,
            most_faults=most_faults,
            **shares,
        )
        self.table = FileTable(
            names=sound,
            sources=sources,
            kind=kind,
            alike_labels=alike_labels,
            **columns,
            **shares,
        )
        self.kind, self.rule = kind, self.table.rule  # type: ignore[misc]
        self.ending, self.unnamed, self.in_time = ending, unnamed, self.table.in_time
