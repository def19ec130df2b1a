"""Somebody's own table as a command line names it: found, read, split, and what is made of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from rich.markup import escape

from goodfit.config.experiment_file import ExperimentFile
from goodfit.contract import DataSpec
from goodfit.data import evidence, look, look_files, look_named, table_files
from goodfit.data.faults import drop, override
from goodfit.data.look import Kind
from goodfit.data.mixed import PLACE, Mixed
from goodfit.data.spill import Spill
from goodfit.data.split import SPLITS
from goodfit.data.table import Table
from goodfit.data.table_files import Wanted
from goodfit.errors import UserError
from goodfit.paths import PREPARED
from goodfit.schema import Source
from goodfit.stages import own, own_photos
from goodfit.stages.own import Looked, Parts
from goodfit.stages.own_photos import OwnPhotos
from goodfit.store.prepare import assign_splits

# up to so many rows of train: samples of a step, and epochs
_BY_ROWS = ((1_000, (32, 60)), (10_000, (128, 40)), (None, (512, 20)))
Array = np.ndarray[Any, Any]
_NETWORKS = {
    "table": ("tabm", "an ensemble of small networks on all columns side by side"),
    "texts": ("transformer", "on the words, from scratch"),
    "mixed": ("branches", "one for each of numbers, texts and images, joined by an ensemble"),
}
_KINDS = {
    "class": ("classification", ["logistic", "boosting"]),
    "number": ("regression", ["ridge", "boosting"]),
    "ordered": ("ordinal", ["logistic", "boosting"]),
    "count": ("count", ["poisson", "boosting"]),
    "labels": ("multilabel", ["each_logistic", "each_boosting"]),
    "numbers": ("multivariate", ["each_ridge", "each_boosting"]),
}
_ON_ALL = ["joint_linear", "joint_boosting"]  # for whatever a row has, and any target
_OF_TEXTS = {
    "class": ["tfidf", "nb_logistic"],
    "number": ["tfidf_ridge", "joint_boosting"],
    "ordered": ["tfidf", "joint_boosting"],
}


class Given(NamedTuple):
    """What the command line says; `options` are of the data set, beside its defaults.

    `data` is the choice of conf/data: texts where a column of texts is named. `split` is a file
    that has the split of each row, `folder` one of images that a column names.
    """

    data: str
    source: Path
    targets: list[str]
    kind: str | None
    options: dict[str, Any]
    split: Path | None = None
    folder: Path | None = None


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
    photos: OwnPhotos | None = None


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
    folder = own.found(content, here, usage, "folder") if rest.pop("folder", None) else None
    # columns of long texts may make one of the other
    known = "mixed" if data == "table" else data
    own.check_known(known, rest, ["label"], usage)
    source, split = (
        said[key] and own.file_of_rows(own.found(content, here, usage, key), key)
        for key in ("source", "split")
    )
    named = said["target"] if isinstance(said["target"], list) else [said["target"]]
    if not named:
        raise UserError(f"target=[] names no column\n{usage}")
    return Given(data, source, list(map(str, named)), kind, rest, split, folder)


def opened(asked: Given) -> OwnTable:
    """Reads the file, as prepare will.

    Raises:
        UserError: it cannot be read, or leaves something open.
    """
    options = own.with_defaults(asked.data, _options(asked))
    file = asked.source.name
    needed = [*asked.targets, *map(options.get, own.COLUMNS)]
    wanted = Wanted(options.get("drop", []), needed, "drop" in options)
    # as of prepare, memory holds a part of a large file
    spill = Spill(PREPARED)
    form = {key: options[key] for key in ("sheet", "encoding")}
    cells = table_files.cells(asked.source, **form, wanted=wanted, spill=spill)
    own.check_columns(file, cells, asked.targets)
    several = len(asked.targets) > 1
    kind = (
        look.kind_of_several(asked.kind, asked.targets)
        if several
        else look.kind_of(cells[asked.targets[0]], asked.kind)
    )
    asked = _with_texts(asked, cells, options)
    options = own.with_defaults(asked.data, _options(asked))
    label = asked.targets if several else asked.targets[0]
    sources = {"table": Source(file=file, sha256=None)}
    if asked.split:
        sources["split"] = Source(file=asked.split.name, sha256=None)
    options |= {"sources": sources, "label": label}
    if look.column_of_images(options):
        return _with_photos(asked, cells, options, kind, spill)
    table = look.data_set(asked.data, options, kind)
    table.spill = spill
    rows = table.understood(file, cells, asked.split)
    if kind.most is not None:  # of classes
        kind = look.classes(rows[table.label].rename(asked.targets[0]), asked.kind)
    names, copies = assign_splits(table, {"table": asked.source}, rows)
    spec = table.fit(spill.taken(rows, names == "train"))
    return OwnTable(asked, table, kind, cells, rows, names, copies.rows or 0, spec)


def _options(asked: Given) -> dict[str, Any]:
    return asked.options | ({} if asked.kind is None else {"kind": asked.kind})


def _with_texts(asked: Given, cells: pd.DataFrame, options: Mapping[str, Any]) -> Given:
    """What was asked, with columns of long texts, of which nobody has said what they are."""
    if asked.data == "texts":
        return asked
    known = [*asked.targets, *options["drop"], *options["columns"]]
    splitting = [options[key] for key in ("group", "time", "assigned") if options[key]]
    texts = look.free_texts(cells, [*known, *splitting])
    if not texts:
        return asked
    columns = {**options["columns"], **dict.fromkeys(texts, "text")}
    return asked._replace(data="mixed", options={**asked.options, "columns": columns})


def _with_photos(
    asked: Given, cells: pd.DataFrame, options: dict[str, Any], kind: Kind, spill: Spill
) -> OwnTable:
    """A table of which a column names images, of which some are opened; none is compared yet.

    Raises:
        UserError: as `opened`, or images are not there, or none can be used.
    """
    column = look.column_of_images(options)
    folder = asked.folder or look_named.folder_of(
        asked.source, cells, column, options["ending"] or ""
    )
    options["sources"] = {**options["sources"], "files": Source(file="files.zip", sha256=None)}
    table = look.data_set(asked.data, options, kind)
    assert isinstance(table, Mixed)
    table.spill = spill
    rows = table.understood(asked.source.name, cells, asked.split)
    rows = table.joined(asked.source.name, rows, folder.name, look_files.names(folder))
    photos = own_photos.opened(table, rows, folder, options)
    table = look.data_set(asked.data, options | photos.suited | asked.options, kind)
    names = table.split(rows, rows[PLACE].to_numpy())
    spec = table.fit(rows[names == "train"])
    asked = asked._replace(options=photos.suited | asked.options)
    return OwnTable(asked, table, kind, cells, rows, names, 0, spec, photos)


def looked(name: str, content: dict[str, Any], here: Path, usage: str) -> Looked:
    """A look at a file of rows, and the experiment for it.

    Raises:
        UserError: the file is not there or cannot be read, or it leaves something open.
    """
    table = opened(given(content, here, usage))
    columns = look.seen(table.table, table.cells, table.spec)
    target = table.rows[table.table.label]
    notes = few(table)
    equal_rows = table.table.equal_rows
    notes += look.warnings(table.kind, target, table.names, columns, table.copies, equal_rows)
    found = table.table.findings(table.rows, table.names)
    known = [look.column_of_images(table.given.options)]
    notes += look_named.naming(table.cells, known)
    notes += look.times(table.table, columns, found)
    notes += table.photos.notes if table.photos else []
    notes += [f"{finding.what}: {finding.answer}" for finding in found]
    inputs = len(table.spec.facts["columns"])
    return Looked(
        own.printed_columns(columns), _explained(table), notes, _file(name, table, inputs)
    )


def few(table: OwnTable) -> list[str]:
    """A note where test has too few rows, or groups of them, for a verdict."""
    return evidence.of_rows(table.table, table.rows, table.names, table.given.options, "row")


def _otherwise(table: OwnTable) -> list[str]:
    """How a column would be read as something else, and left out, by the first that could be."""
    for column in table.table.columns_read(table.spec):
        if column.otherwise and column.otherwise != drop(column.name):
            said = (
                f"to read one otherwise: {column.otherwise}; to leave it out: {drop(column.name)}"
            )
            return [f"[bold]columns[/] {escape(said)}"]
    return []


def _explained(table: OwnTable) -> list[str]:
    """What was chosen, each with its reason."""
    cut = "".join(f", {said}" for said in table.cells.attrs["said"])
    counts = {split: int((table.names == split).sum()) for split in SPLITS}
    parts = _parts(table)
    texts = table.spec.facts.get("texts", {})
    first = next(iter(texts), "")
    by_words = f"{', '.join(texts)}: by their words; as categories: {override(first, 'category')}"
    return [
        f"[bold]file[/]    {len(table.rows):,} rows{cut}",
        *_otherwise(table),
        *([f"[bold]texts[/]   {escape(by_words)}"] if texts else []),
        *([f"[bold]images[/]  {escape(table.photos.said)}"] if table.photos else []),
        *own.explained(parts, table.kind.why, table.table.rule, counts),
        *own.weighed(table.table.weight, table.rows, table.names),
    ]


def _parts(table: OwnTable) -> Parts:
    """The parts that fit data and target."""
    data, kind = table.given.data, table.kind.kind
    model, network = _NETWORKS[data]
    task, baselines = _KINDS[kind]
    if data == "texts":
        baselines = _OF_TEXTS.get(kind, _ON_ALL)
        return Parts(model, task, baselines, network, 1.0e-3, lengths=(64, 10))
    if data == "mixed":
        return Parts(model, task, _ON_ALL, network, 2.0e-3)
    return Parts(model, task, baselines, network, 3.0e-3)


def _file(name: str, table: OwnTable, inputs: int) -> ExperimentFile:
    given, parts = table.given, _parts(table)
    rows = int((table.names == "train").sum())
    by_rows = next(values for most, values in _BY_ROWS if most is None or rows <= most)
    target = ", ".join(given.targets)
    label = given.targets if len(given.targets) > 1 else target
    sources = {"table": own.pinned(given.source)}
    if given.split:
        sources["split"] = own.pinned(given.split)
    data: dict[str, Any] = {"sources": sources, "label": label}
    if table.photos:
        sources["files"] = table.photos.pinned()
    data["kind"] = table.kind.kind
    about = f"{target}, by {inputs} column{'s' * (inputs > 1)} of {given.source.name}."
    score = {"task": {"score": own.UNFLATTERED}} if look.flatters(table.kind) else {}
    lengths = parts.lengths or by_rows
    return own.experiment(name, about, parts, given.data, data | given.options, lengths, **score)
