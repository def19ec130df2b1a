"""An experiment on somebody's own data: looked at, explained, written, pinned; nothing is guessed
in silence.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table as Printed

from goodfit.config import experiment_file
from goodfit.config.check import hyperparameters
from goodfit.config.experiment_file import ExperimentFile
from goodfit.config.values import check_value
from goodfit.data import look, table_files
from goodfit.data.look import Kind, Seen
from goodfit.data.split import SPLITS
from goodfit.data.table import Table
from goodfit.errors import UserError, nearest
from goodfit.schema import Source
from goodfit.store.prepare import assign_splits
from goodfit.system.files import sha256
from goodfit.system.names import check_experiment

_CONF = Path("conf/data/table.yaml")
_USAGE = """\
python pipelines/new.py name=<name> source=<file> target=<column> [<option>=<value> ...]

Options are those of conf/data/table.yaml, such as kind=class, drop=[id,note], group=patient,
columns.zip=category, time=day, sheet=2024. With an experiment of that name, it shows what would
change; replace=true writes it."""
_SHOWN = 60  # columns in the printed table
# up to so many rows of train: samples of a step, epochs, and epochs without a better one
_BY_ROWS = ((1_000, (32, 60, 15)), (10_000, (128, 40, 10)), (None, (512, 20, 6)))


class _Words(NamedTuple):
    """What must be said."""

    name: Any
    source: Any
    target: Any


class _Given(NamedTuple):
    """What the command line says."""

    name: str
    source: Path
    target: str
    kind: str | None
    replace: bool
    options: dict[str, Any]  # of the data set, beside its defaults


def main() -> int:
    """Looks at the file that the command line names, and writes an experiment for it.

    Raises:
        UserError: the file is not there or cannot be read, or it leaves something open.
    """
    here = Path.cwd()
    os.chdir(Path(sys.argv[0]).resolve().parents[1])  # of the repository
    given = _given(sys.argv[1:], here)
    console = Console()
    table, cells, kind = _looked_at(given)
    rows = table.understood(given.source.name, cells)
    names, copies = assign_splits(table, {"table": given.source}, rows)
    splits = {split: rows[names == split] for split in SPLITS}
    spec = table.fit(splits["train"])
    columns = look.seen(table, cells, spec)

    console.print(_printed(columns))
    separator = cells.attrs.get("separator", "comma")
    cut = "" if separator == "comma" else f", cells are separated by a {separator}"
    console.print(f"[bold]file[/]    {len(rows):,} rows{cut}", highlight=False)
    for line in _explained(table, kind, splits):
        console.print(line, highlight=False, soft_wrap=True)
    for said in look.warnings(kind, rows[table.label], columns, copies.rows or 0):
        console.print(f"[yellow]note[/]    {escape(said)}", highlight=False, soft_wrap=True)
    inputs = sum(column.read_as is not None for column in columns) - 1
    file = _file(given, kind, inputs, len(splits["train"]))
    return _write(file, console, replace=given.replace)


def _given(arguments: Sequence[str], here: Path) -> _Given:
    if not arguments or {"-h", "--help"} & set(arguments):
        print(_USAGE)
        raise SystemExit(0 if arguments else 2)
    unset = [argument for argument in arguments if "=" not in argument]
    if unset:
        raise UserError(f"got {unset[0]!r}, expected key=value\n{_USAGE}")
    # the form in which other messages advise options
    dotted = [argument.removeprefix("data.") for argument in arguments]
    try:
        content: Any = OmegaConf.to_container(OmegaConf.from_dotlist(dotted))
    except OmegaConfBaseException as error:
        raise UserError(f"{' '.join(arguments)} cannot be read: {error}") from None
    words = _Words(*(content.pop(key, None) for key in _Words._fields))
    for key, word in words._asdict().items():
        if word is None:
            raise UserError(f"{key}=... is missing\n{_USAGE}")
    name = str(words.name)
    check_experiment(name)
    kind, replace = content.pop("kind", None), bool(content.pop("replace", False))
    known = set(OmegaConf.load(_CONF)) - {"_target_", "sources", "label"}
    for key in content:
        if key not in known:
            raise UserError(f"unknown option '{key}'.{nearest(key, sorted(known))}\n{_USAGE}")
    source = _found(here / Path(str(words.source)).expanduser())
    return _Given(name, source, str(words.target), kind, replace, content)


def _found(path: Path) -> Path:
    """The file itself, where it can be one of rows.

    Raises:
        UserError: there is none, it is empty or a folder, or a database has changes beside it.
    """
    if not path.exists():
        raise UserError(f"source: there is no {path}")
    if path.is_dir():
        raise UserError(f"source: {path} is a folder; expected a file of rows")
    if not path.stat().st_size:
        raise UserError(f"source: {path} is empty")
    beside = path.with_name(f"{path.name}-wal")
    if beside.exists() and beside.stat().st_size:
        raise UserError(
            f"{path.name} has changes in {beside.name} that are not in the file; end the program "
            "that writes to it, which brings them there"
        )
    return path


def _looked_at(given: _Given) -> tuple[Table, pd.DataFrame, Kind]:
    """The data set with the options that were given, the cells of its file, what is predicted."""
    options: dict[str, Any] = OmegaConf.to_container(OmegaConf.load(_CONF))  # type: ignore[assignment]
    types = hyperparameters(options.pop("_target_"))
    for key, value in given.options.items():
        check_value(f"data.{key}", types[key], value)
    options |= given.options
    drop = options["drop"]
    cells = table_files.cells(given.source, sheet=options["sheet"], drop=drop)
    if given.target not in cells:
        hint = nearest(given.target, list(map(str, cells)))
        raise UserError(
            f"{given.source.name} has no column '{given.target}'.{hint} It has: "
            f"{', '.join(map(str, cells))}"
        )
    kind = look.kind_of(cells[given.target], given.kind)
    sources = {"table": Source(file=given.source.name, sha256=None)}
    options |= {"sources": sources, "label": given.target, "kind": kind.kind}
    return Table(**options), cells, kind


def _printed(columns: Sequence[Seen]) -> Printed:
    """One row for each column of the file."""
    titles = ("column", "read as", "missing", "distinct", "example", "why")
    printed = Printed(*titles, box=SIMPLE_HEAD, collapse_padding=True)
    for column in columns[:_SHOWN]:
        style = "" if column.read_as else "dim"
        printed.add_row(
            escape(column.name),
            column.read_as or "left out",
            f"{column.missing:.1%}" if column.missing else "",
            f"{column.distinct:,}",
            escape(column.example),
            escape(column.why),
            style=style,
        )
    if len(columns) > _SHOWN:
        printed.caption = f"and {len(columns) - _SHOWN} more, as the page of the experiment lists"
    return printed


def _explained(table: Table, kind: Kind, splits: Mapping[str, pd.DataFrame]) -> list[str]:
    """What was chosen, each with its reason."""
    counts = ", ".join(f"{len(rows):,} {split}" for split, rows in splits.items())
    task, baselines = _PARTS[kind.kind]
    return [
        f"[bold]task[/]    {task}: {escape(kind.why)}",
        f"[bold]split[/]   {escape(table.rule)}: {counts}",
        "[bold]network[/] mlp, a feed-forward network on all columns side by side; another one: "
        "model=...",
        f"[bold]against[/] {' and '.join(baselines)}: the verdict is against the better one on "
        "validation",
    ]


_PARTS = {
    "class": ("classification", ["logistic", "boosting"]),
    "number": ("regression", ["ridge", "boosting"]),
}


def _file(given: _Given, kind: Kind, inputs: int, rows: int) -> ExperimentFile:
    task, baselines = _PARTS[kind.kind]
    size, epochs, patience = next(
        values for most, values in _BY_ROWS if most is None or rows <= most
    )
    source = given.source
    root = Path.cwd()
    mirror = source.relative_to(root) if source.is_relative_to(root) else source
    pinned = {"file": source.name, "sha256": sha256(source), "mirrors": [str(mirror)]}
    data = {"sources": {"table": pinned}, "label": given.target, "kind": kind.kind}
    return ExperimentFile(
        name=given.name,
        about=f"{given.target}, by {inputs} columns of {source.name}.",
        choices={"data": "table", "model": "mlp", "task": task, "baseline": baselines},
        sections={
            "data": data | given.options,
            "loader": {"batch_size": size},
            "trainer": {"max_epochs": epochs},
            "early_stopping": {"patience": patience},
            "optimizer": {"lr": 3.0e-3},
        },
    )


def _write(file: ExperimentFile, console: Console, *, replace: bool) -> int:
    """Writes the experiment and its line in params.yaml, or shows what would change."""
    if file.path.exists() and not replace:
        difference = file.difference()
        if difference:
            console.print(f"\n{file.path} is there; this would change:", highlight=False)
            for line in difference:
                console.print(escape(line), highlight=False, soft_wrap=True)
            console.print("replace=true writes it", highlight=False)
            return 0
        console.print(f"\n{file.path} is there, and says just this", highlight=False)
    else:
        file.write()
        console.print(f"\nwrote {file.path}", highlight=False)
    if experiment_file.add_to_params(file.name):
        console.print("added it to params.yaml", highlight=False)
    console.print(f"next: make repro ONLY={file.name}", highlight=False)
    return 0
