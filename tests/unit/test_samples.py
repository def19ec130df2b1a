"""The committed samples are what samples/make.py writes, and small."""

from __future__ import annotations

import bz2
import gzip
import importlib.util
import lzma
from pathlib import Path
from types import ModuleType

import pytest
import tiny

from goodfit.data import electricity


def made() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make", tiny.SAMPLES / "make.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def unpacked(path: Path) -> bytes:
    openers = {".gz": gzip.open, ".bz2": bz2.open, ".compress": lzma.open}
    with openers.get(path.suffix, open)(path, "rb") as stream:  # type: ignore[operator]
        return bytes(stream.read())


@pytest.mark.parametrize("name", sorted(made().contents()))
def test_a_sample_is_what_the_script_makes(name: str, tmp_path: Path) -> None:
    script = made()
    if name.endswith(".compress"):  # the bytes of a pickle depend on the version of pandas
        again = tmp_path / name
        again.write_bytes(script.packed(name, script.contents()[name]))
        assert electricity.read_pickle(tiny.SAMPLES / name).equals(electricity.read_pickle(again))
    else:
        assert unpacked(tiny.SAMPLES / name) == script.contents()[name]


def test_no_sample_is_left_without_its_script() -> None:
    kept = {path.name for path in tiny.SAMPLES.iterdir() if path.is_file()} - {"make.py"}
    assert kept - {f"{name}.yaml" for name in tiny.names("data")} == set(made().contents())


def test_samples_are_less_than_60_kb() -> None:
    assert sum(path.stat().st_size for path in tiny.SAMPLES.glob("*.*")) < 60_000
