"""What tests share because it takes seconds: prepared samples, a database, one trained model."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import tiny
from furnished import furnish

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from goodfit.records import Trained

# beside another process, threads that wait for each other make a tiny network 20 times as slow
os.environ["OMP_NUM_THREADS"] = "1"


@pytest.fixture(autouse=True, scope="session")
def offline() -> None:
    """No test asks a server, whatever the machine's environment says."""
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI"):
        os.environ.pop(name, None)


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Gives the folder of a data set's prepared sample, made once."""
    from goodfit import build
    from goodfit.config import tree
    from goodfit.store.prepare import prepare

    made: dict[str, Path] = {}

    def folder(case: str) -> Path:
        if case not in made:
            cfg = tiny.cfg(case)
            data = build.data_set(cfg)
            out = tmp_path_factory.mktemp("prepared") / case
            prepare(
                data,
                tiny.raw(data),
                out,
                made_with=tree.data_section(cfg),
            )
            made[case] = out
        return made[case]

    return folder


@pytest.fixture(scope="session")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty MLflow database to copy: making one takes seconds."""
    from goodfit.tracking import database

    folder = tmp_path_factory.mktemp("database")
    with contextlib.chdir(folder):
        database.connect(f"sqlite:///{folder / 'mlflow.db'}")
    return folder / "mlflow.db"


@pytest.fixture(scope="session")
def model_of(
    tmp_path_factory: pytest.TempPathFactory, prepared: Callable[[str], Path], database: Path
) -> Callable[[str], Path]:
    """Gives the folder of a model of a data set's sample, trained once, for an epoch."""
    from goodfit.launch.fit import fit

    made: dict[str, Path] = {}

    def folder(case: str) -> Path:
        if case not in made:
            home = tmp_path_factory.mktemp(case)
            cfg = furnish(home, prepared, database, case)
            cfg.trainer.max_epochs = 1
            with contextlib.chdir(home):
                fit(cfg, out=home / "model")
            made[case] = home / "model"
        return made[case]

    return folder


@pytest.fixture
def ask(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Runs predict.py in an empty folder, and gives its code; a test file says which `model`."""
    from goodfit.stages import predict

    monkeypatch.chdir(tmp_path)

    def run(*arguments: str, asked: str = f"model={model}") -> int:
        monkeypatch.setattr("sys.argv", ["pipelines/predict.py", asked, *arguments])
        return predict.main()

    return run


@pytest.fixture
def home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prepared: Callable[[str], Path], database: Path
) -> Callable[..., DictConfig]:
    """Makes a new folder the current one; gives a configuration, changed, to train with in it.

    The folder is furnished at the first call.
    """
    from omegaconf import OmegaConf

    monkeypatch.chdir(tmp_path)

    def make(case: str = tiny.QUICK, **changes: Any) -> DictConfig:
        if (tmp_path / "data/prepared/tiny").exists():
            cfg = tiny.cfg(case, tracking={"uri": f"sqlite:///{tmp_path / 'mlflow.db'}"})
        else:
            cfg = furnish(tmp_path, prepared, database, case)
        return OmegaConf.merge(cfg, changes)  # type: ignore[return-value]

    return make


@pytest.fixture(scope="session")
def trained(
    tmp_path_factory: pytest.TempPathFactory, prepared: Callable[[str], Path], database: Path
) -> Iterator[tuple[Path, DictConfig, Trained]]:
    """One finished training: the folder it ran in, its configuration, what it gave.

    Copy before changing files.
    """
    from goodfit.launch.fit import fit

    folder = tmp_path_factory.mktemp("trained")
    cfg = furnish(folder, prepared, database, tiny.QUICK)
    with contextlib.chdir(folder):
        yield folder, cfg, fit(cfg, out=folder / "model")
