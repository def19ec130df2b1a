"""Statistics that another version wrote, or that are broken, are a sentence to the registry."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from goodfit.errors import UserError
from goodfit.evaluation.champion import stored

pytestmark = pytest.mark.fault(60)


def test_what_evaluate_kept_of_the_network_comes_back(tmp_path: Path) -> None:
    arrays = {"network.target": np.arange(3), "chance.target": np.zeros(3)}
    np.savez(tmp_path / "statistics.npz", **arrays)  # type: ignore[arg-type]
    statistics = stored(tmp_path)
    assert {name: array.tolist() for name, array in statistics.items()} == {"target": [0, 1, 2]}


@pytest.mark.parametrize("content", [None, b"", b"PK\x03\x04 cut"])
def test_a_file_that_is_missing_or_broken_is_named(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "statistics.npz").write_bytes(content)
    with pytest.raises(UserError, match=r"statistics\.npz cannot be read"):
        stored(tmp_path)


def test_a_file_of_another_version_is_named(tmp_path: Path) -> None:
    np.savez(tmp_path / "statistics.npz", predictions=np.zeros(3))
    with pytest.raises(UserError, match=r"has no 'network\.', another version wrote it"):
        stored(tmp_path)
