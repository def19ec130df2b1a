"""An experiment on somebody's own data: looked at, explained, written, pinned; nothing is guessed
in silence.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table as Printed

from goodfit.config import experiment_file
from goodfit.config.experiment_file import ExperimentFile
from goodfit.config.values import check_value
from goodfit.data import look
from goodfit.data.look import Seen
from goodfit.data.split import SPLITS
from goodfit.errors import UserError
from goodfit.stages import own_table
from goodfit.stages.own_table import OwnTable
from goodfit.system.files import sha256
from goodfit.system.names import check_experiment

_USAGE = """\
python pipelines/new.py name=<name> source=<file> target=<column> [<option>=<value> ...]

Options are those of conf/data/table.yaml, such as kind=class, drop=[id,note], group=patient,
columns.zip=category, time=day, sheet=2024. text=<column> has a class told by that column's texts
alone; its options are those of conf/data/texts.yaml. split=<file> with assigned=<column> takes the
split from a file that has that column, and beside it one called split. With an experiment of that
name, it shows what would change; replace=true writes it."""
# of a rare class; of balanced accuracy, the threshold would have to be chosen first
_UNFLATTERED = "average_precision"
_SHOWN = 60  # columns in the printed table
# up to so many rows of train: samples of a step, epochs, and epochs without a better one
_BY_ROWS = ((1_000, (32, 60, 15)), (10_000, (128, 40, 10)), (None, (512, 20, 6)))


class _Parts(NamedTuple):
    """The parts of an experiment that fit data and target, and a word about the network."""

    model: str
    task: str
    baselines: list[str]
    network: str
    lr: float
    # samples of a step, epochs, and epochs without a better one, where rows do not decide
    lengths: tuple[int, int, int] | None = None


_TABM = "an ensemble of small networks on all columns side by side"
_PARTS = {
    ("table", "class"): _Parts("tabm", "classification", ["logistic", "boosting"], _TABM, 3.0e-3),
    ("table", "number"): _Parts("tabm", "regression", ["ridge", "boosting"], _TABM, 3.0e-3),
    ("table", "ordered"): _Parts("tabm", "ordinal", ["logistic", "boosting"], _TABM, 3.0e-3),
    ("table", "count"): _Parts("tabm", "count", ["poisson", "boosting"], _TABM, 3.0e-3),
    ("table", "labels"): _Parts(
        "tabm", "multilabel", ["each_logistic", "each_boosting"], _TABM, 3.0e-3
    ),
    ("table", "numbers"): _Parts(
        "tabm", "multivariate", ["each_ridge", "each_boosting"], _TABM, 3.0e-3
    ),
    ("texts", "class"): _Parts(
        model="transformer",
        task="classification",
        baselines=["tfidf", "nb_logistic"],
        network="on the words, from scratch",
        lr=1.0e-3,
        lengths=(64, 10, 3),
    ),
}


def main() -> int:
    """Looks at the file that the command line names, and writes an experiment for it.

    Raises:
        UserError: the file is not there or cannot be read, or it leaves something open.
    """
    content, here = own_table.words(_USAGE)
    name, replace = content.pop("name", None), content.pop("replace", False)
    check_value("replace", bool, replace)
    if name is None:
        raise UserError(f"name=... is missing\n{_USAGE}")
    check_experiment(str(name))
    own = own_table.opened(own_table.given(content, here, _USAGE))
    columns = look.seen(own.table, own.cells, own.spec)

    console = Console()
    console.print(_printed(columns))
    for line in _explained(own):
        console.print(line, highlight=False, soft_wrap=True)
    said = look.warnings(own.kind, own.rows[own.table.label], columns, own.copies)
    found = own.table.findings(own.rows, own.names)
    said += look.times(own.table, columns, found)
    said += [f"{finding.what}: {finding.answer}" for finding in found]
    for line in said:
        console.print(f"[yellow]note[/]    {escape(line)}", highlight=False, soft_wrap=True)
    inputs = sum(column.read_as is not None for column in columns) - 1
    return _write(_file(str(name), own, inputs), console, replace=replace)


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


def _explained(own: OwnTable) -> list[str]:
    """What was chosen, each with its reason."""
    separator = own.cells.attrs.get("separator", "comma")
    cut = "" if separator == "comma" else f", cells are separated by a {separator}"
    counts = ", ".join(f"{(own.names == split).sum():,} {split}" for split in SPLITS)
    parts = _PARTS[own.given.data, own.kind.kind]
    return [
        f"[bold]file[/]    {len(own.rows):,} rows{cut}",
        f"[bold]task[/]    {parts.task}: {escape(own.kind.why)}",
        f"[bold]split[/]   {escape(own.table.rule)}: {counts}",
        f"[bold]network[/] {parts.model}, {parts.network}; another one: model=...",
        f"[bold]against[/] {' and '.join(parts.baselines)}: the verdict is against the better one "
        "on validation",
    ]


def _file(name: str, own: OwnTable, inputs: int) -> ExperimentFile:
    given, parts = own.given, _PARTS[own.given.data, own.kind.kind]
    rows = int((own.names == "train").sum())
    by_rows = next(values for most, values in _BY_ROWS if most is None or rows <= most)
    size, epochs, patience = parts.lengths or by_rows
    sources = {"table": _pinned(given.source)}
    if given.split:
        sources["split"] = _pinned(given.split)
    target = ", ".join(given.targets)
    label = given.targets if len(given.targets) > 1 else target
    data: dict[str, Any] = {"sources": sources, "label": label}
    if given.data == "table":
        data["kind"] = own.kind.kind
    return ExperimentFile(
        name=name,
        about=f"{target}, by {inputs} column{'s' * (inputs > 1)} of {given.source.name}.",
        choices={
            "data": given.data,
            "model": parts.model,
            "task": parts.task,
            "baseline": parts.baselines,
        },
        sections={
            "data": data | given.options,
            **({"task": {"score": _UNFLATTERED}} if look.flatters(own.kind) else {}),
            "loader": {"batch_size": size},
            "trainer": {"max_epochs": epochs},
            "early_stopping": {"patience": patience},
            "optimizer": {"lr": parts.lr},
        },
    )


def _pinned(source: Path) -> dict[str, Any]:
    """A file as an experiment names it, by its hash and its place."""
    root = Path.cwd()
    mirror = source.relative_to(root) if source.is_relative_to(root) else source
    return {"file": source.name, "sha256": sha256(source), "mirrors": [str(mirror)]}


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
