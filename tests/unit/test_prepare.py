"""Preparing keeps every row, and equal inputs in one split; what it wrote is known again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from made_tables import table

from goodfit.contract import DataSpec
from goodfit.data.split import NO_SPLIT, SPLITS
from goodfit.data.table import Table
from goodfit.errors import UserError
from goodfit.records import Copies
from goodfit.store.manifest import verify
from goodfit.store.prepare import prepare
from goodfit.system.files import read_json, write_json

Prepared = Callable[[str], Path]


def survey(tmp_path: Path) -> dict[str, Path]:
    """300 answers to three questions with three answers each: nearly all rows have equal inputs."""
    rng = np.random.default_rng(0)
    rows = pd.DataFrame(rng.integers(0, 3, (300, 3)), columns=["split", "b", "c"])
    rows["y"] = np.where(rng.random(300) < 0.7, rows["b"] > 0, rng.random(300) < 0.5)
    rows.to_csv(tmp_path / "survey.csv", index=False)
    return {"table": tmp_path / "survey.csv"}


def fifths(cls: type[Table] = Table) -> Table:
    return table(cls, test=0.2, validation=0.2)


def test_equal_inputs_are_kept_and_counted(tmp_path: Path) -> None:
    raw = survey(tmp_path)
    manifest = prepare(fifths(), raw, tmp_path / "out", made_with={})
    rows = pd.read_csv(raw["table"])
    inputs = ["split", "b", "c"]
    first = rows.groupby(inputs)["y"].transform("first")
    assert sum(sum(counts.values()) for counts in manifest.counts.values()) == 300
    assert manifest.copies == Copies(
        rows=int(rows.duplicated(inputs).sum()),
        with_another_target=int((rows["y"] != first).sum()),
    )


class Pruned(Table):
    """Of equal inputs in test the first row alone is kept."""

    def split(self, rows: pd.DataFrame, duplicate_group: np.ndarray) -> np.ndarray:
        names = np.full(len(rows), "train", object)
        names[duplicate_group > 12] = "validation"
        names[duplicate_group > 19] = "test"
        is_copy = pd.Series(duplicate_group).duplicated().to_numpy()
        names[(names == "test") & is_copy] = NO_SPLIT
        return names


def test_a_copy_that_is_left_out_is_in_no_second_split(tmp_path: Path) -> None:
    manifest = prepare(fifths(Pruned), survey(tmp_path), tmp_path / "out", made_with={})
    assert manifest.samples("test") == 7
    assert manifest.in_no_split == 50


@pytest.mark.fault(23)
def test_equal_inputs_are_in_one_split(tmp_path: Path) -> None:
    prepare(fifths(), survey(tmp_path), tmp_path / "out", made_with={})
    distinct = []
    for split in SPLITS:
        numbers = np.load(tmp_path / f"out/{split}/numbers.npy")
        distinct.append(set(map(bytes, numbers)))
    assert len(set.union(*distinct)) == sum(map(len, distinct)) == 27


def test_readable_rows_stand_beside_their_arrays_whatever_a_column_is_called(
    tmp_path: Path,
) -> None:
    prepare(fifths(), survey(tmp_path), tmp_path / "out", made_with={})
    spec = DataSpec.read(tmp_path / "out/spec.json")
    for split in SPLITS:
        rows = pd.read_parquet(tmp_path / f"out/{split}/rows.parquet")
        numbers = np.load(tmp_path / f"out/{split}/numbers.npy")
        assert np.array_equal(Table.encode(rows, spec)["numbers"], numbers)


@pytest.mark.fault(23)
def test_a_split_that_separates_equal_inputs_is_refused(tmp_path: Path) -> None:
    class Careless(Table):
        def split(self, rows: pd.DataFrame, duplicate_group: np.ndarray) -> np.ndarray:
            return super().split(rows, np.arange(len(rows)))

    message = r"Careless\.split puts rows with equal inputs into two splits, \d+ times"
    with pytest.raises(UserError, match=message):
        prepare(
            fifths(Careless),
            survey(tmp_path),
            tmp_path / "out",
            made_with={},
        )
    assert not (tmp_path / "out").exists()


def test_arrays_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    class Divides(Table):
        @staticmethod
        def encode(rows: pd.DataFrame, spec: DataSpec) -> dict[str, np.ndarray]:
            rounded = Table.encode(rows, spec)["numbers"].round()
            with np.errstate(divide="ignore"):
                return {"numbers": (1 / rounded).astype(np.float32)}

    with pytest.raises(UserError, match="numbers of train holds values that are not finite"):
        prepare(
            fifths(Divides),
            survey(tmp_path),
            tmp_path / "out",
            made_with={},
        )
    assert not (tmp_path / "out").exists()


def test_prepared_data_are_intact_and_no_other_split_is_opened(tmp_path: Path) -> None:
    manifest = prepare(fifths(), survey(tmp_path), tmp_path / "out", made_with={})
    (tmp_path / "out/test/target.npy").unlink()
    assert verify(tmp_path / "out", "train", "validation") == manifest


@pytest.mark.parametrize("name", ["train/numbers.npy", "validation/target.npy", "spec.json"])
def test_one_flipped_byte_is_found(tmp_path: Path, name: str) -> None:
    prepare(fifths(), survey(tmp_path), tmp_path / "out", made_with={})
    path = tmp_path / "out" / name
    content = bytearray(path.read_bytes())
    content[-2] ^= 1
    path.write_bytes(content)
    with pytest.raises(UserError, match=f"{name} fails its checksum: it is not what prepare wrote"):
        verify(tmp_path / "out", "train", "validation")


def test_a_byte_that_flips_between_two_looks_is_found(tmp_path: Path) -> None:
    prepare(fifths(), survey(tmp_path), tmp_path / "out", made_with={})
    verify(tmp_path / "out", "train")
    array = np.load(tmp_path / "out/train/numbers.npy", mmap_mode="r+")
    array[0, 0] += 1
    array.flush()
    with pytest.raises(UserError, match="fails its checksum"):
        verify(tmp_path / "out", "train")


def test_a_missing_array_is_found(tmp_path: Path) -> None:
    prepare(fifths(), survey(tmp_path), tmp_path / "out", made_with={})
    (tmp_path / "out/train/target.npy").unlink()
    message = r"train/target\.npy is missing, though the manifest names it"
    with pytest.raises(UserError, match=message):
        verify(tmp_path / "out", "train")


@pytest.mark.parametrize("content", ["", "{", "\xff\xfe"])
def test_a_manifest_that_was_cut_is_named(tmp_path: Path, content: str) -> None:
    path = tmp_path / "manifest.json"
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(UserError, match=r"manifest\.json is broken"):
        read_json(path)


def test_a_column_of_the_name_that_readable_rows_need_is_refused(tmp_path: Path) -> None:
    raw = survey(tmp_path)
    raw["table"].write_text(raw["table"].read_text().replace("split,b,c", "raw_row,b,c"))
    with pytest.raises(UserError, match=r"survey\.csv: a column is named 'raw_row', .* rename it"):
        prepare(fifths(), raw, tmp_path / "out", made_with={})


def test_a_description_of_another_version_is_refused(tmp_path: Path) -> None:
    prepare(fifths(), survey(tmp_path), tmp_path / "out", made_with={})
    path = tmp_path / "out/spec.json"
    write_json(path, {**read_json(path), "colour": "blue"})
    with pytest.raises(UserError, match="no description of data that this version can read"):
        DataSpec.read(path)


def test_a_description_with_an_unknown_key_of_an_array_is_refused(tmp_path: Path) -> None:
    """It may decide how the array is encoded."""
    prepare(fifths(), survey(tmp_path), tmp_path / "out", made_with={})
    path = tmp_path / "out/spec.json"
    content = read_json(path)
    content["inputs"]["numbers"]["unit"] = "kg"
    write_json(path, content)
    with pytest.raises(UserError, match=r"unknown: \['unit'\], missing: \[\]"):
        DataSpec.read(path)


def test_a_description_that_lacks_a_key_is_refused(tmp_path: Path) -> None:
    """Without its facts the inputs could not be encoded."""
    prepare(fifths(), survey(tmp_path), tmp_path / "out", made_with={})
    path = tmp_path / "out/spec.json"
    content = read_json(path)
    del content["facts"]
    write_json(path, content)
    with pytest.raises(UserError, match=r"unknown: \[\], missing: \['facts'\]"):
        DataSpec.read(path)
