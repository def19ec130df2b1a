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
from goodfit.records import Manifest
from goodfit.store.prepare import prepare, sides
from goodfit.system.files import read_json

pytestmark = pytest.mark.parametrize("case", tiny.cases())
Prepared = Callable[[str], Path]


def data_set(case: str) -> DataSet:
    return build.data_set(tiny.cfg(case))


def raw(data: DataSet) -> Path:
    return tiny.SAMPLES / Path(data.source.file).name


def split_rows(data: DataSet) -> tuple[pd.DataFrame, np.ndarray]:
    rows = data.read(raw(data))
    return rows, sides(data, rows)[0]


def test_its_sample_is_there(case: str) -> None:
    assert raw(data_set(case)).is_file()


def test_the_inputs_are_the_declared_ones(case: str, prepared: Prepared) -> None:
    spec = DataSpec.read(prepared(case) / "spec.json")
    assert (set(spec.inputs), spec.kind) == (tiny.gives(case), tiny.kind(case))


def test_encode_gives_exactly_the_shapes_and_types_of_the_spec(case: str) -> None:
    data = data_set(case)
    rows, side = split_rows(data)
    spec = data.fit(rows[side == "train"])
    arrays = data.encode(rows[side == "test"], spec)
    found = {name: (array.shape[1:], str(array.dtype)) for name, array in arrays.items()}
    assert found == {name: (field.shape, field.dtype) for name, field in spec.inputs.items()}


def test_the_target_has_the_shape_and_type_of_the_spec(case: str) -> None:
    data = data_set(case)
    rows, side = split_rows(data)
    spec = data.fit(rows[side == "train"])
    target = data.target(rows[side == "test"], spec)
    assert (target.shape[1:], str(target.dtype)) == (spec.target.shape, spec.target.dtype)


def test_encode_gives_one_sample_for_each_row_whatever_the_others_are(case: str) -> None:
    data = data_set(case)
    rows, side = split_rows(data)
    spec = data.fit(rows[side == "train"])
    together, alone = data.encode(rows.head(5), spec), data.encode(rows.iloc[[3]], spec)
    assert all(np.array_equal(together[name][3], alone[name][0]) for name in together)


def test_the_spec_comes_back_from_its_file(case: str, tmp_path: Path) -> None:
    data = data_set(case)
    rows, side = split_rows(data)
    spec = data.fit(rows[side == "train"])
    spec.write(tmp_path / "spec.json")
    assert DataSpec.read(tmp_path / "spec.json") == spec


def test_encode_gives_the_same_with_the_spec_from_its_file(case: str, tmp_path: Path) -> None:
    """Equal specs may still differ in the order of their facts."""
    data = data_set(case)
    rows, side = split_rows(data)
    spec = data.fit(rows[side == "train"])
    spec.write(tmp_path / "spec.json")
    one, other = (
        data.encode(rows.head(5), each) for each in (spec, DataSpec.read(tmp_path / "spec.json"))
    )
    assert all(np.array_equal(one[name], other[name]) for name in one)


def test_the_spec_names_the_class_that_made_it(case: str, prepared: Prepared) -> None:
    spec = DataSpec.read(prepared(case) / "spec.json")
    assert spec.data == tiny.section("data", case)["_target_"]


def test_no_key_is_in_two_splits(case: str) -> None:
    data = data_set(case)
    rows, side = split_rows(data)
    if (keys := data.key(rows)) is None:
        keys = [str(start).encode() for start in rows.iloc[:, 0]]
    sides = [
        {key for key, where in zip(keys, side, strict=True) if where == name} for name in SPLITS
    ]
    assert all(sides)
    assert sum(map(len, sides)) == len(set.union(*sides))


def test_no_sample_is_lost_between_reading_and_packing(case: str, prepared: Prepared) -> None:
    data = data_set(case)
    manifest = read_json(prepared(case) / "manifest.json")
    placed = sum(sum(counts.values()) for counts in manifest["counts"].values())
    assert placed + manifest["in_no_split"] == len(data.read(raw(data)))


def test_what_is_fitted_has_seen_train_only(case: str, tmp_path: Path) -> None:
    """The rows of validation and test are exchanged for copies of one of them; the spec stays as it
    is.
    """

    class Changed(type(data_set(case))):  # type: ignore[misc]
        def split(self, rows: pd.DataFrame, alike: np.ndarray) -> np.ndarray:
            side = super().split(rows, alike)
            held = np.flatnonzero(side != "train")
            for column in rows.columns:
                rows[column] = [*rows[column]]
                values = list(rows[column])
                for place in held:
                    values[place] = values[held[0]]
                rows[column] = pd.Series(values, index=rows.index, dtype=rows[column].dtype)
            return side

    data = data_set(case)
    changed = Changed.__new__(Changed)
    changed.__dict__.update(data.__dict__)
    prepare(data, raw(data), tmp_path / "one", made_with={})
    prepare(changed, raw(data), tmp_path / "other", made_with={})
    one, other = (DataSpec.read(tmp_path / name / "spec.json") for name in ("one", "other"))
    assert (tmp_path / "one/test/target.npy").read_bytes() != (
        tmp_path / "other/test/target.npy"
    ).read_bytes()
    assert {**one.__dict__, "data": ""} == {**other.__dict__, "data": ""}


def test_preparing_twice_gives_the_same_manifest(
    case: str, prepared: Prepared, tmp_path: Path
) -> None:
    data = data_set(case)
    first = Manifest.read(prepared(case) / "manifest.json")
    assert prepare(data, raw(data), tmp_path / "again", made_with=first.made_with) == first


def test_the_manifest_names_every_array(case: str, prepared: Prepared) -> None:
    folder = prepared(case)
    arrays = {str(path.relative_to(folder)) for path in folder.rglob("*.npy")}
    assert {
        name for name in read_json(folder / "manifest.json")["files"] if name.endswith(".npy")
    } == arrays


def test_a_raw_example_is_encoded_without_its_target(case: str, prepared: Prepared) -> None:
    data = data_set(case)
    spec = DataSpec.read(prepared(case) / "spec.json")
    example = data.example(data.read(raw(data)))
    assert data.label not in example
    arrays = data.encode(example, spec)
    assert {len(array) for array in arrays.values()} == {len(example)}


def test_a_network_a_task_and_a_baseline_fit_it(case: str) -> None:
    fit = {"model": tiny.models(case), "task": tiny.tasks(case), "baseline": tiny.baselines(case)}
    assert all(fit.values()), fit
