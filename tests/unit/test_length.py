"""A sweep's winner is confirmed as long as the experiment itself trains."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import tiny
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode

from goodfit.search import length


def own(
    fixed: Sequence[str], searched: Sequence[str] = (), conf: Path = tiny.ROOT / "conf"
) -> length.Length:
    """The length of a sweep that composes the real configuration, with these fixed overrides."""
    with initialize_config_dir(str(conf), version_base=None):
        loader = GlobalHydra.instance().config_loader()
        config = loader.load_configuration("config", list(fixed), RunMode.MULTIRUN)
        sweep: Any = SimpleNamespace(
            config=config,
            context=SimpleNamespace(config_loader=loader),
            space=SimpleNamespace(fixed=list(fixed), keys=lambda: set(searched)),
        )
        return length.own(sweep)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("trainer.max_epochs=5", "searched with trainer.max_epochs=5; .* trainer.max_epochs=7"),
        ("++trainer.max_epochs=5", "searched with trainer.max_epochs=5; .* trainer.max_epochs=7"),
        ("early_stopping.patience=1", ".*=1; .* early_stopping.patience=0.375"),
        ("+trainer.max_steps=10", "searched with trainer.max_steps=10; .* no trainer.max_steps"),
        ("+trainer.limit_train_batches=0.1", ".* no trainer.limit_train_batches"),
        ("+trainer.max_time='00:00:05:00'", ".*=00:00:05:00; .* no trainer.max_time"),
    ],
)
def test_a_shorter_search_is_confirmed_at_the_experiments_own_length(given: str, said: str) -> None:
    own_length = own(["experiment=translation", "size=full/translation", given])
    assert re.fullmatch(said, str(own_length))
    applied = own_length.apply(["experiment=translation", given, "optimizer.lr=0.1"])
    assert applied == ("experiment=translation", "optimizer.lr=0.1")


@pytest.mark.slow
def test_a_length_that_a_file_gives_is_overruled(tmp_path: Path) -> None:
    """Leaving out the command's own overrides would not be enough."""
    shutil.copytree(tiny.ROOT / "conf", tmp_path / "conf")
    short = (
        "# @package _global_\ndefaults: [mlp]\ntrainer: {max_epochs: 2, max_time: '00:00:01:00'}"
    )
    (tmp_path / "conf/search/short.yaml").write_text(short)
    fixed = ["experiment=breast_cancer", "search=short", "trainer.max_epochs=3"]
    own_length = own(fixed, conf=tmp_path / "conf")
    assert own_length.apply(fixed) == (
        *fixed[:2],
        "++trainer.max_epochs=60",
        "~trainer.max_time",
    )


def test_a_search_of_the_experiments_own_length_is_confirmed_as_it_is() -> None:
    own_length = own(["experiment=mnist", "trainer.accelerator=cpu", "optimizer.lr=0.1"])
    assert own_length == length.Length({}, {})
    assert own_length.apply(["experiment=mnist", "model.width=8"]) == (
        "experiment=mnist",
        "model.width=8",
    )


def test_a_length_that_is_searched_is_the_candidates_own() -> None:
    fixed = ["experiment=mnist", "early_stopping.patience=1"]
    own_length = own(fixed, searched=["trainer.max_epochs"])
    assert own_length.apply(["trainer.max_epochs=3"])[0] == "trainer.max_epochs=3"


def test_without_an_experiment_there_is_no_length_of_its_own() -> None:
    assert own(["trainer.max_epochs=1"]) == length.Length({}, {})
