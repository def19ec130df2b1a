"""Somebody's own table as a command line names it: found, read, split; nothing is written."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from goodfit.config.check import hyperparameters
from goodfit.config.values import check_value
from goodfit.contract import DataSpec
from goodfit.data import look, table_files
from goodfit.data.look import Kind
from goodfit.data.table import Table
from goodfit.errors import UserError, nearest
from goodfit.schema import Source
from goodfit.store.prepare import assign_splits

_CONF = Path("conf/data")
Array = np.ndarray[Any, Any]


_MUST = ("source", "target")


class Given(NamedTuple):
    """What the command line says; `options` are of the data set, beside its defaults.

    `data` is the choice of conf/data: texts where a column of texts is named. `split` is a file
    that has the split of each row.
    """

    data: str
    source: Path
    targets: list[str]
    kind: str | None
    options: dict[str, Any]
    split: Path | None = None


class OwnTable(NamedTuple):
    """The file's cells, how they are read (N rows), each row's split, what train tells."""

    given: Given
    table: Table
    kind: Kind
    cells: pd.DataFrame
    rows: pd.DataFrame
    names: Array
    copies: int
    spec: DataSpec


def words(usage: str) -> tuple[dict[str, Any], Path]:
    """What the command line says by its keys, and the folder in which it was called.

    From then on the repository's is the current one. In the form in which messages advise options,
    data.drop=[a], they are taken, too.

    Raises:
        UserError: a word is no key=value.
        SystemExit: it is asked for help, or says nothing.
    """
    here = Path.cwd()
    os.chdir(Path(sys.argv[0]).resolve().parents[1])
    arguments = sys.argv[1:]
    if not arguments or {"-h", "--help"} & set(arguments):
        print(usage)
        raise SystemExit(0 if arguments else 2)
    unset = [argument for argument in arguments if "=" not in argument]
    if unset:
        raise UserError(f"got {unset[0]!r}, expected key=value\n{usage}")
    dotted = [argument.removeprefix("data.") for argument in arguments]
    try:
        content: Any = OmegaConf.to_container(OmegaConf.from_dotlist(dotted))
    except OmegaConfBaseException as error:
        raise UserError(f"{' '.join(arguments)} cannot be read: {error}") from None
    return content, here


def given(content: dict[str, Any], here: Path, usage: str) -> Given:
    """The file, its target, and options of the data set.

    Raises:
        UserError: one is missing or unknown, or the file is none of rows.
    """
    rest = dict(content)
    said = {key: rest.pop(key, None) for key in (*_MUST, "split")}
    for key in _MUST:
        if said[key] is None:
            raise UserError(f"{key}=... is missing\n{usage}")
    kind = rest.pop("kind", None)
    data = look.choice(rest)
    options = OmegaConf.load(_CONF / f"{data}.yaml")
    known = sorted(set(map(str, options)) - {"_target_", "sources", "label"})
    for key in rest:
        if key not in known:
            raise UserError(f"unknown option '{key}'.{nearest(key, known)}\n{usage}")
    source, split = (said[key] and _found(key, here, said[key]) for key in ("source", "split"))
    named = said["target"] if isinstance(said["target"], list) else [said["target"]]
    return Given(data, source, list(map(str, named)), kind, rest, split)


def opened(asked: Given) -> OwnTable:
    """Reads the file, as prepare will.

    Raises:
        UserError: it cannot be read, or leaves something open.
    """
    options: Any = OmegaConf.to_container(OmegaConf.load(_CONF / f"{asked.data}.yaml"))
    types = hyperparameters(options.pop("_target_"))
    chosen = {"kind": asked.kind} if asked.kind is not None and "kind" in types else {}
    for key, value in {**asked.options, **chosen}.items():
        check_value(f"data.{key}", types[key], value)
    options |= asked.options
    file = asked.source.name
    drop = options.get("drop", [])
    cells = table_files.cells(asked.source, sheet=options["sheet"], drop=drop)
    known = list(map(str, cells))
    for name in asked.targets:
        if name not in known:
            hint = nearest(name, known)
            raise UserError(f"{file} has no column '{name}'.{hint} It has: {', '.join(known)}")
    several = len(asked.targets) > 1
    kind = (
        look.kind_of_several(asked.kind, asked.targets)
        if several
        else look.kind_of(cells[asked.targets[0]], asked.kind)
    )
    label = asked.targets if several else asked.targets[0]
    sources = {"table": Source(file=file, sha256=None)}
    if asked.split:
        sources["split"] = Source(file=asked.split.name, sha256=None)
    table = look.data_set(asked.data, options | {"sources": sources, "label": label}, kind)
    rows = table.understood(file, cells, asked.split)
    names, copies = assign_splits(table, {"table": asked.source}, rows)
    spec = table.fit(rows[names == "train"])
    return OwnTable(asked, table, kind, cells, rows, names, copies.rows or 0, spec)


def _found(key: str, here: Path, named: Any) -> Path:
    """The file that a word names, as seen from `here`, where it can be one of rows.

    Raises:
        UserError: there is none, it is empty or a folder, or a database has changes beside it.
    """
    path = here / Path(str(named)).expanduser()
    if not path.exists():
        raise UserError(f"{key}: there is no {path}")
    if path.is_dir():
        raise UserError(f"{key}: {path} is a folder; expected a file of rows")
    if not path.stat().st_size:
        raise UserError(f"{key}: {path} is empty")
    beside = path.with_name(f"{path.name}-wal")
    if beside.exists() and beside.stat().st_size:
        raise UserError(
            f"{path.name} has changes in {beside.name} that are not in the file; end the program "
            "that writes to it, which brings them there"
        )
    return path
