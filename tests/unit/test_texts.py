"""A column of texts is read as it is written, in any script, and nothing else is looked at."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from goodfit.data import split, tokens
from goodfit.data.table import Table
from goodfit.data.texts import Texts
from goodfit.errors import UserError
from goodfit.schema import Source


def texts(**options: Any) -> Texts:
    defaults: dict[str, Any] = {
        "sources": {"table": Source(file="t.csv", sha256=None)},
        **{"text": "body", "label": "y", "length": 6, "min_count": 1, "alike_labels": "refuse"},
        **{"kind": "class", "order": [], "separator": None},
        **dict.fromkeys(("sheet", "encoding", "group", "time", "gap", "assigned", "weight")),
        **{"test": 0.25, "validation": 0.25, "split_seed": 0},
    }
    return Texts(**defaults | options)


def read(tmp_path: Path, text: str, **options: Any) -> pd.DataFrame:
    (tmp_path / "t.csv").write_text(text)
    return texts(**options).read({"table": tmp_path / "t.csv"})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("It's great!", ["it's", "great", "!"]),
        ("It\u2019s GREAT", ["it's", "great"]),
        ("Schöne Grüße, Ж", ["schöne", "grüße", ",", "ж"]),
        ("東京 2024", ["東京", "2024"]),
        ("  ", []),
    ],
)
def test_words_are_those_of_any_script(text: str, words: list[str]) -> None:
    assert tokens.words(text) == words


def test_tokens_are_the_words_of_train_and_unknown_ones_are_one(tmp_path: Path) -> None:
    rows = read(tmp_path, "body,y\nred red blue,a\nblue green,b\n")
    spec = texts().fit(rows)
    assert spec.inputs["tokens"].vocabulary == ("<pad>", "<unk>", "blue", "red", "green")
    asked = pd.DataFrame({"body": ["Red, blue!", "black"], "other": [1, 2]})
    encoded = Texts.encode(asked, spec)
    assert encoded["tokens"].tolist() == [[3, 1, 2, 1, 0, 0], [1, 0, 0, 0, 0, 0]]
    assert encoded["mask"].sum(1).tolist() == [4, 1]


def test_other_columns_are_left_out_with_a_word(tmp_path: Path) -> None:
    rows = read(tmp_path, "body,price,y\nred,1,a\nblue,2,b\n")
    spec = texts().fit(rows)
    assert list(rows) == ["body", "y"]
    assert spec.facts["left_out"] == {"price": "the input is 'body' alone"}
    told = {column.name: column.read_as for column in texts().columns_read(spec)}
    assert told == {"body": "text", "y": "class", "price": None}


def test_texts_that_differ_in_spaces_and_capitals_alone_are_in_one_split(tmp_path: Path) -> None:
    lines = [f"word{row % 20} again,{'ab'[row % 2]}" for row in range(40)]
    lines[20:] = [line.upper().replace(" ", "  ").lower().capitalize() for line in lines[20:]]
    rows = read(tmp_path, "\n".join(["body,y", *lines]) + "\n")
    made = texts()
    keys = made.key(rows)
    names = made.split(rows, pd.factorize(np.array(keys, object))[0])
    assert len(set(keys)) == 20
    assert all(names[row] == names[row + 20] for row in range(20))


@pytest.mark.parametrize(
    ("text", "options", "told"),
    [
        ("body,y\nred,a\n,b\n", {}, "row 3  column body  '' is empty"),
        ("text,y\nred,a\nblue,b\n", {}, "lacks column 'body'"),
        ("body,y\nred,a\nblue,b\n", {"group": "shop"}, "lacks column 'shop'"),
    ],
)
def test_what_is_missing_is_named(
    tmp_path: Path, text: str, options: dict[str, Any], told: str
) -> None:
    with pytest.raises(UserError) as refused:
        read(tmp_path, text, **options)
    assert told in str(refused.value)


@pytest.mark.parametrize(
    ("cells", "options", "expected"),
    [
        (["1.5", "2"], {"kind": "number"}, [1.5, 2.0]),
        (["3", "0"], {"kind": "count"}, [3.0, 0.0]),
        (["low", "high"], {"kind": "ordered", "order": ["low", "high"]}, [0, 1]),
        (["a", "b"], {"kind": "labels", "separator": ";"}, [[1.0, 0.0], [0.0, 1.0]]),
    ],
)
def test_a_text_tells_any_kind_of_target(
    tmp_path: Path, cells: list[str], options: dict[str, Any], expected: list[Any]
) -> None:
    rows = read(tmp_path, f"body,y\nred,{cells[0]}\nblue,{cells[1]}\n", **options)
    made = texts(**options)
    spec = made.fit(rows)
    assert made.encode_targets(rows, spec)["target"].tolist() == expected
    assert set(spec.inputs) == {"tokens", "mask"}


def test_texts_that_elsewhere_mean_a_missing_cell_are_said_to_be_words(tmp_path: Path) -> None:
    rows = read(tmp_path, "body,y\nNA,a\nblue green,b\nNA,a\nnull,b\n")
    told = {column.name: column.why for column in texts().columns_read(texts().fit(rows))}
    said = "; taken for texts, not for missing cells: 'NA' (2), 'null' (1)"
    assert told["body"].endswith(said)
    assert Texts.encode(pd.DataFrame({"body": ["NA"]}), texts().fit(rows))["tokens"][0, 0] > 1


def test_equal_texts_share_a_split_however_many_and_nothing_is_asked(tmp_path: Path) -> None:
    """A table asks whether they are copies; of texts no option would answer."""
    lines = [f"word{max(row - 100, 0)},{'ab'[row % 2]}" for row in range(200)]
    rows = read(tmp_path, "\n".join(["body,y", *lines]) + "\n")
    made = texts()
    group = pd.factorize(np.array(made.key(rows), object))[0]
    names = made.split(rows, group)
    expected = split.stratified(made.strata(rows), 0.25, 0.25, 0, duplicate_group=group)
    assert names.tolist() == expected.tolist()
    assert len(set(names[:101])) == 1
    assert set(names) == set(split.SPLITS)
    with pytest.raises(UserError, match=r"101 of 200 rows have equal inputs .*data\.equal_rows"):
        Table.split(made, rows, group)
