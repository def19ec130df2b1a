"""Augmentations that fit the data, the network and the task, by what their sources declare."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from goodfit.config.signature import Signature
from goodfit.errors import UserError


def check_augmented(
    augments: Mapping[str, Signature],
    data: Signature,
    model: Signature,
    task: Signature,
    *,
    weight: str | None,
) -> None:
    """Each augmentation, by its section, fits data, network and task.

    `weight` is the column that weighs the rows, None where all count alike.

    Raises:
        UserError: one does not.
    """
    gathered = [name for name in data.gives if name in model.forward]
    targets = tuple(data.constants["targets"])
    for section, augment in augments.items():
        problem = misfit(augment, gathered, targets, task)
        if problem:
            raise UserError(f"{section} {problem}; choose another augment=")
        if weight and augment.constants["mixes"]:
            raise UserError(
                f"{section} mixes rows, and those of data.weight={weight} do not count alike; "
                "choose another augment=, or data.weight=null"
            )


def misfit(
    augment: Signature, gathered: Sequence[str], targets: Sequence[str], task: Signature
) -> str | None:
    """Why an augmentation cannot be used on what the network is given; None where it can."""
    changed = list(augment.constants["inputs"])
    if augment.constants["mixes"]:
        if not task.constants["mixes"]:
            return f"mixes targets, and {task.classes[0].rpartition('.')[2]} learns no mixed ones"
        if not set(gathered) <= set(changed):
            return f"mixes {changed}, the network is given {gathered}"
    elif not set(changed) <= set(gathered):
        lacking = sorted(set(changed) - set(gathered))
        return f"changes {lacking}, the network is given {gathered}"
    if not set(targets) <= set(augment.constants["targets"]):
        return f"would make {list(targets)} wrong: it moves {changed} alone"
    return None
