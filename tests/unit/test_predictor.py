"""A model on disk is what training wrote; raw rows and packed arrays get equal predictions."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tiny
import torch
import yaml

from goodfit import build
from goodfit.contract import DataSpec
from goodfit.data.faults import CellsError
from goodfit.errors import UserError
from goodfit.predictor import Predictor
from goodfit.store.arrays import Packed
from goodfit.store.prepare import assign_splits
from goodfit.task.forecasting import Forecasting
from goodfit.training.datamodule import DataModule

Prepared = Callable[[str], Path]


@pytest.fixture
def model(trained: Any, tmp_path: Path) -> Path:
    """A copy of a trained model, to be spoiled."""
    return Path(shutil.copytree(trained[0] / "model", tmp_path / "model"))


def on_all(predictor: Predictor, data: Packed) -> torch.Tensor:
    """Predictions for all samples of a split, in its order."""
    return predictor.predict_packed(data, torch.arange(len(data)))


@pytest.mark.slow
@pytest.mark.parametrize(("network", "case"), tiny.pairs_of_all())
def test_raw_rows_get_the_same_predictions_as_packed_arrays(
    network: str, case: str, prepared: Callable[[str], Path]
) -> None:
    cfg = tiny.cfg(case, model=network)
    folder = prepared(case)
    data, spec = build.data_set(cfg), DataSpec.read(folder / "spec.json")
    files = tiny.raw(data)
    rows = data.read(files)
    is_test = assign_splits(data, files, rows)[0] == "test"
    raw = data.load(files, rows[is_test]).reset_index(drop=True)
    torch.manual_seed(0)
    predictor = Predictor(build.task(cfg, spec), spec)
    packed = predictor.task.decode(on_all(predictor, Packed(folder, "test")))
    parts = [raw] if data.together is None else [part for _, part in raw.groupby(data.together)]
    for part in parts:
        expected = data.given(part, packed.loc[part.index], spec).select_dtypes("number")
        answers = predictor.predict(data.sent(part))[expected.columns]
        assert np.allclose(answers.to_numpy(), expected.to_numpy(), rtol=1e-5, atol=1e-5)


@pytest.mark.slow
def test_predictions_do_not_depend_on_the_size_of_a_batch(
    trained: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    predictor = Predictor.load(trained[0] / "model")
    data = Packed(trained[0] / "data/prepared/tiny", "train")
    whole, scored = on_all(predictor, data), predictor.measure(data)
    monkeypatch.setattr("goodfit.predictor.BATCH", 5)
    torch.testing.assert_close(on_all(predictor, data), whole)
    again = predictor.measure(data, size=5)
    torch.testing.assert_close(again.statistics, scored.statistics)
    torch.testing.assert_close((again.loss, again.units), (scored.loss, scored.units))


def test_what_is_scored_are_the_predictions(trained: Any) -> None:
    predictor = Predictor.load(trained[0] / "model")
    data = Packed(trained[0] / "data/prepared/tiny", "validation")
    scored = predictor.measure(data).statistics
    assert torch.equal(scored["prediction"], on_all(predictor, data))
    assert torch.equal(scored["target"], data.targets["target"])


@pytest.mark.fault(24)
def test_a_flipped_bit_in_the_weights_is_refused(model: Path) -> None:
    content = bytearray((model / "weights.pt").read_bytes())
    content[len(content) // 2] ^= 1
    (model / "weights.pt").write_bytes(content)
    with pytest.raises(
        UserError, match=r"weights.pt fails its checksum: it is not what training wrote"
    ):
        Predictor.load(model)


@pytest.mark.fault(24)
@pytest.mark.parametrize("key", ["model", "optimizer", "trainer", "data"])
def test_a_configuration_that_names_a_command_is_refused(model: Path, key: str) -> None:
    content = yaml.safe_load((model / "config.yaml").read_text())
    content[key] = {"_target_": "os.system", "command": f"touch {model / 'marker'}"}
    (model / "config.yaml").write_text(yaml.safe_dump(content))
    with pytest.raises(UserError, match=rf"{key}._target_ is 'os.system'"):
        Predictor.load(model)
    assert not (model / "marker").exists()


@pytest.mark.parametrize("name", ["config.yaml", "spec.json", "weights.pt"])
def test_a_missing_file_is_named(model: Path, name: str) -> None:
    (model / name).unlink()
    with pytest.raises(UserError, match=f"is not a trained model: it lacks {name}"):
        Predictor.load(model)


def test_weights_of_another_network_are_refused_in_a_line(model: Path) -> None:
    content = yaml.safe_load((model / "config.yaml").read_text())
    content["model"]["width"] += 1
    (model / "config.yaml").write_text(yaml.safe_dump(content))
    with pytest.raises(
        UserError, match=r"weights\.pt is of another network than .* \(.* size mismatch"
    ) as error:
        Predictor.load(model)
    assert len(str(error.value).splitlines()) == 1


def test_a_missing_column_is_named(trained: Any) -> None:
    data = build.data_set(trained[1])
    example = data.example(data.read(tiny.raw(data))).drop(columns="radius_mean")
    with pytest.raises(UserError, match="radius_mean"):
        Predictor.load(trained[0] / "model").predict(example)


@pytest.mark.slow
@pytest.mark.fault(33)
@pytest.mark.parametrize(("network", "case"), tiny.pairs_of_all())
def test_no_rows_get_an_empty_table_with_the_columns_of_answers(
    network: str, case: str, prepared: Prepared
) -> None:
    spec, cfg = DataSpec.read(prepared(case) / "spec.json"), tiny.cfg(case, model=network)
    predictor, data = Predictor(build.task(cfg, spec), spec), build.data_set(cfg)
    some = data.load(tiny.raw(data), data.first(data.read(tiny.raw(data))))
    rows = data.example(some)
    answers = predictor.predict(rows)
    pd.testing.assert_frame_equal(predictor.predict(rows.iloc[:0]), answers.iloc[:0])
    with pytest.raises(UserError, match="missing"):
        predictor.predict(pd.DataFrame())


@pytest.mark.fault(33)
def test_rows_are_counted_over_all_batches(trained: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("goodfit.predictor._MOST_BATCHES", 1)  # 512 rows are encoded at once
    data = build.data_set(trained[1])
    few = data.example(data.read(tiny.raw(data)))
    rows = pd.concat([few] * 400, ignore_index=True)
    column = "radius_mean"
    rows.loc[512, column], rows.loc[1024, column] = np.nan, np.inf
    with pytest.raises(CellsError) as error:
        Predictor.load(trained[0] / "model").predict(rows)
    assert str(error.value).splitlines() == [
        "the rows: 2 cells cannot be used; give what training had:",
        f"  row 513  column {column}  is missing; in training none was",
        f"  row 1025  column {column}  inf is not a finite number",
    ]


@pytest.mark.parametrize(
    ("rows", "got"),
    [([{"x": 1}], "list"), ({"x": [1]}, "dict"), (pd.Series([1]), "pandas.Series"), (None, "None")],
)
def test_rows_that_are_no_data_frame_are_refused(trained: Any, rows: Any, got: str) -> None:
    with pytest.raises(UserError) as error:
        Predictor.load(trained[0] / "model").predict(rows)
    assert str(error.value).startswith(f"the rows are of type {got}")
    assert str(error.value).endswith(", expected pandas.DataFrame")


def test_a_loaded_model_scores_what_training_said(trained: Any) -> None:
    from goodfit.system.files import read_json

    predictor = Predictor.load(trained[0] / "model")
    data = Packed(trained[0] / "data/prepared/tiny", "validation")
    predicted = on_all(predictor, data).argmax(1)
    accuracy = float((predicted == data.targets["target"]).float().mean())
    assert accuracy == pytest.approx(
        read_json(trained[0] / "model/train.json")["scores"]["val/accuracy"]
    )


class LastDay(torch.nn.Module):
    """Takes the past alone, of a data set that gives three more inputs."""

    def __init__(self) -> None:
        super().__init__()
        self.line = torch.nn.Linear(48, 48)

    def forward(self, past: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.line(past[:, -1])
        return out


def test_a_network_is_given_what_it_names_and_nothing_else_is_gathered(prepared: Prepared) -> None:
    folder = prepared("electricity")
    spec = DataSpec.read(folder / "spec.json")
    parts = {"monitor": "loss", "score": "mae", "optimizer": None, "schedule": None}
    parts |= {"interval": None}
    task = Forecasting(LastDay(), spec, **parts)
    assert task.inputs == ("past",)

    data = Packed(folder, "test")
    predictor = Predictor(task, spec)
    with torch.no_grad():
        expected = task.predict(task.model(data.inputs["past"]))
    torch.testing.assert_close(predictor.measure(data).statistics["prediction"], expected)
    torch.testing.assert_close(on_all(predictor, data), expected)

    train = DataModule(folder, batch_size=8, seed=0, inputs=task.inputs).train_dataloader()
    assert {tuple(batch.inputs) for batch in train} == {("past",)}
