"""What somebody's own data have in common as a command line names them, whatever they are."""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import yaml
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.markup import escape
from rich.table import Column, Table
from rich.text import Text

from goodfit.config.check import hyperparameters
from goodfit.config.experiment_file import ExperimentFile
from goodfit.config.values import check_value
from goodfit.data.delimited import normal
from goodfit.data.faults import one_line
from goodfit.data.look import Seen
from goodfit.data.split import SPLITS
from goodfit.errors import UserError, nearest
from goodfit.metrics.weighted_arrays import effective
from goodfit.system.files import sha256

_CONF = Path("conf/data")
_PATHS = ("name", "source", "split", "folder")  # taken letter by letter
# columns and the like: taken as texts, whatever YAML would make of them
_NAMES: tuple[str, ...] = ("target", "text", "image", "sound", "group", "time", "assigned", "sheet")
_NAMES += ("encoding", "weight", "drop", "known", "observed", "order")
COLUMNS = ("text", "group", "time", "assigned", "weight")  # options that name a column
_SHOWN = 60  # rows of the printed table
_BETWEEN = 2  # letters before, between and behind the columns of a table
_NARROW = 80  # letters of a terminal; in fewer, columns of a table are slits
# of a rare class; of balanced accuracy, the threshold would have to be chosen first
UNFLATTERED = "average_precision"


class Parts(NamedTuple):
    """The parts of an experiment that fit data and target, and a word about the network."""

    model: str
    task: str
    baselines: list[str]
    network: str
    lr: float
    # samples of a step, and epochs, where rows do not decide
    lengths: tuple[int, int] | None = None
    augment: str | None = None


class Looked(NamedTuple):
    """What a look at data says: a table, lines with reasons, notes, and the experiment for them."""

    printed: RenderableType
    told: list[str]
    notes: list[str]
    file: ExperimentFile


def words(usage: str) -> tuple[dict[str, Any], Path]:
    """What the command line says by its keys, and the folder in which it was called.

    From then on the repository's is the current one. In the form in which messages advise options,
    data.drop=[a], they are taken, too.

    Raises:
        UserError: a word is no key=value, cannot be read, or has a key that is given already.
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
    content: dict[str, Any] = {}
    read: Any = OmegaConf.create()
    for argument in arguments:
        key, _, text = argument.removeprefix("data.").partition("=")
        if key in content or OmegaConf.select(read, key) is not None:
            raise UserError(f"{key}=... is given twice; name it once")
        if key in _PATHS:
            content[key] = text
        elif key in _NAMES:
            content[key] = _names(argument, text)
        else:
            read = OmegaConf.merge(read, _value(argument, key, text))
    values: Any = OmegaConf.to_container(read)
    return content | values, here


def _names(argument: str, text: str) -> Any:
    """A name as it stands, or several in brackets: `2024` and `yes` are names, too.

    Raises:
        UserError: brackets or quotes are left open.
    """
    if text in ("", "null"):
        return None
    if not text.startswith(("[", "{", '"', "'")):
        return text
    try:
        return yaml.load(text, Loader=yaml.BaseLoader)  # noqa: S506 - it makes texts alone
    except yaml.YAMLError:
        raise UserError(f"{argument} cannot be read; expected a name, or names: [a, b]") from None


def _value(argument: str, key: str, text: str) -> DictConfig:
    """An option by its dotted key, with the value that YAML reads.

    Raises:
        UserError: it is no YAML.
    """
    try:
        return OmegaConf.from_dotlist([f"{key}={text}"])
    except (OmegaConfBaseException, yaml.YAMLError):
        raise UserError(f"{argument} cannot be read; expected {key}=<value>") from None


def found(content: Mapping[str, Any], here: Path, usage: str, key: str = "source") -> Path:
    """The path that the command line names by a key.

    Raises:
        UserError: it names none, or nothing is there.
    """
    if content.get(key) is None:
        raise UserError(f"{key}=... is missing\n{usage}")
    try:
        path = here / Path(str(content[key])).expanduser()
        is_there = path.exists()
    except (OSError, RuntimeError) as error:  # a name too long, or ~ of nobody
        raise UserError(f"{key}: {content[key]} is no path: {error}") from None
    if not is_there:
        raise UserError(f"{key}: there is no {path}")
    if not os.access(path, os.R_OK):
        raise UserError(f"{key}: {path} is not yours to read")
    return path


def file_of_rows(path: Path, key: str = "source") -> Path:
    """The file itself that a key names, where it can be one of rows.

    Raises:
        UserError: it is empty or a folder, or a database has changes beside it.
    """
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


def check_known(
    data: str, given: Iterable[str], set_otherwise: Collection[str], usage: str
) -> None:
    """What is given are options of conf/data/<data>.yaml, but for those `set_otherwise`.

    Raises:
        UserError: one is not; those of other parts with where they go.
    """
    config = OmegaConf.load("conf/config.yaml")
    groups = {group for entry in config.defaults for group in _groups(entry)}
    options = OmegaConf.load(_CONF / f"{data}.yaml")
    known = sorted(set(map(str, options)) - {"_target_", "sources", *set_otherwise})
    parts = {*map(str, config), *groups} - {*known, "name", "data", "experiment"}
    for key in given:
        if key in known:
            continue
        if key in parts:
            raise UserError(_of_other_parts(parts))
        raise UserError(f"unknown option '{key}'.{nearest(key, known)}\n{usage}")


def _groups(entry: Any) -> list[str]:
    """The group of which an entry of the defaults chooses; none for `_self_`."""
    return list(map(str, entry)) if OmegaConf.is_dict(entry) else []


def _of_other_parts(parts: Collection[str]) -> str:
    """Where words of the command line go whose keys are of these parts of the configuration."""
    words = [word for word in sys.argv[1:] if re.split(r"[.=]", word)[0] in parts]
    names = [word.partition("=")[2] for word in sys.argv[1:] if word.startswith("name=")]
    name, asked = (names or ["<name>"])[0], shlex.join(words)
    return (
        f"{asked}: not of the data, whose options alone are taken here; leave it out, and once "
        f"conf/experiment/{name}.yaml is written, set it there, or: "
        f"`python pipelines/train.py experiment={name} {asked}`"
    )


def with_defaults(data: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """All options of conf/data/<data>.yaml, with the values that are given.

    Raises:
        UserError: a value is of another type.
    """
    options: Any = OmegaConf.to_container(OmegaConf.load(_CONF / f"{data}.yaml"))
    types = hyperparameters(options.pop("_target_"))
    for key, value in given.items():
        check_value(f"data.{key}", types[key], value)
    return {**options, **given}


def check_columns(file: str, cells: pd.DataFrame, names: Iterable[str]) -> None:
    """A table has rows, and the columns that are named.

    Raises:
        UserError: it lacks them.
    """
    if cells.empty:
        raise UserError(f"{file} has no rows below its header")
    known = list(map(str, cells))
    for name in names:
        if name not in known:
            hint = nearest(name, known)
            has = "" if hint.startswith(" Known") else f" It has: {', '.join(known)}"
            raise UserError(f"{file} has no column '{name}'.{hint}{has}")


def pinned(source: Path) -> dict[str, Any]:
    """A file as an experiment names it: where it is, and its hash."""
    return {"file": source.name, "sha256": sha256(source), "mirrors": [place(source)]}


def place(source: Path) -> str:
    """A path as an experiment names it: from the repository, where it lies in that."""
    root = Path.cwd()
    return str(source.relative_to(root) if source.is_relative_to(root) else source)


def explained(parts: Parts, why: str, rule: str, counts: Mapping[str, int]) -> list[str]:
    """The parts and the split that were chosen, each with its reason."""
    split = ", ".join(f"{count:,} {name}" for name, count in counts.items())
    *others, last = parts.baselines
    against = f"{', '.join(others)} and {last}" if others else last
    better = ["it", "the better one on validation", "the best one on validation"][
        min(len(others), 2)
    ]
    return [
        f"[bold]task[/]    {parts.task}: {escape(why)}",
        f"[bold]split[/]   {escape(rule)}: {split}",
        f"[bold]network[/] {parts.model}, {escape(parts.network)}; another one: model=...",
        f"[bold]against[/] {against}: the verdict is against {better}",
    ]


def weighed(column: str | None, rows: pd.DataFrame, splits: np.ndarray[Any, Any]) -> list[str]:
    """By which column rows (N,) of `splits` (N,) count, and how many tell as much; or nothing."""
    if column is None:
        return []
    column = normal(column)
    if column not in rows:
        return [f"[bold]weight[/]  '{escape(column)}' is the same in all rows: they count alike"]
    told = []
    for split in SPLITS:
        weights = rows[column].to_numpy()[splits == split]
        told.append(f"{len(weights):,} of {split} as much as {effective(weights):,}")
    return [
        f"[bold]weight[/]  rows count by '{escape(column)}', in the loss, in scores and for the "
        f"baselines; they tell what as many of equal weight would: {', '.join(told)}"
    ]


def experiment(
    name: str,
    about: str,
    parts: Parts,
    choice: str,
    data: Mapping[str, Any],
    lengths: tuple[int, int],
    **sections: Any,
) -> ExperimentFile:
    """The experiment of these parts, and of `data`, the options of a `choice` of conf/data.

    `lengths` are samples of a step, and epochs.
    """
    size, epochs = lengths
    augment = {"augment": parts.augment} if parts.augment else {}
    return ExperimentFile(
        name=name,
        about=about,
        choices={
            "data": choice,
            "model": parts.model,
            "task": parts.task,
            "baseline": parts.baselines,
            **augment,
        },
        sections={
            "data": data,
            **sections,
            "loader": {"batch_size": size},
            "trainer": {"max_epochs": epochs},
            "optimizer": {"lr": parts.lr},
        },
    )


def printed(
    titles: Sequence[str], rows: Sequence[Sequence[str]], dim: Collection[int]
) -> RenderableType:
    """A table for a terminal, or lines for a narrow one; rows with a number in `dim` stand back."""
    rows = [list(map(one_line, row)) for row in rows]
    more = f"and {len(rows) - _SHOWN} more, as the page of the experiment lists"
    hidden = [more] if len(rows) > _SHOWN else []
    # no word is cut: of half an option or name nobody can make use
    shown = [titles, *rows[:_SHOWN]]
    longest = [max(map(_longest_word, cells)) for cells in zip(*shown, strict=True)]
    columns = [Column(title, min_width=width) for title, width in zip(titles, longest, strict=True)]
    table = Table(
        *columns, box=SIMPLE_HEAD, collapse_padding=True, caption=more if hidden else None
    )
    for number, row in enumerate(rows[:_SHOWN]):
        table.add_row(*map(escape, row), style="dim" if number in dim else "")
    needed = sum(longest) + _BETWEEN * (len(longest) + 1)
    if max(needed, _NARROW) > Console().width:
        lines = []
        for first, *others in rows[:_SHOWN]:
            told = [
                f"{title} {cell}" for title, cell in zip(titles[1:], others, strict=True) if cell
            ]
            lines.append(Text(f"{first}: {'; '.join(told)}"))
        return Group(*lines, *hidden)
    return table


def _longest_word(text: str) -> int:
    """How many letters wide its longest word is on a terminal."""
    return max(map(cell_len, text.split()), default=0)


def printed_columns(columns: Sequence[Seen]) -> RenderableType:
    """One row for each column of a file."""
    rows = [
        (
            column.name,
            column.read_as or "left out",
            f"{column.missing:.1%}" if column.missing else "",
            f"{column.distinct:,}",
            column.example,
            column.why,
        )
        for column in columns
    ]
    titles = ("column", "read as", "missing", "distinct", "example", "why")
    return printed(titles, rows, [place for place, one in enumerate(columns) if not one.read_as])
