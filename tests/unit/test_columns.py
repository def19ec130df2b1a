"""What a column of cells is read as: numbers, dates, categories, or nothing that is an input."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import pytest

from goodfit.data.columns import LITERAL, Column, alike, decide
from goodfit.data.faults import drop
from goodfit.errors import UserError

ROWS = 30
DIGITS = "every value differs, all with as many digits"


def column(name: str, cell: Callable[[int], object]) -> Column:
    return decide(name, pd.Series([str(cell(row)) for row in range(ROWS)], name=name))


@pytest.mark.fault(26)
@pytest.mark.parametrize(
    ("cell", "kind", "why"),
    [
        (lambda row: 1.5 * row, "number", "numbers"),
        (lambda row: f"{row % 7}%", "number", "numbers in %"),
        (lambda row: f"{row % 7},5", "number", "numbers with a decimal comma"),
        (lambda row: f"2024-03-{1 + row % 9}", "date", "dates, year first"),
        (lambda row: 20240301 + row % 9, "date", "dates as 20240131"),
        (lambda row: row % 2 == 0, "boolean", "true or false"),
        (lambda row: "abc"[row % 3], "category", "texts"),
        (lambda row: "aA"[row % 2], "category", "texts; 'a' and 'A' are two categories"),
    ],
)
def test_what_most_cells_are_decides(cell: Callable[[int], object], kind: str, why: str) -> None:
    read = column("x", cell)
    assert (read.kind, read.why) == (kind, why)


@pytest.mark.fault(27)
def test_zeros_in_front_make_texts() -> None:
    read = column("zip", lambda row: f"0{1000 + row % 9}")
    assert read.kind == "category"
    assert read.why.startswith("digits that are codes: zeros in front")


@pytest.mark.fault(27)
def test_months_before_years_are_dates_and_no_codes() -> None:
    assert column("x", lambda row: f"{1 + row % 12:02d}.2024").kind == "date"


@pytest.mark.fault(27)
@pytest.mark.parametrize(
    ("name", "cell", "why"),
    [
        ("id", lambda row: row % 7, "by its name it identifies rows"),
        ("PassengerId", lambda row: 3 * row, "by its name it identifies rows"),
        ("customer_id", lambda row: f"c{row}", "by its name it identifies rows"),
        ("n", lambda row: 100 + row, "it numbers the rows"),
        (
            "phone",
            lambda row: 4915100000 + 37 * row,
            "every value differs, all with as many digits",
        ),
        ("phone", lambda row: f"+49 151 {2340000 + row}", "every text differs"),
        ("who", lambda row: f"name {row}", "every text differs"),
    ],
)
def test_an_identifier_is_left_out_with_the_way_to_take_it(
    name: str, cell: Callable[[int], object], why: str
) -> None:
    read = column(name, cell)
    assert read.kind is None
    how = "number" if str(cell(0)).isdigit() else "category"
    assert read.why == f"{why}; to take it: data.columns.{name}={how}"


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        # a hundred of these are categories, and the others one
        (lambda row: f"name {row}", "every text differs"),
        (lambda row: f"{17 * row + 5}-", "every text differs; to take it: data.columns.x=number"),
        (
            lambda row: f"0{1000 + 37 * row}",
            "every text differs; to take it: data.columns.x=category",
        ),
    ],
)
def test_of_many_different_texts_numbers_and_codes_can_be_taken(
    cell: Callable[[int], str], said: str
) -> None:
    cells = pd.Series([cell(row) for row in range(180)])
    assert decide("x", cells) == Column(None, said)
    _, _, how = said.partition("data.columns.x=")
    if how:
        assert decide("x", cells, how).kind == how


@pytest.mark.fault(27)
@pytest.mark.parametrize(
    ("cell", "why"),
    [
        (lambda row: row + row // 10, "it numbers the rows, with gaps or repetitions"),
        (lambda row: row * 37 % 61, "it numbers the rows, with gaps or repetitions"),
        (lambda row: row - (row == 50), "it numbers the rows, with gaps or repetitions"),
        (lambda row: f"{row + 1}.0", "it numbers the rows"),
        (lambda row: f"name {row - (row == 50)}", "59 of 60 texts differ"),
    ],
)
def test_an_identifier_with_gaps_or_a_copied_row_is_left_out(
    cell: Callable[[int], object], why: str
) -> None:
    read = decide("x", pd.Series([str(cell(row)) for row in range(60)]))
    assert (read.kind, read.why.partition("; to take it")[0]) == (None, why)


@pytest.mark.fault(27)
@pytest.mark.parametrize("name", ["zip", "PLZ", "postal_code", "home.phone", "Post Code"])
def test_codes_by_their_names_are_categories(name: str) -> None:
    """Where zeros in front were lost, the cells say nothing of it."""
    read = column(name, lambda row: [1021, 10115, 99084][row % 3])
    assert read == Column("category", "numbers that identify something, by the column's name")
    assert column("zipper", lambda row: 3 * row % 7).kind == "number"


def test_a_column_of_one_value_is_said() -> None:
    assert column("x", lambda row: 5).why == "numbers; every cell is the same"
    assert column("x", lambda row: "a").why == "texts; every cell is the same"


@pytest.mark.fault(27)
def test_quantities_that_never_repeat_are_no_identifiers() -> None:
    assert column("price", lambda row: 90 + row * row).kind == "number"
    assert column("price", lambda row: 10_000.5 + row).kind == "number"
    salaries = [str(10_000 + 700 * (row - (row == 50))) for row in range(60)]
    assert decide("salary", pd.Series(salaries)).kind == "number"
    assert column("store_id", lambda row: row % 5).kind == "category"


@pytest.mark.fault(28)
@pytest.mark.parametrize("name", ["", "Unnamed: 0"])
def test_a_column_without_a_name_is_left_out(name: str) -> None:
    read = column(name, lambda row: row % 7)
    assert (read.kind, read.why) == (None, "it has no name, as the row numbers of a data frame")
    read = column(name, lambda row: "")
    assert read.why == "a separator at the end of each line, without name and content"


@pytest.mark.fault(32)
def test_missing_cells_are_told_with_their_tokens() -> None:
    read = column("x", lambda row: ["", "?", "NA"][row] if row < 3 else row % 7)
    assert read.why == "numbers; 3 of 30 cells are missing ('', '?', 'NA')"
    assert read.missing
    # among texts, "none" and "?" may be answers
    read = column("x", lambda row: ["", "NA", "none", "?", "DE"][row % 5])
    assert read.why == (
        "texts; 12 of 30 cells are missing ('', 'NA'); to take all of them as texts: "
        "data.columns.x=category; 'none' (6 cells) is a category, though it may mean a missing "
        "one; '?' (6 cells) is a category, though it may mean a missing one"
    )


def test_the_user_has_the_last_word() -> None:
    cells = pd.Series([str(row % 3) for row in range(ROWS)])
    assert decide("x", cells, "category") == Column("category", "data.columns.x=category", LITERAL)
    assert decide('a "b"', cells, "category").why == (
        'in the YAML of data: columns: {"a \\"b\\"": category}'
    )
    assert (drop("x1"), drop("gr\u00f6\u00dfe")) == (
        "data.drop=[x1]",
        "'data.drop=[\"gr\u00f6\u00dfe\"]'",
    )
    assert decide("a b", cells, "category").why == "'data.columns={a b: category}'"
    assert decide("id", cells, "number").kind == "number"


@pytest.mark.fault(26)
@pytest.mark.parametrize(
    ("cell", "what"),
    [
        *((cell, "times of day") for cell in ("1:23", "12:30:05", "1:05 PM", "1h 20m")),
        *((cell, "numbers behind a sign") for cell in ("'355", "~ 3.5", "<= 0.1", "> 9", "0x1F")),
        *((cell, "fractions") for cell in ("1/2", "1 1/2", "\u00bd", "3\u00be")),
        *((cell, "numbers in powers") for cell in ("1.2x10^3", "10 \u00b1 2", "1_000")),
        *(
            (cell, "dates")
            for cell in (
                "2024-03-05 12:03:05 CET",
                "2024-03-05T12:03[Europe/Berlin]",
                "2024-03-05-12.03.05",
                "20240305-120305",
                "5. M\u00e4rz 2024",
                "5 de enero de 2024",
                "Tue Mar  5 12:03:05 2024",
                "05/Mar/2024:12:03:05 +0000",
                "Mar-24",
                "March 05",
                "05.03.",
                "2024\u5e7403\u670805\u65e5",
            )
        ),
    ],
)
def test_a_notation_that_is_not_read_is_refused_by_name(cell: str, what: str) -> None:
    with pytest.raises(UserError) as error:
        decide("x", pd.Series([cell, cell, "a"]))
    message = str(error.value)
    assert message.startswith(f"column 'x': 2 of 3 cells look like {what}")
    assert message.endswith("or take them as texts: data.columns.x=category")
    assert decide("x", pd.Series([cell, cell, "a"]), "category").kind == "category"


@pytest.mark.parametrize(
    "cell",
    [
        *("5-10", "1.2.3", "10.0.1.2", "a/b", "4:3", "18+", "B12", "555-4567", "1984-85"),
        *("Monday", "may", "12 Main Street 1999", "DE89 3704 0044", "A/5 21"),
    ],
)
def test_other_texts_with_digits_are_categories(cell: str) -> None:
    assert decide("x", pd.Series([cell, cell, "a"])).kind == "category"


@pytest.mark.fault(29)
def test_true_is_one_and_false_is_zero_among_labels() -> None:
    labels = pd.Series(["1", "True", "0", "1.0", "yes", "y"])
    assert alike(labels.value_counts().index) == [["1", "True", "1.0"]]
