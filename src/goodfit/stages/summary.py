"""The end of `make repro`: the table, runs that MLflow lacks, and where to look next."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

from rich.console import Console

from goodfit.config import params
from goodfit.errors import UserError
from goodfit.paths import Paths
from goodfit.records import Evaluation
from goodfit.reporting.table import table
from goodfit.stages.report import COMPARISON, is_compared, write_comparison
from goodfit.tracking import openings, restore
from goodfit.tracking.lookup import NoAnswerError

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
    for line in _restored(names):
        print(line, flush=True)
    # it compares experiments, so it is no output of any one of them for DVC to bring back
    if not is_compared(names):
        write_comparison()
    console.print(
        f"Pages: {COMPARISON}    Runs and curves: make ui    Numbers: dvc metrics show\n"
        f"Next: python pipelines/train.py experiment={names[0]} optimizer.lr=0.01, "
        "or edit conf/ and `make repro` again",
        style="dim",
    )


def _restored(names: Sequence[str]) -> Iterator[str]:
    """MLflow agrees with the files of the stages; a line for what it lacked.

    Raises:
        UserError: its database cannot be read, or a file that it is restored from is not here.
    """
    for name in names:
        evaluation = Evaluation.read(Paths(name).evaluation / "evaluation.json")
        # a clone whose file nobody has committed
        openings.keep(name, evaluation.test_sha256, evaluation.opened_by)
        moved = restore.mend(name)
        if moved:
            yield moved
        try:
            missing = restore.lacking(name)
        except NoAnswerError as error:
            yield f"{name}: whether MLflow has its run and model was not looked at: {error}"
            continue
        if missing:
            yield restore.restore(name, missing)
