"""Texts and images beside the numbers of a table: read as each by itself, and used together."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tiny
import torch
from made_files import file_of

from goodfit import build
from goodfit.config.check import check
from goodfit.contract import DataSpec
from goodfit.data import file_rows
from goodfit.data.faults import CellsError
from goodfit.data.images import Images
from goodfit.data.mixed import Mixed
from goodfit.data.table import Table
from goodfit.errors import UserError
from goodfit.schema import Source
from goodfit.store.prepare import prepare
from goodfit.task.base import Task

ROWS = 240


def mixed(**options: Any) -> Mixed:
    """The data set, with what a test does not speak of."""
    content = tiny.section("data", "mixed-text")
    content |= {"label": "y", "columns": {"note": "text"}, "drop": [], "length": 6}
    content |= {"size": 8, "channels": 1, "near_copies": "apart", "min_count": 1}
    sources = {"table": Source(file="t.csv", sha256=None)}
    if "image" in options.get("columns", {}).values():
        sources["files"] = Source(file="photos.zip", sha256=None)
    content = content | options | {"sources": sources}
    return Mixed(**{name: value for name, value in content.items() if name != "_target_"})


def raw(
    folder: Path, rows: pd.DataFrame, images: dict[str, bytes] | None = None
) -> dict[str, Path]:
    """The files of rows, and of images by their names."""
    rows.to_csv(folder / "t.csv", index=False)
    if images is None:
        return {"table": folder / "t.csv"}
    with zipfile.ZipFile(folder / "photos.zip", "w") as archive:
        for name, content in images.items():
            archive.writestr(f"photos/{name}", content)
    return {"table": folder / "t.csv", "files": folder / "photos.zip"}


def two() -> pd.DataFrame:
    return pd.DataFrame(
        {"x": [1.5, 2.0, 3.5], "note": ["Red apple", "", "red"], "title": ["a", "b b", "c"]}
    ).assign(y=["p", "q", "p"])


def test_each_part_is_encoded_as_it_is_by_itself(prepared: Callable[[str], Path]) -> None:
    """Numbers as those of a table, images as those of a folder."""
    data = build.data_set(tiny.cfg("mixed-all"))
    spec = DataSpec.read(prepared("mixed-all") / "spec.json")
    rows = data.load(tiny.raw(data), data.read(tiny.raw(data)).head(5))
    encoded = data.encode(rows, spec)
    assert np.array_equal(encoded["numbers"], Table.encode(rows, spec)["numbers"])
    images = Images.encode(rows.rename(columns={"photo": "image"}), spec)
    assert np.array_equal(encoded["image"], images["image"])


def test_a_missing_text_is_a_word_of_its_own_and_each_column_is_named(tmp_path: Path) -> None:
    data = mixed(columns={"note": "text", "title": "text"})
    rows = data.read(raw(tmp_path, two()))
    spec = data.fit(rows)
    words = spec.inputs["tokens"].vocabulary
    assert spec.inputs["tokens"].shape == (14,)
    tokens = data.encode(rows, spec)["tokens"]
    said = [[words[token] for token in row if token] for row in tokens]
    assert said[0] == ["<column note>", "red", "apple", "<column title>", "a"]
    assert said[1] == ["<column note>", "<missing>", "<column title>", "b", "b"]
    told = {each.name: each.why for each in data.columns_read(spec)}
    assert "1 of 3 cells is missing (''); a word stands for one" in told["note"]


def test_a_text_that_is_missing_in_use_is_refused_where_training_had_none(tmp_path: Path) -> None:
    data = mixed(columns={"note": "text", "title": "text"})
    spec = data.fit(data.read(raw(tmp_path, two())))
    asked = pd.DataFrame({"x": [1, 2], "note": [None, "red"], "title": ["a", "  "]})
    with pytest.raises(CellsError) as error:
        data.encode(asked, spec)
    assert [fault[:2] for fault in error.value.faults] == [(2, "title")]
    same = [data.encode(asked.assign(title=[3.0, each]), spec) for each in ("3", 3)]
    assert np.array_equal(same[0]["tokens"], same[1]["tokens"])
    assert np.array_equal(same[0]["tokens"][0, 2:], same[0]["tokens"][1, 2:])


def test_words_are_those_of_train_alone(tmp_path: Path) -> None:
    rows = pd.DataFrame({"x": range(90), "note": [f"w{row}" for row in range(90)]})
    rows = rows.assign(y=["p", "q"] * 45, fold=["train"] * 60 + ["validation"] * 15 + ["test"] * 15)
    data = mixed(assigned="fold")
    prepare(data, raw(tmp_path, rows), tmp_path / "out", made_with={})
    words = DataSpec.read(tmp_path / "out/spec.json").inputs["tokens"].vocabulary
    assert set(words[2:]) == {f"w{row}" for row in range(60)}


def test_several_rows_may_have_the_same_image(tmp_path: Path) -> None:
    grey = {f"{name}.png": file_of(np.full((8, 8), 20 * name, np.uint8)) for name in range(1, 9)}
    grey["9.png"] = grey["8.png"]
    photos = [f"{1 + row % 9}.png" for row in range(90)]
    rows = pd.DataFrame({"x": np.arange(90) ** 2, "photo": photos, "y": ["p", "q"] * 45})
    data = mixed(columns={"photo": "image"})
    prepare(data, raw(tmp_path, rows, grey), tmp_path / "out", made_with={})
    seen = []
    for split in ("train", "validation", "test"):
        table = pd.read_parquet(tmp_path / "out" / split / "rows.parquet")
        images = np.load(tmp_path / "out" / split / "image.npy")
        expected = np.minimum(20 * (1 + table["raw_row"] % 9), 160)
        assert images[:, 0, 0, 0].tolist() == expected.tolist()
        seen += table["x"].tolist()
    assert sorted(seen) == [row**2 for row in range(90)]


@pytest.mark.parametrize(
    ("columns", "cells", "told"),
    [
        ({}, {}, "data.columns names no text and no image"),
        ({"a": "image", "b": "image"}, {}, r"2 columns of images, a, b; .*data\.drop=\[b\]"),
        ({"photo": "image"}, {"photo": "9.png"}, "lacks 1 of 3 files"),
        ({"photo": "image"}, {"photo": ""}, "row 3  column photo  '' is empty"),
    ],
)
def test_what_cannot_be_read_is_told(
    tmp_path: Path, columns: dict[str, str], cells: dict[str, str], told: str
) -> None:
    images = {f"{name}.png": file_of(np.zeros((8, 8), np.uint8)) for name in "123"}
    rows = two().assign(photo=["1.png", "2.png", "3.png"])
    for name, cell in cells.items():
        rows.loc[1, name] = cell
    files = raw(tmp_path, rows, images)
    with pytest.raises(UserError, match=told):
        mixed(columns=columns, unnamed="leave_out").read(files)


def test_a_table_says_who_reads_texts() -> None:
    cfg = tiny.cfg("table-class")
    cfg.data["columns"] = {"town": "text"}
    with pytest.raises(UserError, match=r"data\.columns\.town: .*data=mixed, model=branches"):
        check(cfg)


@pytest.mark.parametrize("part", ["model", "augment", "baseline"])
def test_what_the_data_turn_out_not_to_have_is_told_before_training(
    part: str, prepared: Callable[[str], Path]
) -> None:
    """They may have images, by their class, and their spec says that they have none."""
    chosen = {"model": "cnn", "augment": "affine", "baseline": "hog"}[part]
    cfg = tiny.cfg("mixed-text", model="branches", task="classification")
    section = tiny.section(part, chosen)
    cfg[part] = section if part == "model" else {chosen: section}
    check(cfg)
    with pytest.raises(UserError, match=r"the data give \['numbers', 'tokens', 'mask'\]"):
        build.task(cfg, DataSpec.read(prepared("mixed-text") / "spec.json"))


def told_by(*parts: str) -> tuple[pd.DataFrame, dict[str, bytes]]:
    """Rows whose label is that of the parts that tell it, of several the exclusive or of all."""
    rng = np.random.default_rng(3)
    bits = {part: rng.integers(0, 2, ROWS) for part in ("number", "text", "image")}
    words = [
        " ".join(rng.permutation([("calm", "loud")[bit], "day", "here"])) for bit in bits["text"]
    ]
    names, images = [], {}
    for row, bit in enumerate(bits["image"]):
        pixels = rng.integers(0, 90, (8, 8)).astype(np.uint8)
        pixels[2:6, 2:6] += np.uint8(120 * bit)
        names.append(f"{row:03}.png")
        images[names[-1]] = file_of(pixels)
    label = sum(bits[part] for part in parts) % 2
    numbers = bits["number"] + rng.normal(0, 0.1, ROWS)
    columns = {"x": numbers, "note": words, "photo": names, "y": np.where(label, "p", "q")}
    return pd.DataFrame(columns), images


def accuracy(folder: Path, columns: dict[str, str], drop: list[str], *parts: str) -> float:
    """Of a short training, on test."""
    rows, images = told_by(*parts)
    data = mixed(columns=columns, drop=drop)
    files = raw(folder, rows, images if "image" in columns.values() else None)
    prepare(data, files, folder / "out", made_with={})
    return learned(folder / "out")


def learned(folder: Path) -> float:
    from goodfit.store.arrays import Packed

    torch.manual_seed(0)
    cfg = tiny.cfg("mixed-text", model="branches", task="classification", baseline="joint_linear")
    task: Task = build.task(cfg, DataSpec.read(folder / "spec.json"))
    train, test = (Packed(folder, split).only(task.inputs) for split in ("train", "test"))
    optimizer = torch.optim.AdamW(task.parameters(), 5e-3)
    for _ in range(30):
        for rows in torch.randperm(len(train)).split(32):
            batch = train.batch(rows)
            optimizer.zero_grad()
            task.losses(task.run(batch.inputs, batch.targets), batch.targets).mean().backward()
            optimizer.step()
    task.eval()
    batch = test.batch(torch.arange(len(test)))
    with torch.no_grad():
        answered = task.infer(batch.inputs).argmax(-1)
    return float((answered == batch.targets["target"]).float().mean())


ALL = {"note": "text", "photo": "image"}


@pytest.mark.slow
@pytest.mark.parametrize("part", ["number", "text", "image"])
def test_each_branch_is_used_where_it_alone_tells_the_label(part: str, tmp_path: Path) -> None:
    assert accuracy(tmp_path, ALL, [], part) > 0.9


@pytest.mark.slow
def test_what_number_and_text_tell_together_alone_neither_does(tmp_path: Path) -> None:
    """The exclusive or of both."""
    text = {"note": "text"}
    assert accuracy(tmp_path, text, ["photo"], "number", "text") > 0.9
    alone = tmp_path / "alone"
    alone.mkdir()
    assert accuracy(alone, text, ["photo", "x"], "number", "text") < 0.7


def test_files_are_put_into_rows_that_name_them_from_a_folder_and_an_archive(
    tmp_path: Path,
) -> None:
    rows = pd.DataFrame({"x": [1, 2, 3], "photo": ["a.png", "b.png", "c.png"]})
    contents = {"a.png": b"first", "b.png": b"second"}
    files = raw(tmp_path, rows, contents)
    (tmp_path / "photos").mkdir()
    for name, content in contents.items():
        (tmp_path / "photos" / name).write_bytes(content)
    for path in (tmp_path / "photos", files["files"]):
        filled = file_rows.filled(rows, "photo", path, Mixed.check_name)
        assert filled.rows["photo"].tolist() == [b"first", b"second", "c.png"]


def test_a_file_that_a_row_names_is_of_the_format_that_its_name_says(tmp_path: Path) -> None:
    """As prepare has it; a column that is not there is told by who encodes the rows."""
    rows = pd.DataFrame({"photo": ["a.png", "b.jpg"]})
    (tmp_path / "a.png").write_bytes(file_of(np.zeros((4, 4, 3), np.uint8)))
    (tmp_path / "b.jpg").write_bytes((tmp_path / "a.png").read_bytes())
    filled = file_rows.filled(rows, "photo", tmp_path, Mixed.check_name)
    assert filled.problems == {1: "b.jpg is PNG, though its name ends with '.jpg'"}
    assert not file_rows.filled(rows[[]], "photo", tmp_path, Mixed.check_name).problems
