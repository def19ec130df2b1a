"""A file of anybody's becomes an experiment that says what it is; what is open is asked."""

from __future__ import annotations

import re
import shutil
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tiny
import yaml

from goodfit.config import params
from goodfit.config.check import check
from goodfit.config.compose import compose
from goodfit.errors import UserError
from goodfit.stages import new
from goodfit.system.files import sha256

ROWS = 200
New = Callable[..., str]


def rows() -> pd.DataFrame:
    drawn = np.random.default_rng(0)
    table = pd.DataFrame(
        {
            "customer_id": np.arange(5000, 5000 + ROWS),
            "joined": pd.date_range("2024-01-01", periods=ROWS).strftime("%d.%m.%Y"),
            "age": drawn.integers(18, 80, ROWS) + 0.5,
            "shop": [f"s{row // 4}" for row in range(ROWS)],
            "plan": drawn.choice(["basic", "pro"], ROWS),
            "spend": [f"€{value:.2f}" for value in drawn.gamma(2, 50, ROWS)],
            "score": drawn.normal(size=ROWS).round(3),
            "stars": drawn.integers(1, 6, ROWS),
            "churned": np.where(drawn.random(ROWS) < 0.1, "yes", "no"),
        }
    )
    table.loc[::10, "age"] = np.nan
    return table


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The repository's configuration, and a file of somebody's beside it, in a folder of theirs."""
    project = tmp_path / "project"
    shutil.copytree(tiny.ROOT / "conf", project / "conf")
    shutil.copy(tiny.ROOT / "params.yaml", project)
    theirs = tmp_path / "their földer"
    theirs.mkdir()
    rows().to_csv(theirs / "customers.csv", index=False)
    monkeypatch.chdir(theirs)
    monkeypatch.setenv("COLUMNS", "200")
    return project


@pytest.fixture
def make(home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> New:
    """Calls the command from the folder of the file; gives what it printed."""
    theirs = Path.cwd()

    def call(*arguments: str, name: str = "churn", source: str = "customers.csv") -> str:
        monkeypatch.chdir(theirs)
        given = [f"name={name}", f"source={source}", *arguments]
        monkeypatch.setattr(sys, "argv", [str(home / "pipelines/new.py"), *given])
        assert new.main() == 0
        return capsys.readouterr().out

    return call


def test_the_file_that_is_written_composes_and_names_and_pins_the_data(
    home: Path, make: New
) -> None:
    printed = make("target=churned")
    cfg = compose(home, ["experiment=churn"])
    check(cfg)
    source = home.parent / "their földer/customers.csv"
    assert cfg.data.sources.table.sha256 == sha256(source)
    assert cfg.data.sources.table.mirrors == [str(source)]
    assert (cfg.name, cfg.data.label, cfg.data.kind) == ("churn", "churned", "class")
    # of ten rows nine say no
    assert cfg.task.score == "average_precision"
    assert params.experiments()[-1] == "churn"
    assert printed.endswith("next: make repro ONLY=churn\n")


def test_each_column_is_told_with_its_reason(make: New) -> None:
    printed = make("target=churned")
    lines = {line.split()[0]: line for line in printed.splitlines() if line.split()}
    assert "left out" in lines["customer_id"]
    assert "by its name it identifies rows" in lines["customer_id"]
    assert "dates, day first" in lines["joined"]
    assert "10.0%" in lines["age"]
    assert "numbers in €" in lines["spend"]
    assert "class" in lines["churned"]
    assert "classification: 'churned' has 2 different values: no (" in lines["task"]
    assert "note    'yes' is 11.5% of the rows: always answering 'no' has an accuracy of" in printed
    assert "note    'joined' holds dates: time=joined tests on the latest rows" in printed


def test_how_a_column_would_be_read_otherwise_is_said_and_works(home: Path, make: New) -> None:
    printed = make("target=churned")
    (line,) = [line for line in printed.splitlines() if line.startswith("columns ")]
    otherwise, drop = line.partition("otherwise: ")[2].split("; to leave it out: ")
    assert otherwise.startswith("data.columns.")
    name = otherwise.removeprefix("data.columns.").removesuffix("=category")
    assert f"{otherwise}; " in make("target=churned", otherwise, name="other")
    left = make("target=churned", drop, name="less")
    assert re.search(rf"^  {name} +left out .*data.drop names it", left, re.MULTILINE)


def test_comments_of_params_yaml_stay(home: Path, make: New) -> None:
    before = (home / "params.yaml").read_text().splitlines()
    make("target=churned")
    after = (home / "params.yaml").read_text().splitlines()
    assert [line for line in after if line != "  - churn"] == before
    assert len(after) == len(before) + 1


def test_a_number_is_regression_and_whole_numbers_in_a_few_values_are_asked_about(
    home: Path, make: New
) -> None:
    assert "regression: 'score' has" in make("target=score")
    with pytest.raises(UserError, match=r"'stars' has 5 different whole numbers.*kind=class or"):
        make("target=stars", name="stars")
    make("target=stars", "kind=number", name="stars")
    cfg = compose(home, ["experiment=stars"])
    assert (cfg.data.kind, list(cfg.baseline)) == ("number", ["ridge", "boosting"])


@pytest.mark.parametrize(
    ("words", "task", "baselines"),
    [
        (["target=stars", "kind=ordered", "order=['1','2','3','4','5']"], "Ordinal", "logistic"),
        (["target=stars", "kind=count"], "Count", "poisson"),
        (["target=[score,stars]", "kind=numbers"], "Multivariate", "each_ridge"),
    ],
)
def test_other_kinds_of_targets_have_their_task_and_baselines(
    home: Path, make: New, words: list[str], task: str, baselines: str
) -> None:
    make(*words)
    cfg = compose(home, ["experiment=churn"])
    check(cfg)
    assert cfg.task._target_.endswith(task)
    assert next(iter(cfg.baseline)) == baselines
    with pytest.raises(UserError, match=r"choose kind=labels, of columns of yes and no, or"):
        make("target=[score,stars]", name="other")


def test_options_are_taken_in_the_form_in_which_messages_advise_them(home: Path, make: New) -> None:
    make("target=churned", "data.drop=[score]", "data.columns.stars=category", "group=shop")
    data = compose(home, ["experiment=churn", "data.missing_in.age=refuse"]).data
    assert (data.drop, data.columns, data.group) == (["score"], {"stars": "category"}, "shop")
    assert (data.missing, data.missing_in) == ("impute", {"age": "refuse"})


def test_a_split_given_by_a_file_is_taken_and_pinned(home: Path, make: New) -> None:
    folds = rows()[["customer_id"]].assign(split=["train", "validation", "test", "train"] * 50)
    folds.to_csv("folds.csv", index=False)
    printed = make("target=churned", "split=folds.csv", "assigned=customer_id")
    assert "as folds.csv says, by 'customer_id': 100 train, 50 validation, 50 test" in printed
    source = compose(home, ["experiment=churn"]).data.sources.split
    folder = home.parent / "their f\u00f6lder"
    assert source.sha256 == sha256(folder / "folds.csv")
    assert source.mirrors == [str(folder / "folds.csv")]
    # it would be refused beside a split that is given
    assert "time=joined" not in printed


def test_again_it_shows_what_would_change_and_changes_it_when_told_to(
    home: Path, make: New
) -> None:
    make("target=churned")
    path = home / "conf/experiment/churn.yaml"
    before = path.read_text()
    assert "says just this" in make("target=churned")
    printed = make("target=churned", "drop=[score]")
    assert "+  drop: [score]" in printed.splitlines()
    assert path.read_text() == before
    make("target=churned", "drop=[score]", "replace=true")
    assert yaml.safe_load(path.read_text())["data"]["drop"] == ["score"]
    assert params.experiments().count("churn") == 1


@pytest.mark.parametrize("form", ["parquet", "xlsx", "sqlite", "jsonl"])
def test_other_formats_give_the_same_experiment(home: Path, make: New, form: str) -> None:
    path = Path(f"customers.{form}")
    if form == "parquet":
        rows().to_parquet(path)
    elif form == "xlsx":
        rows().to_excel(path, index=False)
    elif form == "jsonl":
        rows().to_json(path, orient="records", lines=True)
    else:
        with closing(sqlite3.connect(path)) as connection:
            rows().to_sql("people", connection, index=False)

    def told(printed: str) -> list[list[str]]:
        table = [line.split() for line in printed.splitlines() if "churned" not in line]
        return [words for words in table if words[:1] != ["wrote"]]

    expected = make("target=churned", name="one")
    got = make("target=churned", name="two", source=path.name)
    assert told(got)[:-2] == told(expected)[:-2]


def test_a_text_column_makes_an_experiment_on_texts(home: Path, make: New) -> None:
    shutil.copy(tiny.SAMPLES / "texts.csv", "tickets.csv")
    printed = make("text=body", "target=topic", name="tickets", source="tickets.csv")
    cfg = compose(home, ["experiment=tickets"])
    check(cfg)
    assert (cfg.data.text, cfg.data.label) == ("body", "topic")
    assert list(cfg.baseline) == ["tfidf", "nb_logistic"]
    assert "network transformer, on the words" in printed
    assert "the input is 'body' alone" in printed


@pytest.mark.parametrize(
    ("target", "parts"),
    [
        (["target=price"], ("regression", ["tfidf_ridge", "joint_boosting"])),
        (["target=weight", "kind=count"], ("count", ["joint_linear", "joint_boosting"])),
    ],
)
def test_a_text_tells_a_number_against_words(
    home: Path, make: New, target: list[str], parts: tuple[str, list[str]]
) -> None:
    shutil.copy(tiny.SAMPLES / "offers.csv", "offers.csv")
    make("text=title", *target, name="offers", source="offers.csv")
    cfg = compose(home, ["experiment=offers"])
    check(cfg)
    assert (cfg.model._target_.rpartition(".")[2], sorted(cfg.baseline)) == (
        "Transformer",
        sorted(parts[1]),
    )
    assert cfg.task._target_.endswith(f"{parts[0].capitalize()}")


def test_columns_of_long_texts_are_read_by_their_words_beside_the_others(
    home: Path, make: New
) -> None:
    table = rows()
    table["note"] = [f"came in with question number {row} about {row % 3}" for row in range(ROWS)]
    table.to_csv("noted.csv", index=False)
    printed = make("target=churned", name="noted", source="noted.csv")
    cfg = compose(home, ["experiment=noted"])
    check(cfg)
    assert cfg.data._target_.endswith("Mixed")
    assert dict(cfg.data["columns"]) == {"note": "text"}
    assert cfg.model._target_.endswith("Branches")
    assert sorted(cfg.baseline) == ["joint_boosting", "joint_linear"]
    assert "200 different texts of 8.0 words on average" in printed
    assert "as categories: data.columns.note=category" in printed

    printed = make("target=churned", "columns.note=category", name="other", source="noted.csv")
    assert compose(home, ["experiment=other"]).data._target_.endswith("Table")
    assert compose(home, ["experiment=other"]).model._target_.endswith("TabM")


def test_a_column_of_images_is_looked_into_beside_the_others(home: Path, make: New) -> None:
    shutil.copy(tiny.SAMPLES / "offers.csv", "offers.csv")
    shutil.copy(tiny.SAMPLES / "images.zip", "images.zip")
    options = [
        "target=price",
        "columns.photo=image",
        "columns.note=text",
        "drop=[sold,fragile,title]",
    ]
    printed = make(*options, "folder=images.zip", name="offers", source="offers.csv")
    cfg = compose(home, ["experiment=offers"])
    check(cfg)
    assert dict(cfg.data["columns"]) == {"note": "text", "photo": "image"}
    assert (cfg.data.size, cfg.data.channels) == (32, 3)
    assert cfg.data.sources.files.sha256 == sha256(tiny.SAMPLES / "images.zip")
    assert "36 images, of which all were opened; 32 x 32 pixels in colour" in printed
    printed = make("target=price", name="alone", source="offers.csv")
    assert "'photo' names images, which nothing looks into" in printed
    assert "columns.photo=image beside the others" in printed


def test_a_file_is_not_written_to(make: New) -> None:
    path = Path("customers.csv").absolute()
    path.chmod(0o444)
    before = path.read_bytes(), path.stat().st_mtime_ns
    make("target=churned")
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before
    assert [item.name for item in path.parent.iterdir()] == ["customers.csv"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["target=churnd"], "has no column 'churnd'. Did you mean 'churned'"),
        (["target=joined"], "'joined' has 200 different dates, 01.01.2024 (1), "),
        (["target=churned", "dorp=[a]"], "unknown option 'dorp'. Did you mean 'drop'"),
        (["target=churned", "test=many"], "data.test: expected"),
        (["target=churned", "kind=colour"], "data.kind: expected 'class', 'ordered'"),
        (["target=stars", "text=plan", "kind=ordered"], "kind=ordered takes data.order"),
        (["target=churned", "columns.plan=image", "folder=."], "lacks 200 of 200 files"),
        (["target=churned", "replace=perhaps"], "replace: expected"),
        (["target=churned", "columns.age=word"], "data.columns.age: expected"),
        (["target=churned", "group=store"], "lacks column 'store'"),
        (["target=churned", "test"], "got 'test', expected key=value"),
        ([], "target=... is missing"),
    ],
)
def test_what_cannot_be_meant_is_refused_and_nothing_is_written(
    home: Path, make: New, arguments: list[str], told: str
) -> None:
    before = {path: path.read_bytes() for path in home.rglob("*") if path.is_file()}
    with pytest.raises(UserError) as refused:
        make(*arguments)
    assert told in str(refused.value)
    assert {path: path.read_bytes() for path in home.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("nothing.csv", None, "there is no"),
        ("empty.csv", b"", "is empty"),
        (".", None, "is a folder"),
        ("only.csv", b"churned\n" + b"yes\nno\n" * 30, "no column is left to predict"),
    ],
)
def test_a_source_that_is_no_table_is_refused(
    make: New, name: str, content: bytes | None, told: str
) -> None:
    if content is not None:
        Path(name).write_bytes(content)
    with pytest.raises(UserError) as refused:
        make("target=churned", source=name)
    assert told in str(refused.value)


def test_rows_that_a_database_keeps_beside_its_file_are_not_lost(make: New) -> None:
    connection = sqlite3.connect("customers.db")
    connection.execute("pragma journal_mode=wal")
    rows().to_sql("people", connection, index=False)
    with closing(connection), pytest.raises(UserError, match=r"has changes in customers\.db-wal"):
        make("target=churned", source="customers.db")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["target=churned", "target=plan"], "target=... is given twice; name it once"),
        (["target=churned", "test=0.1", "data.test=0.2"], "test=... is given twice"),
        (["target=[]"], "target=[] names no column"),
        (["target=[churned"], "target=[churned cannot be read; expected a name"),
        (["target=churned", "test={"], "test={ cannot be read; expected test=<value>"),
        (["target=churned", "split=~nobody9/x.csv"], "split: ~nobody9/x.csv is no path"),
        (["target=churned", f"split={'x' * 300}"], "is no path: "),
    ],
)
def test_a_word_that_cannot_be_meant_is_refused(make: New, words: list[str], told: str) -> None:
    with pytest.raises(UserError) as refused:
        make(*words)
    assert told in str(refused.value)


def test_names_are_taken_letter_by_letter(home: Path, make: New) -> None:
    """As YAML, these are a comment, a truth, and a number in base 8."""
    table = rows().rename(columns={"churned": "churned #1", "plan": "yes", "shop": "0123"})
    table.to_csv("[old] customers.csv", index=False)
    named = ["target=churned #1", "drop=[yes, 0123]"]
    make(*named, source="[old] customers.csv")
    data = compose(home, ["experiment=churn"]).data
    assert (data.label, list(data.drop)) == ("churned #1", ["yes", "0123"])


def test_a_number_in_any_notation_is_one_and_a_token_among_labels_is_a_label(make: New) -> None:
    table = rows()
    table["price"] = [f"{value:.2f}".replace(".", ",") for value in table["score"]]
    table["answer"] = np.where(np.arange(ROWS) % 3 == 0, "NA", table["churned"])
    table.to_csv("customers.csv", index=False, sep=";")
    assert "task    regression: 'price' has " in make("target=price")
    printed = make("target=answer", "replace=true")
    assert "'answer' has 3 different values: no (" in printed
    assert "NA (67)" in printed


def test_without_rows_or_where_nothing_can_be_written_it_ends_in_a_line(
    home: Path, make: New, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("empty.csv").write_text("a,b\n")
    with pytest.raises(UserError, match="has no rows below its header"):
        make("target=a", source="empty.csv")
    shutil.rmtree(home / "conf/experiment")
    (home / "conf/experiment").touch()  # whoever runs this, in a file nothing can be written
    with pytest.raises(UserError, match="conf/experiment cannot be written: "):
        make("target=churned")
