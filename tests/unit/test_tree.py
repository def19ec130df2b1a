"""A configuration as a tree of plain values."""

from __future__ import annotations

from typing import Any

import pytest
from omegaconf import OmegaConf

from goodfit.config import tree

PLAIN = {"a": 1, "b": {"c": [1.5, None, "text", {"d": True}]}, "missing": "???", "price": "5 $"}


@pytest.mark.parametrize(
    "content",
    [PLAIN, PLAIN | {"e": "${a}"}, PLAIN | {"b": {"c": ["${a}"]}}, PLAIN | {"f": "${oc.env:HOME}"}],
)
def test_a_frozen_tree_is_resolved_but_for_the_environment(content: dict[str, Any]) -> None:
    cfg = OmegaConf.create(content | {"hydra": {"run": "${now:}"}})
    expected: Any = OmegaConf.to_container(OmegaConf.create(content), resolve=True)
    if "f" in content:
        expected["f"] = "${oc.env:HOME}"
    frozen = tree.frozen(cfg)
    assert frozen == expected
    assert tree.frozen(OmegaConf.create(frozen)) == frozen


def test_a_frozen_tree_is_a_copy() -> None:
    cfg = OmegaConf.create(PLAIN)
    tree.frozen(cfg)["b"]["c"].append("more")
    assert len(cfg.b.c) == 4
