"""A CSV file of anybody's: read as it is, or refused with the row and column of each fault."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from made_tables import lines, read, refused, table

from goodfit.data.faults import drop
from goodfit.data.table import Table
from goodfit.errors import UserError


@pytest.mark.fault(22)
def test_numbers_and_texts_are_told_apart_and_a_label_may_be_none(tmp_path: Path) -> None:
    rows = read(tmp_path, "a,town,y\n1,NA,no\n2.5,Ulm,None\n")
    assert rows.to_dict("list") == {"a": [1.0, 2.5], "town": ["", "Ulm"], "y": ["no", "None"]}
    said = table().fit(rows).facts["columns"]["town"]["why"]
    assert said.startswith("texts; 1 of 2 cells is missing ('NA'); to take all of them as")


@pytest.mark.fault(32)
def test_na_is_a_text_where_the_user_says_so(tmp_path: Path) -> None:
    text = "a,town,y\n1,NA,no\n2.5,none,yes\n3,Ulm,no\n"
    assert read(tmp_path, text)["town"].tolist() == ["", "none", "Ulm"]
    literal = read(tmp_path, text, columns={"town": "category"})
    assert literal["town"].tolist() == ["NA", "none", "Ulm"]


@pytest.mark.fault(22)
@pytest.mark.parametrize(
    "extra", ["1,2,no,9\n3,4,yes,9\n", "1,2,no,\n3,4,yes,\n", "1,2,no\n3,4,yes,9\n"]
)
def test_rows_longer_than_the_header_are_refused(tmp_path: Path, extra: str) -> None:
    assert "has 4 cells, the header 3" in refused(tmp_path, f"a,b,y\n{extra}")


def test_a_row_that_was_cut_has_an_empty_cell(tmp_path: Path) -> None:
    assert "row 3  column y  '' is empty" in refused(tmp_path, "a,y\n1,no\n2\n")


@pytest.mark.fault(22)
def test_a_long_cell_is_cut_in_a_message(tmp_path: Path) -> None:
    message = refused(tmp_path, f"a,y\n1,no\n2,no\n{'x' * 200_000},yes\n4,no\n")
    assert message.splitlines()[1] == (
        f"  row 4  column a  '{'x' * 59}... (200,002 letters) is not a finite number"
    )


@pytest.mark.fault(22)
def test_faults_are_named_by_their_row_in_the_file_blank_rows_counted(tmp_path: Path) -> None:
    message = refused(tmp_path, "a,y\n\n1,no\n2,no\n\nseven,yes\n4,no\n5,\n")
    assert message.splitlines() == [
        "t.csv: 2 cells cannot be used; mend or drop them, or take a column as texts: "
        "data.columns.a=category:",
        "  row 6  column a  'seven' is not a finite number",
        "  row 8  column y  '' is empty",
    ]


def test_blank_rows_are_no_samples(tmp_path: Path) -> None:
    rows = read(tmp_path, "a,y\n\n1,no\n\n2,yes\n\n")
    assert rows.to_dict("list") == {"a": [1.0, 2.0], "y": ["no", "yes"]}


@pytest.mark.parametrize("value", ["inf", "-inf", "1e999"])
def test_what_is_not_finite_is_a_fault(tmp_path: Path, value: str) -> None:
    message = refused(tmp_path, f"a,y\n1,no\n{value},no\n3,no\n")
    assert f"row 3  column a  '{value}' is not a finite number" in message


def test_two_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    assert "two columns named 'a'" in refused(tmp_path, "a,a,y\n1,2,no\n")


@pytest.mark.fault(22)
def test_a_column_that_is_not_there_brings_the_nearest_name(tmp_path: Path) -> None:
    message = refused(tmp_path, "a,price\n1,2\n", label="pirce")
    assert message == "t.csv lacks column 'pirce'. Did you mean 'price'?"


def test_a_number_to_predict_that_is_a_text_is_refused(tmp_path: Path) -> None:
    message = refused(tmp_path, "a,y\n1,cheap\n2,dear\n", kind="number")
    assert "row 2  column y  'cheap' is not a finite number" in message


@pytest.mark.fault(22)
@pytest.mark.parametrize(
    ("text", "why"), [("", "is empty"), ("a,y\n", "no rows"), ("a,y\n\n\n", "no rows")]
)
def test_a_file_without_samples_is_refused(tmp_path: Path, text: str, why: str) -> None:
    assert why in refused(tmp_path, text)


@pytest.mark.fault(22)
def test_a_file_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes("a,y\n1,größer\n".encode("latin-1"))
    with pytest.raises(UserError, match=r"t\.csv is not UTF-8 \(byte 8\)"):
        table().read({"table": tmp_path / "t.csv"})


def test_a_constant_column_is_nothing_to_the_network(tmp_path: Path) -> None:
    """The deviation of ten times 0.1 is 1e-17 in floating point: divided by it, 0.2 is huge."""
    rows = pd.DataFrame({"a": [0.1] * 10, "y": ["no", "yes"] * 5})
    spec = table().fit(rows)
    encoded = Table.encode(pd.DataFrame({"a": [0.1, 0.2]}), spec)["numbers"]
    assert np.abs(encoded).max() == pytest.approx(0.1)


def test_a_text_where_train_has_numbers_is_refused(tmp_path: Path) -> None:
    spec = table().fit(pd.DataFrame({"a": [1.0, 2.0], "y": ["no", "yes"]}))
    with pytest.raises(UserError, match=r"row 2  column a  'seven' is not a finite number"):
        Table.encode(pd.DataFrame({"a": ["3", "seven"]}), spec)


def test_a_constant_target_is_refused(tmp_path: Path) -> None:
    rows = pd.DataFrame({"a": [1.0, 2.0, 3.0], "y": [7.5] * 3})
    with pytest.raises(UserError, match=r"column 'y' is 7\.5 in all of train: nothing to learn"):
        table(kind="number").fit(rows)


def test_a_number_is_stratified_by_its_deciles(tmp_path: Path) -> None:
    """A decile of 40 rows has 4, of which test gets one."""
    rows = pd.DataFrame({"a": np.arange(40.0), "y": np.arange(40.0)})
    names = table(kind="number").split(rows, np.arange(40))
    assert [(names[i : i + 4] == "test").sum() for i in range(3, 39, 4)] == [1] * 9


@pytest.mark.fault(28)
def test_a_column_that_is_the_target_by_another_name_is_said(tmp_path: Path) -> None:
    lines = [f"{row % 7},{row % 2},{row % 3},{'ny'[row % 2]}" for row in range(60)]
    rows = read(tmp_path, "\n".join(["a,same,other,y", *lines]) + "\n")
    said = {name: column["why"] for name, column in json.loads(rows.attrs["columns"]).items()}
    assert said == {
        "a": "numbers",
        "same": "numbers; alone it tells 'y' in every row: if nobody knows it before, "
        "data.drop=[same]",
        "other": "numbers",
    }
    lines = [f"{row % 7},{row % 11 * 2.5 + 1},{row % 3},{row % 11}" for row in range(60)]
    rows = read(tmp_path, "\n".join(["a,same,other,y", *lines]) + "\n", kind="number")
    told = [
        name
        for name, column in json.loads(rows.attrs["columns"]).items()
        if "alone it" in column["why"]
    ]
    assert told == ["same"]


def test_of_many_categories_the_frequent_stand_for_themselves_and_the_others_are_one(
    tmp_path: Path,
) -> None:
    """150 towns: the first hundred three times, the others once or twice."""
    towns = [f"t{town:03}" for town in range(150) for _ in range(3 if town < 100 else 1 + town % 2)]
    text = "town,y\n" + "".join(
        f"{town},{'yes' if row % 2 else 'no'}\n" for row, town in enumerate(towns)
    )
    rows = read(tmp_path, text)
    spec = table().fit(rows)
    facts = spec.facts["columns"]["town"]
    assert facts["categories"] == [f"t{town:03}" for town in range(100)]
    assert spec.inputs["numbers"].shape == (101,)
    (said,) = [column.why for column in table().columns_read(spec) if column.name == "town"]
    assert said.endswith("100 categories; 50 rarer ones, and those that train never had, are one")

    asked = pd.DataFrame({"town": ["t007", "t120", "never seen"]})
    encoded = Table.encode(asked, spec)["numbers"]
    assert encoded.argmax(1).tolist() == [7, 100, 100]
    assert encoded.sum(1).tolist() == [1, 1, 1]


def test_an_input_may_be_called_target(tmp_path: Path) -> None:
    rows = read(tmp_path, lines("{row}.5,{seven},{label}", header="target,b,y"))
    made = table()
    spec = made.fit(rows)
    assert list(made.example(rows)) == ["target", "b"]
    assert made.encode(made.example(rows), spec)["numbers"].shape == (3, 2)


def test_no_advice_is_given_that_is_refused(tmp_path: Path) -> None:
    """Of the target, of what decides the split, and of names that YAML takes for something else."""
    numbers = [*range(40), 1e30]
    text = "a,y\n" + "".join(f"{row}.5,{value}\n" for row, value in enumerate(numbers))
    said = refused(tmp_path, text, kind="number")
    assert "beside which its other values are all the same in float32; mend it" in said
    assert "drop" not in said
    assert drop("null") == """'data.drop=["null"]'"""
    assert drop("yes") == """'data.drop=["yes"]'"""
    assert drop("plan") == "data.drop=[plan]"
