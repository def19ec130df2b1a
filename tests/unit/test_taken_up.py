"""A cut training goes on from what can be trusted and is the same, or is refused with a reason."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from cutting import FOLDER, Home, case, cut, same
from omegaconf import DictConfig

from goodfit.errors import NonFiniteLossError, NoRoomError, UserError
from goodfit.guard.stop import Stop
from goodfit.launch import resume
from goodfit.launch.fit import fit
from goodfit.system import signals
from goodfit.system.files import read_json, write_json
from goodfit.training import checkpoint
from goodfit.training.checkpoint import AtomicCheckpoints
from goodfit.training.checkpoint_files import read_note, step_checkpoints


@pytest.fixture(autouse=True)
def no_request_to_stop() -> Iterator[None]:
    """What a test that failed has asked for does not reach the next one."""
    yield
    signals.reset()


def flip(path: Path) -> None:
    """Another bit in the middle of a file."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def saved_often(home: Home) -> DictConfig:
    cfg = case(home, "plain")
    cfg.checkpoint.seconds = 0
    return cfg


@pytest.mark.slow
@pytest.mark.fault(2)
@pytest.mark.parametrize(
    "spoil", [flip, lambda path: path.write_bytes(path.read_bytes()[:1000])], ids=["bit", "cut"]
)
def test_of_two_checkpoints_the_whole_one_is_taken(
    home: Home, spoil: Callable[[Path], None], capsys: pytest.CaptureFixture[str]
) -> None:
    fit(saved_often(home), out=Path("whole"))
    cut(saved_often(home), 2, 1)
    newest, older = step_checkpoints(FOLDER)
    spoil(newest)
    capsys.readouterr()
    fit(saved_often(home), out=Path("model"))
    said = capsys.readouterr().out
    assert f"{newest} or its best weights fail their checksum" in said
    assert f"({older}, verified)" in said
    assert same(Path("model"), Path("whole"))


@pytest.mark.slow
@pytest.mark.fault(2)
def test_a_broken_checkpoint_takes_the_room_of_no_whole_one(home: Home) -> None:
    """The newest is broken twice: each time there is an older one."""
    fit(saved_often(home), out=Path("whole"))
    cut(saved_often(home), 3, 1)
    flip(step_checkpoints(FOLDER)[0])
    plan = resume.plan(saved_often(home), [], world=1)
    plan.begin()
    assert step_checkpoints(FOLDER) == [plan.checkpoint]

    cut(saved_often(home), 3, 1)
    newest, older = step_checkpoints(FOLDER)
    flip(newest)
    assert resume.plan(saved_often(home), [], world=1).checkpoint == older
    fit(saved_often(home), out=Path("model"))
    assert same(Path("model"), Path("whole"))


@pytest.mark.slow
@pytest.mark.fault(3)
def test_where_no_checkpoint_is_whole_nothing_starts_anew_in_silence(home: Home) -> None:
    cut(saved_often(home), 2, 1)
    for path in step_checkpoints(FOLDER):
        flip(path)
    with pytest.raises(
        UserError, match=r"no checkpoint in .* can be trusted; resume=never starts anew"
    ):
        fit(saved_often(home), out=Path("model"))
    cfg = saved_often(home)
    cfg.resume = "never"
    fit(cfg, out=Path("model"))
    assert Path("model").exists()


def test_a_checkpoint_without_its_note_was_not_finished(home: Home) -> None:
    cut(saved_often(home), 2, 1)
    newest, older = step_checkpoints(FOLDER)
    newest.with_suffix(".json").unlink()
    plan = resume.plan(saved_often(home), [], world=1)
    assert plan.checkpoint == older


def test_the_best_weights_of_each_kept_checkpoint_are_kept(home: Home) -> None:
    cut(saved_often(home), 3, 1)
    assert len(step_checkpoints(FOLDER)) == 2
    for path in step_checkpoints(FOLDER):
        assert (FOLDER / read_note(path).best).is_file()


@pytest.mark.slow
@pytest.mark.fault(5)
@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("optimizer.lr", 0.5, r"optimizer\.lr was 0\.001, is 0\.5"),
        ("loader.batch_size", 8, r"loader\.batch_size was 16, is 8"),
        ("seed", 9, "seed was 0, is 9"),
    ],
)
def test_another_configuration_is_refused_with_what_differs(
    home: Home, key: str, value: Any, said: str
) -> None:
    from omegaconf import OmegaConf

    cut(case(home, "plain"), 1, 0)
    cfg = case(home, "plain")
    OmegaConf.update(cfg, key, value)
    with pytest.raises(UserError, match=f"was begun otherwise: {said}"):
        fit(cfg, out=Path("model"))


@pytest.mark.slow
@pytest.mark.fault(5)
@pytest.mark.parametrize(
    ("fact", "value"),
    [("data (SHA-256)", "other"), ("devices in all", "2"), ("code of training", "x")],
)
def test_other_data_devices_and_code_are_refused(home: Home, fact: str, value: str) -> None:
    cut(case(home, "plain"), 1, 0)
    stored = read_json(FOLDER / "training.json")
    write_json(FOLDER / "training.json", {**stored, "facts": {**stored["facts"], fact: value}})
    with pytest.raises(UserError) as error:
        fit(case(home, "plain"), out=Path("model"))
    assert f"{fact} was {value}, is " in str(error.value)


@pytest.mark.slow
def test_what_changes_no_weight_may_differ(home: Home) -> None:
    cut(case(home, "plain"), 1, 0)
    cfg = case(home, "plain")
    cfg.evaluate.resamples, cfg.checkpoint.seconds = 500, 1.0
    fit(cfg, out=Path("model"))
    assert Path("model").exists()


@pytest.mark.fault(12)
def test_where_the_disk_is_full_only_a_checkpoint_that_is_whole_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(*_: object) -> str:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(checkpoint, "_write", write)
    (tmp_path / "step-000000001.ckpt").write_bytes(b"without a note it was not finished")
    with pytest.raises(NoRoomError, match="there was none before"):
        AtomicCheckpoints().save_checkpoint({}, tmp_path / "step-000000002.ckpt")


@pytest.mark.fault(3)
def test_resume_must_wants_something_to_go_on_from(home: Home) -> None:
    cfg = home()
    cfg.resume = "must"
    with pytest.raises(
        UserError, match="resume=must, but nothing was begun in build/checkpoints/tiny"
    ):
        fit(cfg, out=Path("model"))


@pytest.mark.fault(3)
def test_resume_must_wants_a_checkpoint(home: Home) -> None:
    cfg = case(home, "plain")
    cut(cfg, 1, 0)
    for path in step_checkpoints(FOLDER):
        path.unlink()
    cfg.resume = "must"
    with pytest.raises(
        UserError, match="resume=must, but build/checkpoints/tiny holds no checkpoint"
    ):
        fit(cfg, out=Path("model"))


class Late(pl.Callback):
    """Told to stop when there is no step left to stop after."""

    def on_train_end(self, trainer: pl.Trainer, task: Any) -> None:
        signals.request_stop(15)


@pytest.mark.slow
@pytest.mark.fault(6)
def test_one_that_is_told_to_stop_after_its_last_step_is_not_finished(home: Home) -> None:
    cfg = case(home, "plain")
    fit(cfg, out=Path("whole"))
    with pytest.raises(SystemExit) as ended:
        fit(case(home, "plain"), out=Path("model"), callbacks=[Late()])
    assert (ended.value.code, Path("model").exists()) == (143, False)
    signals.reset()
    fit(case(home, "plain"), out=Path("model"))
    assert same(Path("whole"), Path("model"))


def test_a_training_that_lives_is_not_taken_over(home: Home) -> None:
    import multiprocessing
    import time

    from goodfit.system.processes import identity

    cut(case(home, "plain"), 1, 0)
    other = multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,))
    other.start()
    try:
        stored = read_json(FOLDER / "training.json")
        living = {"process": identity(other.pid), "stopped": False}
        write_json(FOLDER / "training.json", stored | living)
        with pytest.raises(UserError, match="is being trained by process"):
            fit(case(home, "plain"), out=Path("model"))
    finally:
        other.kill()
        other.join()


@pytest.mark.slow
def test_one_that_stopped_on_another_machine_goes_on_here(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a job that Slurm puts back into its queue: it has saved itself, and lands on any node."""
    fit(case(home, "plain"), out=Path("whole"))
    cut(case(home, "plain"), 1, 0)
    monkeypatch.setattr(socket, "gethostname", lambda: "another")
    fit(case(home, "plain"), out=Path("model"))
    assert same(Path("model"), Path("whole"))


@pytest.mark.slow
def test_one_that_another_machine_may_train_is_refused_with_what_to_do(home: Home) -> None:
    cut(case(home, "plain"), 1, 0)
    path = FOLDER / "training.json"
    write_json(path, {**read_json(path), "process": "elsewhere:1@2", "stopped": False})
    with pytest.raises(UserError, match=f'gone, write "stopped": true into {path}'):
        fit(case(home, "plain"), out=Path("model"))
    write_json(path, {**read_json(path), "stopped": True})
    fit(case(home, "plain"), out=Path("model"))
    assert Path("model").exists()


@pytest.mark.slow
def test_after_a_verdict_the_same_command_starts_anew(
    home: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def on_non_finite(self: Stop, trainer: pl.Trainer, task: Any, loss: torch.Tensor) -> None:
        if trainer.current_epoch == 1:
            self.on_non_finite(trainer, task, "non-finite loss (nan), as planted")

    with monkeypatch.context() as planted:
        planted.setattr(Stop, "on_before_backward", on_non_finite)
        with pytest.raises(
            NonFiniteLossError,
            match=r"last good checkpoint is build/checkpoints/tiny/step-\d+\.ckpt",
        ):
            fit(saved_often(home), out=Path("model"))
    capsys.readouterr()
    fit(saved_often(home), out=Path("model"))
    said = capsys.readouterr().out
    assert (
        "the training before ended: NonFiniteLossError: non-finite loss (nan), as planted" in said
    )
    assert "resuming" not in said
