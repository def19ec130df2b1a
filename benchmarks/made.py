"""Data and finished stages for the benchmark, made from nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from goodfit.contract import DataSpec, Field
from goodfit.store.manifest import file_hashes
from goodfit.system.files import write_json

Made = dict[str, Any]  # the section `data` of the configuration that trains on it


def images(folder: Path, made_with: Made) -> None:
    """As many grey images as the MNIST sample trains and chooses on, ten patterns in noise."""
    random = np.random.default_rng(0)
    digits = random.integers(0, 10, 4_000)
    patterns = random.integers(0, 256, (10, 1, 28, 28))
    images = 0.3 * patterns[digits] + 0.7 * random.integers(0, 256, (4_000, 1, 28, 28))
    pack(folder, {"image": images.astype(np.uint8)}, digits, 10, 3_500, made_with)


def table(folder: Path, made_with: Made) -> None:
    """20,000 rows of 32 numbers, four classes."""
    random = np.random.default_rng(0)
    numbers = random.normal(size=(20_000, 32)).astype(np.float32)
    classes = (
        np.tanh(numbers @ random.normal(size=(32, 4))) + random.normal(size=(20_000, 4))
    ).argmax(1)
    pack(folder, {"numbers": numbers}, classes, 4, 17_000, made_with)


def pack(
    folder: Path,
    inputs: dict[str, np.ndarray[Any, Any]],
    target: Any,
    classes: int,
    train: int,
    made_with: Made,
) -> None:
    """Arrays, spec.json and manifest.json as prepare writes them; the rows after `train` are for
    validation.
    """
    for split, rows in (("train", slice(0, train)), ("validation", slice(train, None))):
        (folder / split).mkdir(parents=True)
        for name, array in [*inputs.items(), ("target", target)]:
            np.save(folder / split / f"{name}.npy", array[rows])
    fields = {
        name: Field(array.shape[1:], str(array.dtype), float(array.mean()), float(array.std()))
        for name, array in inputs.items()
    }
    labels = tuple(str(label) for label in range(classes))
    spec = DataSpec(
        data="benchmarks.__main__",
        kind="class",
        outputs=classes,
        inputs=fields,
        target=Field((), "int64"),
        labels=labels,
    )
    spec.write(folder / "spec.json")
    counts = {"train": {"samples": train}, "validation": {"samples": len(target) - train}}
    facts = {
        "sha256": "",
        "raw_sha256": "",
        "counts": counts,
        "files": file_hashes(folder),
        "made_with": made_with,
    }
    write_json(folder / "manifest.json", facts)


def finished(stages: dict[str, Any], name: str) -> None:
    """A small file, or a folder with one, for every output of an experiment and every file in one."""
    for stage in stages.values():
        for item in [
            item for kind in ("deps", "outs", "metrics", "plots") for item in stage.get(kind, [])
        ]:
            path = Path(
                (item if isinstance(item, str) else next(iter(item))).replace(
                    "${item.experiment}", name
                )
            )
            if not path.exists():
                file = path if path.suffix else path / "made"
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text("{}")
