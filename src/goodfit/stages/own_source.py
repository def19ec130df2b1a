"""What somebody's source is, and so how it is looked at."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from goodfit.data import look_files
from goodfit.stages import own, own_files, own_named, own_series, own_table
from goodfit.stages.own import Looked

Look = Callable[[str, dict[str, Any], Path, str], Looked]


def look_at(content: dict[str, Any], here: Path, usage: str) -> Look:
    """The look that suits a source: files with a table of them, series, files, or a table.

    Raises:
        UserError: no source is named, or it is not there.
    """
    if set(look_files.NAMED) & set(content):
        return own_named.looked
    if "horizon" in content:
        return own_series.looked
    if look_files.is_of_files(own.found(content, here, usage)):
        return own_files.looked
    return own_table.looked
