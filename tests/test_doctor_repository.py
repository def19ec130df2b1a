"""What the doctor says of DVC and MLflow is so: where the stages ran, and on an old database."""

from __future__ import annotations

import json
import shutil
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import yaml
from repository import ROOT, Repository, make, moved_copy

from goodfit.system.files import sha256

pytestmark = [pytest.mark.slow, pytest.mark.fault(11)]
DOCTOR, REPRO = [sys.executable, "-m", "goodfit.doctor"], [sys.executable, "pipelines/repro.py"]
MODEL = "models/breast_cancer"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """One experiment, done without disturbance."""
    made = make(tmp_path_factory.mktemp("whole"))
    shutil.copy(ROOT / "pyproject.toml", made.path)
    made.edit("params.yaml", experiments=["breast_cancer"])
    made.run(*REPRO)
    assert "all is well" in made.run(*DOCTOR)
    return made


@pytest.fixture
def repository(whole: Repository, tmp_path: Path) -> Repository:
    """A copy of it, which knows that it is one."""
    return moved_copy(whole, tmp_path / "copy")


def weights(repository: Repository) -> Path:
    """The cache's object of the weights."""
    objects = repository.path / ".dvc/cache/files/md5"
    lock = yaml.safe_load((repository.path / "dvc.lock").read_text())
    (out,) = lock["stages"]["train@breast_cancer"]["outs"]
    listing = json.loads((objects / out["md5"][:2] / out["md5"][2:]).read_text())
    digest = next(item["md5"] for item in listing if item["relpath"] == "weights.pt")
    path: Path = objects / digest[:2] / digest[2:]
    return path


def corrupt(path: Path) -> None:
    """Flips a bit; the mode is again that of all objects."""
    assert path.stat().st_mode & 0o777 == 0o444
    content = bytearray(path.read_bytes())
    content[100] ^= 1
    path.chmod(0o644)
    path.write_bytes(content)
    path.chmod(0o444)


def results(repository: Repository) -> dict[str, Any]:
    """Weights, and all that was measured with them, but for times."""
    report = repository.path / "report/breast_cancer/evaluation/evaluation.json"
    evaluation = json.loads(report.read_text())
    evaluation.pop("seconds_per_1000")
    return {"weights": sha256(repository.path / MODEL / "weights.pt"), "evaluation": evaluation}


def test_dvc_hands_out_a_corrupted_object_without_a_word(repository: Repository) -> None:
    before = results(repository)
    corrupt(weights(repository))
    shutil.rmtree(repository.path / MODEL)
    repository.run("dvc", "checkout")
    assert "Data and pipelines are up to date." in repository.run("dvc", "status")
    assert "Data and pipelines are up to date." in repository.run(*REPRO)
    assert results(repository)["weights"] != before["weights"]


@pytest.mark.parametrize("handed_out", [False, True])
def test_without_a_good_copy_fix_and_repro_bring_identical_results_back(
    repository: Repository, handed_out: bool
) -> None:
    before, damaged = results(repository), weights(repository)
    corrupt(damaged)
    shutil.rmtree(repository.path / MODEL)
    if handed_out:
        repository.run("dvc", "checkout")
    report = repository.run(*DOCTOR, code=1)
    name = damaged.relative_to(repository.path)
    assert f"object {name} for {MODEL}/weights.pt of train@breast_cancer" in report
    assert "`dvc repro train@breast_cancer` makes it again" in report
    # what was handed out is a finding of its own, and repro mends it
    repository.run(*DOCTOR, "--fix", code=int(handed_out))
    assert "Running stage 'train@breast_cancer'" in repository.run(*REPRO)
    assert results(repository) == before
    assert "all is well" in repository.run(*DOCTOR)


def test_with_a_good_copy_fix_puts_it_back_and_no_stage_runs(repository: Repository) -> None:
    before, damaged = results(repository), weights(repository)
    content = damaged.read_bytes()
    corrupt(damaged)
    folders = damaged.parents[1].glob("*/*.dir")
    corrupt(next(path for path in folders if b"weights.pt" in path.read_bytes()))
    assert "2 problems" in repository.run(*DOCTOR, code=1)
    assert "2 fixed, all is well" in repository.run(*DOCTOR, "--fix")
    assert damaged.read_bytes() == content
    assert "Running stage" not in repository.run(*REPRO)
    shutil.rmtree(repository.path / MODEL)
    repository.run("dvc", "checkout")
    assert results(repository) == before


def test_a_database_of_an_older_mlflow_is_upgraded_beside_a_copy(tmp_path: Path) -> None:
    from alembic import command
    from mlflow.store.db.utils import _get_alembic_config
    from mlflow.store.tracking.dbmodels.initial_models import Base
    from sqlalchemy import create_engine, text

    for name in ("pyproject.toml", "requirements.lock", "dvc.yaml"):
        shutil.copy(ROOT / name, tmp_path / name)
    repository = Repository(tmp_path)
    repository.run("git", "init", "-q")
    repository.run("dvc", "init", "-q")
    url, old = f"sqlite:///{tmp_path}/mlflow.db", "0584bdc529eb"
    engine = create_engine(url)
    Base.metadata.create_all(engine)
    with engine.begin() as connection:
        config = _get_alembic_config(url)
        config.attributes["connection"] = connection
        command.upgrade(config, old)
        connection.execute(
            text("insert into experiments (name, lifecycle_stage) values ('mine', 'active')")
        )
    engine.dispose()
    repository.env["PYTHONPATH"] = str(ROOT / "src")
    assert f"has the schema {old} of an older MLflow" in repository.run(*DOCTOR, code=1)
    assert f"mlflow.db.{old} is as it was" in repository.run(*DOCTOR, "--fix")
    assert "all is well" in repository.run(*DOCTOR)
    look = """
from goodfit.tracking.database import connect
print(connect("sqlite:///mlflow.db").get_experiment_by_name("mine").name)
"""
    assert "mine" in repository.run(sys.executable, "-c", look)
    with closing(sqlite3.connect(tmp_path / f"mlflow.db.{old}")) as copy:
        assert copy.execute("select version_num from alembic_version").fetchall() == [(old,)]
