"""What every data set must do with its sample; a new one in conf/data is tested by being there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tiny

from goodfit import build
from goodfit.contract import DataSpec
from goodfit.data.base import DataSet
from goodfit.data.split import SPLITS
from goodfit.records import Exhibit, Manifest
from goodfit.store.arrays import Packed
from goodfit.store.prepare import assign_splits, prepare

pytestmark = pytest.mark.parametrize("case", tiny.cases())
Prepared = Callable[[str], Path]


def data_set(case: str) -> DataSet:
    return build.data_set(tiny.cfg(case))


def split_rows(data: DataSet) -> dict[str, pd.DataFrame]:
    """The rows of the sample by the name of their split."""
    files = tiny.raw(data)
    rows = data.read(files)
    names, _ = assign_splits(data, files, rows)
    return {split: rows[names == split] for split in SPLITS}


def test_its_sample_is_there(case: str) -> None:
    data = data_set(case)
    assert set(data.origins) == set(data.sources)
    assert all(path.is_file() for path in tiny.raw(data).values())


def test_the_inputs_are_the_declared_ones(case: str, prepared: Prepared) -> None:
    spec = DataSpec.read(prepared(case) / "spec.json")
    assert (set(spec.inputs), spec.kind) == (tiny.gives(case), tiny.kind(case))


def test_its_modality_is_named(case: str) -> None:
    modality = data_set(case).modality
    assert isinstance(modality, str)
    assert modality.strip()


def test_encode_gives_exactly_the_shapes_and_types_of_the_spec(case: str) -> None:
    data = data_set(case)
    splits = split_rows(data)
    spec = data.fit(splits["train"])
    arrays = data.encode(splits["test"], spec)
    encoded = {name: (array.shape[1:], str(array.dtype)) for name, array in arrays.items()}
    assert encoded == {name: (field.shape, field.dtype) for name, field in spec.inputs.items()}


def test_the_target_has_the_shape_and_type_of_the_spec(case: str) -> None:
    data = data_set(case)
    splits = split_rows(data)
    spec = data.fit(splits["train"])
    targets = data.encode_targets(splits["test"], spec)
    assert set(targets) == set(spec.targets) == set(data.targets)
    assert not set(spec.targets) & set(spec.inputs)  # a file of a split is named after either
    for name, field in spec.targets.items():
        assert (targets[name].shape[1:], str(targets[name].dtype)) == (field.shape, field.dtype)


def test_each_row_has_a_cluster_and_named_ones_hold_several(case: str, prepared: Prepared) -> None:
    data = data_set(case)
    for split, rows in split_rows(data).items():
        clusters = Packed(prepared(case), split).clusters
        assert clusters.shape == (len(rows),)
        assert clusters.tolist() == data.clusters(rows).tolist()
        is_alone = len(set(clusters.tolist())) == len(rows)
        assert is_alone == (data.cluster == "sample"), split


def test_encode_gives_one_sample_for_each_row_whatever_the_others_are(case: str) -> None:
    data = data_set(case)
    rows = split_rows(data)["train"]
    spec = data.fit(rows)
    together, alone = data.encode(rows.head(5), spec), data.encode(rows.iloc[[3]], spec)
    assert all(np.array_equal(together[name][3], alone[name][0]) for name in together)


def test_the_spec_comes_back_from_its_file(case: str, tmp_path: Path) -> None:
    data = data_set(case)
    spec = data.fit(split_rows(data)["train"])
    spec.write(tmp_path / "spec.json")
    assert DataSpec.read(tmp_path / "spec.json") == spec


def test_encode_gives_the_same_with_the_spec_from_its_file(case: str, tmp_path: Path) -> None:
    """Equal specs may still differ in the order of their facts."""
    data = data_set(case)
    splits = split_rows(data)
    spec = data.fit(splits["train"])
    spec.write(tmp_path / "spec.json")
    fitted = data.encode(splits["test"], spec)
    stored = data.encode(splits["test"], DataSpec.read(tmp_path / "spec.json"))
    assert all(np.array_equal(fitted[name], stored[name]) for name in fitted)


def test_the_spec_names_the_class_that_made_it(case: str, prepared: Prepared) -> None:
    spec = DataSpec.read(prepared(case) / "spec.json")
    assert spec.data == tiny.section("data", case)["_target_"]


def test_no_key_is_in_two_splits(case: str) -> None:
    data = data_set(case)
    keys = []
    for rows in split_rows(data).values():
        # windows that overlap have no keys; their first column, the start, tells them apart
        row_keys = data.key(rows) or [str(start).encode() for start in rows.iloc[:, 0]]
        keys.append(set(row_keys))
    assert all(keys)
    assert sum(map(len, keys)) == len(set.union(*keys))


def test_no_sample_is_lost_between_reading_and_packing(case: str, prepared: Prepared) -> None:
    data = data_set(case)
    manifest = Manifest.read(prepared(case) / "manifest.json")
    packed = sum(manifest.samples(split) for split in SPLITS)
    assert packed + manifest.in_no_split == len(data.read(tiny.raw(data)))


def test_its_counts_sum_to_the_number_of_rows(case: str) -> None:
    data = data_set(case)
    for rows in split_rows(data).values():
        assert sum(data.counts(rows).values()) == len(rows)


def test_what_is_fitted_has_seen_train_only(case: str, tmp_path: Path) -> None:
    """With other rows in validation and test, copies of one of them, the spec stays as it is."""

    class Changed(type(data_set(case))):  # type: ignore[misc]
        def split(self, rows: pd.DataFrame, duplicate_group: np.ndarray) -> np.ndarray:
            names = super().split(rows, duplicate_group)
            held_out = np.flatnonzero(names != "train")
            for column in rows.columns:
                values = list(rows[column])
                for row in held_out:
                    values[row] = values[held_out[0]]
                rows[column] = pd.Series(values, index=rows.index, dtype=rows[column].dtype)
            return names

    data = data_set(case)
    changed = Changed.__new__(Changed)
    changed.__dict__.update(data.__dict__)
    prepare(data, tiny.raw(data), tmp_path / "original", made_with={})
    prepare(changed, tiny.raw(data), tmp_path / "changed", made_with={})

    targets = [tmp_path / name / "test/target.npy" for name in ("original", "changed")]
    assert targets[0].read_bytes() != targets[1].read_bytes()
    specs = [DataSpec.read(tmp_path / name / "spec.json") for name in ("original", "changed")]
    assert {**specs[0].__dict__, "data": ""} == {**specs[1].__dict__, "data": ""}


def test_preparing_twice_gives_the_same_manifest(
    case: str, prepared: Prepared, tmp_path: Path
) -> None:
    data = data_set(case)
    first = Manifest.read(prepared(case) / "manifest.json")
    assert prepare(data, tiny.raw(data), tmp_path / "again", made_with=first.made_with) == first


def test_the_manifest_names_every_array(case: str, prepared: Prepared) -> None:
    folder = prepared(case)
    arrays = {str(path.relative_to(folder)) for path in folder.rglob("*.npy")}
    named = Manifest.read(folder / "manifest.json").files
    assert {name for name in named if name.endswith(".npy")} == arrays


def test_a_raw_example_is_encoded_without_its_target(case: str, prepared: Prepared) -> None:
    data = data_set(case)
    spec = DataSpec.read(prepared(case) / "spec.json")
    example = data.example(data.read(tiny.raw(data)))
    assert data.label not in example
    arrays = data.encode(example, spec)
    assert {len(array) for array in arrays.values()} == {len(example)}


def test_a_reader_is_shown_something_of_its_first_sample(case: str, prepared: Prepared) -> None:
    """From the arrays of test and its readable rows, as an evaluation shows it."""
    folder = prepared(case)
    inputs = Packed(folder, "test").inputs
    sample = {name: array[0].numpy() for name, array in inputs.items()}
    row = pd.read_parquet(folder / "test/rows.parquet").iloc[0]
    exhibit = data_set(case).show(sample, row, DataSpec.read(folder / "spec.json"))
    assert isinstance(exhibit, Exhibit)
    assert exhibit.picture or exhibit.text or exhibit.curve or exhibit.cells


def test_a_network_a_task_and_a_baseline_fit_it(case: str) -> None:
    fit = {"model": tiny.models(case), "task": tiny.tasks(case), "baseline": tiny.baselines(case)}
    assert all(fit.values()), fit
