"""A training that was cut and taken up again is the training that nobody cut, bit by bit."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from omegaconf import DictConfig

from goodfit import resume, stop, track
from goodfit.checkpoint import AtomicCheckpoints
from goodfit.errors import NonFiniteLossError, UserError
from goodfit.files import read_json, write_json
from goodfit.guard.stop import Stop
from goodfit.kept import note, steps
from goodfit.launch import fit

Home = Callable[..., DictConfig]
FOLDER = Path("build/checkpoints/tiny")


class Cut(pl.Callback):
    """Asks the training to stop, as a signal would, in an epoch after a batch."""

    def __init__(self, epoch: int, batch: int) -> None:
        self.place = (epoch, batch)

    def on_train_batch_end(self, trainer: pl.Trainer, task: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if (trainer.current_epoch, batch_idx) == self.place:
            stop._asked.append(15)


@pytest.fixture(autouse=True)
def unasked() -> Iterator[None]:
    yield
    stop._asked.clear()


def cut(cfg: DictConfig, epoch: int, batch: int) -> None:
    """A training that is told to stop there."""
    with pytest.raises(SystemExit) as ended:
        fit(cfg, out=Path("model"), callbacks=[Cut(epoch, batch)])
    assert ended.value.code == 143
    stop._asked.clear()


def history(model: Path) -> list[dict[str, str]]:
    with (model / "history.csv").open() as stream:
        return [{key: value for key, value in row.items() if key != "epoch_seconds"} for row in csv.DictReader(stream)]


def weights(model: Path) -> dict[str, torch.Tensor]:
    return dict(torch.load(model / "weights.pt", weights_only=True))


def same(one: Path, other: Path) -> bool:
    pairs = [(value, weights(other)[name]) for name, value in weights(one).items()]
    return history(one) == history(other) and all(torch.equal(*pair) for pair in pairs)


def case(home: Home, name: str) -> DictConfig:
    """Trainings with all that could tell two of them apart."""
    cfg = home(trainer={"max_epochs": 4}, model={"dropout": 0.4}, early_stopping={"patience": 9})
    if name == "workers":
        cfg.loader.workers = 2
    if name == "average":
        cfg.average = 0.9
    if name == "accumulated":
        cfg.trainer.accumulate_grad_batches = 2
    return cfg


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
def test_a_training_that_goes_on_is_the_same_bit_by_bit(home: Home, name: str, epoch: int, batch: int) -> None:
    fit(case(home, name), out=Path("whole"))
    last = len(build_batches(case(home, name))) - 1
    cut(case(home, name), epoch, min(batch, last))
    assert not Path("model").exists()
    fit(case(home, name), out=Path("model"))
    assert same(Path("model"), Path("whole"))


def build_batches(cfg: DictConfig) -> Any:
    from goodfit.data.packed import DataModule, Share

    share = Share(parts=cfg.trainer.accumulate_grad_batches)
    return DataModule(Path("data/prepared/tiny"), **cfg.loader, seed=0, share=share).train_dataloader()


@pytest.mark.fault(4)
def test_images_that_are_augmented_go_on_bit_by_bit(
    home: Home, prepared: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    import tiny

    uri = home().tracking.uri
    shutil.rmtree("data/prepared/tiny")
    shutil.copytree(prepared("mnist"), "data/prepared/tiny")
    small = {"tracking": {"uri": uri}, "augment": tiny.section("augment", "affine")}
    made = [tiny.cfg("mnist", model="cnn", **small) for _ in range(3)]
    fit(made[0], out=Path("whole"))
    cut(made[1], 1, 0)
    fit(made[2], out=Path("model"))
    assert same(Path("model"), Path("whole"))


def test_cut_twice_it_is_still_the_same(home: Home) -> None:
    fit(case(home, "plain"), out=Path("whole"))
    cut(case(home, "plain"), 0, 1)
    cut(case(home, "plain"), 2, 0)
    fit(case(home, "plain"), out=Path("model"))
    assert same(Path("model"), Path("whole"))


def test_it_goes_on_in_the_same_run_without_a_row_twice(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    cfg = case(home, "plain")
    cut(cfg, 2, 1)
    begun = read_json(FOLDER / "training.json")["run_id"]
    client = track.connect(cfg.tracking.uri)
    assert client.get_run(begun).info.status == track.KILLED
    capsys.readouterr()
    done = fit(cfg, out=Path("model"))
    steps_ = [metric.step for metric in client.get_metric_history(begun, "val/loss")]
    assert (done.run_id, client.get_run(begun).info.status) == (begun, track.FINISHED)
    assert sorted(steps_) == [0, 1, 2, 3]
    assert "resuming from epoch 3, step " in capsys.readouterr().out


def test_a_run_that_the_database_has_lost_is_made_anew_with_all_rows(home: Home, database: Path) -> None:
    cfg = case(home, "plain")
    cut(cfg, 2, 1)
    shutil.copy(database, "other.db")
    cfg.tracking.uri = f"sqlite:///{Path('other.db').resolve()}"
    done = fit(cfg, out=Path("model"))
    found = track.connect(cfg.tracking.uri).get_metric_history(done.run_id, "val/loss")
    assert sorted(metric.step for metric in found) == [0, 1, 2, 3]


def test_a_training_that_early_stopping_had_ended_does_not_go_on(home: Home) -> None:
    def cfg() -> DictConfig:
        return home(
            trainer={"max_epochs": 9}, early_stopping={"patience": 1, "min_delta": 99.0}, checkpoint={"seconds": 0}
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


def test_nothing_is_left_of_a_training_that_ended_well(home: Home) -> None:
    cut(case(home, "plain"), 1, 0)
    fit(case(home, "plain"), out=Path("model"))
    assert not FOLDER.exists()


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def saved_often(home: Home) -> DictConfig:
    cfg = case(home, "plain")
    cfg.checkpoint.seconds = 0
    return cfg


@pytest.mark.fault(2)
@pytest.mark.parametrize("spoil", [flip, lambda path: path.write_bytes(path.read_bytes()[:1000])], ids=["bit", "cut"])
def test_of_two_checkpoints_the_whole_one_is_taken(
    home: Home, spoil: Callable[[Path], None], capsys: pytest.CaptureFixture[str]
) -> None:
    fit(saved_often(home), out=Path("whole"))
    cut(saved_often(home), 2, 1)
    newest, older = steps(FOLDER)
    spoil(newest)
    capsys.readouterr()
    fit(saved_often(home), out=Path("model"))
    said = capsys.readouterr().out
    assert f"{newest} or its best weights fail their checksum" in said
    assert f"({older}, verified)" in said
    assert same(Path("model"), Path("whole"))


@pytest.mark.fault(3)
def test_where_no_checkpoint_is_whole_nothing_starts_anew_in_silence(home: Home) -> None:
    cut(saved_often(home), 2, 1)
    for path in steps(FOLDER):
        flip(path)
    with pytest.raises(UserError, match=r"no checkpoint in .* can be trusted; resume=never starts anew"):
        fit(saved_often(home), out=Path("model"))
    cfg = saved_often(home)
    cfg.resume = "never"
    fit(cfg, out=Path("model"))
    assert Path("model").exists()


def test_a_checkpoint_without_its_note_was_not_finished(home: Home) -> None:
    cut(saved_often(home), 2, 1)
    newest, older = steps(FOLDER)
    newest.with_suffix(".json").unlink()
    assert resume._newest(FOLDER) == older


def test_the_best_weights_of_each_kept_checkpoint_are_kept(home: Home) -> None:
    cut(saved_often(home), 3, 1)
    assert len(steps(FOLDER)) == 2
    for path in steps(FOLDER):
        assert (FOLDER / note(path)["best"]).is_file()


@pytest.mark.fault(5)
@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("optimizer.lr", 0.5, r"optimizer\.lr was 0\.001, is 0\.5"),
        ("loader.batch_size", 8, r"loader\.batch_size was 16, is 8"),
        ("seed", 9, "seed was 0, is 9"),
    ],
)
def test_another_configuration_is_refused_with_what_differs(home: Home, key: str, value: Any, said: str) -> None:
    from omegaconf import OmegaConf

    cut(case(home, "plain"), 1, 0)
    cfg = case(home, "plain")
    OmegaConf.update(cfg, key, value)
    with pytest.raises(UserError, match=f"was begun otherwise: {said}"):
        fit(cfg, out=Path("model"))


@pytest.mark.fault(5)
@pytest.mark.parametrize(
    ("fact", "value"), [("data (SHA-256)", "other"), ("devices in all", "2"), ("code of training", "x")]
)
def test_other_data_devices_and_code_are_refused(home: Home, fact: str, value: str) -> None:
    cut(case(home, "plain"), 1, 0)
    stored = read_json(FOLDER / "training.json")
    write_json(FOLDER / "training.json", {**stored, "facts": {**stored["facts"], fact: value}})
    with pytest.raises(UserError) as error:
        fit(case(home, "plain"), out=Path("model"))
    assert f"{fact} was {value}, is " in str(error.value)


def test_what_changes_no_weight_may_differ(home: Home) -> None:
    cut(case(home, "plain"), 1, 0)
    cfg = case(home, "plain")
    cfg.evaluate.resamples, cfg.checkpoint.seconds = 500, 1.0
    fit(cfg, out=Path("model"))
    assert Path("model").exists()


@pytest.mark.fault(3)
def test_resume_must_wants_something_to_go_on_from(home: Home) -> None:
    cfg = home()
    cfg.resume = "must"
    with pytest.raises(UserError, match="resume=must, but nothing was begun in build/checkpoints/tiny"):
        fit(cfg, out=Path("model"))


def test_other_overrides_by_hand_are_another_training(home: Home) -> None:
    def begin(epoch: int, *overrides: str) -> None:
        with pytest.raises(SystemExit):
            fit(home(), overrides=overrides, callbacks=[Cut(epoch, 0)])
        stop._asked.clear()

    begin(0, "experiment=tiny", "seed=0")
    begin(0, "experiment=tiny", "seed=0", "trainer.max_epochs=3")
    begin(1, "seed=0", "experiment=tiny")
    assert len(list(Path("build/checkpoints").iterdir())) == 2


def test_a_training_that_lives_is_not_taken_over(home: Home) -> None:
    import multiprocessing
    import time

    from goodfit.process import identity

    cut(case(home, "plain"), 1, 0)
    other = multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,))
    other.start()
    try:
        stored = read_json(FOLDER / "training.json")
        write_json(FOLDER / "training.json", {**stored, "by": identity(other.pid)})
        with pytest.raises(UserError, match="is being trained by process"):
            fit(case(home, "plain"), out=Path("model"))
    finally:
        other.kill()
        other.join()


def test_after_a_verdict_the_same_command_starts_anew(
    home: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(self: Stop, trainer: pl.Trainer, task: Any, loss: torch.Tensor) -> None:
        if trainer.current_epoch == 1:
            self.broken(trainer, task, "non-finite loss (nan), as planted")

    with monkeypatch.context() as planted:
        planted.setattr(Stop, "on_before_backward", broken)
        with pytest.raises(NonFiniteLossError, match=r"last good checkpoint build/checkpoints/tiny/step-\d+\.ckpt"):
            fit(saved_often(home), out=Path("model"))
    capsys.readouterr()
    fit(saved_often(home), out=Path("model"))
    said = capsys.readouterr().out
    assert "the training before ended: NonFiniteLossError: non-finite loss (nan), as planted" in said
    assert "resuming" not in said
