"""Each kind of target goes the whole way: trained, evaluated against all baselines, answered."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tiny
import torch
from omegaconf import OmegaConf

from goodfit.evaluation.evaluate import evaluate
from goodfit.launch.fit import fit
from goodfit.predictor import Predictor
from goodfit.task.base import Task

PAIRS = [
    (case, task) for case in tiny.cases() if case.startswith("table-") for task in tiny.tasks(case)
]


def of_prediction(task: Task, statistics: dict[str, Any]) -> pd.DataFrame:
    """What `decode` says of the answers that evaluation scored."""
    return task.decode(torch.from_numpy(statistics["network.prediction"]))


@pytest.mark.slow
@pytest.mark.parametrize(("case", "task"), PAIRS)
def test_a_table_is_trained_evaluated_and_answered(
    case: str, task: str, home: Callable[..., Any], tmp_path: Path
) -> None:
    cfg = home(case)
    cfg.task = tiny.section("task", task)
    cfg.baseline = OmegaConf.create(
        {name: tiny.section("baseline", name) for name in tiny.baselines(case)}
    )
    fit(cfg, out=tmp_path / "model")
    data = Path("data/prepared/tiny")
    evaluation, statistics = evaluate(cfg, data, tmp_path / "model")
    titles = {method.title for method in evaluation.baselines if method.role != "trivial"}
    assert len(titles) == len(tiny.baselines(case))
    assert np.isfinite(evaluation.headline.value)

    predictor = Predictor.load(tmp_path / "model")
    answers = predictor.predict(pd.read_parquet(data / "test" / "rows.parquet"))
    scored = of_prediction(predictor.task, statistics)
    for column in scored:
        if pd.api.types.is_numeric_dtype(scored[column]):
            assert np.allclose(answers[column], scored[column], rtol=1e-5, atol=1e-6), column
        else:
            assert answers[column].tolist() == scored[column].tolist(), column
