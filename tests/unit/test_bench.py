"""What `make bench` counts, and what it is asked for."""

from __future__ import annotations

from pathlib import Path

import pytest
import tiny

from benchmarks import made, no_op
from benchmarks.measure import NAMES, Result, Seconds, Unit, chosen
from goodfit.errors import UserError
from goodfit.records import Manifest
from goodfit.store import card


def test_without_a_name_all_comparisons_run() -> None:
    assert chosen([]) == list(NAMES)


def test_named_comparisons_run_once_and_in_the_usual_order() -> None:
    assert chosen(["devices", "cnn", "devices"]) == ["cnn", "devices"]


def test_an_unknown_comparison_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(UserError, match=r"named 'checkpoint'\. Did you mean 'checkpoints'\?"):
        chosen(["checkpoint"])


def test_doing_nothing_is_measured_with_every_pipeline_that_dvc_reads(tmp_path: Path) -> None:
    no_op.copy_repository(tiny.ROOT, tmp_path / "copy")
    for pattern in ("dvc.yaml", "*/dvc.yaml", "*/dvc.lock"):
        ours, copied = (
            {path.relative_to(root) for path in root.glob(pattern)}
            for root in (tiny.ROOT, tmp_path / "copy")
        )
        assert copied == ours, pattern


def test_ratios_are_smallest_by_smallest_and_the_median_of_neighbours() -> None:
    ours = [Seconds(1, 10), Seconds(4, 40), Seconds(2, 20)]
    plain = [Seconds(2, 5), Seconds(2, 5), Seconds(2, 5)]
    result = Result("x", ours, plain, 1.0, Unit("s", 1.0), "")
    assert (result.ratio("cpu"), result.ratio("wall")) == ((0.5, 1.0), (2.0, 4.0))


@pytest.mark.parametrize(
    ("spans", "length"),
    [
        ([], 0),
        ([(1, 3)], 2),
        ([(5, 6), (1, 3)], 3),
        ([(1, 4), (2, 3)], 3),
        ([(1, 3), (2, 5), (5, 6)], 5),
    ],
)
def test_a_moment_in_which_two_kernels_run_counts_once(
    spans: list[tuple[float, float]], length: float
) -> None:
    from benchmarks.devices import covered

    assert covered(spans) == length


def test_what_is_packed_for_a_comparison_has_the_data_card_of_a_run(tmp_path: Path) -> None:
    made.table(tmp_path, {})
    manifest = Manifest.read(tmp_path / "manifest.json")
    assert "| all | 17,000 | 3,000 | 0 |" in card.markdown("table", manifest)
