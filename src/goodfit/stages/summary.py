"""The end of `make repro`: the table, runs that MLflow lacks, and where to look next."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from rich.console import Console

from goodfit.config import params
from goodfit.errors import UserError
from goodfit.paths import Paths
from goodfit.records import Evaluation, Training
from goodfit.reporting.table import table
from goodfit.stages.report import COMPARISON, is_compared, write_comparison
from goodfit.system.files import read_json

DATABASE = Path("mlflow.db")
_WIDTH = 132  # of the table in a file, where nobody has said how wide it is


def summarize(only: Sequence[str] = ()) -> None:
    """Prints one row for each experiment; brings missing runs back into MLflow.

    `only` names the experiments; where it is empty, params.yaml does.

    Raises:
        UserError: an experiment has not been evaluated yet, or params.yaml or MLflow's database
            cannot be read.
    """
    names = list(dict.fromkeys(only)) or params.experiments()
    missing = [name for name in names if not (Paths(name).evaluation / "evaluation.json").exists()]
    if missing:
        command = f"make repro ONLY='{' '.join(missing)}'" if only else "make repro"
        raise UserError(f"{', '.join(missing)}: not evaluated yet; run `{command}`")

    console = Console()
    if not (console.is_terminal or os.environ.get("COLUMNS")):
        console = Console(width=_WIDTH)
    console.print(table(names, console))
    for name in names:
        if not _is_tracked(name):
            _restore(name)
    # it compares experiments, so it is no output of any one of them for DVC to bring back
    if not is_compared(names):
        write_comparison()
    console.print(
        f"Pages: {COMPARISON}    Runs and curves: make ui    Numbers: dvc metrics show\n"
        "Next: python pipelines/train.py experiment=mnist model.width=64, "
        "or edit conf/ and `make repro` again",
        style="dim",
    )


def _is_tracked(name: str) -> bool:
    """Whether the local database knows the run that trained the model.

    Raises:
        UserError: the database cannot be read.
    """
    from omegaconf import OmegaConf

    tracking = OmegaConf.create(read_json(Paths(name).config)["tracking"])
    if tracking.uri != f"sqlite:///{DATABASE}":
        return True  # a server is not asked each time
    # an empty file is a database without tables: MLflow fills it when `_restore` connects
    if not DATABASE.exists() or DATABASE.stat().st_size == 0:
        return False

    run_id = Training.read(Paths(name).model / "train.json").run_id
    queries = (
        "select 1 from runs where run_uuid = ?",
        "select 1 from tags where key = 'goodfit.recreated_from' and value = ?",
    )
    # plain SQL: importing MLflow takes 2 seconds
    try:
        with closing(sqlite3.connect(f"file:{DATABASE}?mode=ro", uri=True)) as connection:
            return any(connection.execute(query, [run_id]).fetchone() for query in queries)
    except sqlite3.Error as error:
        raise UserError(f"{DATABASE} cannot be read: {error}; `make doctor` says more") from None


def _restore(name: str) -> None:
    """Logs the training and the evaluation again, from the files that DVC keeps."""
    from goodfit.config import tree
    from goodfit.tracking import attach

    paths = Paths(name)
    cfg = tree.load(paths.config)
    run = attach.find_or_recreate(cfg, paths.model)
    evaluation = Evaluation.read(paths.evaluation / "evaluation.json")
    attach.log_evaluation(run, cfg, evaluation, paths.evaluation)
    print(f"{name}: DVC restored this model; its run was recreated in MLflow from models/{name}")
