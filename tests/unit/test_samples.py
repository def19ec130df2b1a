"""The committed samples are what samples/make.py writes, and small."""

from __future__ import annotations

import bz2
import gzip
import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
import tiny

from goodfit.data import pickled
from goodfit.system.archive import members


def script() -> ModuleType:
    """The script beside the samples, which is in no package."""
    spec = importlib.util.spec_from_file_location("make", tiny.SAMPLES / "make.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def unpacked(path: Path) -> bytes:
    decompress = {".gz": gzip.decompress, ".bz2": bz2.decompress}
    content = path.read_bytes()
    return decompress[path.suffix](content) if path.suffix in decompress else content


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(script().contents()))
def test_a_sample_is_what_the_script_makes(name: str, tmp_path: Path) -> None:
    content = script().contents()[name]
    if name.endswith(".compress"):  # the bytes of a pickle depend on the version of pandas
        again = tmp_path / name
        again.write_bytes(script().compressed(name, content))
        assert pickled.read_pickle(tiny.SAMPLES / name).equals(pickled.read_pickle(again))
    elif name.endswith(".deb"):  # and those of xz on the version of its library
        again = tmp_path / name
        again.write_bytes(script().compressed(name, content))
        kept = list(members(tiny.SAMPLES / name))
        assert kept == list(members(again))
        assert len(kept) in {3, 9, 24, 195}  # none is lost
    else:
        assert unpacked(tiny.SAMPLES / name) == content


def samples() -> list[Path]:
    """The files beside the scripts that make them."""
    return [path for path in tiny.SAMPLES.iterdir() if path.is_file() and path.suffix != ".py"]


def test_no_sample_is_left_without_its_script() -> None:
    kept = {path.name for path in samples()}
    assert kept - {f"{name}.yaml" for name in tiny.names("data")} == set(script().contents())


def test_samples_are_less_than_100_kb() -> None:
    assert sum(path.stat().st_size for path in samples()) < 100_000
