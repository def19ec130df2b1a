"""Cells that are missing: refused by column, counted by split."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import tiny
from made_tables import read, refused, table

from goodfit import build
from goodfit.config.check import check
from goodfit.config.compose import compose
from goodfit.data.table import Table
from goodfit.errors import UserError
from goodfit.store.prepare import prepare


@pytest.mark.fault(32)
def test_missing_cells_can_be_refused_in_one_column_and_taken_in_another(tmp_path: Path) -> None:
    text = "a,b,y\n1,,no\nNA,2,yes\n3,4,yes\n"
    assert refused(tmp_path, text, missing_in={"a": "refuse"}).splitlines() == [
        "t.csv: 1 cell cannot be used; mend or drop them, or data.missing_in.a=impute:",
        "  row 3  column a  'NA' is missing",
    ]
    rows = read(tmp_path, text.replace("NA", "2"), missing="refuse", missing_in={"b": "impute"})
    spec = table().fit(rows)
    assert {name: facts["missing"] for name, facts in spec.facts["columns"].items()} == {
        "a": False,
        "b": True,
    }
    # a model in use asks for the same
    with pytest.raises(UserError, match="row 1  column a  is missing; in training none was"):
        Table.encode(pd.DataFrame({"a": ["NA"], "b": ["?"]}), spec)
    said = refused(tmp_path, text, missing_in={"y": "refuse"})
    assert said == "data.missing_in names 'y', which is the target"


def test_the_manifest_counts_missing_cells_by_split_of_columns_that_lack_any(
    tmp_path: Path,
) -> None:
    folds = ["train", "validation", "test"]
    rows = [
        f"{'?' if row % 3 == 2 else row},{row},{'' if row < 9 else 'Ulm'},{folds[row % 3]},"
        f"{['no', 'yes'][row % 2]}"
        for row in range(18)
    ]
    (tmp_path / "t.csv").write_text("\n".join(["a,b,town,fold,y", *rows]))
    made = table(assigned="fold", columns={"b": "number"})
    manifest = prepare(made, {"table": tmp_path / "t.csv"}, tmp_path / "out", made_with={})
    assert manifest.missing == {
        "train": {"town": 3},
        "validation": {"town": 3},
        "test": {"a": 6, "town": 3},
    }


UNKNOWN = """\
a,day,plan,y
-999,1900-01-01,unknown,no
3,2024-03-05,pro,yes
-999.0,2024-03-06,Unknown,no
"""


@pytest.mark.fault(32)
def test_what_the_user_names_is_missing_by_its_value_and_of_texts_by_its_letters(
    tmp_path: Path,
) -> None:
    named = {"a": ["-999"], "day": ["1900-01-01"], "plan": ["unknown"]}
    rows = read(tmp_path, UNKNOWN, na_values=named)
    assert rows["a"].tolist()[1] == 3
    assert rows["a"].isna().tolist() == [True, False, True]
    assert rows["day"].isna().tolist() == [True, False, False]
    assert rows["plan"].tolist() == ["", "pro", "Unknown"]
    columns = table(na_values=named).fit(rows).facts["columns"]
    assert columns["a"]["why"] == "numbers; 2 of 3 cells are missing ('-999', '-999.0')"
    assert (columns["a"]["mean"], columns["a"]["median"]) == (3, 3)
    assert columns["plan"]["why"].startswith("texts; 1 of 3 cells is missing ('unknown')")


@pytest.mark.fault(33)
@pytest.mark.parametrize(
    ("column", "forms"),
    [
        ("a", ["-999", "-999.0", " -999", -999, -999.0, "NA", None]),
        ("day", ["1900-01-01", pd.Timestamp("1900-01-01"), "", None]),
        ("plan", ["unknown", " unknown ", None]),
        ("code", ["-1", -1, -1.0, None]),
    ],
)
def test_use_takes_it_for_missing_in_every_form(
    tmp_path: Path, column: str, forms: list[object]
) -> None:
    text = "a,day,plan,code,y\n" + "-999,1900-01-01,unknown,-1,no\n3,2024-03-05,pro,7,yes\n" * 2
    named = {"a": ["-999"], "day": ["1900-01-01"], "plan": ["unknown"], "code": ["-1"]}
    options = {"na_values": named, "columns": {"code": "category"}}
    rows = read(tmp_path, text, **options)
    spec = table(**options).fit(rows)
    expected = Table.encode(rows.iloc[:1], spec)["numbers"]
    for form in forms:
        sent = pd.DataFrame(
            {**{name: [text] for name, (text, *_) in named.items()}, column: [form]}
        )
        assert (Table.encode(sent, spec)["numbers"] == expected).all(), form
        typed = pd.concat([sent] * 2).infer_objects()
        assert (Table.encode(typed, spec)["numbers"] == expected).all(), form


@pytest.mark.fault(32)
def test_it_is_meant_in_the_notation_of_its_column(tmp_path: Path) -> None:
    text = "a;b;y\n-9,5 kg;1;no\n1,25 kg;2;yes\n2,5 kg;3;no\n"
    rows = read(tmp_path, text, na_values={"a": "-9,5", "b": 99})
    assert rows["a"].isna().tolist() == [True, False, False]
    columns = table().fit(rows).facts["columns"]
    said = "none of its cells is '99', which data.na_values names"
    assert columns["b"]["why"] == f"numbers; {said}"
    assert not columns["b"]["missing"]


@pytest.mark.fault(32)
def test_it_cannot_be_said_of_what_no_row_may_lack(tmp_path: Path) -> None:
    text = "a,who,y\n1,u,no\n2,v,yes\n3,w,yes\n"
    assert refused(tmp_path, text, na_values={"y": ["no"]}) == (
        "data.na_values names 'y', which is the target"
    )
    for option in ({"na_values": {"who": ["u"]}}, {"missing_in": {"who": "impute"}}):
        said = refused(tmp_path, text, group="who", **option)
        assert said == (
            f"data.{next(iter(option))} names 'who', which decides the split: none of its cells "
            "may be missing"
        )
    said = refused(tmp_path, text, na_values={"a": ["2"]}, missing="refuse")
    assert "row 3  column a  '2' is missing" in said


@pytest.mark.fault(32)
@pytest.mark.parametrize("value", ["null", "true", '""', "[-999,null]", "{a: 1}"])
def test_what_is_no_cell_is_refused_with_the_option(value: str) -> None:
    cfg = compose(tiny.ROOT, ["experiment=breast_cancer", f"data.na_values.radius_mean={value}"])
    with pytest.raises(UserError, match=r"^data\.na_values.radius_mean: .*expected a text"):
        check(cfg)


@pytest.mark.parametrize("given", ["-999", "[-999]", "[-999.0,unknown]"])
def test_it_is_taken_as_a_command_line_gives_it(tmp_path: Path, given: str) -> None:
    cfg = compose(tiny.ROOT, ["experiment=breast_cancer", f"data.na_values.a={given}"])
    of_table = {"_target_": "goodfit.data.table.Table", "label": "y", "missing": "impute"}
    cfg.data = {**cfg.data, **of_table, "sources": {"table": {"file": "t.csv", "sha256": None}}}
    (tmp_path / "t.csv").write_text("a,y\n-999,no\n3,yes\n4,no\n")
    rows = build.data_set(cfg).read({"table": tmp_path / "t.csv"})
    assert rows["a"].isna().tolist() == [True, False, False]
