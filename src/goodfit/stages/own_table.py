"""Somebody's own table as a command line names it: found, read, split, and what is made of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from goodfit.config.experiment_file import ExperimentFile
from goodfit.contract import DataSpec
from goodfit.data import look, look_named, table_files
from goodfit.data.look import Kind
from goodfit.data.split import SPLITS
from goodfit.data.table import Table
from goodfit.errors import UserError
from goodfit.schema import Source
from goodfit.stages import own
from goodfit.stages.own import Looked, Parts
from goodfit.store.prepare import assign_splits

# up to so many rows of train: samples of a step, epochs, and epochs without a better one
_BY_ROWS = ((1_000, (32, 60, 15)), (10_000, (128, 40, 10)), (None, (512, 20, 6)))
Array = np.ndarray[Any, Any]
_TABM = "an ensemble of small networks on all columns side by side"
_PARTS = {
    ("table", "class"): Parts("tabm", "classification", ["logistic", "boosting"], _TABM, 3.0e-3),
    ("table", "number"): Parts("tabm", "regression", ["ridge", "boosting"], _TABM, 3.0e-3),
    ("table", "ordered"): Parts("tabm", "ordinal", ["logistic", "boosting"], _TABM, 3.0e-3),
    ("table", "count"): Parts("tabm", "count", ["poisson", "boosting"], _TABM, 3.0e-3),
    ("table", "labels"): Parts(
        "tabm", "multilabel", ["each_logistic", "each_boosting"], _TABM, 3.0e-3
    ),
    ("table", "numbers"): Parts(
        "tabm", "multivariate", ["each_ridge", "each_boosting"], _TABM, 3.0e-3
    ),
    ("texts", "class"): Parts(
        model="transformer",
        task="classification",
        baselines=["tfidf", "nb_logistic"],
        network="on the words, from scratch",
        lr=1.0e-3,
        lengths=(64, 10, 3),
    ),
}


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


def given(content: dict[str, Any], here: Path, usage: str) -> Given:
    """The file, its target, and options of the data set.

    Raises:
        UserError: one is missing or unknown, or the file is none of rows.
    """
    rest = dict(content)
    said = {key: rest.pop(key, None) for key in ("source", "target", "split")}
    for key in ("source", "target"):
        if said[key] is None:
            raise UserError(f"{key}=... is missing\n{usage}")
    kind = rest.pop("kind", None)
    data = look.choice(rest)
    own.check_known(data, rest, ["label"], usage)
    source, split = (
        said[key] and own.file_of_rows(own.found(content, here, usage, key), key)
        for key in ("source", "split")
    )
    named = said["target"] if isinstance(said["target"], list) else [said["target"]]
    if not named:
        raise UserError(f"target=[] names no column\n{usage}")
    return Given(data, source, list(map(str, named)), kind, rest, split)


def opened(asked: Given) -> OwnTable:
    """Reads the file, as prepare will.

    Raises:
        UserError: it cannot be read, or leaves something open.
    """
    chosen = {"kind": asked.kind} if asked.kind is not None and asked.data == "table" else {}
    options = own.with_defaults(asked.data, asked.options | chosen)
    file = asked.source.name
    drop = options.get("drop", [])
    cells = table_files.cells(asked.source, sheet=options["sheet"], drop=drop)
    own.check_columns(file, cells, asked.targets)
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
    if kind.most is not None:  # of classes
        kind = look.classes(rows[table.label].rename(asked.targets[0]), asked.kind)
    names, copies = assign_splits(table, {"table": asked.source}, rows)
    spec = table.fit(rows[names == "train"])
    return OwnTable(asked, table, kind, cells, rows, names, copies.rows or 0, spec)


def looked(name: str, content: dict[str, Any], here: Path, usage: str) -> Looked:
    """A look at a file of rows, and the experiment for it.

    Raises:
        UserError: the file is not there or cannot be read, or it leaves something open.
    """
    table = opened(given(content, here, usage))
    columns = look.seen(table.table, table.cells, table.spec)
    target = table.rows[table.table.label]
    notes = look.warnings(table.kind, target, columns, table.copies)
    found = table.table.findings(table.rows, table.names)
    notes += look_named.naming(table.cells) + look.times(table.table, columns, found)
    notes += [f"{finding.what}: {finding.answer}" for finding in found]
    inputs = len(table.spec.facts["columns"])
    return Looked(
        own.printed_columns(columns), _explained(table), notes, _file(name, table, inputs)
    )


def _explained(table: OwnTable) -> list[str]:
    """What was chosen, each with its reason."""
    separator = table.cells.attrs.get("separator", "comma")
    cut = "" if separator == "comma" else f", cells are separated by a {separator}"
    counts = {split: int((table.names == split).sum()) for split in SPLITS}
    parts = _PARTS[table.given.data, table.kind.kind]
    return [
        f"[bold]file[/]    {len(table.rows):,} rows{cut}",
        *own.explained(parts, table.kind.why, table.table.rule, counts),
        *own.weighed(table.table.weight, table.rows, table.names),
    ]


def _file(name: str, table: OwnTable, inputs: int) -> ExperimentFile:
    given, parts = table.given, _PARTS[table.given.data, table.kind.kind]
    rows = int((table.names == "train").sum())
    by_rows = next(values for most, values in _BY_ROWS if most is None or rows <= most)
    target = ", ".join(given.targets)
    label = given.targets if len(given.targets) > 1 else target
    sources = {"table": own.pinned(given.source)}
    if given.split:
        sources["split"] = own.pinned(given.split)
    data: dict[str, Any] = {"sources": sources, "label": label}
    if given.data == "table":
        data["kind"] = table.kind.kind
    about = f"{target}, by {inputs} column{'s' * (inputs > 1)} of {given.source.name}."
    score = {"task": {"score": own.UNFLATTERED}} if look.flatters(table.kind) else {}
    lengths = parts.lengths or by_rows
    return own.experiment(name, about, parts, given.data, data | given.options, lengths, **score)
