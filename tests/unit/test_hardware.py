"""GPUs are known by the files of their drivers; those that `auto` does not look for are named."""

from __future__ import annotations

from pathlib import Path

import pytest

from goodfit.system.hardware import cpu_lacks_bf16, gpus, unseen_accelerators

WSL_FILES = ["dev/dxg", "usr/lib/wsl/lib/libcuda.so.1"]
ROCM_FILES = ["dev/kfd"]


def machine(root: Path, files: list[str]) -> Path:
    """A root folder with these device files."""
    for name in files:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


@pytest.fixture(autouse=True)
def undecided(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


def test_gpus_are_those_that_nvidias_driver_lists(tmp_path: Path) -> None:
    driver = "proc/driver/nvidia/gpus"
    assert gpus(tmp_path) == []
    machine(tmp_path, [f"{driver}/0000:01:00.0", f"{driver}/0000:02:00.0"])
    assert gpus(tmp_path) == ["0", "1"]


@pytest.mark.parametrize(
    ("visible", "expected"),
    [("3", ["3"]), ("GPU-a,GPU-b", ["GPU-a", "GPU-b"]), ("", []), ("-1", [])],
)
def test_the_environment_decides_which_gpus_are_used(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, visible: str, expected: list[str]
) -> None:
    root = machine(tmp_path, ["proc/driver/nvidia/gpus/0000:01:00.0", *WSL_FILES, *ROCM_FILES])
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert gpus(root) == expected
    assert unseen_accelerators(root) == []


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ([], []),
        (["proc/driver/nvidia/gpus/0000:01:00.0"], []),
        (WSL_FILES, ["NVIDIA GPU (WSL2)"]),
        (["dev/dxg"], []),  # a GPU of another maker
        (ROCM_FILES, ["AMD GPU (ROCm)"]),
        ([*WSL_FILES, *ROCM_FILES], ["NVIDIA GPU (WSL2)", "AMD GPU (ROCm)"]),
    ],
)
def test_accelerators_that_auto_does_not_look_for_are_named(
    tmp_path: Path, files: list[str], expected: list[str]
) -> None:
    assert unseen_accelerators(machine(tmp_path, files)) == expected


@pytest.mark.fault(39)
@pytest.mark.parametrize(
    ("flags", "lacks"),
    [
        ("flags\t\t: fpu avx512f avx512_bf16 sse", False),
        ("flags\t\t: fpu amx_bf16 amx_tile", False),
        ("Features\t: fp asimd i8mm bf16 sve", False),
        ("flags\t\t: fpu avx2 avx512f not_bf16", True),
        (None, False),  # nothing is known
    ],
)
def test_a_cpu_without_bf16_is_known_by_its_flags(
    tmp_path: Path, flags: str | None, lacks: bool
) -> None:
    if flags is not None:
        (tmp_path / "proc").mkdir()
        (tmp_path / "proc/cpuinfo").write_text(f"processor\t: 0\n{flags}\n")
    assert cpu_lacks_bf16(tmp_path) is lacks
