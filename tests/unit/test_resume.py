"""A training that was cut and taken up again is the training that nobody cut, bit by bit."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from cutting import FOLDER, Cut, Home, case, cut, same
from omegaconf import DictConfig

from goodfit.launch.fit import fit
from goodfit.system import signals
from goodfit.system.files import read_json
from goodfit.tracking import runs
from goodfit.tracking.database import connect
from goodfit.training.checkpoint import AtomicCheckpoints


@pytest.fixture(autouse=True)
def no_request_to_stop() -> Iterator[None]:
    """What a test that failed has asked for does not reach the next one."""
    yield
    signals.reset()


@pytest.mark.fault(4)
@pytest.mark.parametrize(
    ("name", "epoch", "batch"),
    [
        ("plain", 0, 0),
        ("plain", 1, 1),
        ("plain", 2, 10_000),
        ("average", 1, 1),
        ("accumulated", 1, 1),
        pytest.param("workers", 1, 1, marks=pytest.mark.slow),
    ],
)
def test_a_training_that_goes_on_is_the_same_bit_by_bit(
    home: Home, name: str, epoch: int, batch: int
) -> None:
    fit(case(home, name), out=Path("whole"))
    last = batches(case(home, name)) - 1
    cut(case(home, name), epoch, min(batch, last))
    assert not Path("model").exists()
    fit(case(home, name), out=Path("model"))
    assert same(Path("model"), Path("whole"))


def batches(cfg: DictConfig) -> int:
    """How many batches an epoch has, micro-batches counted."""
    from goodfit.store.loader import Shard
    from goodfit.training.datamodule import DataModule

    shard = Shard(micro_batches=cfg.trainer.accumulate_grad_batches)
    data = DataModule(
        Path("data/prepared/tiny"), batch_size=cfg.loader.batch_size, seed=0, shard=shard
    )
    return len(data.train_dataloader())


@pytest.mark.slow
@pytest.mark.fault(4)
def test_images_that_are_augmented_go_on_bit_by_bit(
    home: Home, prepared: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    import tiny

    uri = home().tracking.uri
    shutil.rmtree("data/prepared/tiny")
    shutil.copytree(prepared("mnist"), "data/prepared/tiny")
    small = {"tracking": {"uri": uri}, "augment": {"affine": tiny.section("augment", "affine")}}
    whole, begun, resumed = (tiny.cfg("mnist", model="cnn", **small) for _ in range(3))
    fit(whole, out=Path("whole"))
    cut(begun, 1, 0)
    fit(resumed, out=Path("model"))
    assert same(Path("model"), Path("whole"))


@pytest.mark.slow
def test_cut_twice_it_is_still_the_same(home: Home) -> None:
    fit(case(home, "plain"), out=Path("whole"))
    cut(case(home, "plain"), 0, 1)
    cut(case(home, "plain"), 2, 0)
    fit(case(home, "plain"), out=Path("model"))
    assert same(Path("model"), Path("whole"))


@pytest.mark.slow
def test_it_goes_on_in_the_same_run_without_a_row_twice(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    cfg = case(home, "plain")
    cut(cfg, 2, 1)
    begun = read_json(FOLDER / "training.json")["run_id"]
    client = connect(cfg.tracking.uri)
    assert client.get_run(begun).info.status == runs.KILLED
    capsys.readouterr()
    done = fit(cfg, out=Path("model"))
    epochs = [metric.step for metric in client.get_metric_history(begun, "val/loss")]
    assert (done.run_id, client.get_run(begun).info.status) == (begun, runs.FINISHED)
    assert sorted(epochs) == [0, 1, 2, 3]
    assert "resuming from epoch 3, step " in capsys.readouterr().out


@pytest.mark.slow
def test_a_run_that_the_database_has_lost_is_made_anew_with_all_rows(
    home: Home, database: Path
) -> None:
    cfg = case(home, "plain")
    cut(cfg, 2, 1)
    shutil.copy(database, "other.db")
    cfg.tracking.uri = f"sqlite:///{Path('other.db').resolve()}"
    done = fit(cfg, out=Path("model"))
    logged = connect(cfg.tracking.uri).get_metric_history(done.run_id, "val/loss")
    assert sorted(metric.step for metric in logged) == [0, 1, 2, 3]


@pytest.mark.slow
def test_a_training_that_early_stopping_had_ended_does_not_go_on(home: Home) -> None:
    def cfg() -> DictConfig:
        return home(
            trainer={"max_epochs": 9},
            early_stopping={"patience": 1, "min_delta": 99.0},
            checkpoint={"seconds": 0},
        )

    fit(cfg(), out=Path("whole"))

    class Dies(pl.Callback):
        def on_train_end(self, trainer: pl.Trainer, task: Any) -> None:
            raise SystemExit(137)

    with pytest.raises(SystemExit):
        fit(cfg(), out=Path("model"), callbacks=[Dies()])
    fit(cfg(), out=Path("model"))
    assert same(Path("model"), Path("whole"))


def test_a_save_that_fails_leaves_no_file_that_counts_as_a_checkpoint(tmp_path: Path) -> None:
    content = {"weights": torch.zeros(10**6), "fails": lambda: None}
    with pytest.raises(AttributeError, match="local object"):
        AtomicCheckpoints().save_checkpoint(content, tmp_path / "step-1.ckpt")
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_nothing_is_left_of_a_training_that_ended_well(home: Home) -> None:
    cut(case(home, "plain"), 1, 0)
    fit(case(home, "plain"), out=Path("model"))
    assert not FOLDER.exists()


@pytest.mark.slow
def test_other_overrides_by_hand_are_another_training(home: Home) -> None:
    def begin(epoch: int, *overrides: str) -> None:
        with pytest.raises(SystemExit):
            fit(home(), overrides=overrides, callbacks=[Cut(epoch, 0)])
        signals.reset()

    begin(0, "experiment=tiny", "seed=0")
    begin(0, "experiment=tiny", "seed=0", "trainer.max_epochs=3")
    begin(1, "seed=0", "experiment=tiny")
    assert len(list(Path("build/checkpoints").iterdir())) == 2
