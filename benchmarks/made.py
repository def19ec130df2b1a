"""Data and finished stages for the comparisons, made from nothing.

Letters: N rows, F columns, K classes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from goodfit.contract import DataSpec, Field
from goodfit.records import Copies, Manifest
from goodfit.store.manifest import file_hashes

Array = np.ndarray[Any, Any]
Section = dict[str, Any]  # the section `data` of the configuration that trains on it


def images(folder: Path, section: Section) -> None:
    """As many grey images as the MNIST sample trains and chooses on, ten patterns in noise."""
    random = np.random.default_rng(0)
    digits = random.integers(0, 10, 4_000)
    patterns = random.integers(0, 256, (10, 1, 28, 28))
    noise = random.integers(0, 256, (4_000, 1, 28, 28))
    pixels = (0.3 * patterns[digits] + 0.7 * noise).astype(np.uint8)
    pack(folder, {"image": pixels}, digits, classes=10, train=3_500, section=section)


def table(folder: Path, section: Section) -> None:
    """20,000 rows of 32 numbers, four classes."""
    numbers, classes = labelled_numbers(20_000)
    pack(folder, {"numbers": numbers}, classes, classes=4, train=17_000, section=section)


def labelled_numbers(rows: int) -> tuple[Array, Array]:
    """Normal numbers (N, 32), and the class of each row (N,): a noisy function with four values."""
    random = np.random.default_rng(0)
    numbers = random.normal(size=(rows, 32)).astype(np.float32)
    scores = np.tanh(numbers @ random.normal(size=(32, 4))) + random.normal(size=(rows, 4))
    return numbers, scores.argmax(1)


def pack(
    folder: Path,
    inputs: Mapping[str, Array],
    target: Array,
    *,
    classes: int,
    train: int,
    section: Section,
) -> None:
    """Writes inputs (N, ...) and classes (N,) as prepare does; rows from `train` on validate."""
    for split, rows in (("train", slice(0, train)), ("validation", slice(train, None))):
        (folder / split).mkdir(parents=True)
        for name, array in [*inputs.items(), ("target", target)]:
            np.save(folder / split / f"{name}.npy", array[rows])

    fields = {}
    for name, array in inputs.items():
        shape, dtype = array.shape[1:], str(array.dtype)
        fields[name] = Field(shape, dtype, (float(array.mean()),), (float(array.std()),))
    spec = DataSpec(
        data="benchmarks.made",
        kind="class",
        outputs=classes,
        inputs=fields,
        targets={"target": Field((), "int64", labels=tuple(map(str, range(classes))))},
    )
    spec.write(folder / "spec.json")

    manifest = Manifest(
        raw_sha256={},
        sha256="none",
        test_sha256="none",
        files=file_hashes(folder),
        made_with=section,
        split="the last rows",
        copies=Copies(rows=None, with_another_target=None),
        alike_after_encoding=0,
        counts={
            "train": {"samples": train},
            "validation": {"samples": len(target) - train},
            "test": {"samples": 0},  # no comparison opens one
        },
        in_no_split=0,
    )
    manifest.write(folder / "manifest.json")


def finished(stages: Mapping[str, Any], name: str) -> None:
    """A small file for every dependency and output of an experiment; a folder has one in it."""
    for path in _files(stages, name):
        if not path.exists():
            file = path if path.suffix else path / "made"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text("{}")


def _files(stages: Mapping[str, Any], name: str) -> Iterator[Path]:
    """All that dvc.yaml names; an entry with options is a mapping of one path to them."""
    for stage in stages.values():
        for section in ("deps", "outs", "metrics", "plots"):
            for entry in stage.get(section, []):
                text = entry if isinstance(entry, str) else next(iter(entry))
                yield Path(text.replace("${item.experiment}", name))
