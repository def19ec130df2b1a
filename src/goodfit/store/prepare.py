"""Raw file to packed arrays: validated, split, fitted on train only, listed in a manifest.

Letters: N rows of the table.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from goodfit.contract import DataSpec
from goodfit.data.base import Array, DataSet
from goodfit.data.split import NO_SPLIT, SPLITS
from goodfit.errors import UserError
from goodfit.records import Copies, Manifest
from goodfit.store.arrays import CLUSTERS
from goodfit.store.manifest import file_hashes
from goodfit.system.files import replacing_folder, sha256

Arrays = dict[str, Array]
RAW_ROW = "raw_row"  # the column of rows.parquet that the table of the raw file may not have


def prepare(data: DataSet, raw: Path, out: Path, *, made_with: dict[str, Any]) -> Manifest:
    """Three invariants hold for what it writes, so that a test score means something.

    A sample is in one split only; a row with equal inputs is in no other; nothing that is fitted
    has seen validation or test. Written are the arrays, clusters and readable rows of each split,
    example.parquet, spec.json and manifest.json.

    Raises:
        UserError: the raw file has faults, a split is empty or has labels that train lacks, or a
            value is not finite.
    """
    rows = data.read(raw)
    if RAW_ROW in rows.columns:
        raise UserError(f"{raw.name}: a column is named '{RAW_ROW}', which goodfit uses; rename it")
    names, copies = assign_splits(data, rows)
    splits = {split: rows[names == split] for split in SPLITS}
    spec = data.fit(splits["train"])

    with replacing_folder(out) as part:
        spec.write(part / "spec.json")
        arrays = {split: _pack(data, splits[split], spec, part / split) for split in SPLITS}
        data.example(rows).to_parquet(part / "example.parquet", index=False)
        for split in SPLITS:
            np.save(part / split / f"{CLUSTERS}.npy", data.clusters(splits[split]))
            readable = _readable(splits[split], data.label)
            readable.to_parquet(part / split / "rows.parquet", index=False)

        files = file_hashes(part)
        # the arrays alone: models are compared where these are equal (decision 0009)
        test_arrays = sorted(f"test/{name}.npy" for name in spec.inputs | spec.targets)
        manifest = Manifest(
            raw_sha256=sha256(raw),
            sha256=_digest(sorted(files.items())),
            test_sha256=_digest([(name, files[name]) for name in test_arrays]),
            files=files,
            made_with=made_with,
            split=data.rule,
            copies=copies,
            alike_after_encoding=_equal_after_encoding(spec, arrays["train"], arrays["test"]),
            counts={split: data.counts(splits[split]) for split in SPLITS},
            in_no_split=int((names == NO_SPLIT).sum()),
        )
        manifest.write(part / "manifest.json")
    return manifest


def assign_splits(data: DataSet, rows: pd.DataFrame) -> tuple[Array, Copies]:
    """The name of each row's split, (N,), and how many rows repeat the inputs of an earlier one.

    Copies are kept: two patients with equal measurements are two patients, and what differs in
    their outcomes is the noise that a network must learn.

    Raises:
        UserError: the data set's rule puts rows with equal inputs into two splits, or leaves one
            empty.
    """
    keys = data.key(rows)
    if keys is None:
        names = data.split(rows, np.arange(len(rows)))
        return names, Copies(rows=None, with_another_target=None)

    # as objects: NumPy's own type for bytes drops zeros at their end
    duplicate_group = pd.factorize(np.array(keys, object))[0]
    names = data.split(rows, duplicate_group)
    target = rows[data.label].astype(str).to_numpy()
    table = pd.DataFrame({"group": duplicate_group, "split": names, "target": target})
    groups = table.groupby("group")

    divided = int((groups["split"].nunique() > 1).sum())
    if divided:
        rule = f"{type(data).__name__}.split"
        raise UserError(f"{rule} puts rows with equal inputs into two splits, {divided} times")
    another = table["target"] != groups["target"].transform("first")
    return names, Copies(rows=len(rows) - groups.ngroups, with_another_target=int(another.sum()))


def _pack(data: DataSet, rows: pd.DataFrame, spec: DataSpec, folder: Path) -> Arrays:
    """Encodes the rows of a split and writes each array; gives them by name."""
    arrays = data.encode(rows, spec) | data.encode_targets(rows, spec)
    fields = spec.inputs | spec.targets
    assert CLUSTERS not in fields, f"an array may not be named {CLUSTERS}"
    folder.mkdir()
    for name, array in arrays.items():
        field = fields[name]
        # a defect of the data set's class, not a mistake of who uses it
        assert array.shape == (len(rows), *field.shape), (name, array.shape, field)
        assert str(array.dtype) == field.dtype, (name, array.dtype, field)
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise UserError(
                f"{name} of {folder.name} holds values that are not finite; mend the raw data"
            )
        np.save(folder / f"{name}.npy", array)
    return arrays


def _equal_after_encoding(spec: DataSpec, train: Arrays, test: Arrays) -> int:
    """How many test samples have the encoded inputs of a train sample, though not its raw ones."""
    known = set(_sample_hashes([train[name] for name in sorted(spec.inputs)]))
    inputs = [test[name] for name in sorted(spec.inputs)]
    return sum(digest in known for digest in _sample_hashes(inputs))


def _sample_hashes(inputs: list[Array]) -> Iterable[bytes]:
    """A hash of each sample's inputs (N, ...): 32 bytes, however large the sample is."""
    for sample in zip(*inputs, strict=True):
        digest = hashlib.sha256()
        for array in sample:
            digest.update(array.tobytes())
        yield digest.digest()


def _readable(rows: pd.DataFrame, label: str) -> pd.DataFrame:
    """The cells that are no arrays, for examples and for baselines on text; never the target.

    A baseline is handed these rows of test: what is not in them cannot leak. `raw_row` is a
    sample's row in the table that the data set reads.
    """
    columns = [name for name in rows.columns if not isinstance(rows[name].iloc[0], np.ndarray)]
    readable = rows[columns].drop(columns=label, errors="ignore")
    readable.insert(0, RAW_ROW, rows.index)
    return readable


def _digest(files: list[tuple[str, str]]) -> str:
    """One hash for several files, from their names and hashes."""
    return hashlib.sha256(repr(files).encode()).hexdigest()
