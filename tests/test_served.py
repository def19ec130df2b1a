"""A registered model answers raw rows exactly as evaluation did, whoever reads the file for it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
import pytest
import requests
import slurm
import tiny
import torch
from mlflow.exceptions import MlflowException
from omegaconf import DictConfig

from goodfit import build
from goodfit.launch.fit import fit
from goodfit.paths import Paths
from goodfit.predictor import Predictor
from goodfit.stages import evaluate
from goodfit.store.arrays import Packed
from goodfit.tracking import attach, package

# of MLflow with pandas 3
IGNORED = "ignore:Operation with range:pandas.errors.Pandas4Warning"
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings(IGNORED)]
Home = Callable[..., DictConfig]
TABLE = tiny.SAMPLES / "table.csv"


def registered(cfg: DictConfig) -> str:
    """Trains and evaluates in the present folder; the address of the registered model."""
    paths = Paths(cfg.name)
    fit(cfg, out=paths.model)
    evaluate.stage(cfg)
    version = package.log_and_register(attach.find_or_recreate(cfg, paths.model), cfg.name, paths)
    mlflow.set_tracking_uri(cfg.tracking.uri)
    return f"models:/{cfg.name}/{version}"


@pytest.mark.fault(33)
@pytest.mark.parametrize("case", tiny.cases())
def test_raw_rows_get_the_answers_of_evaluation(home: Home, case: str) -> None:
    cfg = home(case)
    model = mlflow.pyfunc.load_model(registered(cfg))
    data = build.data_set(cfg)
    files = tiny.raw(data)
    paths = Paths(cfg.name)
    predictor, test = Predictor.load(paths.model), Packed(paths.prepared, "test")
    places = pd.read_parquet(paths.prepared / "test/rows.parquet")["raw_row"]
    raw = data.load(files, data.read(files).iloc[places]).reset_index(drop=True)
    parts = [raw] if data.together is None else [part for _, part in raw.groupby(data.together)]
    for part in parts:
        of_evaluation = predictor.predict_packed(test, torch.tensor(part.index.to_list()))
        expected = data.given(part, predictor.task.decode(of_evaluation), predictor.spec)
        pd.testing.assert_frame_equal(model.predict(data.sent(part)), expected, check_exact=True)


@pytest.fixture
def table(home: Home) -> tuple[DictConfig, str, pd.DataFrame]:
    """A model of the table with every type of column: its address, and its answers to the file."""
    cfg = home("table-class")
    address = registered(cfg)
    data = build.data_set(cfg)
    rows = data.read(tiny.raw(data))
    return cfg, address, Predictor.load(Paths(cfg.name).model).predict(rows)


def environment(cfg: DictConfig) -> dict[str, str]:
    return {
        **os.environ,
        "MLFLOW_TRACKING_URI": cfg.tracking.uri,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }


@pytest.mark.fault(33)
def test_the_training_file_gets_the_same_answers_by_every_way(
    table: tuple[DictConfig, str, pd.DataFrame], tmp_path: Path
) -> None:
    cfg, address, expected = table
    model = mlflow.pyfunc.load_model(address)
    parsed, as_text = pd.read_csv(TABLE), pd.read_csv(TABLE, dtype=str, keep_default_na=False)
    for rows in (parsed, as_text, parsed.astype({"age": float, "rooms": float})):
        pd.testing.assert_frame_equal(model.predict(rows), expected)

    named = parsed.astype(object).where(parsed.notna(), None)
    content = {"dataframe_split": named.to_dict("split", index=False)}
    (tmp_path / "rows.json").write_text(json.dumps(content))
    for kind, file in (("csv", TABLE), ("json", tmp_path / "rows.json")):
        command = [sys.executable, "-m", "mlflow", "models", "predict", "-m", address]
        command += ["-i", str(file), "-t", kind, "-o", f"{kind}.out", "--env-manager", "local"]
        done = subprocess.run(
            command, env=environment(cfg), capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        answered = pd.DataFrame(json.loads(Path(f"{kind}.out").read_text())["predictions"])
        pd.testing.assert_frame_equal(answered, expected, check_exact=True)


@pytest.fixture
def server(table: tuple[DictConfig, str, pd.DataFrame]) -> Iterator[str]:
    """The address of `mlflow models serve` with the table's model."""
    cfg, address, _ = table
    url = f"http://127.0.0.1:{(port := slurm.ports(1)[0])}"
    command = [sys.executable, "-m", "mlflow", "models", "serve", "-m", address]
    command += ["--port", str(port), "--env-manager", "local"]
    process = subprocess.Popen(
        command, env=environment(cfg), stdout=-3, stderr=-3, start_new_session=True
    )
    deadline = time.monotonic() + 90
    while not _answers(url):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    yield url
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _answers(url: str) -> bool:
    try:
        return requests.get(f"{url}/ping", timeout=1).ok
    except requests.ConnectionError:
        return False


def asked(url: str, row: dict[str, Any]) -> requests.Response:
    return requests.post(f"{url}/invocations", json={"dataframe_records": [row]}, timeout=30)


def about(answer: dict[str, Any]) -> Any:
    """An answer to seven digits: the product of matrices takes another path for a single row."""
    return {
        name: pytest.approx(value, abs=1e-6) if isinstance(value, float) else value
        for name, value in answer.items()
    }


@pytest.mark.fault(33)
def test_a_row_over_http_is_answered_or_refused_with_the_reason(
    table: tuple[DictConfig, str, pd.DataFrame], server: str
) -> None:
    expected = table[2].to_dict("records")
    rows = pd.read_csv(TABLE, dtype=str, keep_default_na=False).to_dict("records")
    for number in (0, 5):  # of the sixth the income is missing
        (answer,) = asked(server, rows[number]).json()["predictions"]
        assert answer == about(expected[number])
    extra = rows[0] | {"age": 63, "income": 1.1e6, "garden": True, "colour": "red"}
    assert asked(server, extra).json()["predictions"] == [about(expected[0])]

    for change, reason in (
        ({"age": None}, "row 1  column age  is missing; in training none was"),
        ({"age": "old"}, "row 1  column age  'old' is not a finite number"),
        ({"day": "31.02.2024"}, "row 1  column day  '31.02.2024' is not a date (day first)"),
        ({"age": 1e300}, "row 1  column age  1e+300 is beyond the largest float32, 3.4e38"),
    ):
        refused = asked(server, rows[0] | change)
        assert refused.status_code == 400
        assert reason in refused.json()["message"]
    missing = {name: cell for name, cell in rows[0].items() if name != "town"}
    assert asked(server, missing).status_code == 400
    assert "'town'" in asked(server, missing).json()["message"]


def test_in_python_a_refusal_is_an_error_of_mlflow_with_the_reason(
    table: tuple[DictConfig, str, pd.DataFrame],
) -> None:
    model = mlflow.pyfunc.load_model(table[1])
    rows = pd.read_csv(TABLE).assign(age="old")
    with pytest.raises(MlflowException, match="row 1  column age  'old' is not a finite number"):
        model.predict(rows)
