"""What a model of a table is given in use and cannot take is refused, or said."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from made_tables import lines, read, table

from goodfit.data.table import Table
from goodfit.errors import UserError


@pytest.mark.fault(33)
@pytest.mark.parametrize("value", [[1.0, 2.0], {}, ("u", "v"), b"u", np.zeros(3)])
def test_what_is_no_single_value_is_refused_in_use(value: object) -> None:
    spec = table().fit(pd.DataFrame({"a": [1.0, 2.0], "t": ["u", "v"], "y": ["no", "yes"]}))
    with pytest.raises(UserError, match=r"row 1  column a  .* is not a finite number"):
        Table.encode(pd.DataFrame({"a": [value], "t": ["u"]}), spec)
    with pytest.raises(UserError, match=r"row 1  column t  .* is not a text"):
        Table.encode(pd.DataFrame({"a": [1.0], "t": [value]}), spec)


@pytest.mark.fault(33)
def test_complex_numbers_and_a_column_given_twice_are_refused_in_use() -> None:
    spec = table().fit(pd.DataFrame({"a": [1.0, 2.0], "y": ["no", "yes"]}))
    with pytest.raises(UserError, match=r"row 1  column a  .* is not a finite number"):
        Table.encode(pd.DataFrame({"a": [1j]}), spec)
    with pytest.raises(UserError, match="column 'a' is there twice; give it once"):
        Table.encode(pd.DataFrame([[1.0, 2.0]], columns=["a", " a"]), spec)


@pytest.mark.fault(33)
def test_a_category_that_train_never_had_is_said(caplog: pytest.LogCaptureFixture) -> None:
    spec = table().fit(pd.DataFrame({"t": ["u", "v"], "y": ["no", "yes"]}))
    encoded = Table.encode(pd.DataFrame({"t": ["u", "U", "U", "w"]}), spec)["numbers"]
    assert encoded.tolist() == [[1, 0], [0, 0], [0, 0], [0, 0]]
    assert caplog.messages == [
        "column t: 3 of 4 rows have a text that train never had ('U', 'w'), and so none of its "
        "categories"
    ]


@pytest.mark.fault(33)
def test_a_point_for_thousands_that_a_program_took_for_decimals_is_refused(tmp_path: Path) -> None:
    text = "a,y\n1.234,no\n2.500,yes\n"
    spec = table().fit(read(tmp_path, text, columns={"a": "decimal_comma"}))
    for cells in (["1.234", "2.500"], [1234, 2500.0]):
        encoded = Table.encode(pd.DataFrame({"a": cells}), spec)["numbers"]
        assert encoded.ravel().tolist() == [-1.0, 1.0]
    with pytest.raises(UserError) as error:
        Table.encode(pd.read_csv(tmp_path / "t.csv"), spec)
    assert str(error.value).splitlines()[1] == (
        "  row 1  column a  1.234 may be 1.234 or '1.234' with a point for thousands, as in "
        "training; give a text"
    )


@pytest.mark.fault(33)
@pytest.mark.parametrize("given", [2, "2", 0.5, -1])
def test_true_and_false_are_two_values(given: object) -> None:
    rows = pd.DataFrame({"new": [True, False], "y": ["no", "yes"]})
    spec = table().fit(rows)
    for same in (True, "TRUE", 1, "1", 1.0):
        assert np.array_equal(
            Table.encode(pd.DataFrame({"new": pd.Series([same], dtype=object)}), spec)["numbers"],
            Table.encode(pd.DataFrame({"new": [True]}), spec)["numbers"],
        )
    with pytest.raises(UserError, match=rf"new  {given!r} is not true or false"):
        Table.encode(pd.DataFrame({"new": pd.Series([given], dtype=object)}), spec)


@pytest.mark.fault(33)
@pytest.mark.parametrize("dtype", [bool, object])
@pytest.mark.parametrize("notation", ["{row}.5", '"{row},5 kg"'])
def test_true_is_no_number(tmp_path: Path, notation: str, dtype: type) -> None:
    spec = table().fit(read(tmp_path, lines(notation + "|{label}", header="a|y")))
    with pytest.raises(UserError, match="a  True is not a finite number"):
        Table.encode(pd.DataFrame({"a": pd.Series([True], dtype=dtype)}), spec)


@pytest.mark.fault(33)
def test_a_column_asked_to_be_true_or_false_holds_nothing_else(tmp_path: Path) -> None:
    text = "new,y\n" + "0,no\n1,yes\n" * 20 + "2,no\n"
    with pytest.raises(UserError, match=r"new  '2' is not true or false"):
        read(tmp_path, text, columns={"new": "boolean"})
