"""A table of anybody's is read as its author meant it, or refused; use reads it as training did."""

from __future__ import annotations

import datetime
import json
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from made_tables import ROWS, lines, read, refused, table

from goodfit.contract import DataSpec
from goodfit.data import features
from goodfit.data.columns import Column
from goodfit.data.table import Table
from goodfit.errors import UserError
from goodfit.store.prepare import prepare


@pytest.mark.fault(29)
@pytest.mark.parametrize(
    ("labels", "pair"),
    [
        (["1", "1.0", "0"], "'1' (20 rows) and '1.0' (20 rows)"),
        (["yes", "Yes", "no"], "'yes' (20 rows) and 'Yes' (20 rows)"),
        (["gr\u00fcn", "gru\u0308n", "no"], "'gr\u00fcn' (20 rows) and 'gru\u0308n' (20 rows)"),
        (["a b", "a\u00a0 b", "no"], "'a b' (20 rows) and 'a\\xa0 b' (20 rows)"),
        (["yes", "yes\u200b", "no"], "'yes' (20 rows) and 'yes\\u200b' (20 rows)"),
    ],
)
def test_labels_that_differ_in_spelling_are_refused_joined_or_kept(
    tmp_path: Path, labels: list[str], pair: str
) -> None:
    text = "a,y\n" + "".join(f"{row % 7},{labels[row % 3]}\n" for row in range(ROWS))
    message = refused(tmp_path, text)
    assert message == (
        f"t.csv: labels {pair} differ in spelling alone; write them alike, or choose "
        "data.alike_labels=join or =keep"
    )
    joined = read(tmp_path, text, alike_labels="join")
    assert joined["y"].value_counts().to_dict() == {labels[0]: 40, labels[2]: 20}
    said = table().fit(joined).facts["target"]["y"]
    assert said == f"the target; '{labels[1]}' (20 rows) becomes '{labels[0]}'"
    assert read(tmp_path, text, alike_labels="keep")["y"].nunique() == 3


@pytest.mark.fault(29)
def test_spaces_around_labels_are_dropped_with_a_word(tmp_path: Path) -> None:
    rows = read(tmp_path, "a,y\n1, yes\n2,yes\n3,no \n4,no\n")
    assert rows["y"].tolist() == ["yes", "yes", "no", "no"]
    assert (
        table().fit(rows).facts["target"]["y"] == "the target; spaces around 2 of them are dropped"
    )


@pytest.mark.fault(30)
@pytest.mark.parametrize(("separator", "word"), [(";", "semicolon"), ("\t", "tab")])
def test_another_separator_and_a_decimal_comma_are_read_and_said(
    tmp_path: Path, separator: str, word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text = lines("{seven},5|b{seven}|{label}", header="a|b|y", separator=separator)
    rows = read(tmp_path, text)
    assert rows["a"].tolist() == [row % 7 + 0.5 for row in range(ROWS)]
    assert rows["b"].nunique() == 7
    assert capsys.readouterr().out == f"t.csv: cells are separated by a {word}\n"


@pytest.mark.fault(30)
def test_spaces_before_quotes_are_no_letters(tmp_path: Path) -> None:
    text = '"a", "b, c", "y"\n' + '1, "u", "no"\n2, "v, w", "yes"\n'
    rows = read(tmp_path, text)
    assert rows["b, c"].tolist() == ["u", "v, w"]
    assert rows["y"].tolist() == ["no", "yes"]


@pytest.mark.fault(30)
def test_the_mark_of_excel_is_no_part_of_a_name(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(b"\xef\xbb\xbfa,y\n1,no\n2,yes\n")
    assert list(table().read({"table": tmp_path / "t.csv"})) == ["a", "y"]


@pytest.mark.fault(31)
def test_a_number_beyond_float32_is_a_fault(tmp_path: Path) -> None:
    message = refused(tmp_path, "a,y\n1,no\n3.1e300,no\n3,yes\n")
    assert "row 3  column a  '3.1e300' is beyond the largest float32, 3.4e38" in message


@pytest.mark.fault(31)
def test_a_number_that_would_make_all_others_equal_is_refused(tmp_path: Path) -> None:
    text = lines("{seven}|{label}", header="a|y").replace("\n6,", "\n3.1e30,", 1)
    assert refused(tmp_path, text).startswith("t.csv: column 'a' holds 3.1e+30, beside which")
    # a thousand times as far as the others is a value like any other
    assert read(tmp_path, text.replace("3.1e30", "3100"))["a"].max() == 3100


@pytest.mark.fault(31)
def test_a_table_of_targets_alone_is_told_so(tmp_path: Path) -> None:
    assert refused(tmp_path, "y\nyes\nno\n") == "t.csv: no column is left to predict 'y' from"
    message = refused(tmp_path, "id,y\n1,yes\n2,no\n")
    assert message.splitlines() == [
        "t.csv: no column is left to predict 'y' from",
        "  id: by its name it identifies rows; to take it: data.columns.id=number",
    ]


@pytest.mark.fault(28)
def test_what_has_no_name_is_no_input(tmp_path: Path) -> None:
    rows = read(tmp_path, lines("{row}|{seven}|{label}|", header="|a|y|"))
    assert list(rows) == ["a", "y"]
    assert table().fit(rows).facts["left_out"] == {
        "Unnamed: 0": "it has no name, as the row numbers of a data frame",
        "Unnamed: 3": "a separator at the end of each line, without name and content",
    }


@pytest.mark.fault(32)
def test_a_missing_number_becomes_the_median_of_train_and_is_marked(tmp_path: Path) -> None:
    rows = read(tmp_path, "a,t,y\n1,u,no\n?,,yes\n10,u,yes\n4,v,no\n")
    spec = table().fit(rows)
    encoded = Table.encode(rows, spec)["numbers"]
    scores = (np.array([1, 4, 10, 4]) - 5) / np.std([1, 10, 4])
    assert encoded[:, 0] == pytest.approx(scores)
    assert encoded[:, 1].tolist() == [0, 1, 0, 0]
    assert encoded[:, 2:].tolist() == [[0, 1, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]]  # "", u, v

    unseen = pd.DataFrame({"a": [None, np.nan, "", 4], "t": [None, np.nan, "", "v"]})
    assert Table.encode(unseen, spec)["numbers"].tolist() == encoded[[1, 1, 1, 3]].tolist()


@pytest.mark.fault(32)
def test_missing_cells_can_be_refused(tmp_path: Path) -> None:
    message = refused(tmp_path, "a,y\n1,no\n?,yes\n3,yes\n", missing="refuse")
    assert message.splitlines() == [
        "t.csv: 1 cell cannot be used; mend or drop them, or data.missing=impute:",
        "  row 3  column a  '?' is missing",
    ]


@pytest.mark.fault(33)
def test_a_missing_value_that_training_never_had_is_refused_in_use() -> None:
    spec = table().fit(pd.DataFrame({"a": [1.0, 2.0], "t": ["u", "v"], "y": ["no", "yes"]}))
    with pytest.raises(UserError) as error:
        Table.encode(pd.DataFrame({"a": [1.0, None], "t": [None, "u"]}), spec)
    assert str(error.value).splitlines() == [
        "the rows: 2 cells cannot be used; give what training had:",
        "  row 2  column a  is missing; in training none was",
        "  row 1  column t  is missing; in training none was",
    ]


@pytest.mark.fault(33)
def test_use_reads_what_programs_make_of_the_file_as_training_read_it(tmp_path: Path) -> None:
    """pandas makes numbers of codes, booleans of texts, floats of whole numbers."""
    header = "zip|day|flag|count|share|price|store|y"
    cells = '0{seven}123|{seven}.03.2024|True|{seven}|{seven}%|"1,23{seven}.5"|{seven}|{label}'
    text = lines(cells, header=header).replace(",0.03.2024,", ",9.03.2024,")
    text = text.replace("True", "False", 20)
    rows = read(tmp_path, text, columns={"store": "category"})
    spec = table().fit(rows)
    expected = Table.encode(rows, spec)["numbers"]
    kinds = {name: facts["kind"] for name, facts in spec.facts["columns"].items()}
    assert list(kinds.values()) == [
        *("category", "date", "boolean"),
        *("number", "number", "number", "category"),
    ]

    parsed = pd.read_csv(tmp_path / "t.csv")
    assert parsed["zip"].dtype == "int64"
    as_text = pd.read_csv(tmp_path / "t.csv", dtype=str)
    typed = parsed.assign(
        day=pd.to_datetime(parsed["day"], dayfirst=True),
        count=parsed["count"].astype(float),
        store=parsed["store"].astype(float),
        price=rows["price"],
        share=rows["share"],
    )
    for given in (parsed, as_text, typed, typed.astype(object)):
        assert np.array_equal(Table.encode(given, spec)["numbers"], expected)
    # a row alone is encoded as it is among others
    assert np.array_equal(Table.encode(parsed.iloc[[7]], spec)["numbers"], expected[[7]])


def test_how_columns_are_read_survives_the_split(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(lines('"{seven},5 kg"|{row}|{label}', header="a|id|y"))
    manifest = prepare(table(), {"table": tmp_path / "t.csv"}, tmp_path / "out", made_with={})
    assert [(each.name, each.read_as, each.why) for each in manifest.columns] == [
        ("a", "number", "numbers with a decimal comma in kg"),
        ("y", "class", "the target"),
        ("id", None, "by its name it identifies rows; to take it: data.columns.id=number"),
    ]
    spec = DataSpec.read(tmp_path / "out/spec.json")
    in_use = Table.encode(pd.DataFrame({"a": ["2,5 kg", "2,5", 2.5]}), spec)["numbers"]
    assert (in_use == in_use[0]).all()


def test_a_sample_is_shown_with_its_numbers_texts_dates_and_gaps(tmp_path: Path) -> None:
    text = "a,b,town,day,new,y\n1,2,Ulm,2024-03-05,true,no\n3,,,2024-03-06 12:30,false,yes\n"
    rows = read(tmp_path, text)
    spec = table().fit(rows)
    first, second = (Table.show({}, row, spec) for _, row in rows.iterrows())
    assert first.cells == {"a": (1.0, -1.0), "b": (2.0, 0.0)}
    assert first.words == {"town": "Ulm", "day": "2024-03-05", "new": "true"}
    assert second.cells == {"a": (3.0, 1.0)}
    assert second.words == {
        "b": "missing",
        "town": "missing",
        "day": "2024-03-06 12:30:00",
        "new": "false",
    }


@pytest.mark.fault(33)
@pytest.mark.parametrize(
    ("categories", "given", "meant"),
    [
        (["3.50", "4.25"], 3.5, "3.50"),
        (["01", "1", "x"], 1, "1"),  # two have that value: letter by letter
        (["true", "false", "unknown"], True, "true"),
        (["3", "x"], np.float64(3.0), "3"),
    ],
)
def test_a_category_is_known_by_its_value(categories: list[str], given: object, meant: str) -> None:
    rows = pd.DataFrame({"t": categories * 2, "y": ["no", "yes"] * len(categories)})
    spec = table().fit(rows)
    of_value = Table.encode(pd.DataFrame({"t": pd.Series([given], dtype=object)}), spec)
    of_text = Table.encode(pd.DataFrame({"t": [meant]}), spec)
    assert np.array_equal(of_value["numbers"], of_text["numbers"])
    assert of_text["numbers"].sum() == 1


@pytest.mark.fault(33)
def test_a_date_of_any_type_is_the_same_moment() -> None:
    rows = pd.DataFrame({"d": pd.to_datetime(["2024-03-05", "2024-05-01"]), "y": ["no", "yes"]})
    spec = table().fit(rows)
    day = datetime.datetime(2024, 3, 5)
    zone = datetime.timezone(datetime.timedelta(hours=2))
    same = [
        "2024-03-05",
        day.date(),
        day,
        np.datetime64("2024-03-05"),
        pd.Timestamp(day),
        day.replace(hour=2, tzinfo=zone),
    ]
    encoded = Table.encode(pd.DataFrame({"d": pd.Series(same, dtype=object)}), spec)["numbers"]
    assert (encoded == encoded[0]).all()


def test_numbers_as_programs_write_them_are_read_at_once_and_as_one_by_one() -> None:
    values = np.random.default_rng(0).normal(size=50_000).round(9)
    cells = pd.Series([*values.astype(str), "1,234.5", "", "seven", "(3)", "1e5"])
    column = Column("number", "", "decimal_point")
    taken = {}
    for read_cells in (features.typed, features._each):
        started = time.process_time()
        read_values = read_cells(cells, column)
        taken[read_cells] = time.process_time() - started
        assert read_values[:-5].tolist() == values.tolist()
        assert np.array_equal(read_values[-5:], [1234.5, np.nan, np.nan, -3, 1e5], equal_nan=True)
    # twenty times as fast
    assert 4 * taken[features.typed] < taken[features._each]


@pytest.mark.fault(30)
def test_a_cell_longer_than_pythons_reader_takes_is_a_cell(tmp_path: Path) -> None:
    text = f"a;t;y\n1;{'x' * 200_000};no\n2;y;yes\n"
    rows = read(tmp_path, text)
    assert [len(cell) for cell in rows["t"]] == [200_000, 1]


@pytest.mark.fault(26)
@pytest.mark.parametrize(
    ("cells", "why"),
    [
        (["05.03.24", "6.3.2024"], "dates, day first; years of two digits are 1969 to 2068"),
        (
            ["2024-03-05 10:00+02:00", "2024-03-06"],
            "dates, year first; times with a zone become UTC, those without are taken for it",
        ),
        (["2024-03", "2024-04"], "dates, year first; without a day it is the first"),
        (["2024-W03", "2024W04"], "dates, year first; a week is its Monday"),
        (["2024-Q3", "Q4 2024"], "dates, year first; a quarter is its first day"),
        (["202403", "202412"], "dates as 202401; without a day it is the first"),
        (["03.2024", "12.2024"], "dates as 01.2024; without a day it is the first"),
        (["11.2024", "12.2024"], "numbers"),
        (["(1)", "2"], "numbers with those in brackets below zero"),
        ([" u", "v"], "texts; spaces around 1 of them are dropped"),
    ],
)
def test_what_is_converted_is_said(tmp_path: Path, cells: list[str], why: str) -> None:
    rows = read(tmp_path, f"a,y\n{cells[0]},no\n{cells[1]},yes\n")
    assert table().fit(rows).facts["columns"]["a"]["why"] == why


@pytest.mark.fault(26)
def test_numbers_without_the_unit_of_the_others_are_counted(tmp_path: Path) -> None:
    cells = ["5 cm", "6 cm", "7", "5.5 cm"]
    text = "a,b,y\n" + "".join(
        f"{cells[row % 4]},{row % 7},{['yes', 'no'][row % 2]}\n" for row in range(ROWS)
    )
    columns = json.loads(read(tmp_path, text).attrs["columns"])
    assert columns["a"]["why"] == "numbers in cm (15 of 60 cells without it)"


@pytest.mark.fault(33)
@pytest.mark.parametrize(
    ("cells", "others"),
    [
        (["20240305", "20241231"], [20240305, 20241231.0]),
        (["202403", "202412"], [202403, np.float64(202412)]),
        (["03.2024", "10.2024"], [3.2024, 10.2024]),
        (["2024.03", "2024.10"], [2024.03, 2024.1]),
    ],
)
def test_a_date_of_digits_is_the_same_where_a_program_made_a_number_of_it(
    tmp_path: Path, cells: list[str], others: list[float]
) -> None:
    spec = table().fit(read(tmp_path, f"a,y\n{cells[0]},no\n{cells[1]},yes\n"))
    assert spec.facts["columns"]["a"]["kind"] == "date"
    expected = Table.encode(pd.DataFrame({"a": cells}), spec)["numbers"]
    np.testing.assert_array_equal(
        Table.encode(pd.DataFrame({"a": others}), spec)["numbers"], expected
    )


@pytest.mark.fault(29)
def test_a_label_that_may_mean_a_missing_one_is_said(tmp_path: Path) -> None:
    rows = read(tmp_path, "a,y\n" + "1,nan\n2,no\n" * 30)
    assert table().fit(rows).facts["target"]["y"] == (
        "the target; 'nan' (30 rows) is a label as any text, though it may mean a missing one"
    )
    rows = read(tmp_path, "a,y\n" + "".join(f"{row % 7},{row}.5\n" for row in range(ROWS)))
    assert rows.attrs["target"] == (
        "the target; its 60 labels are numbers, which data.kind=number would predict"
    )


@pytest.mark.fault(22)
@pytest.mark.parametrize(
    ("kind", "asked"), [("class", "number"), ("number", "date"), ("number", "category")]
)
def test_the_target_is_read_as_its_kind_alone(tmp_path: Path, kind: str, asked: str) -> None:
    message = refused(tmp_path, "a,y\n1,2\n3,4\n", kind=kind, columns={"y": asked})
    assert message == (
        f"data.columns reads 'y' as {asked}, but it is the target, and data.kind={kind}; leave one "
        "of them out"
    )


@pytest.mark.fault(22)
def test_a_name_is_the_same_however_its_accents_are_written(tmp_path: Path) -> None:
    composed, apart = "gr\u00f6\u00dfe", "gro\u0308\u00dfe"
    text = f"a,{apart},y\n1,u,no\n2,v,yes\n"
    rows = read(tmp_path, text, columns={composed: "category"})
    spec = table().fit(rows)
    assert list(spec.facts["columns"]) == ["a", composed]
    expected = Table.encode(rows, spec)["numbers"]
    other = rows.rename(columns={composed: apart})
    np.testing.assert_array_equal(Table.encode(other, spec)["numbers"], expected)
    assert list(read(tmp_path, text, label=apart)) == ["a", "y", composed]

    message = refused(tmp_path, f"{composed},{apart},y\n1,u,no\n2,v,yes\n")
    assert message == f"t.csv has two columns named '{composed}'; rename one"


@pytest.mark.fault(26)
def test_ones_and_zeros_among_booleans_are_booleans(tmp_path: Path) -> None:
    rows = read(tmp_path, "a,y\ntrue,no\n1,yes\nFALSE,no\n0,yes\n")
    spec = table().fit(rows)
    facts = spec.facts["columns"]["a"]
    assert (facts["kind"], facts["why"]) == (
        "boolean",
        "true or false, of which 2 cells are 1 or 0",
    )
    assert rows["a"].tolist() == [1.0, 1.0, 0.0, 0.0]
    for value in (2, 0.5, "2", -1):
        with pytest.raises(UserError, match="is not true or false"):
            Table.encode(pd.DataFrame({"a": [value]}), spec)
