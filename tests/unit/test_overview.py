"""How MLflow's pages get at the numbers of a run."""

from __future__ import annotations

import pytest

from goodfit.tracking.overview import single_metric


@pytest.mark.fault(66)
@pytest.mark.parametrize(
    ("section", "name", "expected"),
    [("test", "accuracy", "test_accuracy"), ("final", "val/loss", "final_val_loss")],
)
def test_a_single_number_has_no_slash_which_would_put_it_before_the_curves(
    section: str, name: str, expected: str
) -> None:
    assert single_metric(section, name) == expected
