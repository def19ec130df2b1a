"""Raw files to packed arrays: validated, split, fitted on train only, listed in a manifest.

Letters: N rows of the table.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Hashable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from goodfit.contract import DataSpec
from goodfit.data import digests, folds, near_copies
from goodfit.data.base import CLASSES, Array, DataSet
from goodfit.data.files import FileDataSet
from goodfit.data.folds import SIDES, Fold
from goodfit.data.single_signs import single_signs
from goodfit.data.spill import Spill
from goodfit.data.split import NO_SPLIT, SPLITS, joined
from goodfit.errors import UserError
from goodfit.records import Copies, Finding, Manifest
from goodfit.store import example
from goodfit.store.decode import decode_files, discard
from goodfit.store.manifest import CLUSTERS, RAW_ROW, WEIGHTS, file_hashes
from goodfit.store.mapped import read_arrays
from goodfit.store.pack import chunks, pack
from goodfit.store.progress import Progress
from goodfit.system.files import replacing_folder, sha256


def prepare(
    data: DataSet,
    raw: Mapping[str, Path],
    out: Path,
    *,
    made_with: dict[str, Any],
    fold: Fold | None = None,
) -> Manifest:
    """Three invariants hold for what it writes, so that a test score means something.

    A sample is in one split only; a row with equal inputs is in no other, unless the user takes
    such rows as cases of their own; nothing that is fitted has seen validation or test. Written are
    the arrays, clusters and readable rows of each split (a `fold` has no test), example.parquet,
    spec.json and manifest.json. Files are decoded once, into a folder beside `out` that outlives an
    interruption; all folds share it.

    Raises:
        UserError: a raw file has faults, a split is empty or has labels that train lacks, or a
            value is not finite.
    """
    hashes = {name: sha256(path) for name, path in raw.items()}
    data = folds.shared(data, fold)
    rows = _read(data, raw, spill := Spill(out.parent))
    work = out.parent / f".{'folds' if fold else out.name}.decoded"
    raw, rows, left_out = _decoded(data, raw, rows, work, hashes)
    names, copies = assign_splits(data, raw, rows, fold)
    splits = {of: spill.taken(rows, names == of) for of in (SIDES if fold else SPLITS)}
    spec = data.fit(train := splits["train"])
    spec = data.fit_content(spec, _loaded(data, raw, train))
    with replacing_folder(out) as part:
        spec.write(part / "spec.json")
        alike = _pack(data, raw, splits, spec, part)
        example.write(data, data.load(raw, data.first(rows)), spec, part)
        manifest = Manifest(
            raw_sha256=hashes,
            made_with=made_with,
            split=data.rule,
            copies=copies,
            alike_after_encoding=alike,
            in_no_split=int((names == NO_SPLIT).sum()),
            columns=tuple(data.columns_read(spec)),
            findings=() if fold else (*data.findings(rows, names), *_signs(part, spec)),
            left_out=left_out,
            **_hashed(part),
            **_counted(data, splits),
        )
        manifest.write(part / "manifest.json")
    if fold is None or fold.number == fold.count - 1:
        discard(work)
    return manifest


def _signs(folder: Path, spec: DataSpec) -> list[Finding]:
    """Pixels and words of train in `folder` that alone tell its classes."""
    if spec.kind not in CLASSES:
        return []
    train = folder / "train"
    (target,) = read_arrays(train, spec.targets).values()
    clusters = np.load(train / f"{CLUSTERS}.npy")
    return single_signs(read_arrays(train, spec.inputs), np.asarray(target), clusters, spec)


def _hashed(folder: Path) -> dict[str, Any]:
    """The hash of each file in `folder`, one of all, and one of what test is scored with."""
    files = file_hashes(folder)
    test_sha256 = _digest(_test_arrays(files))
    return {"files": files, "sha256": _digest(sorted(files.items())), "test_sha256": test_sha256}


def _counted(data: DataSet, splits: Mapping[str, pd.DataFrame]) -> dict[str, Any]:
    """Samples and missing cells of each split; of one that a fold does not have, none."""
    absent: dict[str, dict[str, int]] = {split: {} for split in SPLITS}
    return {
        "counts": absent | {split: data.counts(rows) for split, rows in splits.items()},
        "missing": absent | {split: data.missing_cells(rows) for split, rows in splits.items()},
    }


def _pack(
    data: DataSet,
    raw: Mapping[str, Path],
    splits: Mapping[str, pd.DataFrame],
    spec: DataSpec,
    folder: Path,
) -> int:
    """Writes each split to its folder; how many held-out samples are alike after encoding."""
    packed = {}
    for split, rows in splits.items():
        packed[split] = pack(data, raw, rows, spec, folder / split)
        np.save(folder / split / f"{CLUSTERS}.npy", data.clusters(rows))
        if spec.weighed_by:
            np.save(folder / split / f"{WEIGHTS}.npy", data.sample_weight(rows).astype(np.float32))
        readable = _readable(rows, (data.label, *data.hidden))
        readable.to_parquet(folder / split / "rows.parquet", index=False)
    return digests.in_both(packed[list(splits)[-1]], packed["train"])


def _read(data: DataSet, raw: Mapping[str, Path], spill: Spill) -> pd.DataFrame:
    """The rows of the raw files, (N, columns), none of which is named as goodfit's own."""
    data.spill = spill
    rows = data.read(raw)
    if RAW_ROW in rows.columns:
        named = ", ".join(path.name for path in raw.values())
        raise UserError(f"{named}: a column is named '{RAW_ROW}', which goodfit uses; rename it")
    return rows


def _decoded(
    data: DataSet,
    raw: Mapping[str, Path],
    rows: pd.DataFrame,
    work: Path,
    hashes: Mapping[str, str],
) -> tuple[Mapping[str, Path], pd.DataFrame, dict[str, str]]:
    """As `decode_files`, of the rows (N,) whose files can be used; all of them without files."""
    if not isinstance(data.decoder, FileDataSet):
        return raw, rows, {}
    named = data.files(rows)
    raw, good, left_out = decode_files(data.decoder, raw, named, work, hashes)
    return raw, data.without(rows, named.index.difference(good.index)), left_out


def _loaded(data: DataSet, raw: Mapping[str, Path], train: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """The rows of train with their content, chunk by chunk."""
    progress = Progress("fitting to train", len(train))
    done = 0
    for part in chunks(data, train):
        yield data.load(raw, part)
        done += len(part)
        progress.show(done)


def assign_splits(
    data: DataSet, raw: Mapping[str, Path], rows: pd.DataFrame, fold: Fold | None = None
) -> tuple[Array, Copies]:
    """The name of each row's split, (N,), and how many rows repeat the inputs of an earlier one.

    With a `fold`, train and validation are its two sides.

    Near copies, where the data set knows them, are kept together as equal rows are, unless it takes
    these as cases that happen to agree.
    Copies are kept: two patients with equal measurements are two patients, and what differs in
    their outcomes is the noise that a network must learn.

    Raises:
        UserError: the data set's rule puts rows with equal inputs into two splits, or leaves one
            empty.
    """
    known = _known(data, raw, rows)
    if known is None:
        names = folds.names(data, fold, rows, np.arange(len(rows)))
        return names, Copies(rows=None, with_another_target=None)

    duplicate_group = digests.numbered(known.inputs)
    alike = duplicate_group
    if known.sketches:
        alike = joined(duplicate_group, near_copies.groups(np.concatenate(known.sketches)))
    names = _split(data, fold, rows, duplicate_group, alike)
    sizes = np.bincount(duplicate_group)
    copied = np.flatnonzero(sizes[duplicate_group] > 1)
    targets = digests.numbered(known.targets[copied])
    table = pd.DataFrame(
        {"group": duplicate_group[copied], "split": names[copied], "target": targets}
    )

    # what a rule leaves out is in no split: a text of test that train has, too
    in_split = table[table["split"] != NO_SPLIT].groupby("group")
    divided = int((in_split["split"].nunique() > 1).sum())
    if divided and data.equal_rows == "together":
        rule = f"{type(data).__name__}.split"
        raise UserError(f"{rule} puts rows with equal inputs into two splits, {divided} times")
    another = table["target"] != table.groupby("group")["target"].transform("first")
    return names, Copies(
        rows=len(rows) - len(sizes),
        with_another_target=int(another.sum()),
        apart=data.equal_rows == "apart",
        near=len(sizes) - len(np.unique(alike)) if known.sketches else None,
    )


def _split(
    data: DataSet, fold: Fold | None, rows: pd.DataFrame, equal: Array, alike: Array
) -> Array:
    """The name of each row's split, (N,), which keeps rows together that are `alike` (N,).

    Raises:
        UserError: they are too few, or depend on each other by what a column says; where it is so
            of `alike` rows alone, and not of `equal` ones (N,), that is said.
    """
    try:
        return folds.names(data, fold, rows, alike)
    except UserError as error:
        folds.names(data, fold, rows, equal)  # what fails with them apart, too, is told as it is
        near, all_of = len(np.unique(alike)), len(np.unique(equal))
        raise UserError(
            f"{error}; near copies count as one, so {all_of:,} are {near:,}: "
            "data.near_copies=apart takes them as different"
        ) from None


class _Known(NamedTuple):
    """Of N rows: digests of inputs and of targets, (N, 16) each, and sketches in parts (B, P)."""

    inputs: Array
    targets: Array
    sketches: list[Array]


def _known(data: DataSet, raw: Mapping[str, Path], rows: pd.DataFrame) -> _Known | None:
    """What tells copies of the rows (N,); None where rows overlap by design."""
    inputs, targets, sketches = bytearray(), bytearray(), []
    progress = Progress("looking for equal inputs", len(rows))
    for part in chunks(data, rows):
        loaded = data.load(raw, part)
        keys = data.key(loaded)
        if keys is None:
            return None
        inputs += digests.of_each(keys)
        targets += _of_targets(loaded[data.label])
        some = data.sketch(loaded)
        if some is not None:
            sketches.append(some)
        progress.show(len(inputs) // digests.SIZE)
    return _Known(
        inputs=np.frombuffer(inputs, np.uint8).reshape(-1, digests.SIZE),
        targets=np.frombuffer(targets, np.uint8).reshape(-1, digests.SIZE),
        sketches=sketches,
    )


def _of_targets(targets: pd.Series[Any]) -> bytes:
    """The digests of targets (B,), one behind the other."""
    if pd.api.types.is_object_dtype(targets):  # of several numbers, or of boxes
        return digests.of_each([f"{each}".encode() for each in targets])
    return digests.of_columns([targets]).tobytes()


def _readable(rows: pd.DataFrame, hidden: Collection[str]) -> pd.DataFrame:
    """The cells that are no arrays, for examples and for baselines on text; never the target.

    A baseline is handed these rows of test: what is not in them cannot leak. `raw_row` is a
    sample's row in the table that the data set reads.
    """
    readable: dict[Hashable, Any] = {RAW_ROW: rows.index}
    for name in rows.columns:
        if name not in hidden and not isinstance(rows[name].iloc[0], np.ndarray):
            readable[name] = rows[name]
    made = pd.DataFrame(readable, rows.index, copy=False)
    made.attrs = rows.attrs
    return made


def _test_arrays(files: dict[str, str]) -> list[tuple[str, str]]:
    """Names and hashes of what a network is asked and scored with on test.

    The arrays alone: models are compared where these are equal (decision 0009).
    """
    others = {f"test/{CLUSTERS}.npy"}
    arrays = []
    for name, digest in files.items():
        if Path(name).match("test/*.npy") and name not in others:
            arrays.append((name, digest))
    return arrays


def _digest(files: list[tuple[str, str]]) -> str:
    """One hash for several files, from their names and hashes."""
    return hashlib.sha256(repr(files).encode()).hexdigest()
