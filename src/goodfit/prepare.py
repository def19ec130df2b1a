"""Raw file to packed arrays: validated, split, fitted on train only, with a manifest that can be checked."""

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from omegaconf import DictConfig

from goodfit import build, config
from goodfit.contract import DataSpec
from goodfit.data.base import DataSet
from goodfit.data.intact import hashes
from goodfit.data.split import SPLITS
from goodfit.errors import UserError
from goodfit.files import replacing, sha256, write_json
from goodfit.places import Places


def stage(cfg: DictConfig) -> None:
    """`dvc repro`: data/raw/<experiment> to data/prepared/<experiment>."""
    places = Places(cfg.name)
    data = build.data_set(cfg)
    raw = places.raw / Path(data.source.file).name
    manifest = prepare(data, raw, places.prepared, made_with=config.data_section(cfg))
    sizes = ", ".join(f"{split} {sum(counts.values()):,}" for split, counts in manifest["counts"].items())
    print(f"prepared {places.prepared}: {sizes}; {manifest['copies']['rows'] or 'no'} copies of other rows")


def prepare(data: DataSet, raw: Path, out: Path, *, made_with: dict[str, Any]) -> dict[str, Any]:
    """Writes the arrays and readable rows of each split, example.parquet, spec.json and manifest.json.

    Returns the manifest.

    The three invariants that make a test score mean something: a sample is in one split only, a row with the
    same inputs in no other, and nothing that is fitted has seen validation or test.
    """
    rows = data.read(raw)
    side, copies = sides(data, rows)
    spec = data.fit(rows[side == "train"])
    with replacing(out) as part:
        spec.write(part / "spec.json")
        arrays = {split: _pack(data, rows[side == split], spec, part / split) for split in SPLITS}
        data.example(rows).to_parquet(part / "example.parquet", index=False)
        for split in SPLITS:
            _readable(rows[side == split]).to_parquet(part / split / "rows.parquet", index=False)
        files = hashes(part)
        manifest = {
            "raw_sha256": sha256(raw),
            "sha256": hashlib.sha256(repr(sorted(files.items())).encode()).hexdigest(),
            "test_sha256": hashlib.sha256(
                repr([(name, files[name]) for name in files if Path(name).match("test/*.npy")]).encode()
            ).hexdigest(),
            "files": files,
            "made_with": made_with,
            "split": data.rule,
            "copies": copies,
            "alike_after_encoding": _alike(arrays),
            "counts": {split: _counts(data, rows[side == split]) for split in SPLITS},
            "in_no_split": int((side == "").sum()),
        }
        write_json(part / "manifest.json", manifest)
    return manifest


def sides(data: DataSet, rows: pd.DataFrame) -> tuple[np.ndarray[Any, Any], dict[str, int | None]]:
    """The split of each row, and how many rows repeat the inputs of an earlier one, with another target too.

    Copies are kept: two patients with equal measurements are two patients, and what differs in their
    outcomes is the noise that a network must learn. None where copies have no meaning (`DataSet.key`).
    """
    keys = data.key(rows)
    alike = np.arange(len(rows)) if keys is None else pd.factorize(np.array(keys, object))[0]
    side = data.split(rows, alike)
    if keys is None:
        return side, {"rows": None, "with_another_target": None}
    pairs = pd.DataFrame({"alike": alike, "side": side, "target": rows[data.label].astype(str).to_numpy()})
    of_group = pairs.groupby("alike")
    torn = int((of_group["side"].nunique() > 1).sum())
    if torn:
        raise UserError(f"{type(data).__name__}.split puts rows with equal inputs on two sides, {torn} times")
    another = pairs["target"] != of_group["target"].transform("first")
    return side, {"rows": len(rows) - of_group.ngroups, "with_another_target": int(another.sum())}


def _pack(data: DataSet, rows: pd.DataFrame, spec: DataSpec, folder: Path) -> dict[str, np.ndarray[Any, Any]]:
    arrays = data.encode(rows, spec) | {"target": data.target(rows, spec)}
    folder.mkdir()
    for name, array in arrays.items():
        field = spec.target if name == "target" else spec.inputs[name]
        assert array.shape == (len(rows), *field.shape), (name, array.shape, field)
        assert str(array.dtype) == field.dtype, (name, array.dtype, field)
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise UserError(f"{name} of {folder.name} holds values that are not finite; mend the raw data")
        np.save(folder / f"{name}.npy", array)
    return arrays


def _alike(arrays: dict[str, dict[str, np.ndarray[Any, Any]]]) -> int:
    """How many test samples look to the network exactly like a sample of train, though the raw ones differ."""

    def keys(split: str) -> list[bytes]:
        inputs = [array for name, array in sorted(arrays[split].items()) if name != "target"]
        return [b"".join(parts) for parts in zip(*([row.tobytes() for row in array] for array in inputs), strict=True)]

    train = {hashlib.sha256(key).digest() for key in keys("train")}
    return sum(hashlib.sha256(key).digest() in train for key in keys("test"))


def _counts(data: DataSet, rows: pd.DataFrame) -> dict[str, int]:
    if data.kind != "class":
        return {"samples": len(rows)}
    return dict(sorted(Counter(rows[data.label].astype(str)).items()))


def _readable(rows: pd.DataFrame) -> pd.DataFrame:
    """The columns that a person can read, for the report's examples and for baselines on text."""
    plain = [column for column in rows.columns if not isinstance(rows[column].iloc[0], np.ndarray)]
    return rows[plain]
