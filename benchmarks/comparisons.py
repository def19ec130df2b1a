"""What our way costs beside the plainest way to the same result: ratios, measured in one run.

Both ways take turns, so that other work on the machine slows both alike. A ratio below 1 means that
ours is faster. Data are made here and every file lies in a temporary folder: nothing is fetched,
nothing is kept.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.table import Table

from benchmarks import (
    checkpoints,
    devices,
    files,
    lightning,
    loading,
    memory,
    no_op,
    rows,
    sweeps,
    training,
)
from benchmarks.measure import Result, table

PROTOCOL = """\
Ours and plain in turns; the ratio is the smallest of ours by the smallest of plain, and in brackets
the median of the ratios of neighbours. CPU is the time of all threads of the process, wall what a
clock shows.
"""
_PROTOCOLS = (
    PROTOCOL,
    training.PROTOCOL,
    lightning.PROTOCOL,
    loading.PROTOCOL,
    files.PROTOCOL,
    rows.PROTOCOL,
    no_op.PROTOCOL,
    checkpoints.PROTOCOL,
    devices.PROTOCOL,
    sweeps.PROTOCOL,
    memory.PROTOCOL,
)


def bench(names: Sequence[str]) -> None:
    """Runs the comparisons of these names and prints their tables.

    All of them take about a quarter of an hour on two cores.
    """
    root = Path.cwd()
    print("".join(_PROTOCOLS), flush=True)
    with TemporaryDirectory() as folder, contextlib.chdir(folder):
        tables = _tables(names, root)
    for each in tables:
        Console(width=120).print(each)  # piped, the width would be 80, and the rows would break


def _tables(names: Sequence[str], root: Path) -> list[Table | str]:
    with_plain_way: dict[str, Callable[[], list[Result]]] = {
        "cnn": lambda: [training.cnn(root)],
        "mlp": lambda: [training.mlp(root)],
        "lightning": lambda: [lightning.mlp(root)],
        "batches": lambda: [loading.batches(5)],
        "no-op": lambda: [no_op.nothing_to_do(root, 3)],
        "checkpoints": lambda: checkpoints.checkpoints(10),
        "sampler": lambda: [loading.sampler(20)],
        "ragged": lambda: loading.ragged(20),
        "files": lambda: files.files(2),
        "rows": lambda: rows.rows(root),
    }
    results: list[Result] = []
    for name in names:
        if name in with_plain_way:
            results += with_plain_way[name]()

    tables: list[Table | str] = []
    if results:
        tables.append(table(results))
    if "devices" in names:
        tables.append(devices.table(devices.devices(root, 3)))
    if "gpu" in names:
        tables.append(devices.gpu_line(devices.gpu(root)))
    if "sweeps" in names:
        tables.append(sweeps.table(*sweeps.bench(root, 3)))
    if "memory" in names:
        tables += memory.tables(memory.bench(root))
    return tables
