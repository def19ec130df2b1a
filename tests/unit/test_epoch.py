"""An epoch keeps what its scores need and no more, also over a cut and over several ranks."""

from __future__ import annotations

import io
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import ranks
import torch
from small_tasks import NUMBER, NUMBER_PARTS, PARTS, TEXT, TOKENS, Gaussian, Line, Speller, Spelling
from torch import Tensor

from goodfit.contract import Batch
from goodfit.predictor import Predictor
from goodfit.store.arrays import Packed
from goodfit.task import epoch
from goodfit.task.epoch import EpochResults, score_rows
from goodfit.task.kept import Samples
from goodfit.task.regression import Regression
from goodfit.training.datamodule import DataModule
from goodfit.training.lightning_task import LightningTask
from goodfit.training.loop import score_kept_weights

CPU = torch.device("cpu")


def gaussian() -> LightningTask:
    torch.manual_seed(0)
    return LightningTask(Gaussian(Line(replace(NUMBER, outputs=2)), NUMBER, **NUMBER_PARTS))


def regression() -> LightningTask:
    torch.manual_seed(0)
    return LightningTask(Regression(Line(NUMBER), NUMBER, **NUMBER_PARTS))


def batches(samples: int, size: int) -> list[Batch]:
    """Numbers (B, 3), and a target that has to do with them."""
    numbers = torch.randn(samples, 3, generator=torch.Generator().manual_seed(1))
    target = numbers.sum(1) + 0.1
    parts = zip(numbers.split(size), target.split(size), strict=True)
    return [Batch({"numbers": part}, {"target": truth}, torch.arange(0)) for part, truth in parts]


def steps(task: LightningTask, split: str, parts: list[Batch], first: int = 0) -> None:
    """Its own steps, without a trainer."""
    for index, batch in enumerate(parts, first):
        task._step(split, batch, index)


def saved(task: LightningTask) -> bytes:
    """What the task adds to a checkpoint, as bytes of a file."""
    checkpoint: dict[str, Any] = {}
    task.on_save_checkpoint(checkpoint)
    stream = io.BytesIO()
    torch.save(checkpoint, stream)
    return stream.getvalue()


def resumed(make: Any, content: bytes) -> LightningTask:
    """A new task that goes on from a checkpoint, which is read as data alone."""
    task: LightningTask = make()
    task.on_load_checkpoint(torch.load(io.BytesIO(content), weights_only=True))
    return task


@pytest.mark.parametrize("size", [7, 64])
def test_scores_from_sums_are_those_of_all_rows(size: int) -> None:
    task, parts = gaussian(), batches(100, size)
    steps(task, "val", parts)
    whole = batches(100, 100)[0]
    with torch.no_grad():
        output = task.task.run(whole.inputs, whole.targets)
        loss = task.task.loss(output, **whole.targets).double().mean()
        squared = (output[:, 0] - whole.targets["target"]).double() ** 2
    row = task.reduce("val")
    assert row["val/loss"] == pytest.approx(float(loss), rel=1e-6)
    assert row["val/nll"] == pytest.approx(float(loss), rel=1e-6)
    assert row["val/rmse"] == pytest.approx(float(squared.mean().sqrt()), rel=1e-6)


def test_counts_beyond_float32_are_exact() -> None:
    """20 million ones: in float32 a sum would stop at 2^24."""
    results = EpochResults("val", additive=True)
    ones = torch.ones(1_000_000)
    for step in range(20):
        results.add(Samples.of_step(step, 0, ones, ones, {"samples": ones}))
    row = results.reduce({"samples": lambda sums: sums["samples"]}, CPU)
    assert row == {"loss": 1.0, "samples": 20_000_000.0}


def test_an_additive_epoch_of_200_000_samples_is_a_few_numbers() -> None:
    words = 50
    large = replace(TEXT, outputs=words)
    task = LightningTask(Spelling(Speller(large), large, **PARTS))
    numbers, target = torch.randn(1000, 3), torch.ones(1000, TOKENS, dtype=torch.int64)
    batch = Batch({"numbers": numbers}, {"target": target}, torch.arange(0))
    before = len(saved(task))
    for split in ("train", "val"):
        with torch.no_grad():
            steps(task, split, [batch] * 200)
    held = len(pickle.dumps(task._results))
    assert held < 10_000, f"{held} bytes are kept of 200,000 samples of {TOKENS} x {words} outputs"
    assert len(saved(task)) - before < 2_000


def test_beyond_the_bound_train_is_watched_by_its_loss_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    parts = batches(1000, 10)
    whole = regression()
    steps(whole, "train", parts)
    before = len(saved(whole))
    monkeypatch.setattr(epoch, "MOST_KEPT", 500)
    task = regression()
    for _ in range(2):
        task.on_train_epoch_start()
        steps(task, "train", parts)
        row = task.reduce("train")
        assert row == {"train/loss": pytest.approx(whole.reduce("train")["train/loss"])}
    assert len(saved(task)) < 4_000 < before
    assert len(pickle.dumps(task._results)) < 4_000
    assert capsys.readouterr().out.splitlines() == [
        "train: an epoch's statistics are more than 500 numbers; its curve has the loss alone, "
        "validation's has all scores"
    ]


def test_beyond_the_bound_validation_keeps_all_scores(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = []
    for bound in (10_000, 500):
        monkeypatch.setattr(epoch, "MOST_KEPT", bound)
        task = regression()
        steps(task, "val", batches(1000, 10))
        rows.append(task.reduce("val"))
    assert rows[0] == rows[1]
    assert set(rows[0]) == {"val/loss", "val/rmse", "val/mae", "val/r2"}


@pytest.mark.parametrize("bound", [10_000, 300])
@pytest.mark.parametrize("make", [gaussian, regression])
@pytest.mark.parametrize("done", [1, 20, 70])
def test_an_epoch_that_goes_on_is_the_same_bit_by_bit(
    make: Any, bound: int, done: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(epoch, "MOST_KEPT", bound)
    parts = batches(1000, 10)
    whole = make()
    steps(whole, "train", parts)

    cut = make()
    steps(cut, "train", parts[:done])
    again = resumed(make, saved(cut))
    steps(again, "train", parts[done:], first=done)
    assert again.reduce("train") == whole.reduce("train")


def test_nothing_that_is_kept_holds_a_graph() -> None:
    """A prediction may be the output itself."""

    class Same(Regression):
        def predict(self, output: Tensor) -> Tensor:
            return output.squeeze(-1)

    task = LightningTask(Same(Line(NUMBER), NUMBER, **NUMBER_PARTS))
    loss = task.training_step(batches(10, 10)[0], 0)
    assert loss.requires_grad
    kept = task._results["train"]._kept.samples()
    assert kept is not None
    for name, values in {"loss": kept.loss, **kept.statistics}.items():
        assert not values.requires_grad, name
        assert values.grad_fn is None, name


MAKERS: dict[str, Any] = {"gaussian": gaussian, "regression": regression}
CASES = [("gaussian", 10_000), ("regression", 10_000), ("regression", 300)]


def on_rank(rank: int) -> list[dict[str, Any]]:
    """Every second batch on this rank: whole, and cut in the middle and taken up again."""
    return [cut_on_rank(rank, MAKERS[name], bound) for name, bound in CASES]


def cut_on_rank(rank: int, make: Any, bound: int) -> dict[str, Any]:
    epoch.MOST_KEPT = bound
    half = batches(400, 10)[rank::2]
    whole, cut, again = make(), make(), make()
    steps_of(whole, half, rank=rank)
    steps_of(cut, half[:7], rank=rank)

    content = saved(cut)
    checkpoint = torch.load(io.BytesIO(content), weights_only=True)
    again._results["train"].load(checkpoint["results"], rank)
    steps_of(again, half[7:], rank=rank, first=7)
    rows = {"whole": whole.reduce("train"), "again": again.reduce("train")}
    return {**rows, "content": content}


def steps_of(module: LightningTask, parts: list[Batch], *, rank: int, first: int = 0) -> None:
    """Steps with results of this rank, which without a trainer it does not know."""
    task = module.task
    for index, batch in enumerate(parts, first):
        with torch.no_grad():
            output = task.run(batch.inputs, batch.targets)
            statistics = task.watch(output, **batch.targets)
            loss, units = task.loss(output, **batch.targets), task.units(**batch.targets)
        module._results["train"].add(Samples.of_step(index, rank, loss, units, statistics))


@pytest.mark.slow
def test_two_ranks_have_the_row_of_one_and_go_on_bit_by_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for (name, bound), first, second in zip(
        CASES, *ranks.on_two_ranks(on_rank, tmp_path), strict=True
    ):
        make = MAKERS[name]
        assert first["whole"] == second["whole"]
        assert first["again"] == second["again"] == first["whole"]

        monkeypatch.setattr(epoch, "MOST_KEPT", bound)
        alone = make()
        steps(alone, "train", batches(400, 10))
        assert first["whole"] == pytest.approx(alone.reduce("train"), rel=1e-6)

        # one rank goes on with what two have kept
        fewer = resumed(make, first["content"])
        steps(fewer, "train", batches(400, 10)[14:], first=14)
        assert fewer.reduce("train") == pytest.approx(first["whole"], rel=1e-6)


def test_what_is_watched_can_be_monitored_in_its_own_direction() -> None:
    task = Spelling(Speller(TEXT), TEXT, **PARTS)
    assert (task.mode("loss"), task.mode("tokens"), task.mode("exact")) == ("min", "max", "max")


def texts(folder: Path, samples: dict[str, int]) -> Path:
    """Prepared texts, whose first number is their row."""
    TEXT.write(folder / "spec.json")
    for split, count in samples.items():
        (folder / split).mkdir()
        numbers = np.stack([np.arange(count), np.ones(count), np.zeros(count)], 1)
        np.save(folder / split / "numbers.npy", numbers.astype(np.float32))
        np.save(folder / split / "target.npy", np.ones((count, TOKENS), np.int64))
    return folder


class Counted(Spelling):
    """Remembers which samples it has written."""

    written: list[int]

    def infer(self, inputs: Any) -> Tensor:
        self.written.extend(inputs["numbers"][:, 0].long().tolist())
        return super().infer(inputs)


def test_of_train_a_task_writes_as_many_texts_as_of_validation(tmp_path: Path) -> None:
    data = DataModule(
        texts(tmp_path, {"train": 200, "validation": 30}),
        batch_size=4,
        seed=0,
        inputs=("numbers",),
    )
    task = Counted(Speller(TEXT), TEXT, **PARTS)
    task.written = []
    row = score_kept_weights(task, data)
    assert task.written[:30] == [200 * index // 30 for index in range(30)]
    assert task.written[30:] == list(range(30))
    names = {f"{split}/{name}" for split in ("train", "val", "gap") for name in ("loss", "exact")}
    assert set(row) == names | {"train/tokens", "val/tokens", "gap/tokens"}


def test_the_prediction_of_a_fed_network_is_what_it_writes_by_itself(tmp_path: Path) -> None:
    torch.manual_seed(3)
    task = Spelling(Speller(TEXT), TEXT, **PARTS)
    data = Packed(texts(tmp_path, {"test": 9}), "test")
    measured = Predictor(task, TEXT).measure(data, size=4)
    with torch.no_grad():
        alone = task.statistics(task.infer(data.inputs), **data.targets)
        fed = task.watch(task.run(data.inputs, data.targets), **data.targets)
    assert torch.equal(measured.statistics["exact"], alone["exact"])
    assert torch.equal(measured.watched["right"], fed["right"])
    whole = score_rows(task.watch_metrics(), measured.watched, additive=True)
    assert whole["tokens"] == float(fed["right"].sum()) / (9 * TOKENS)


def test_train_of_a_fed_task_is_watched_by_its_loss() -> None:
    task = LightningTask(Spelling(Speller(TEXT), TEXT, **PARTS))
    target = torch.ones(4, TOKENS, dtype=torch.int64)
    batch = Batch({"numbers": torch.randn(4, 3)}, {"target": target}, torch.arange(0))
    steps(task, "train", [batch])
    steps(task, "val", [batch])
    assert set(task.reduce("train")) == {"train/loss"}
    assert set(task.reduce("val")) == {"val/loss", "val/tokens"}
