"""Data from which nothing can be learned are refused before a network is made."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from made_tables import table
from omegaconf import DictConfig

from goodfit.errors import UserError
from goodfit.launch.fit import fit
from goodfit.store.prepare import prepare

pytestmark = pytest.mark.fault(23)


def refused(tmp_path: Path, rows: list[str], *, test: float = 0.25) -> str:
    """The message for a table with a number and a class in each row."""
    raw = tmp_path / "t.csv"
    raw.write_text("\n".join(["a,y", *rows]) + "\n")
    with pytest.raises(UserError) as error:
        prepare(table(test=test), {"table": raw}, tmp_path / "out", made_with={})
    assert not (tmp_path / "out").exists()
    return str(error.value)


def test_a_single_class_is_nothing_to_learn(tmp_path: Path) -> None:
    message = refused(tmp_path, [f"{number % 9},cat" for number in range(20)])
    assert message == "train has a single class cat: nothing to learn"


def test_a_label_that_train_lacks_is_named_with_its_count(tmp_path: Path) -> None:
    rows = [f"{number},{'cat' if number % 2 else 'dog'}" for number in range(20)]
    # a single row is in the middle of its stratum: with these shares, that is validation
    message = refused(tmp_path, [*rows, "99,zebra"], test=0.4)
    assert message == "labels 'zebra' (1 row) never occur in train; known: cat, dog"


def test_too_few_rows_for_three_splits_are_counted(tmp_path: Path) -> None:
    message = refused(tmp_path, ["1,cat", "2,dog"])
    assert message == (
        "2 samples (2 different inputs, 2 groups of targets) leave the validation and test split "
        "empty; it takes more samples, or a larger share"
    )


def test_more_devices_than_samples_of_a_batch_are_refused(home: Callable[..., DictConfig]) -> None:
    cfg = home(loader={"batch_size": 3}, trainer={"accumulate_grad_batches": 4})
    message = "batch_size=3 cannot be shared by 4 devices and micro-batches"
    with pytest.raises(UserError, match=message):
        fit(cfg, out=Path("model"))
