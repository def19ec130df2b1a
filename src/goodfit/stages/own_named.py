"""Somebody's table that names files, each with its target, as a command line names it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from goodfit.data import look, look_files, look_named, table_files
from goodfit.data.table_files import Wanted
from goodfit.errors import UserError
from goodfit.stages import own, own_files
from goodfit.stages.own import Looked
from goodfit.stages.own_files import OwnFiles


def looked(name: str, content: dict[str, Any], here: Path, usage: str) -> Looked:
    """A look at a table of files; they lie in `folder`, or where the table says, from its own.

    Raises:
        UserError: table or files cannot be read, or leave something open.
    """
    rest = dict(content)
    words = [word for word in look_files.NAMED if word in rest]
    if len(words) > 1:
        raise UserError(f"got {' and '.join(words)}; name one column of files")
    choice, column = look_files.NAMED[words[0]], str(rest[words[0]])
    table = own.file_of_rows(own.found(rest, here, usage))
    if rest.get("target") is None:
        raise UserError(f"target=... is missing\n{usage}")
    target, named = str(rest.pop("target")), rest.pop("folder", None)
    rest.pop("source")
    own.check_known(choice, rest, ["label"], usage)

    form: dict[str, Any] = {key: rest.get(key) for key in ("sheet", "encoding")}
    needed = {column, target, *map(rest.get, own.COLUMNS)}
    cells = table_files.cells(table, **form, wanted=Wanted((), needed, False))
    own.check_columns(table.name, cells, [column, target])
    kind = look.kind_of(cells[target], rest.get("kind"))
    given = {words[0]: column, "label": target, "kind": kind.kind} | rest | {"kind": kind.kind}
    options = own.with_defaults(choice, given)
    if named is None:
        folder = look_named.folder_of(table, cells, column, options["ending"] or "")
    else:
        folder = own.found(content, here, usage, "folder")
    data = look_files.data_set(choice, options)
    rows = look_named.rows(data, table, cells, folder)
    about = f"{target}, by the {data.modality}s that {table.name} names."
    sources = {"table": own.pinned(table)}
    return own_files.told(name, OwnFiles(choice, folder, rows, kind, given, sources, about))
