"""A table names files, their targets and their splits; what does not agree is told by its name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tiny
from made_files import file_of, noise, zipped

from goodfit.data import split
from goodfit.data.named import matched
from goodfit.data.named_images import NamedImages
from goodfit.data.table import Table
from goodfit.errors import UserError
from goodfit.schema import Source

COUNT = 40


def named(**options: Any) -> NamedImages:
    """The data set, with what a test does not speak of."""
    content = tiny.section("data", "named_images-radius")
    sources = {
        "table": Source(file="labels.csv", sha256=None),
        "files": Source(file="photos.zip", sha256=None),
    }
    given = {"image": "path", "label": "depth", "kind": "number"} | options
    kept = {name: value for name, value in content.items() if name != "_target_"}
    return NamedImages(**(kept | given | {"sources": sources}))


def raw(folder: Path, names: list[str] | None = None, **columns: Any) -> dict[str, Path]:
    """An archive of images, and a table that has them in another order, with their folder."""
    files = {f"{number:02}.png": file_of(noise(number)) for number in range(COUNT)}
    rows = {
        "path": names or [f"photos/{name}" for name in reversed(files)],
        "depth": [number / 4 for number in reversed(range(COUNT))],
        "patient": [f"p{number // 4}" for number in range(COUNT)],
        "note": ["x"] * COUNT,
    }
    pd.DataFrame(rows | columns).to_csv(folder / "labels.csv", index=False)
    return {**zipped(files, folder / "photos.zip"), "table": folder / "labels.csv"}


def test_each_file_has_the_target_of_its_row_whatever_the_order(tmp_path: Path) -> None:
    rows = named().read(raw(tmp_path))
    assert list(rows["file"]) == [f"{number:02}.png" for number in range(COUNT)]
    assert list(rows["label"]) == [number / 4 for number in range(COUNT)]


def test_the_target_is_learned_by_its_mean_and_deviation_in_train(tmp_path: Path) -> None:
    rows = named().read(raw(tmp_path))
    spec = named().fit(rows)
    depths = np.arange(COUNT) / 4
    assert spec.targets["target"].mean == (pytest.approx(depths.mean()),)
    assert spec.targets["target"].std == (pytest.approx(depths.std()),)
    assert (spec.kind, spec.outputs) == ("number", 1)
    assert named().encode_targets(rows, spec)["target"].tolist() == depths.tolist()


def test_files_of_one_group_stay_together_and_are_drawn_together(tmp_path: Path) -> None:
    data = named(group="patient")
    rows = data.read(raw(tmp_path))
    splits = data.split(rows, np.arange(COUNT))
    assert set(splits) == {"train", "validation", "test"}
    assert rows.assign(split=splits).groupby("patient")["split"].nunique().max() == 1
    assert len(np.unique(data.clusters(rows))) == COUNT // 4
    assert data.cluster_of(data.fit(rows)) == "patient"


@pytest.mark.parametrize(
    ("names", "present"),
    [
        (["a/1", "b/2"], ["a/1", "b/2"]),
        (["photos/a/1", "photos/b/2"], ["a/1", "b/2"]),
        (["/home/me/photos/a/1", "/home/me/photos/b/2"], ["a/1", "b/2"]),
        (["a/1", "b/2"], ["photos/a/1", "photos/b/2"]),
        (["../mine/a/1", "../mine/b/2"], ["photos/a/1", "photos/b/2"]),
    ],
)
def test_folders_before_all_names_do_not_matter(names: list[str], present: list[str]) -> None:
    assert matched(names, present) == present


def test_no_name_leads_out_of_the_archive(tmp_path: Path) -> None:
    names = [f"photos/{number:02}.png" for number in range(COUNT - 1)]
    with pytest.raises(UserError, match=r"photos\.zip lacks 1 of 40 files.*'\.\./labels\.csv'"):
        named().read(raw(tmp_path, [*names, "../labels.csv"]))


def test_an_ending_that_the_table_leaves_out_is_advised_and_added(tmp_path: Path) -> None:
    files = raw(tmp_path, [f"{number:02}" for number in range(COUNT)])
    with pytest.raises(UserError, match=r"lacks 40 of 40 files.*00\.png: data\.ending=\.png"):
        named().read(files)
    assert len(named(ending=".png").read(files)) == COUNT


def test_a_file_with_two_rows_and_one_without_are_refused(tmp_path: Path) -> None:
    names = [f"{number:02}.png" for number in range(COUNT)]
    with pytest.raises(UserError, match=r"names '00\.png' more than once"):
        named().read(raw(tmp_path, ["00.png", *names[:-1]]))
    files = raw(tmp_path)
    pd.read_csv(files["table"]).iloc[1:].to_csv(files["table"], index=False)
    with pytest.raises(UserError, match=r"has 1 file that labels\.csv does not name, such as '39"):
        named().read(files)
    assert len(named(unnamed="leave_out").read(files)) == COUNT - 1


def test_a_target_that_is_missing_is_told_by_its_row(tmp_path: Path) -> None:
    files = raw(tmp_path, depth=["", *range(1, COUNT)])
    with pytest.raises(UserError, match=r"row 2  column depth"):
        named().read(files)


def test_no_option_is_advised_for_a_missing_name_that_the_data_set_has_not(tmp_path: Path) -> None:
    names = [f"{number:02}.png" for number in range(COUNT)]
    with pytest.raises(UserError) as error:
        named().read(raw(tmp_path, names=["", *names[1:]]))
    assert "cannot be used; mend or drop them:\n  row 2  column path  '' is empty" in str(
        error.value
    )


def test_equal_files_share_a_split_however_many_and_nothing_is_asked(tmp_path: Path) -> None:
    """Near copies are such, too: half of them may be of one scene."""
    count = 200
    frame = pd.DataFrame({"path": [f"{row}.png" for row in range(count)], "depth": range(count)})
    frame.to_csv(tmp_path / "labels.csv", index=False)
    table = named().table
    rows = table.read({"table": tmp_path / "labels.csv"})
    group = np.maximum(np.arange(count) - 100, 0)
    names = table.split(rows, group)
    shares = (table.test, table.validation, table.split_seed)
    expected = split.stratified(table.strata(rows), *shares, duplicate_group=group)
    assert names.tolist() == expected.tolist()
    assert len(set(names[:101])) == 1
    with pytest.raises(UserError, match=r"101 of 200 rows have equal inputs .*data\.equal_rows"):
        Table.split(table, rows, group)
