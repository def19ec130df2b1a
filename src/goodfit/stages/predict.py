"""A trained model's answers to the rows of a file, part by part, beside the rows themselves."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import pandas as pd

from goodfit import build
from goodfit.config import gallery
from goodfit.data import file_rows, first_bytes, row_files, table_files
from goodfit.data.encodings import Encoding
from goodfit.data.faults import CellsError, Fault
from goodfit.data.file_rows import Filled
from goodfit.data.row_files import Format, Part
from goodfit.errors import OtherVersionError, UserError
from goodfit.paths import Paths, choices
from goodfit.store import answers
from goodfit.store.answers import Answers
from goodfit.store.progress import Progress
from goodfit.system.files import replacing_file
from goodfit.system.units import counted

if TYPE_CHECKING:
    from goodfit.predictor import Predictor

SOME_REFUSED = 3
Fill = Callable[[pd.DataFrame], Filled]
Read = Callable[["Predictor"], Generator[Part, None, None]]
STANDARD = Path("-")  # input or output
PART = 8192  # rows that are read and answered at once
_LISTED = 100  # refused rows that are told one by one
_CELLS = 3  # of such a row
_USAGE = """\
python pipelines/predict.py experiment=<name> <file> [--out <file>]
python pipelines/predict.py model=models:/<name>@champion <file> [--out <file>]

<file> is CSV, Parquet, Arrow or JSON lines, also compressed (.gz), a workbook (.xlsx) or a database
(.sqlite), of which --sheet names one of several sheets or tables, or - for standard input, whose
first bytes tell what it is. The answers stand beside its own columns, in the same order, and are
called predicted_<name> where the file has a column <name>.
--encoding cp1252 names the encoding of a text that is no UTF-8.
--files <folder or archive> holds the images that a column names, beside others.
Of a model of images or sounds it may be a folder of them, an archive (zip, tar) or
one alone: the answers stand beside the name of each file. Without --out they go to standard output,
as CSV or as --format says. A file that exists is written over with --replace alone.
Of series, the file holds the last steps of each, and the answers are the steps ahead, alone.
Exit code 3: some rows were refused; each is told, also one that cannot be read, and its answer
stays empty."""


def main() -> int:
    """Answers the rows of the file that the command line names; 3 where some were refused.

    Raises:
        UserError: the model or the file is not there, or not what it should be.
    """
    options = _options(sys.argv[1:])
    _go_to_repository(options)
    if options.out.exists() and not options.replace:
        raise UserError(f"{options.out} exists; name another file, or add --replace")
    if options.out != STANDARD and options.out.resolve() == options.file.resolve():
        raise UserError(f"--out {options.out} is the file of the rows, which stays as it is")
    with _model(options.model) as folder, ExitStack() as stack:
        taken, read = _input(options, stack)
        given = _format(options.out, options.format or taken)
        predictor = _loaded(folder, options.model)
        with closing(read(predictor)) as rows, _writing(options.out) as target:
            fill = _filling(predictor, options)
            answer = partial(answer_all, fill=fill) if _row_is_sample(predictor) else _answer_apart
            with closing(answers.opened(target, str(options.out), given)) as written:
                refused, count = answer(predictor, rows, written)
    where = "" if options.out == STANDARD else f": {options.out}"
    print(
        f"{counted(count - refused, 'row')} answered, {refused:,} refused{where}", file=sys.stderr
    )
    return SOME_REFUSED if refused else 0


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(usage=_USAGE, add_help=True)
    parser.error = _refuse  # type: ignore[method-assign,assignment]
    parser.add_argument("words", nargs="*")
    parser.add_argument("--out", type=Path, default=STANDARD)
    parser.add_argument("--files", type=Path)
    parser.add_argument("--sheet")
    parser.add_argument("--encoding")
    parser.add_argument("--replace", action="store_true")
    parser.add_argument("--format", choices=sorted(set(row_files.ENDINGS.values())))
    options = parser.parse_args(arguments)
    models = [word for word in options.words if word.startswith(("experiment=", "model="))]
    files = [word for word in options.words if word not in models]
    if len(models) != 1 or len(files) != 1:
        _refuse(f"got {len(models)} models and {len(files)} files, expected one of each")
    options.model, options.file = models[0], Path(files[0])
    return options


def _go_to_repository(options: argparse.Namespace) -> None:
    """To where models and the registry are; the files stay those of the folder it was called in."""
    root = Path(sys.argv[0]).resolve().parents[1]
    if root == Path.cwd():
        return
    for name in ("file", "out", "files"):
        path = getattr(options, name)
        if path not in (STANDARD, None):
            setattr(options, name, path.absolute())
    os.chdir(root)


def _refuse(problem: str) -> None:
    raise UserError(f"{problem}\n{_USAGE}")


def _format(path: Path, asked: Format | None) -> Format:
    """What the name of a file says; of standard output what was asked for, or CSV."""
    if path == STANDARD:
        return asked or "csv"
    return row_files.format_of(path)


def _input(options: argparse.Namespace, stack: ExitStack) -> tuple[Format, Read]:
    """In which format answers are given where nobody says it, and what reads the rows.

    Raises:
        UserError: the file cannot be read, or is none of those that are.
    """
    path, encoding = options.file, Encoding(options.encoding, "--encoding ")
    if path != STANDARD and file_rows.is_files(path):
        return "csv", partial(_files, options=options)
    stream = stack.enter_context(_reading(path))
    if path != STANDARD and table_files.has_sheets(path):
        return "csv", lambda _: table_files.parts(path, options.sheet, PART)
    if options.sheet is not None:
        raise UserError(f"--sheet {options.sheet}: {path} has no sheets; leave it out")
    if path == STANDARD:
        stream, found = first_bytes.recognised(stream)
        form = found or options.format or "csv"
    else:
        form = row_files.format_of(path)
    if encoding.name is not None and form in ("parquet", "arrow"):
        raise UserError(f"--encoding {encoding.name}: {path} is no text; leave it out")
    name = "standard input" if path == STANDARD else str(path)
    return form, lambda _: row_files.parts(name, stream, form, PART, encoding)


@contextmanager
def _model(asked: str) -> Iterator[Path]:
    """The folder of the model that `experiment=` or `model=` names.

    Raises:
        UserError: there is none.
    """
    kind, _, name = asked.partition("=")
    if kind == "experiment":
        folder = Paths(name).model
        if not folder.is_dir():
            raise UserError(f"{folder} does not exist; {_advice(name)}")
        yield folder
    elif name.startswith("models:/"):
        from goodfit.tracking import registry

        with tempfile.TemporaryDirectory() as copy:
            yield registry.fetched(name, Path(copy))
    else:
        yield Path(name)


def _loaded(folder: Path, asked: str) -> Predictor:
    """The model in a folder.

    Raises:
        UserError: it is not whole, or another version of goodfit wrote it.
    """
    from goodfit.predictor import Predictor  # imports torch: after what can be wrong before

    try:
        return Predictor.load(folder)
    except OtherVersionError:
        raise UserError(
            f"{asked}: another version of goodfit wrote the model's files; "
            "MLflow asks it with the code that it came with (README, Use the model), or train it "
            "again with this one"
        ) from None


def _files(predictor: Predictor, options: argparse.Namespace) -> Generator[Part, None, None]:
    """The files of a folder or an archive, for a model of files.

    Raises:
        UserError: the model is of something else.
    """
    from goodfit.data.files import FileDataSet

    kind = build.data_class(predictor.spec)
    if not issubclass(kind, FileDataSet):
        raise UserError(
            f"{options.model} takes rows, no files: expected {options.file} to end with "
            f"{', '.join((*row_files.ENDINGS, *table_files.SHEETS))} or .gz"
        )
    return file_rows.parts(options.file, kind.cell, kind.check_name)


def _advice(experiment: str) -> str:
    if experiment in choices(Path("conf/experiment")):
        return f"make it with `{gallery.command('train', experiment)}`"
    return f"no experiment is named '{experiment}'"


@contextmanager
def _reading(path: Path) -> Iterator[BinaryIO]:
    if path == STANDARD:
        yield sys.stdin.buffer
        return
    try:
        stream = path.open("rb")
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from None
    with stream:
        yield stream


@contextmanager
def _writing(path: Path) -> Iterator[BinaryIO]:
    """A file is there when all rows have been answered, and not before."""
    if path == STANDARD:
        # a reader that has seen enough, as `head`, ends this, too, without a word
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    with replacing_file(path) as part, part.open("wb") as stream:
        yield stream


def _filling(predictor: Predictor, options: argparse.Namespace) -> Fill:
    """What puts the bytes of files into rows that name them: nothing where no folder is given.

    Raises:
        UserError: the folder is not there, or the model takes no files beside its rows.
    """
    if options.files is None:
        return as_they_are
    kind = build.data_class(predictor.spec)
    column = kind.column_of_files(predictor.spec)
    if column is None or file_rows.is_files(options.file):
        raise UserError(f"--files {options.files}: the rows of {options.file} name no files")
    if not options.files.exists():
        raise UserError(f"--files: there is no {options.files}")
    return partial(file_rows.filled, column=column, path=options.files, check=kind.check_name)


def as_they_are(rows: pd.DataFrame) -> Filled:
    """The rows (N, columns), which name no files."""
    return Filled(rows, {})


def answer_all(
    predictor: Predictor, rows: Iterator[Part], written: Answers, fill: Fill = as_they_are
) -> tuple[int, int]:
    """How many rows were refused, and how many there were; each that was is told.

    `fill` makes of a part's rows what the model takes.
    """
    progress = Progress("predicting", None, "row", sys.stderr)
    refused = count = 0
    for part in rows:
        filled = fill(part.rows)
        got, problems = answered(predictor, filled.rows, {**filled.problems, **part.broken})
        for place, problem in sorted(problems.items()):
            refused += 1
            if refused <= _LISTED:
                print(f"{part.where(place)}: {problem}", file=sys.stderr)
        count += len(part.rows)
        # the bytes of a file come back to nobody
        given = part.rows.drop(columns=part.content) if part.content else part.rows
        written.add(given, _beside(given, got))
        progress.show(count)
    if refused > _LISTED:
        print(f"... and {refused - _LISTED:,} more; their answers are empty", file=sys.stderr)
    return refused, count


def _row_is_sample(predictor: Predictor) -> bool:
    """Whether each row is answered by itself; those of a series are together."""
    return build.data_class(predictor.spec).row_is_sample


def _answer_apart(predictor: Predictor, rows: Iterator[Part], written: Answers) -> tuple[int, int]:
    """Answers without the rows that they are of, which are read as a whole; see `answer_all`.

    A blank row is no step of a series, in training neither.

    Raises:
        UserError: a row cannot be read: nobody knows of which series it is.
    """
    parts = list(rows)
    for part in parts:
        for place, problem in part.broken.items():
            raise UserError(f"{part.where(place)} {problem}; a step of a series cannot be left out")
    table = pd.concat([part.rows for part in parts], ignore_index=True)
    numbers = [number for part in parts for number in part.numbers]
    filled = ~(table.isna() | (table == "")).all(axis=1)
    table = table[filled].reset_index(drop=True)
    numbers = [number for number, is_there in zip(numbers, filled, strict=True) if is_there]
    data, answered = build.data_class(predictor.spec), []
    refused = told = 0
    try:
        answered = [predictor.predict(table)]
    except CellsError:
        for some in data.apart(table, predictor.spec):
            try:
                answered.append(predictor.predict(some))
            except CellsError as error:
                refused += len(some)
                for fault in error.faults[: max(_LISTED - told, 0)]:
                    number = numbers[some.index[fault.row - 1]]
                    said = f"{parts[0].place} {number}: column {fault.column} {fault.problem}"
                    print(said, file=sys.stderr)
                told += len(error.faults)
    if told > _LISTED:
        print(f"... and {told - _LISTED:,} more", file=sys.stderr)
    blank = predictor.predict(table.iloc[:0])
    given = pd.concat(answered or [blank], ignore_index=True)
    without = pd.DataFrame(index=given.index)
    without.attrs = parts[0].rows.attrs
    written.add(without, given)
    return refused, len(table)


def answered(
    predictor: Predictor, rows: pd.DataFrame, broken: Mapping[int, str] | None = None
) -> tuple[pd.DataFrame, dict[int, str]]:
    """The answers to rows (N, columns), empty where one was refused; why, by its place.

    Those that are `broken`, as it says by their places, are not asked about.

    Raises:
        UserError: a column is missing.
    """
    tables: dict[tuple[int, ...], pd.DataFrame] = {}
    problems = dict(broken or {})
    whole = [place for place in range(len(rows)) if place not in problems]
    waiting = [whole] if whole else []
    while waiting:
        places = waiting.pop()
        try:
            tables[tuple(places)] = predictor.predict(rows.iloc[places])
        except CellsError as error:
            faults: dict[int, list[Fault]] = {}
            for fault in error.faults:
                faults.setdefault(places[fault.row - 1], []).append(fault)
            problems |= {place: _told(some) for place, some in faults.items()}
            rest = [place for place in places if place not in problems]
            waiting += [rest] if rest else []
        except UserError as error:
            predictor.predict(rows.iloc[:0])  # a column that is missing is no fault of a row
            # a data set that does not say which rows: it is found by halves
            if len(places) == 1:
                problems[places[0]] = str(error)
            else:
                waiting += [places[: len(places) // 2], places[len(places) // 2 :]]

    given = [table.set_index(pd.Index(places)) for places, table in tables.items()]
    blank = [] if given else [predictor.predict(rows.iloc[:0])]
    return pd.concat(given or blank).reindex(range(len(rows))), problems


def _told(faults: Sequence[Fault]) -> str:
    """What is wrong with a row, in a line, whatever the number of its cells."""
    said = [f"column {fault.column} {fault.problem}" for fault in faults[:_CELLS]]
    more = [f"and {len(faults) - _CELLS:,} more cells"] if len(faults) > _CELLS else []
    return "; ".join(said + more)


def _beside(rows: pd.DataFrame, got: pd.DataFrame) -> pd.DataFrame:
    """The answers under names that no column of the rows has."""
    taken = set(rows.columns)
    return got.rename(columns=lambda name: f"predicted_{name}" if name in taken else name)
