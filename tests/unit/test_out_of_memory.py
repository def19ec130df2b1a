"""Where memory does not hold a batch, the step is divided, and the batch stays what it was."""

from __future__ import annotations

import gc
import subprocess
import sys
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from cutting import Cut, history
from omegaconf import DictConfig

from goodfit.errors import NoMemoryError, UserError
from goodfit.launch.fit import fit
from goodfit.model.mlp import MLP
from goodfit.store.arrays import Packed
from goodfit.system import signals

Home = Callable[..., DictConfig]
KEYS = ("train/loss", "val/loss", "train/accuracy", "val/accuracy")


def limited(monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    """As on a device that holds the activations of so many samples, no more."""
    forward = MLP.forward

    def limited_forward(self: MLP, numbers: torch.Tensor) -> torch.Tensor:
        if self.training and len(numbers) > most:
            raise torch.OutOfMemoryError("out of memory, as planted\nand more lines")
        return forward(self, numbers)

    monkeypatch.setattr(MLP, "forward", limited_forward)


def calm(home: Home) -> DictConfig:
    return tiny.calm(home(trainer={"max_epochs": 3}, early_stopping={"patience": None}))


def curve(model: str) -> list[float]:
    return [float(row[key]) for row in history(Path(model)) for key in KEYS]


@pytest.mark.slow
def test_the_loss_curve_is_that_of_the_whole_batch(
    home: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fit(calm(home), out=Path("whole"))
    capsys.readouterr()
    limited(monkeypatch, 4)
    fit(calm(home), out=Path("parts"))
    said = [line for line in capsys.readouterr().out.splitlines() if line.startswith("memory")]
    assert said == [
        "memory ran out: 8 samples at once from now on, 2 times for each step of 16",
        "memory ran out: 4 samples at once from now on, 4 times for each step of 16",
        # the last step has more than 16
        "memory ran out: 2 samples at once from now on, 8 times for each step of 16",
    ]
    assert curve("parts") == pytest.approx(curve("whole"), abs=2e-5)


@pytest.mark.slow
def test_a_training_that_goes_on_knows_how_much_memory_holds(
    home: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    limited(monkeypatch, 4)
    try:
        with pytest.raises(SystemExit):
            fit(calm(home), out=Path("model"), callbacks=[Cut(1, 0)])
    finally:
        signals.reset()
    capsys.readouterr()
    fit(calm(home), out=Path("model"))
    assert "memory ran out" not in capsys.readouterr().out


@pytest.mark.slow
def test_where_not_even_one_sample_fits_the_network_is_too_large(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    limited(monkeypatch, 0)
    with pytest.raises(
        UserError, match="memory runs out with single samples; choose a smaller model"
    ):
        fit(calm(home), out=Path("model"))


@pytest.mark.slow
def test_what_an_attempt_held_is_given_back_before_the_next(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    gc.unfreeze()
    networks: list[weakref.ref[MLP]] = []
    alive = []
    init = MLP.__init__

    def counted(self: MLP, *arguments: Any, **options: Any) -> None:
        alive.append(sum(network() is not None for network in networks))
        init(self, *arguments, **options)
        networks.append(weakref.ref(self))

    limited(monkeypatch, 4)
    monkeypatch.setattr(MLP, "__init__", counted)
    fit(calm(home), out=Path("parts"))
    # four attempts; the last one's network is there when the kept weights get their own
    assert alive == [0, 0, 0, 0, 1]


def out_of_memory(*_: object, **__: object) -> None:
    raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")


@pytest.mark.slow
@pytest.mark.fault(57)
@pytest.mark.parametrize("error", [MemoryError(), torch.OutOfMemoryError("CUDA out of memory")])
@pytest.mark.parametrize("place", ["MLP.__init__", "AdamW.step", "Packed.__init__"])
def test_where_fewer_samples_do_not_help_none_are_tried(
    home: Home,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    place: str,
    error: Exception,
) -> None:
    """Building the network, the optimizer's own memory, and reading the data."""
    owner, _, name = place.partition(".")
    owners = {"MLP": MLP, "AdamW": torch.optim.AdamW, "Packed": Packed}

    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(owners[owner], name, fail)
    with pytest.raises(NoMemoryError, match=r"memory runs out in .*a smaller batch would not help"):
        fit(calm(home), out=Path("model"))
    assert "samples at once" not in capsys.readouterr().out


@pytest.mark.fault(57)
def test_a_command_that_trains_nothing_says_it_in_a_line_too() -> None:
    """Really: 8 TB for one array, as a stage that reads or scores too much would ask for."""
    code = (
        "from goodfit import cli; from goodfit.system.tokenizer import padded;"
        "cli.guarded(lambda: padded([range(10**12)], 0))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    place = "system/tokenizer.py, padded()"
    assert done.stderr.startswith(f"goodfit: memory runs out in {place}: Unable to allocate 7.28")


@pytest.mark.slow
@pytest.mark.fault(57)
def test_of_a_cpu_as_of_a_gpu_a_batch_is_divided(
    home: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    forward = MLP.forward

    def limited_forward(self: MLP, numbers: torch.Tensor) -> torch.Tensor:
        if self.training and len(numbers) > 8:
            out_of_memory()
        return forward(self, numbers)

    monkeypatch.setattr(MLP, "forward", limited_forward)
    fit(calm(home), out=Path("parts"))
    assert "8 samples at once from now on" in capsys.readouterr().out
