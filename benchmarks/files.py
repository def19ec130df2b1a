"""Images from files: prepare against a loop of Pillow, an epoch against decoding in the loader."""

from __future__ import annotations

import io
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from benchmarks.measure import Result, Unit, smallest, take_turns
from goodfit.data.base import Array
from goodfit.data.images import Images
from goodfit.schema import Source
from goodfit.store.arrays import Packed
from goodfit.store.loader import Batches
from goodfit.store.prepare import prepare

PROTOCOL = """\
files     20,000 JPEG of 128 x 128 pixels in two classes. Prepare, which checks, splits, fits and
          packs them, against a loop of Pillow on one core that decodes and resizes them to 64 x 64.
          Equal: every 97th image. Then an epoch from what prepare wrote, in batches of
          128, against torch's DataLoader that decodes the same files, without processes.
"""
COUNT, SIDE, SMALL, BATCH = 20_000, 128, 64, 128
DIFFERENT = 200  # photos; each file differs from the others in a comment


class _Files(Dataset[Tensor]):
    """One file after the other, as tutorials write it."""

    def __init__(self, paths: list[Path]) -> None:
        self.paths = paths

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, row: int) -> Tensor:
        return torch.from_numpy(_decoded(self.paths[row]).transpose(2, 0, 1).copy())


def files(turns: int) -> list[Result]:
    """Prepare, and an epoch of what it wrote."""
    raw = {"files": Path("photos.zip")}
    paths = _write(Path("photos"), raw["files"])
    data = _data_set()
    out = Path("prepared")

    def ours() -> None:
        shutil.rmtree(out, ignore_errors=True)
        prepare(data, raw, out, made_with={})

    def plain() -> None:
        np.save("plain.npy", np.stack([_decoded(path) for path in paths]))

    preparing = take_turns(turns, ours, plain)
    _check(data, raw, out, paths)
    unit = Unit("µs an image", 1e6 / COUNT)
    first = Result("prepare of files", *preparing, 1 / 1.7, unit, "every 97th image", "wall")

    train = Packed(out, "train")
    loader = DataLoader(_Files(paths[: len(train)]), BATCH)
    batches = Batches(train, BATCH)

    def from_map() -> None:
        for _ in batches:
            pass

    def decoding() -> None:
        for _ in loader:
            pass

    epochs = take_turns(turns, from_map, decoding)
    print(f"files: prepare {smallest(preparing[0], 'wall'):.1f} s", flush=True)
    unit = Unit("µs an image", 1e6 / len(train))
    return [first, Result("epoch of files", *epochs, 1 / 20, unit, "", "wall")]


def _data_set() -> Images:
    return Images(
        sources={"files": Source(file="photos.zip", sha256=None)},
        size=SMALL,
        channels=3,
        resize="stretch",
        max_pixels=10**6,
        near_copies="together",
        faults="fail",
        most_faults=0.01,
        test=0.2,
        validation=0.1,
        split_seed=0,
    )


def _write(folder: Path, archive: Path) -> list[Path]:
    """The files of both classes, and all of them in an archive."""
    rng = np.random.default_rng(0)
    photos = []
    for _ in range(DIFFERENT):
        coarse = Image.fromarray(rng.integers(0, 256, (8, 8, 3)).astype(np.uint8))
        smooth = np.asarray(coarse.resize((SIDE, SIDE), Image.Resampling.BICUBIC), float)
        noisy = smooth + rng.normal(0, 12, smooth.shape)
        photos.append(Image.fromarray(noisy.clip(0, 255).astype(np.uint8)))
    paths = []
    with zipfile.ZipFile(archive, "w") as packed:
        for number in range(COUNT):
            path = folder / "ab"[number % 2] / f"{number:05}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            stream = io.BytesIO()
            photos[number % DIFFERENT].save(stream, "JPEG", quality=85, comment=f"{number}")
            path.write_bytes(stream.getvalue())
            packed.writestr(str(path), stream.getvalue())
            paths.append(path)
    return paths


def _decoded(path: Path) -> Array:
    with Image.open(path) as picture:
        small = picture.convert("RGB").resize((SMALL, SMALL), Image.Resampling.BILINEAR)
        return np.asarray(small)


def _check(data: Images, raw: dict[str, Path], out: Path, paths: list[Path]) -> None:
    """What prepare packed is what the loop decoded."""
    rows = pd.read_parquet(out / "train/rows.parquet")["raw_row"]
    arrays = np.load(out / "train/image.npy", mmap_mode="r")
    names = data.read(raw)["file"]
    for place in range(0, len(rows), 97):
        expected = _decoded(Path(names[rows[place]])).transpose(2, 0, 1)
        assert np.array_equal(arrays[place], expected)
    assert len(paths) == COUNT
