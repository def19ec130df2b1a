"""Of a file larger than memory the kernel reads what is asked for, and the limit is known."""

from __future__ import annotations

import os
import resource
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from goodfit.contract import DataSpec, Field
from goodfit.store.arrays import Packed
from goodfit.system import paging

MACHINE = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
V2, V1 = "0::/job/step\n", "5:cpu:/\n4:memory:/job\n1:name=systemd:/\n0::/\n"


@pytest.mark.parametrize(
    ("groups", "files", "limit"),
    [
        (V2, {}, MACHINE),
        (V2, {"job/step/memory.max": "max\n"}, MACHINE),
        (V2, {"job/step/memory.max": "600000000\n"}, 600_000_000),
        (V2, {"job/step/memory.max": "max\n", "job/memory.max": "300000000\n"}, 300_000_000),
        # in a container, whose own group is the root that it sees
        (V2, {"memory.max": "500000000\n"}, 500_000_000),
        (V1, {"memory/job/memory.limit_in_bytes": "400000000\n"}, 400_000_000),
        # how version 1 writes that there is no limit
        (V1, {"memory/memory.limit_in_bytes": "9223372036854771712\n"}, MACHINE),
    ],
)
def test_the_limit_of_a_container_is_the_memory(
    groups: str, files: dict[str, str], limit: int, tmp_path: Path
) -> None:
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text(groups)
    for name, content in files.items():
        path = tmp_path / "sys/fs/cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    assert paging.memory_limit(tmp_path) == limit


def test_without_control_groups_the_memory_is_that_of_the_machine(tmp_path: Path) -> None:
    assert paging.memory_limit(tmp_path) == MACHINE


ROWS, WIDTH = 1_000, 20_000  # 80 MB


def prepared(folder: Path) -> Path:
    spec = DataSpec(
        data="tests",
        kind="number",
        outputs=1,
        inputs={"numbers": Field((WIDTH,), "float32"), "text": Field((None, 4), "float32")},
        targets={"target": Field((), "float32")},
    )
    spec.write(folder / "spec.json")
    (folder / "train").mkdir()
    numbers = np.arange(ROWS, dtype=np.float32)
    np.save(folder / "train/numbers.npy", np.repeat(numbers[:, None], WIDTH, 1))
    np.save(folder / "train/target.npy", numbers)

    lengths = 1 + np.arange(ROWS) % 7
    text = np.repeat(numbers, lengths)[:, None] + np.zeros(4, np.float32)
    np.save(folder / "train/text.npy", np.concatenate([text, np.zeros((7, 4), np.float32)]))
    np.save(folder / "train/text.offsets.npy", np.concatenate([[0], np.cumsum(lengths)]))
    return folder


def forget(path: Path) -> None:
    """No page of the file is in memory any more."""
    with path.open("rb") as stream:
        os.fsync(stream.fileno())
        os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def read_from_disk(data: Packed, rows: Tensor) -> int:
    """The bytes that came from the disk for one batch of the rows (B,)."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_inblock
    data.batch(rows)
    return 512 * (resource.getrusage(resource.RUSAGE_SELF).ru_inblock - before)


@pytest.mark.skipif(sys.platform != "linux", reason="counts the blocks of Linux")
def test_of_arrays_beyond_memory_only_the_rows_of_a_batch_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = prepared(tmp_path)
    rows = torch.arange(50, ROWS, 100)
    read = {}
    for memory in (10**12, 10**8):
        monkeypatch.setattr(paging, "memory_limit", lambda memory=memory: memory)
        data = Packed(folder, "train").only(["numbers"])
        forget(folder / "train/numbers.npy")
        read[memory] = read_from_disk(data, rows)
    if read[10**12] == 0:
        pytest.skip("this folder lies in memory")
    asked = len(rows) * 4 * WIDTH
    assert asked <= read[10**8] < 2 * asked
    assert read[10**12] > 3 * asked  # or the advice would change nothing


def test_batches_are_the_same_whatever_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = prepared(tmp_path)
    rows = torch.tensor([999, 0, 5, 5, 42])
    ample = Packed(folder, "train").batch(rows)
    monkeypatch.setattr(paging, "memory_limit", lambda: 10**6)
    scarce = Packed(folder, "train").batch(rows)
    assert scarce.inputs["numbers"][:, 0].tolist() == rows.tolist()
    assert scarce.inputs["text"][0, :6, 0].tolist() == [999.0] * 6
    for name, values in {**ample.inputs, **ample.targets}.items():
        assert torch.equal(values, {**scarce.inputs, **scarce.targets}[name])
