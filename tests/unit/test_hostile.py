"""Files from strangers are read as data and run nothing."""

from __future__ import annotations

import lzma
import os
import pickle
import shutil
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
import pytest
import tiny
import torch
from mlflow.pyfunc import PythonModel
from omegaconf import OmegaConf

from goodfit import build
from goodfit.contract import DataSpec
from goodfit.data import pickled
from goodfit.errors import UserError
from goodfit.system.files import sha256
from goodfit.tracking import database
from goodfit.training import checkpoint
from goodfit.training.checkpoint_files import CheckpointNote, note_path


class Order:
    """Runs a command when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.marker}",)


def hostile(path: Path, marker: Path) -> Path:
    path.write_bytes(lzma.compress(pickle.dumps(Order(marker))))
    return path


def test_a_pickle_that_names_a_command_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"wants to call posix\.system"):
        pickled.read_pickle(hostile(tmp_path / "x.pkl.compress", tmp_path / "marker"))


@pytest.mark.fault(24)
def test_the_command_in_a_refused_pickle_never_ran(tmp_path: Path) -> None:
    data = build.data_set(tiny.cfg("electricity"))
    with pytest.raises(UserError):
        data.read({"meter": hostile(tmp_path / "x.pkl.compress", tmp_path / "marker")})
    assert not (tmp_path / "marker").exists()


def test_the_command_would_have_run_in_a_plain_unpickling(tmp_path: Path) -> None:
    pickle.loads(lzma.open(hostile(tmp_path / "x", tmp_path / "marker")).read())  # noqa: S301, SIM115
    assert (tmp_path / "marker").exists()


def test_a_pickle_that_is_no_table_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(lzma.compress(pickle.dumps([1, 2])))
    with pytest.raises(UserError, match="holds a list, expected a table"):
        pickled.read_pickle(tmp_path / "x")


NO_TABLES = {"no xz": b"plain", "no pickle": lzma.compress(b"plain"), "empty": lzma.compress(b"")}


@pytest.mark.parametrize("content", NO_TABLES.values(), ids=list(NO_TABLES))
def test_a_raw_file_that_is_no_pickle_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "elecdemand").write_bytes(content)
    with pytest.raises(UserError, match="elecdemand"):
        pickled.read_pickle(tmp_path / "elecdemand")


@pytest.mark.fault(24)
@pytest.mark.parametrize(
    "key", ["model", "task", "augment", "baseline", "optimizer", "schedule", "trainer"]
)
def test_build_refuses_a_target_outside_the_projects_own_before_calling_it(
    key: str, tmp_path: Path
) -> None:
    cfg = OmegaConf.create(
        {key: {"_target_": "os.system", "command": f"touch {tmp_path / 'marker'}"}}
    )
    with pytest.raises(UserError, match=rf"{key}._target_ is 'os.system'"):
        build.make(key, cfg[key])
    assert not (tmp_path / "marker").exists()


@pytest.mark.fault(24)
def test_a_checkpoint_with_a_command_is_refused_by_its_name(tmp_path: Path) -> None:
    """Also where its note has been forged with it."""
    path = tmp_path / "step-000000001.ckpt"
    torch.save({"weight": Order(tmp_path / "marker")}, path)
    note = CheckpointNote(epoch=0, step=1, epoch_over=False, best=None, sha256=sha256(path))
    note.write(note_path(path))
    with pytest.raises(
        UserError, match=r"step-000000001.ckpt is refused: it would call posix.system"
    ):
        checkpoint.load(path)
    assert not (tmp_path / "marker").exists()


@pytest.mark.fault(24)
def test_weights_with_a_command_are_refused_by_its_name(trained: Any, tmp_path: Path) -> None:
    from goodfit.predictor import Predictor

    model = Path(shutil.copytree(trained[0] / "model", tmp_path / "model"))
    (model / "train.json").unlink()  # a model from somebody else need not have it
    torch.save({"weight": Order(tmp_path / "marker")}, model / "weights.pt")
    with pytest.raises(UserError, match=r"weights.pt is refused: it would call posix.system"):
        Predictor.load(model)
    assert not (tmp_path / "marker").exists()


def test_a_spec_that_names_a_foreign_class_is_refused(trained: Any, tmp_path: Path) -> None:
    from goodfit.predictor import Predictor

    predictor = Predictor.load(trained[0] / "model")
    foreign = {**predictor.spec.__dict__, "data": "subprocess.Popen"}
    with pytest.raises(UserError, match=r"spec.json names 'subprocess.Popen'"):
        Predictor(predictor.task, DataSpec(**foreign)).predict(pd.DataFrame({"a": [1]}))


class Pickled(PythonModel):
    """A model of MLflow that travels as a pickle, and runs a command when it is read."""

    def __init__(self, marker: Path) -> None:
        self.order = Order(marker)

    def predict(self, context: Any, model_input: list[str], params: Any = None) -> list[str]:
        return model_input


@pytest.mark.fault(24)
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("allowed", "ran"), [("false", False), ("true", True)])
def test_a_pickled_model_of_mlflow_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, allowed: str, ran: bool
) -> None:
    """What `connect` sets is "false"; the other case shows the command's effect."""
    marker = tmp_path / "marker"
    database.set_mlflow_defaults()
    assert os.environ["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] == "false"
    monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "true")
    mlflow.pyfunc.save_model(tmp_path / "model", python_model=Pickled(marker), pip_requirements=[])
    monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", allowed)
    with nullcontext() if ran else pytest.raises(mlflow.exceptions.MlflowException, match="pickle"):
        mlflow.pyfunc.load_model(str(tmp_path / "model"))
    assert marker.exists() == ran
