"""What tests share because it takes seconds: prepared samples, an empty database, one trained
model.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import tiny

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
                tiny.SAMPLES / Path(data.source.file).name,
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

    place = tmp_path_factory.mktemp("database")
    with contextlib.chdir(place):
        database.connect(f"sqlite:///{place / 'mlflow.db'}")
    return place / "mlflow.db"


def furnish(home: Path, prepared: Callable[[str], Path], database: Path, case: str) -> DictConfig:
    """Puts prepared data and a database into `home`; gives a configuration that names them."""
    folder = home / "data/prepared/tiny"
    shutil.copytree(prepared(case), folder)
    shutil.copy(database, home / "mlflow.db")
    return tiny.cfg(case, tracking={"uri": f"sqlite:///{home / 'mlflow.db'}"})


@pytest.fixture
def home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prepared: Callable[[str], Path], database: Path
) -> Callable[..., DictConfig]:
    """Makes the current folder one in which the quick data set is prepared; gives its
    configuration, changed.
    """
    from omegaconf import OmegaConf

    monkeypatch.chdir(tmp_path)

    def make(case: str = tiny.QUICK, **changes: Any) -> DictConfig:
        ready = (tmp_path / "data/prepared/tiny").exists()
        content = (
            tiny.cfg(case, tracking={"uri": f"sqlite:///{tmp_path / 'mlflow.db'}"})
            if ready
            else None
        )
        return OmegaConf.merge(content or furnish(tmp_path, prepared, database, case), changes)  # type: ignore[return-value]

    return make


@pytest.fixture(scope="session")
def trained(
    tmp_path_factory: pytest.TempPathFactory, prepared: Callable[[str], Path], database: Path
) -> Iterator[tuple[Path, DictConfig, Trained]]:
    """One finished training: the folder it ran in, its configuration, what it gave.

    Copy before changing files.
    """
    from goodfit.launch.fit import fit

    place = tmp_path_factory.mktemp("trained")
    content = furnish(place, prepared, database, tiny.QUICK)
    with contextlib.chdir(place):
        yield place, content, fit(content, out=place / "model")
