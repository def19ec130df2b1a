"""A folder with what a training needs: prepared data and a database."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import tiny

if TYPE_CHECKING:
    from omegaconf import DictConfig


def furnish(home: Path, prepared: Callable[[str], Path], database: Path, case: str) -> DictConfig:
    """Puts prepared data and a database into `home`; gives a configuration that names them."""
    folder = home / "data/prepared/tiny"
    shutil.copytree(prepared(case), folder)
    shutil.copy(database, home / "mlflow.db")
    return tiny.cfg(case, tracking={"uri": f"sqlite:///{home / 'mlflow.db'}"})
