"""A job that is composed from a remembered one is what Hydra composes anew, node for node."""

from __future__ import annotations

import copy
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.utils import create_config_search_path
from hydra.core.utils import setup_globals
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from hydra_plugins.hydra_optuna_sweeper._compose import CachingLoader, _copier
from hydra_plugins.hydra_optuna_sweeper.config import register

FILES = {
    "config.yaml": (
        "defaults:\n  - db: mysql\n  - _self_\nx: 1\ny: ${x}\nz: {a: 1, b: [1, 2]}\ntext: t\n"
    ),
    "db/mysql.yaml": "kind: mysql\nport: 1\nfor: ${x}\n",
    "db/postgresql.yaml": "kind: postgresql\nport: 2\nextra: 3\n",
}


@pytest.fixture
def loader(tmp_path: Path) -> ConfigLoaderImpl:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    setup_globals()
    return ConfigLoaderImpl(create_config_search_path(str(tmp_path)))


def text(config: DictConfig) -> str:
    return OmegaConf.to_yaml(config, resolve=False)


SEQUENCES: list[list[list[str]]] = [
    [["x=1"], ["x=2"], ["x=3"]],
    [["x=1", "z.a=5"], ["x=7", "z.a=6"], ["z.a=6", "x=7"]],
    [["db=mysql", "x=1"], ["db=postgresql", "x=2"], ["db=mysql", "x=3"], ["db=postgresql", "x=4"]],
    [["db=mysql", "db.port=7"], ["db=mysql", "db.port=8"], ["db.port=9", "db=postgresql"]],
    [["+new=1", "x=1"], ["+new=2", "x=2"]],
    [["++z.a=1"], ["++z.a=2"]],
    [["z={a:3,b:[9]}"], ["z={a:4}"], ["z.b=[5]"], ["z.b=[6,7]"]],
    [["x=1", "~text"], ["x=2", "~text"]],
    [["text=null"], ["text='a, b=c'"], ["text='${x}'"], ["text=true"], ["text=1e-3"]],
    [["x=1", "x=2"], ["x=3", "x=4"]],
    [["y=2", "x=3"], ["y=${z.a}", "x=3"], ["y=5", "x=3"]],
    [["z.a=5", "z={a:6}"], ["z.a=7", "z={a:6}"], ["z={a:6}", "z.a=7"], ["z={a:6}", "z.a=8"]],
    [["z.a=5", "++z.a=6"], ["z.a=7", "++z.a=6"]],
]


@pytest.mark.slow
@pytest.mark.parametrize("jobs", SEQUENCES)
def test_each_job_of_a_row_is_what_hydra_composes(
    loader: ConfigLoaderImpl, jobs: list[list[str]]
) -> None:
    master = loader.load_configuration("config", [], RunMode.MULTIRUN)
    caching = CachingLoader(loader)
    for job in jobs:
        ours, anew = caching.load_sweep_config(master, job), loader.load_sweep_config(master, job)
        assert text(ours) == text(anew)
        assert OmegaConf.to_container(ours.db, resolve=True) == OmegaConf.to_container(
            anew.db, resolve=True
        )


def test_a_job_that_changes_its_configuration_changes_no_other(loader: ConfigLoaderImpl) -> None:
    master = loader.load_configuration("config", [], RunMode.MULTIRUN)
    caching = CachingLoader(loader)
    first = caching.load_sweep_config(master, ["x=1"])
    OmegaConf.update(first, "z.a", 99)
    assert caching.load_sweep_config(master, ["x=2"]).z.a == 1


@pytest.mark.parametrize("job", [["nothing=1"], ["x.y.z=1"], ["db=oracle"]])
def test_a_mistake_is_the_same_mistake(loader: ConfigLoaderImpl, job: list[str]) -> None:
    master = loader.load_configuration("config", [], RunMode.MULTIRUN)
    mistakes: list[Any] = []
    for tried in (CachingLoader(loader), loader):
        with pytest.raises(Exception, match=r".") as mistake:
            tried.load_sweep_config(master, job)
        mistakes.append((type(mistake.value), str(mistake.value)))
    assert mistakes[0] == mistakes[1]


@pytest.mark.parametrize("choice", ["sampler=tpe", "sampler=cmaes", "pruner=median"])
def test_a_copy_from_bytes_is_node_for_node_that_of_deepcopy(
    loader: ConfigLoaderImpl, choice: str
) -> None:
    """With the plugin's own classes, which are made and not written out."""
    register()
    overrides = ["hydra/sweeper=optuna", f"hydra/sweeper/{choice}"]
    master = loader.load_configuration("config", overrides, RunMode.MULTIRUN)
    copier = _copier(master)
    assert copier.func is pickle.loads  # type: ignore[attr-defined]
    assert nodes(copier()) == nodes(copy.deepcopy(master)) == nodes(master)
    assert copier() is not copier()


def test_a_configuration_that_pickle_refuses_is_copied_too() -> None:
    @dataclass
    class Local:
        x: int = 1

    config = OmegaConf.structured(Local)
    copied = _copier(config)()
    assert nodes(copied) == nodes(config)
    assert copied is not config


def nodes(node: Any) -> Any:
    """Everything that a node is: its class, metadata, flags, and the nodes below it."""
    content = node.__dict__.get("_content")
    if isinstance(content, dict):
        below: Any = {key: nodes(item) for key, item in content.items()}
    elif isinstance(content, list):
        below = [nodes(item) for item in content]
    else:
        below = node.__dict__.get("_val", content)
    return type(node), node._metadata, below
