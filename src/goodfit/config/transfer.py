"""`transfer=probe|finetune|scratch`: how a network goes on from the weights that its file brings.

A file of conf/transfer/ says what a way sets, of `parameters` and `pretrained`. It is set in the
composed configuration: an experiment's file is merged behind those of groups, and what it says of
one way would stand under another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from goodfit.config import signature, tree
from goodfit.config.said import by_key, put, said
from goodfit.errors import UserError
from goodfit.schema import Pretrained

GROUP = "transfer"
_ORDER = "layer_groups"  # what a network declares


def set_way(content: dict[str, Any], overrides: Sequence[str]) -> str:
    """Sets what a way says, in place, and gives a line about it.

    What is said where the way is chosen, or later, stands: as of a level of regularization.

    Raises:
        UserError: there are several.
    """
    table = content[GROUP]
    way = content[GROUP] = str(table["way"])
    if (given := by_key(overrides).get(GROUP, "")).startswith("["):
        raise UserError(f"{GROUP}={given}: expected one of probe, finetune and scratch")
    others = set(said(GROUP, overrides))
    sections = {key: value for key, value in table.items() if key != "way"}
    told, left = [], []
    for key, value in tree.dotted(sections).items():
        if key in others:
            left.append(key)
            continue
        put(content, key, value)
        told.append(f"{key}={'null' if value is None else value}")
    leaves = f", and leaves {', '.join(left)} as said" if left else ""
    return f"{GROUP}={way} sets {', '.join(told) or 'nothing'}{leaves}"


def check_layers(content: Mapping[str, Any]) -> None:
    """What is said of layers is said of a network that declares their order, and has weights.

    Raises:
        UserError: it declares none, or all but the head would stay random.
    """
    rules = content["parameters"]
    asked = {"train": rules.get("train", "all"), "layer_decay": rules.get("layer_decay", 1.0)}
    changed = [f"parameters.{key}={asked[key]}" for key in asked if asked[key] not in ("all", 1)]
    if not changed:
        return
    target = str(content["model"]["_target_"])
    declared = signature.read_imported(target)
    if declared is not None and _ORDER not in declared.methods:
        raise UserError(
            f"{' and '.join(changed)}: {target.rpartition('.')[2]} declares no layers; choose a "
            f"network that has {_ORDER}, such as model=efficientnet, or name parameters in "
            "parameters.groups and parameters.freeze"
        )
    pretrained = Pretrained.model_validate(content["pretrained"])
    if asked["train"] == "head" and pretrained.source is None:
        raise UserError(
            "parameters.train=head leaves all but the head as the seed made it, for "
            "pretrained.source names no file; name one, or set parameters.train=all"
        )
