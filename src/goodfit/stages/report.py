"""The stage report: the pages that a person reads.

goodfit.reporting is imported when a page is written: `make repro` with nothing to do imports this
module for the page's path alone, and should not wait for the template engine.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from goodfit.errors import OtherVersionError
from goodfit.paths import Paths
from goodfit.system.files import write_text

if TYPE_CHECKING:
    from omegaconf import DictConfig

COMPARISON = Path("report/index.html")


def stage(cfg: DictConfig) -> None:
    """`dvc repro`: report/<experiment>/index.html, and the comparison of all experiments anew.

    Raises:
        UserError: a stage before has not run, or its file cannot be read.
    """
    from goodfit.reporting.page import experiment_page

    page = Paths(cfg.name).page
    write_text(page, experiment_page(cfg.name, title=cfg.title, about=cfg.about))
    compared = write_comparison()
    plural = "" if compared == 1 else "s"
    print(f"wrote {page} and {COMPARISON} ({compared} experiment{plural})")


def is_compared(names: Iterable[str]) -> bool:
    """Whether report/index.html links to the page of each of `names`."""
    if not COMPARISON.exists():
        return False
    page = COMPARISON.read_text()
    return all(f'href="{name}/{Paths(name).page.name}"' in page for name in names)


def write_comparison() -> int:
    """Writes report/index.html; returns how many experiments it compares.

    One whose files another version wrote is left out, with a line that says so.

    Raises:
        UserError: a file of an experiment is broken.
    """
    from goodfit.reporting.facts import Experiment, evaluated
    from goodfit.reporting.page import comparison_page

    compared = []
    for name in evaluated():
        try:
            compared.append(Experiment.read(name))
        except OtherVersionError as error:
            # its own stages write it anew; until then no other experiment's page waits for it
            print(f"{name} is left out of the comparison: {error}", flush=True)
    write_text(COMPARISON, comparison_page(compared))
    return len(compared)
