"""What every data set must do with its sample; a new one in conf/data is tested by being there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tiny

from goodfit import build
from goodfit.contract import DataSpec, Field
from goodfit.data.base import DataSet, Encoded
from goodfit.data.faults import CellsError
from goodfit.data.split import SPLITS
from goodfit.records import Exhibit, Manifest
from goodfit.store.arrays import Packed
from goodfit.store.mapped import read_arrays
from goodfit.store.prepare import assign_splits, prepare

pytestmark = pytest.mark.parametrize("case", tiny.cases())
Prepared = Callable[[str], Path]


def data_set(case: str) -> DataSet:
    return build.data_set(tiny.cfg(case))


def split_rows(data: DataSet) -> dict[str, pd.DataFrame]:
    """The rows of the sample, with their content, by the name of their split."""
    files = tiny.raw(data)
    rows = data.read(files)
    names, _ = assign_splits(data, files, rows)
    return {split: data.load(files, rows[names == split]) for split in SPLITS}


def fitted(data: DataSet, train: pd.DataFrame) -> DataSpec:
    """What is learned from train, as prepare learns it."""
    return data.fit_content(data.fit(train), iter([train]))


def has_the_form(encoded: Encoded, field: Field) -> bool:
    """Whether each sample has the shape and the type that the spec promises."""
    if not field.is_ragged:
        assert isinstance(encoded, np.ndarray)
        return (encoded.shape[1:], str(encoded.dtype)) == (field.shape, field.dtype)
    assert isinstance(encoded, list)
    forms = {(sample.shape[1:], str(sample.dtype)) for sample in encoded}
    return forms == {(field.shape[1:], field.dtype)}


def is_same(first: Mapping[str, Encoded], second: Mapping[str, Encoded]) -> bool:
    """Whether two encodings hold the same samples."""
    assert set(first) == set(second)
    for name in first:
        pairs = zip(first[name], second[name], strict=True)
        if not all(np.array_equal(*pair) for pair in pairs):
            return False
    return True


def test_its_sample_is_there(case: str) -> None:
    data = data_set(case)
    assert set(data.sources) <= set(data.origins) <= {*data.sources, *data.may_read}
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
    spec = fitted(data, splits["train"])
    arrays = data.encode(splits["test"], spec)
    assert set(arrays) == set(spec.inputs)
    for name, field in spec.inputs.items():
        assert len(arrays[name]) == len(splits["test"])
        assert has_the_form(arrays[name], field), name


def test_the_target_has_the_shape_and_type_of_the_spec(case: str) -> None:
    data = data_set(case)
    splits = split_rows(data)
    spec = fitted(data, splits["train"])
    targets = data.encode_targets(splits["test"], spec)
    assert set(targets) == set(spec.targets) == set(data.targets)
    assert not set(spec.targets) & set(spec.inputs)  # a file of a split is named after either
    for name, field in spec.targets.items():
        assert len(targets[name]) == len(splits["test"])
        assert has_the_form(targets[name], field), name


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
    spec = fitted(data, rows)
    together, alone = data.encode(rows.head(5), spec), data.encode(rows.iloc[[3]], spec)
    assert all(np.array_equal(together[name][3], alone[name][0]) for name in together)
    targets = data.encode_targets(rows.head(5), spec), data.encode_targets(rows.iloc[[3]], spec)
    assert all(np.array_equal(targets[0][name][3], targets[1][name][0]) for name in targets[0])


def test_the_content_of_a_row_does_not_depend_on_what_is_loaded_with_it(case: str) -> None:
    data = data_set(case)
    rows = data.read(tiny.raw(data))
    together = data.load(tiny.raw(data), rows.head(5)).iloc[3]
    alone = data.load(tiny.raw(data), rows.iloc[[3]]).iloc[0]
    assert list(together.index) == list(alone.index)
    assert all(np.array_equal(together[name], alone[name]) for name in together.index)


def test_the_length_of_the_longest_sample_of_train_is_in_the_spec(
    case: str, prepared: Prepared
) -> None:
    """0 where all are alike."""
    spec, train = DataSpec.read(prepared(case) / "spec.json"), Packed(prepared(case), "train")
    arrays = {**train.inputs, **train.targets}
    for name, field in (spec.inputs | spec.targets).items():
        lengths = getattr(arrays[name], "lengths", None)
        assert field.longest == (0 if lengths is None else int(lengths.max())), name


def test_the_spec_comes_back_from_its_file(case: str, tmp_path: Path) -> None:
    data = data_set(case)
    spec = fitted(data, split_rows(data)["train"])
    spec.write(tmp_path / "spec.json")
    assert DataSpec.read(tmp_path / "spec.json") == spec


def test_encode_gives_the_same_with_the_spec_from_its_file(case: str, tmp_path: Path) -> None:
    """Equal specs may still differ in the order of their facts."""
    data = data_set(case)
    splits = split_rows(data)
    spec = fitted(data, splits["train"])
    spec.write(tmp_path / "spec.json")
    stored = data.encode(splits["test"], DataSpec.read(tmp_path / "spec.json"))
    assert is_same(data.encode(splits["test"], spec), stored)


def test_the_spec_names_the_class_that_made_it(case: str, prepared: Prepared) -> None:
    spec = DataSpec.read(prepared(case) / "spec.json")
    assert spec.data == tiny.section("data", case)["_target_"]


def test_no_key_is_in_two_splits(case: str) -> None:
    data = data_set(case)
    keys = []
    for rows in split_rows(data).values():
        # windows and tiles that overlap have no keys; where each lies tells them apart
        keys.append(set(data.key(rows) or places(rows)))
    assert all(keys)
    assert sum(map(len, keys)) == len(set.union(*keys))


def places(rows: pd.DataFrame) -> list[bytes]:
    """The cells of each row that are no arrays."""
    cells = [name for name in rows if not isinstance(rows[name].iloc[0], np.ndarray)]
    return [repr(list(row)).encode() for row in rows[cells].itertuples(index=False)]


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

    was_changed = []
    for target in data.targets:
        files = [tmp_path / name / f"test/{target}.npy" for name in ("original", "changed")]
        was_changed.append(files[0].read_bytes() != files[1].read_bytes())
    assert any(was_changed)
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


def sent(case: str, prepared: Prepared) -> tuple[DataSet, pd.DataFrame, DataSpec]:
    """A data set, three rows as a caller would send them, and the spec of train."""
    data = data_set(case)
    rows = data.first(data.read(tiny.raw(data)))
    example = data.example(data.load(tiny.raw(data), rows))
    return data, example, DataSpec.read(prepared(case) / "spec.json")


def test_no_rows_are_encoded_as_no_samples(case: str, prepared: Prepared) -> None:
    """As a caller's empty table."""
    data, rows, spec = sent(case, prepared)
    for name, encoded in data.encode(data.received(rows.iloc[:0], spec), spec).items():
        assert len(encoded) == 0, name


@pytest.mark.fault(33)
def test_a_missing_cell_is_refused_by_its_row_and_column_or_means_what_it_meant_in_training(
    case: str, prepared: Prepared
) -> None:
    data, rows, spec = sent(case, prepared)
    columns = spec.facts.get("columns", {}) | spec.facts.get("texts", {})
    may_miss = {name for name, facts in columns.items() if facts.get("missing")}
    for column in rows:
        for missing in (None, np.nan):
            asked = rows.astype({column: object})
            asked.loc[asked.index[1], column] = missing
            if column in may_miss:
                encoded = data.encode(data.received(asked, spec), spec)
                assert all(np.isfinite(array).all() for array in encoded.values()), column
                continue
            with pytest.raises(CellsError) as error:
                data.encode(data.received(asked, spec), spec)
            assert [fault[:2] for fault in error.value.faults] == [(2, column)]
            assert "missing" in error.value.faults[0].problem


def test_a_raw_example_is_encoded_without_its_target(case: str, prepared: Prepared) -> None:
    data, example, spec = sent(case, prepared)
    assert data.label not in example
    rows = data.received(example, spec)
    arrays = data.encode(rows, spec)
    assert {len(array) for array in arrays.values()} == {len(rows)}


def test_what_a_caller_sends_is_encoded_as_it_was_for_training(
    case: str, prepared: Prepared
) -> None:
    """All samples of test, as many together as can be sent together."""
    data = data_set(case)
    rows = split_rows(data)["test"]
    spec = DataSpec.read(prepared(case) / "spec.json")
    parts = [rows] if data.together is None else [part for _, part in rows.groupby(data.together)]
    for part in parts:
        sent_rows = data.received(data.sent(part), spec)
        assert is_same(data.encode(sent_rows, spec), data.encode(part, spec))


def test_a_reader_is_shown_something_of_its_first_sample(case: str, prepared: Prepared) -> None:
    """From the arrays of test and its readable rows, as an evaluation shows it."""
    folder = prepared(case)
    spec = DataSpec.read(folder / "spec.json")
    inputs = read_arrays(folder / "test", spec.inputs)
    sample = {name: np.array(array[0]) for name, array in inputs.items()}
    row = pd.read_parquet(folder / "test/rows.parquet").iloc[0]
    exhibit = data_set(case).show(sample, row, spec)
    assert isinstance(exhibit, Exhibit)
    assert exhibit.picture or exhibit.text or exhibit.curve or exhibit.cells


def test_a_network_a_task_and_a_baseline_fit_it(case: str) -> None:
    fit = {"model": tiny.models(case), "task": tiny.tasks(case), "baseline": tiny.baselines(case)}
    assert all(fit.values()), fit
