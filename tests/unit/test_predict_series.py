"""predict.py answers the steps ahead of each series, and refuses one without the others."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import tiny

from goodfit.build import data_set
from goodfit.config import tree
from goodfit.errors import UserError
from goodfit.launch.fit import fit
from goodfit.predictor import Predictor
from goodfit.stages import predict
from goodfit.store import example
from goodfit.store.prepare import prepare


@pytest.fixture(scope="module")
def model(model_of: Callable[[str], Path]) -> Path:
    """The folder of a model of three series with covariates."""
    return model_of("series-shops")


def last_steps() -> pd.DataFrame:
    """The sample as it is: its last week has promotions alone."""
    return pd.read_csv(tiny.SAMPLES / "series.csv", dtype=str, keep_default_na=False)


def test_the_file_of_training_gets_the_week_behind_its_last_values(
    model: Path, ask: Callable[..., int]
) -> None:
    last_steps().to_csv("rows.csv", sep=";", index=False)
    assert ask("rows.csv", "--out", "answers.csv") == 0
    answers = pd.read_csv("answers.csv", sep=";")
    assert list(answers) == ["day", "shop", "forecast"]
    assert answers["shop"].tolist() == ["Ulm"] * 7 + ["Bonn"] * 7 + ["Jena"] * 7
    assert answers["day"][0] == "2024-05-06"
    expected = Predictor.load(model).predict(last_steps())
    assert answers["forecast"].tolist() == pytest.approx(expected["forecast"].tolist(), rel=1e-6)


def test_a_blank_row_is_no_step_and_one_that_cannot_be_read_stops(
    ask: Callable[..., int],
) -> None:
    """Of which series the second one is, nobody knows."""
    last_steps().to_csv("rows.csv", index=False)
    header, *lines = Path("rows.csv").read_text().splitlines()
    commas = header.count(",")
    Path("blank.csv").write_text("\n".join([header, *lines[:5], "," * commas, *lines[5:]]))
    assert ask("rows.csv", "--out", "whole.csv") == 0
    assert ask("blank.csv", "--out", "answers.csv") == 0
    assert Path("answers.csv").read_bytes() == Path("whole.csv").read_bytes()
    lines[5] += ",more"
    Path("broken.csv").write_text("\n".join([header, *lines]))
    said = f"broken.csv, line 7 has {commas + 2} cells, the header {commas + 1}; a step"
    with pytest.raises(UserError, match=said):
        ask("broken.csv", "--out", "none.csv")


@pytest.mark.fault(33)
def test_a_series_is_refused_without_the_others(
    ask: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    rows = last_steps()
    bad = rows.index[(rows["shop"] == "Bonn")][40]
    rows.loc[bad, "sales"] = "many"
    rows.to_csv("rows.csv", index=False)
    assert ask("rows.csv", "--out", "answers.csv") == 3
    assert (
        f"rows.csv, line {bad + 2}: column sales 'many' is not a finite" in capsys.readouterr().err
    )
    assert pd.read_csv("answers.csv")["shop"].unique().tolist() == ["Ulm", "Jena"]


def dotted() -> pd.DataFrame:
    """The sample with its days as people write them: 31.01.2024."""
    rows = last_steps()
    return rows.assign(day=pd.to_datetime(rows["day"]).dt.strftime("%d.%m.%Y"))


@pytest.fixture(scope="module")
def model_of_dots(tmp_path_factory: pytest.TempPathFactory, database: Path) -> Path:
    """The folder of a model whose file has days with dots."""
    folder = tmp_path_factory.mktemp("dots")
    dotted().to_csv(folder / "series.csv", index=False)
    cfg = tiny.cfg("series-shops", tracking={"uri": f"sqlite:///{folder / 'mlflow.db'}"})
    made = folder / "data/prepared/tiny"
    prepare(data_set(cfg), {"table": folder / "series.csv"}, made, made_with=tree.data_section(cfg))
    shutil.copy(database, folder / "mlflow.db")
    cfg.trainer.max_epochs = 1
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        fit(cfg, out=folder / "model")
    return folder / "model"


@pytest.mark.slow
@pytest.mark.fault(72)
def test_days_are_forecast_alike_from_the_form_of_the_file_and_from_iso(
    model_of_dots: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    dotted().to_csv("dots.csv", index=False)
    last_steps().to_csv("iso.csv", index=False)
    answers = []
    for name in ("dots", "iso"):
        words = [f"model={model_of_dots}", f"{name}.csv", "--out", f"{name}.out.csv"]
        monkeypatch.setattr(sys, "argv", ["pipelines/predict.py", *words])
        assert predict.main() == 0
        answers.append(Path(f"{name}.out.csv").read_bytes())
    assert answers[0] == answers[1]
    assert answers[0].startswith(b"day,shop,forecast\n2024-05-06,Ulm,")


@pytest.mark.fault(72)
def test_the_example_of_a_registered_model_is_answered_as_its_window_of_training(
    model_of_dots: Path,
) -> None:
    prepared = model_of_dots.parent / "data/prepared/tiny"
    sent = example.read(prepared)
    assert sent["day"].str.match(r"2024-\d\d-\d\d$").all()
    predictor = Predictor.load(model_of_dots)
    by_iso = predictor.predict(sent)
    dots = sent.assign(day=pd.to_datetime(sent["day"]).dt.strftime("%d.%m.%Y"))
    assert by_iso.equals(predictor.predict(dots))
