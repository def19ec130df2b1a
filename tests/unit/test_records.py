"""Files between stages: what was written is read, and anything else is refused by its key."""

from __future__ import annotations

import json
from dataclasses import FrozenInstanceError, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from goodfit.data.findings import listed
from goodfit.errors import UserError
from goodfit.records import Cost, Evaluation, Finding, Job, Trained, Training
from goodfit.records.interval import Interval

TRAINING = Training(
    run_id="r",
    monitor="val/loss",
    epochs=3,
    best_epoch=1,
    steps=30,
    scores={"val/loss": 0.25},
    cost=Cost(seconds=1.5, parameters=7, trainable=7, peak_memory_mb=100),
    machine="a processor, 2 cores",
    commit="c",
    dirty="false",
    weights_sha256="w",
)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    TRAINING.write(tmp_path / "train.json")
    assert Training.read(tmp_path / "train.json") == TRAINING


def test_equal_records_are_equal_bytes_with_sorted_keys(tmp_path: Path) -> None:
    turned = replace(TRAINING, scores=dict(reversed(TRAINING.scores.items())))
    TRAINING.write(tmp_path / "a.json")
    turned.write(tmp_path / "b.json")
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    keys = list(json.loads((tmp_path / "a.json").read_text()))
    assert keys == sorted(keys)


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("epochs", "three", r"Expected `int`, got `str` - at `\$\.epochs`"),
        ("scores", {"val/loss": None}, r"Expected `float`, got `null` - at `\$\.scores\[\.\.\.\]`"),
        ("cost", {"seconds": 1.0}, r"missing required field `parameters` - at `\$\.cost`"),
    ],
)
def test_another_type_is_refused_by_its_key(
    tmp_path: Path, key: str, value: Any, said: str
) -> None:
    path = tmp_path / "train.json"
    path.write_text(json.dumps(TRAINING.to_json() | {key: value}))
    with pytest.raises(UserError, match=rf"train.json is no training that this version .*{said}"):
        Training.read(path)


def test_a_missing_file_is_the_users_to_make(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"evaluation.json does not exist; `dvc repro` makes it"):
        Evaluation.read(tmp_path / "evaluation.json")


def test_a_score_that_is_no_number_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        replace(TRAINING, scores={"val/loss": float("nan")}).write(tmp_path / "train.json")
    assert not (tmp_path / "train.json").exists()


def test_a_number_of_numpy_does_not_become_a_text() -> None:
    with pytest.raises(TypeError, match="float32, which no record holds"):
        replace(TRAINING, scores={"val/loss": np.float32(0.5)}).to_json()


@pytest.mark.parametrize("out", [None, Path("build/runs/x")])
def test_paths_cross_to_another_process_as_paths(out: Path | None) -> None:
    job = Job(out=out, overrides=("seed=1",), tags={"a": "b"}, keep=False)
    assert Job.of(json.loads(json.dumps(job.to_json())), Path("job.json")) == job


def test_a_key_of_a_later_version_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text(json.dumps(Interval(1, 0, 2).to_json() | {"level": 0.95}))
    assert Interval.read(tmp_path / "x.json") == Interval(1, 0, 2)


def test_a_record_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        Trained("r", "val/loss", 0.1, None).score = 0.2  # type: ignore[misc]


@pytest.mark.parametrize(("count", "more"), [(8, ""), (9, ", ...")])
def test_a_finding_says_whether_there_are_more_rows_than_it_names(count: int, more: str) -> None:
    finding = Finding(what="", cost="", answer="", rows=listed(np.arange(count)))
    assert finding.listed() == f"1, 2, 3, 4, 5, 6, 7, 8{more}"
