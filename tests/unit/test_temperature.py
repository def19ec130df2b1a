"""Temperature scaling: known answers, and probabilities that are right as often as they say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from small_tasks import made, spec
from torch import Tensor

from goodfit.contract import SAMPLE_WEIGHT, Field
from goodfit.errors import UserError
from goodfit.launch.fit import fit
from goodfit.metrics.classification import log_loss
from goodfit.predictor import Predictor
from goodfit.store.arrays import Packed
from goodfit.task.temperature import Tempered

LABELS = ("a", "b", "c", "d")
TASKS = {
    "classification": spec("class", 4, Field((), "int64", labels=LABELS)),
    "ordinal": spec("ordered", 4, Field((), "int64", labels=LABELS)),
    "multilabel": spec("labels", 4, Field((4,), "float32", labels=LABELS)),
}


def task_of(name: str) -> Tempered:
    task = made(name, TASKS[name]).eval()
    assert isinstance(task, Tempered)
    return task


def answers(task: Tempered, samples: int, seed: int, spread: float = 2.0) -> tuple[Tensor, Tensor]:
    """Outputs (N, K) of a calibrated network, and targets that are drawn as it says."""
    generator = torch.Generator().manual_seed(seed)
    columns = task.outputs(task.spec)
    output = spread * torch.randn(samples, columns, generator=generator)
    probability = task.predict(output)
    if task.spec.kind == "labels":
        return output, torch.bernoulli(probability, generator=generator)
    return output, torch.multinomial(probability, 1, generator=generator).squeeze(1)


def calibrated(task: Tempered, output: Tensor, target: Tensor) -> Tempered:
    return task.calibrated(task.uncalibrated(output, target=target))


def sharper(task: Tempered, output: Tensor, factor: float) -> Tensor:
    """Outputs (N, K) whose logits are those of `output` times a factor."""
    if task.spec.kind != "ordered":
        return output * factor
    upto = torch.sigmoid(-factor * task.logits(output))
    before = torch.cat([torch.ones(len(upto), 1), upto[:, :-1]], 1)
    return (upto / before).logit().float()


@pytest.mark.parametrize("name", TASKS)
def test_logits_that_are_three_times_too_large_have_temperature_three(name: str) -> None:
    task = task_of(name)
    output, target = answers(task, 20_000, seed=0)
    own = calibrated(task, sharper(task, output, 3.0), target)
    assert float(own.temperature) == pytest.approx(3.0, rel=0.04)
    expected = task.predict(output)
    torch.testing.assert_close(
        own.predict(sharper(task, output, float(own.temperature))), expected, rtol=1e-3, atol=1e-5
    )


def test_the_temperature_grows_as_the_logits_do() -> None:
    """The same answers, but for their size: whatever the noise, the factor is known."""
    task = task_of("classification")
    output, target = answers(task, 500, seed=1)
    first, second = (
        float(calibrated(task, factor * output, target).temperature) for factor in (2.5, 5.0)
    )
    assert second == pytest.approx(2 * first, rel=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", TASKS)
def test_a_calibrated_network_stays_as_it_is(name: str) -> None:
    task = task_of(name)
    fitted = [float(calibrated(task, *answers(task, 400, seed)).temperature) for seed in range(40)]
    assert sum(temperature == 1.0 for temperature in fitted) >= 30
    assert max(abs(np.log(fitted))) < 0.35


@pytest.mark.parametrize("name", TASKS)
@pytest.mark.parametrize("factor", [0.3, 3.0])
def test_the_log_loss_of_validation_never_gets_worse_and_no_decision_changes(
    name: str, factor: float
) -> None:
    task = task_of(name)
    for seed in range(10):
        output, target = answers(task, 60, seed)
        output = factor * output
        own = calibrated(task, output, target)
        before, after = (of.statistics(of.predict(output), target) for of in (task, own))
        scores = task.metrics()
        assert float(scores["log_loss"](after)) <= float(scores["log_loss"](before))
        for score in scores.keys() - {"log_loss", "auroc", "average_precision"}:
            assert float(scores[score](after)) == float(scores[score](before))


def test_where_all_answers_are_right_a_network_does_not_become_as_sure_as_can_be() -> None:
    task = task_of("classification")
    target = torch.arange(60) % 4
    own = calibrated(task, torch.nn.functional.one_hot(target, 4).float(), target)
    sure = float(own.predict(torch.tensor([[1.0, 0.0, 0.0, 0.0]]))[0, 0])
    # of 61, one is guessed: of its four classes three are wrong
    assert sure == pytest.approx(1 - 0.75 / 61, abs=1e-5)


@pytest.mark.parametrize("name", TASKS)
def test_a_sample_of_weight_two_is_two_samples(name: str) -> None:
    task = task_of(name)
    output, target = answers(task, 200, seed=3)
    output = 3 * output
    weight = 1.0 + (torch.arange(200) % 2)
    known = task.uncalibrated(output, target=target)
    by_weight = task.calibrated({**known, SAMPLE_WEIGHT: weight})
    repeated = {key: values.repeat_interleave(weight.long(), 0) for key, values in known.items()}
    assert float(by_weight.temperature) == pytest.approx(
        float(task.calibrated(repeated).temperature), rel=1e-5
    )


def test_logits_that_are_no_numbers_are_refused() -> None:
    task = task_of("classification")
    output, target = answers(task, 20, seed=0)
    output[3, 1] = torch.nan
    with pytest.raises(UserError, match=r"1 of 20 samples of validation have logits that are not"):
        calibrated(task, output, target)


def test_another_method_is_scaled_by_what_its_own_answers_say() -> None:
    task = task_of("classification")
    output, target = answers(task, 2000, seed=0)
    theirs = (3 * output).softmax(1)
    own = task.calibrated(task.statistics(theirs, target))
    assert float(task.temperature) == 1.0
    assert float(own.temperature) == pytest.approx(3.0, rel=0.1)
    assert float(log_loss(own.recalibrated(theirs), target)) < float(log_loss(theirs, target))


def test_use_and_evaluation_answer_with_the_temperature_that_is_kept(
    home: Any, tmp_path: Path
) -> None:
    model = tmp_path / "model"
    fit(home(), out=model)
    state = torch.load(model / "weights.pt")
    state["task:temperature"] = torch.tensor(2.0)
    torch.save(state, model / "weights.pt")
    (model / "train.json").unlink()
    data = Path("data/prepared/tiny")
    predictor = Predictor.load(model)
    measured = predictor.measure(Packed(data, "test")).statistics["prediction"]
    rows = pd.read_parquet(data / "test" / "rows.parquet")
    assert predictor.predict(rows)["p_malignant"].tolist() == measured[:, 1].tolist()

    # a file from before there were temperatures: the same logits, over 1
    del state["task:temperature"]
    torch.save(state, model / "weights.pt")
    old = Predictor.load(model).measure(Packed(data, "test")).statistics["prediction"]
    torch.testing.assert_close((old.double().log() / 2).softmax(1).float(), measured)
