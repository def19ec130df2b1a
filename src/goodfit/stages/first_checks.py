"""Two checks before hours are spent: the first batch by heart, and shuffled targets."""

from __future__ import annotations

from omegaconf import DictConfig

from goodfit.errors import FailureError
from goodfit.evaluation.shuffled import keep, shuffled
from goodfit.paths import Paths
from goodfit.reporting.fit import of_shuffled
from goodfit.training.first_batch import first_batch


def check_first_batch(cfg: DictConfig) -> None:
    """Prints how the loss of sixteen samples went, which a network can learn by heart.

    Raises:
        UserError: network and data do not fit.
        FailureError: it cannot; the message says what was found.
    """
    found = first_batch(cfg, Paths(cfg.name).prepared)
    if found.fault:
        raise FailureError(f"{cfg.name}: {found.fault}")
    print(f"{cfg.name}: {found.line()}")


def check_shuffled(cfg: DictConfig, by: str) -> None:
    """Prints what a network scores on targets shuffled by a unit, and keeps it for evaluate.

    Raises:
        UserError: validation has too few units, no column has that name, or network and data do
            not fit.
        FailureError: it knows answers that nobody has given it.
    """
    found = shuffled(cfg, Paths(cfg.name).prepared, by)
    keep(cfg.name, found)
    print(f"{cfg.name}: {of_shuffled(found)}")
    if found.leak:
        raise FailureError(
            f"{cfg.name}: leak suspected: {found.leak}; the next evaluation says so, too"
        )
