"""A split is encoded in chunks and written as it comes: memory holds a few chunks, not the split.

Letters: N samples of the split, B samples of a chunk.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import time
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO, Self

import numpy as np
import pandas as pd

from goodfit.contract import DataSpec, Field
from goodfit.data import digests
from goodfit.data.base import Array, DataSet, Encoded
from goodfit.errors import UserError
from goodfit.store.manifest import CLUSTERS, OFFSETS, WEIGHTS
from goodfit.store.progress import Progress
from goodfit.system import paging
from goodfit.system.hardware import cores
from goodfit.system.processes import exit_with_parent

Raw = Mapping[str, Path]
# seconds of work left from which other processes are started: each needs two to import pandas
PATIENCE = 10.0
_OF_A_PROCESS = 2**29  # bytes: 150 MB are imports, the others what is on its way to it and back


def pack(data: DataSet, raw: Raw, rows: pd.DataFrame, spec: DataSpec, folder: Path) -> Array:
    """Encodes the rows of a split and writes each array to `folder`; a digest of each, (N, 16).

    Equal inputs have equal digests. Where encoding takes long, as many chunks as there are cores
    are encoded at once; they are written in the order of the rows, so the files do not depend on
    that.

    Raises:
        UserError: a value is not finite, an input is ragged and empty, or a process that encodes
            was killed.
    """
    fields = spec.inputs | spec.targets
    taken = {CLUSTERS, WEIGHTS} & fields.keys()
    assert not taken, f"an array may not be named {taken}"
    folder.mkdir()
    found = np.zeros((len(rows), digests.SIZE), np.uint8)
    done = 0
    progress = Progress(f"encoding {folder.name}", len(rows))
    with ExitStack() as stack:
        writers: dict[str, _Dense | _Ragged] = {}
        for name, field in fields.items():
            writers[name] = _writer(folder, name, field, len(rows))
            stack.enter_context(writers[name])
        for encoded in _encoded(data, raw, rows, spec):
            for name, samples in encoded.items():
                _check(name, samples, fields[name], folder.name, is_input=name in spec.inputs)
                writers[name].append(samples)
            some = _digests([encoded[name] for name in sorted(spec.inputs)])
            found[done : done + len(some)] = some
            done += len(some)
            progress.show(done)
    return found


def chunks(data: DataSet, rows: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """The rows in parts that are loaded and encoded together; one empty part of no rows."""
    size = data.at_once(rows)
    for first in range(0, max(len(rows), 1), size):
        yield rows.iloc[first : first + size]


def _encoded(
    data: DataSet, raw: Raw, rows: pd.DataFrame, spec: DataSpec
) -> Iterator[dict[str, Encoded]]:
    """The arrays of each chunk, in order: the first ones from this process, to see what is left."""
    parts = list(chunks(data, rows))
    started = time.monotonic()
    for done, part in enumerate(parts):
        seconds = time.monotonic() - started
        # the first chunk alone may have waited for a disk or a library
        is_known = done and seconds > PATIENCE / 10
        if is_known and _processes() > 1 and seconds / done * (len(parts) - done) > PATIENCE:
            yield from _encoded_in_processes(data, raw, parts[done:], spec)
            return
        yield data.encode_chunk(raw, part, spec)


def _processes() -> int:
    """One for each core, as far as memory holds them."""
    return min(len(cores()), paging.memory_limit() // _OF_A_PROCESS)


def _encoded_in_processes(
    data: DataSet, raw: Raw, parts: list[pd.DataFrame], spec: DataSpec
) -> Iterator[dict[str, Encoded]]:
    # spawned: a fork of a process with threads may hang; it imports the data set's file alone
    context = multiprocessing.get_context("spawn")
    processes = min(_processes(), len(parts))
    print(f"encoding {len(parts)} chunks in {processes} processes ...", flush=True)
    with ProcessPoolExecutor(processes, context, exit_with_parent) as pool:
        pending: deque[Future[dict[str, Encoded]]] = deque()
        try:
            for part in parts:
                pending.append(pool.submit(data.encode_chunk, raw, part, spec))
                # one more than there are processes, so that none waits for the writing
                if len(pending) > processes:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        except BrokenProcessPool:
            raise UserError(
                f"a process that encoded {len(parts[0])} samples of {type(data).__name__} was "
                "killed; where memory ran out, lower its `chunk`"
            ) from None


def _check(name: str, samples: Encoded, field: Field, split: str, *, is_input: bool) -> None:
    """What is encoded is what the spec says; the first two are defects of the data set's class."""
    parts = samples if isinstance(samples, list) else [samples]
    for part in parts:
        expected = field.sized(len(part)) if field.is_ragged else (len(samples), *field.fixed_shape)
        assert part.shape == expected, (name, part.shape, field)
        assert str(part.dtype) == field.dtype, (name, part.dtype, field)
        if part.dtype.kind == "f" and not np.isfinite(part).all():
            raise UserError(
                f"{name} of {split} holds values that are not finite; mend the raw data"
            )
        if field.is_ragged and is_input and not len(part):
            raise UserError(
                f"{name} of {split} holds a sample of length 0, which no network can read; "
                "drop it in `read`, or encode it as one unknown element"
            )


def _digests(inputs: list[Encoded]) -> Array:
    """A digest of each sample's inputs, (B, 16), however large the sample is."""
    dense = [each for each in inputs if isinstance(each, np.ndarray)]
    if len(dense) == len(inputs):
        return digests.of_arrays(dense)
    known = bytearray()
    for sample in zip(*inputs, strict=True):
        digest = hashlib.blake2b(digest_size=digests.SIZE)
        for array in sample:
            digest.update(str(array.shape).encode())
            digest.update(np.ascontiguousarray(array).tobytes())
        known += digest.digest()
    return np.frombuffer(known, np.uint8).reshape(-1, digests.SIZE)


class _Dense:
    """Writes samples of one shape one after the other, behind how many there will be.

    In half the time that a mapped file takes, whose pages the kernel would make and sync.
    """

    def __init__(self, path: Path, field: Field, samples: int) -> None:
        self._stream = path.open("wb")
        _write_header(self._stream, field, (samples, *field.fixed_shape))

    def append(self, samples: Encoded) -> None:
        """The next samples, (B, ...)."""
        self._stream.write(np.ascontiguousarray(samples).data)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()


class _Ragged:
    """Writes samples of different lengths one after the other, and their offsets at the end."""

    def __init__(self, path: Path, field: Field) -> None:
        self._path, self._field = path, field
        self._stream = path.open("wb")
        self._lengths: list[int] = []
        _write_header(self._stream, field, field.sized(0))

    def append(self, samples: Encoded) -> None:
        """The next samples, B arrays (L, ...) of lengths of their own."""
        for sample in samples:
            self._stream.write(np.ascontiguousarray(sample).tobytes())
            self._lengths.append(len(sample))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        with self._stream:
            if kind is None:
                self._finish()

    def _finish(self) -> None:
        """Behind the last sample follow as many elements as the longest has: see `Ragged`."""
        longest = max(self._lengths, default=0)
        padding = np.full(self._field.sized(longest), self._field.fill, self._field.dtype)
        self._stream.write(padding.tobytes())
        self._stream.seek(0)
        # NumPy leaves room for the first size to grow: a header that is written again fits
        elements = sum(self._lengths) + longest
        _write_header(self._stream, self._field, self._field.sized(elements))
        offsets = np.concatenate([[0], np.cumsum(self._lengths)]).astype(np.int64)
        np.save(self._path.with_suffix(f"{OFFSETS}.npy"), offsets)


def _write_header(stream: BinaryIO, field: Field, shape: tuple[int, ...]) -> None:
    """What a file of NumPy begins with."""
    header = {
        "descr": np.lib.format.dtype_to_descr(np.dtype(field.dtype)),
        "fortran_order": False,
        "shape": shape,
    }
    np.lib.format.write_array_header_1_0(stream, header)


def _writer(folder: Path, name: str, field: Field, samples: int) -> _Dense | _Ragged:
    path = folder / f"{name}.npy"
    return _Ragged(path, field) if field.is_ragged else _Dense(path, field, samples)
