"""The images that a column of somebody's table names, beside its other columns."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from goodfit.data import look_files
from goodfit.data.mixed import Mixed
from goodfit.stages import own_files
from goodfit.system.units import counted


class OwnPhotos(NamedTuple):
    """Where images are, options that suit them, what is said of them, and notes."""

    folder: Path
    suited: dict[str, Any]
    said: str
    notes: list[str]

    def pinned(self) -> dict[str, Any]:
        """Their folder or archive as an experiment names it, with its hash."""
        return own_files.pinned(self.folder)[0]


def opened(table: Mixed, rows: pd.DataFrame, folder: Path, options: Mapping[str, Any]) -> OwnPhotos:
    """Opens some of the images of rows (N,), and says what they are.

    Raises:
        UserError: none can be used.
    """
    photos, files = table.photos, table.files(rows)
    some = look_files.opened(photos, folder, look_files.sample(folder, files))
    measures = look_files.usable(folder, some)
    suited = photos.suited(measures)
    faulty = look_files.faults(photos, files, some, {})
    count = "all" if some.count == len(files) else f"{some.count:,}"
    becomes = photos.becomes(measures, {**options, **suited})
    said = f"{counted(len(files), 'image')}, of which {count} were opened; {becomes}"
    return OwnPhotos(folder, suited, said, look_files.of_faults(faulty, len(files), options))
