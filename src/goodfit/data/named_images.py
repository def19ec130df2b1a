"""Images that a table names, each with a class or a number."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from goodfit.data.images import Images
from goodfit.data.named import FileTable, NamedFiles
from goodfit.schema import Count, Fraction, Gap, Source, TextOrNone, Whole


class NamedImages(NamedFiles, Images):
    """The column `image` of a table names files of a folder or an archive, `label` the target.

    Files are read as `Images` reads them, and rows are split as `Table` splits them.
    """

    def __init__(
        self,
        *,
        sources: Mapping[str, Source],
        image: str,
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
        size: Count,
        channels: Literal[1, 3],
        resize: Literal["pad", "crop", "stretch"],
        max_pixels: Count,
        near_copies: Literal["together", "apart"],
        faults: Literal["fail", "quarantine"],
        most_faults: Fraction,
        test: Fraction,
        validation: Fraction,
        split_seed: Whole,
    ) -> None:
        shares: dict[str, Any] = {"test": test, "validation": validation, "split_seed": split_seed}
        form: dict[str, Any] = {"size": size, "channels": channels, "resize": resize}
        columns: dict[str, Any] = {"label": label, "group": group, "time": time, "gap": gap}
        columns |= {"kind": kind, "alike_labels": alike_labels}
        columns |= {"assigned": assigned, "weight": weight, "sheet": sheet, "encoding": encoding}
        super().__init__(
            sources=sources,
            max_pixels=max_pixels,
            near_copies=near_copies,
            faults=faults,
            most_faults=most_faults,
            **form,
            **shares,
        )
        self.table = FileTable(names=image, sources=sources, **columns, **shares)
        self.kind, self.rule = kind, self.table.rule  # type: ignore[misc]
        self.ending, self.unnamed, self.in_time = ending, unnamed, self.table.in_time
