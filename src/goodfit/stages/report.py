"""The stage report: the pages that a person reads."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from goodfit.paths import Paths
from goodfit.reporting import facts
from goodfit.reporting.page import comparison_page, experiment_page
from goodfit.system.files import write_text

if TYPE_CHECKING:
    from omegaconf import DictConfig

INDEX = Path("report/index.html")


def stage(cfg: DictConfig) -> None:
    """`dvc repro`: report/<experiment>/index.html, and report/index.html anew, which compares all
    experiments.
    """
    page = Paths(cfg.name).page
    write_text(page, experiment_page(cfg.name))
    found = facts.experiments()
    write_text(INDEX, comparison_page(found))
    print(f"wrote {page} and {INDEX} ({len(found)} experiment{'s' if len(found) != 1 else ''})")
