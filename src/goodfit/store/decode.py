"""Somebody's files are decoded once, in parallel, and what is done is not done again.

Faulty files are found here, all of them in one table. Letters: N files, B files of a chunk.
"""

from __future__ import annotations

import csv
import hashlib
import inspect
import multiprocessing
import shutil
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from goodfit.data import decoded
from goodfit.data.files import FileDataSet, copies
from goodfit.errors import UserError
from goodfit.store.pack import PATIENCE
from goodfit.store.progress import Progress
from goodfit.system.files import sha256
from goodfit.system.hardware import cores
from goodfit.system.processes import exit_with_parent

Raw = Mapping[str, Path]
_LISTED = 20
_ON_THE_WAY = 256 * 2**20  # bytes of files that wait for a process, at most, besides one chunk
_BY_THREADS = 3  # cores: two thirds of the time, a thread that decodes gives up Python's lock
_LESS = "lower data.max_pixels or the like; the same command goes on"
_TABLE = "faults.csv"
_NO_CLASS = "lies in no sub-folder, so it has no class"


class _Chunk(NamedTuple):
    """Files that are decoded together: their number, names and contents."""

    number: int
    names: list[str]
    contents: list[bytes]

    @property
    def size(self) -> int:
        """Bytes of all contents."""
        return sum(map(len, self.contents))


def decode_files(
    data: FileDataSet, raw: Raw, rows: pd.DataFrame, work: Path, hashes: Mapping[str, str]
) -> tuple[Raw, pd.DataFrame, dict[str, str]]:
    """The raw files with the folder of decoded ones, the rows of good files, the others' faults.

    Rows (N, columns) keep their numbers. In `work` stays what was decoded with the same settings,
    of an archive with the same hash, by the same code, until `discard`.

    Raises:
        UserError: files have faults, and the policy is to fail, or they are too many. The message
            lists the first of them, and names the table of all.
    """
    folder = work / _key(data, hashes)
    for other in work.glob("*"):
        if other != folder and other.is_dir():
            shutil.rmtree(other)
    folder.mkdir(parents=True, exist_ok=True)
    decoded.forget()
    _decode_all(data, raw, list(rows["file"]), folder)
    faults = _faults(data, rows, folder)
    if faults:
        _write_table(work / _TABLE, faults)
        _judge(
            data, ", ".join(path.name for path in raw.values()), faults, len(rows), work / _TABLE
        )
    good = rows[~rows["file"].isin(list(faults))]
    return {**raw, decoded.DECODED: folder}, good, faults


def discard(work: Path) -> None:
    """Deletes what `decode_files` has left in `work`, where there is anything."""
    decoded.forget()
    shutil.rmtree(work, ignore_errors=True)


def _key(data: FileDataSet, hashes: Mapping[str, str]) -> str:
    """One name for all that decides what is decoded."""
    code = []
    for each in type(data).__mro__:
        if each.__module__.startswith("goodfit."):
            code.append(sha256(Path(inspect.getfile(each))))
    content = repr((sorted(hashes.items()), sorted(data.decoding().items()), code, data.chunk))
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def _decode_all(data: FileDataSet, raw: Raw, names: list[str], folder: Path) -> None:
    """Writes the chunks that are not there.

    Raises:
        UserError: memory ran out; what was written stays.
    """
    count = -(-len(names) // data.chunk)
    missing = [number for number in range(count) if not decoded.is_whole(folder, number)]
    done = len(names) - sum(len(_part(names, number, data.chunk)) for number in missing)
    progress = Progress("decoding", len(names), "file", before=done)
    if done:
        print(f"decoding: {done:,} of {len(names):,} files were decoded before", flush=True)
    try:
        for finished in _written(data, _chunks(data, raw, names, missing), folder, len(missing)):
            done += finished
            progress.show(done)
    except MemoryError:
        raise UserError(
            f"memory ran out while files were decoded for {type(data).__name__}; {_LESS}"
        ) from None


def _part(names: list[str], number: int, size: int) -> list[str]:
    return names[number * size : (number + 1) * size]


def _chunks(data: FileDataSet, raw: Raw, names: list[str], numbers: list[int]) -> Iterator[_Chunk]:
    """The files of each chunk, read one after the other: archives have their order."""
    wanted = [name for number in numbers for name in _part(names, number, data.chunk)]
    contents = data.contents(raw, wanted)
    for number in numbers:
        part = _part(names, number, data.chunk)
        some = list(islice(contents, len(part)))
        assert [name for name, _ in some] == part
        yield _Chunk(number, part, [content for _, content in some])


def _written(
    data: FileDataSet, chunks: Iterator[_Chunk], folder: Path, count: int
) -> Iterator[int]:
    """How many files each chunk had: by threads, which start at once, as far as they keep up."""
    started, done = time.monotonic(), 0

    def is_short() -> bool:
        seconds = time.monotonic() - started
        # the first chunk alone may have waited for a disk or a library
        is_known = done and seconds > PATIENCE / 10
        return not is_known or seconds / done * (count - done) <= PATIENCE

    many = len(cores()) > _BY_THREADS
    if len(cores()) == 1:
        yield from (_write(data, chunk, folder) for chunk in chunks)
        return
    with ThreadPoolExecutor(len(cores())) as pool:
        for files in _in_turns(pool, data, _while(is_short, chunks) if many else chunks, folder):
            done += 1
            yield files
    if done < count:
        yield from _written_in_processes(data, chunks, folder)


def _while(wanted: Callable[[], bool], chunks: Iterator[_Chunk]) -> Iterator[_Chunk]:
    while wanted() and (chunk := next(chunks, None)):
        yield chunk


def _written_in_processes(
    data: FileDataSet, chunks: Iterator[_Chunk], folder: Path
) -> Iterator[int]:
    processes = len(cores())
    # spawned: a fork of a process with threads may hang
    context = multiprocessing.get_context("spawn")
    print(f"decoding in {processes} processes ...", flush=True)
    with ProcessPoolExecutor(processes, context, exit_with_parent) as pool:
        try:
            yield from _in_turns(pool, data, chunks, folder)
        except BrokenProcessPool:
            raise UserError(
                f"a process that decoded files for {type(data).__name__} was killed; where memory "
                f"ran out, {_LESS}"
            ) from None


def _in_turns(
    pool: Executor, data: FileDataSet, chunks: Iterator[_Chunk], folder: Path
) -> Iterator[int]:
    """How many files each chunk had, in their order; the pool has as many workers as cores."""
    pending: deque[tuple[Future[int], int]] = deque()
    try:
        for chunk in chunks:
            pending.append((pool.submit(_write, data, chunk, folder), chunk.size))
            # one more than there are workers, so that none waits for the reading
            while len(pending) > len(cores()) or (
                len(pending) > 1 and sum(size for _, size in pending) > _ON_THE_WAY
            ):
                yield pending.popleft()[0].result()
        while pending:
            yield pending.popleft()[0].result()
    finally:
        for future, _ in pending:  # of a pass that was stopped
            future.cancel()


def _write(data: FileDataSet, chunk: _Chunk, folder: Path) -> int:
    decoded.write(folder, chunk.number, data.decode_chunk(chunk.names, chunk.contents))
    return len(chunk.names)


def _faults(data: FileDataSet, rows: pd.DataFrame, folder: Path) -> dict[str, str]:
    """What is wrong with each faulty file, by its name, in the order of the rows."""
    problems: list[str | None] = []
    digests: list[str] = []
    for number in range(-(-len(rows) // data.chunk)):
        found, some = decoded.facts(folder, number)
        problems += [found.get(place) for place in range(len(some))]
        digests += some
    table = rows.assign(
        problem=pd.Series(problems, rows.index, object), digest=pd.Series(digests, rows.index)
    )
    table.loc[table["label"] == "", "problem"] = _NO_CLASS
    return _problems(table, data.may_repeat)


def _problems(table: pd.DataFrame, may_repeat: bool) -> dict[str, str]:
    """The problems of a table with file, label, problem and digest: copies may have one, too."""
    faulty = table[table["problem"].notna()]
    faults: dict[str, str] = dict(zip(faulty["file"], faulty["problem"], strict=True))
    if not may_repeat:
        faults |= copies(table[table["problem"].isna()])
    return {name: faults[name] for name in table["file"] if name in faults}


def _write_table(path: Path, faults: Mapping[str, str]) -> None:
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["file", "problem"])
        writer.writerows(faults.items())


def _judge(
    data: FileDataSet, name: str, faults: Mapping[str, str], count: int, table: Path
) -> None:
    """Prints the faults where they are left out, and else refuses all of the files."""
    share = len(faults) / count
    width = max(len(file) for file in list(faults)[:_LISTED])
    lines = [f"  {file:<{width}}  {problem}" for file, problem in list(faults.items())[:_LISTED]]
    if len(faults) > _LISTED:
        lines.append(f"  ... and {len(faults) - _LISTED:,} more")
    listed = "\n".join(lines)
    number = f"{len(faults):,} of {count:,} files ({100 * share:.2g} %)"
    bound = f"data.most_faults={data.most_faults:g}"
    if data.faults == "quarantine" and share <= data.most_faults:
        print(f"{name}: {number} are left out:\n{listed}", flush=True)
        return
    if data.faults == "quarantine":
        advice = f"more than {bound} allows; mend or delete them, or raise it"
    else:
        advice = f"mend or delete them, or data.faults=quarantine leaves out what {bound} allows"
    raise UserError(f"{name}: {number} cannot be used; {advice} (all: {table}):\n{listed}")
