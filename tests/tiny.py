"""Tiny experiments on the samples: every test that needs a configuration, data or a model starts
here.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf

from goodfit.config import signature, tree
from goodfit.config.compose import compose

ROOT = Path(__file__).parents[1]
SAMPLES = ROOT / "tests" / "samples"
QUICK = "breast_cancer"  # the data set whose network trains fastest
NOISE = {"dropout": 0.0, "noise": 0.0}  # hyperparameters that make training random


def names(group: str) -> list[str]:
    """The choices of a group of conf/."""
    return sorted(path.stem for path in (ROOT / "conf" / group).glob("*.yaml"))


def cases() -> list[str]:
    """Every data set, and more than once where samples/<data>.yaml says so: table-class,
    table-number.
    """
    found = []
    for name in names("data"):
        more = SAMPLES / f"{name}.yaml"
        found += (
            [f"{name}-{variant}" for variant in yaml.safe_load(more.read_text())]
            if more.exists()
            else [name]
        )
    return found


@cache
def _section(group: str, name: str) -> dict[str, Any]:
    from hydra import compose, initialize_config_dir

    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3", job_name="goodfit"):
        composed = OmegaConf.to_container(compose(f"{group}/{name}"), resolve=False)
    content: dict[str, Any] = composed[group]  # type: ignore[index, call-overload, assignment]
    return content


def section(group: str, name: str) -> dict[str, Any]:
    """The composed content of one YAML; for data, with what its sample needs."""
    if group != "data":
        return dict(_section(group, name))
    base, _, variant = name.partition("-")
    more = yaml.safe_load((SAMPLES / f"{base}.yaml").read_text())[variant] if variant else {}
    made = OmegaConf.to_container(OmegaConf.merge(_section("data", base), more))
    assert isinstance(made, dict)
    return made  # type: ignore[return-value]


def constants(content: dict[str, Any]) -> dict[str, Any]:
    """The constants of the class that a section names."""
    found = signature.read(content["_target_"])
    assert found is not None
    return found.constants


def kind(case: str) -> str:
    """What the target of a data set means."""
    content = section("data", case)
    return str(content.get("kind", constants(content)["kind"]))


def gives(case: str) -> set[str]:
    """The names of a data set's inputs."""
    return set(constants(section("data", case))["inputs"])


def takes(model: str) -> tuple[set[str], set[str]]:
    """The names of `forward`'s arguments: those that it needs, and all of them."""
    found = signature.read(section("model", model)["_target_"])
    assert found is not None
    return set(found.forward) - set(found.optional), set(found.forward)


def models(case: str) -> list[str]:
    """The networks that take what a data set gives."""
    return [name for name in names("model") if takes(name)[0] <= gives(case) <= takes(name)[1]]


def tasks(case: str) -> list[str]:
    """The tasks for a data set's target."""
    return [
        name for name in names("task") if kind(case) in constants(section("task", name))["kinds"]
    ]


def baselines(case: str) -> list[str]:
    """The baselines for a data set's inputs and target."""
    fit = [(name, constants(section("baseline", name))) for name in names("baseline")]
    return [
        name
        for name, found in fit
        if kind(case) in found["kinds"] and set(found["inputs"]) & gives(case)
    ]


def pairs() -> list[tuple[str, str]]:
    """Every network with every data set that it takes."""
    return [(model, case) for case in cases() for model in models(case)]


def cfg(case: str, **changes: Any) -> DictConfig:
    """A whole configuration for a data set, small and quick; `changes` are sections or plain values
    to merge.
    """
    choice = {
        group: changes.pop(group) for group in ("model", "task", "baseline") if group in changes
    }
    defaults = {"model": models(case), "task": tasks(case), "baseline": baselines(case)}
    chosen = {
        group: choice.get(group) or options[0] for group, options in defaults.items() if options
    }
    content = _plain(
        {"data": case.partition("-")[0], "model": "mlp", "task": "regression", "baseline": "svm"}
        | chosen
    )
    content |= {group: section(group, name) for group, name in chosen.items()}
    small = {
        "data": section("data", case),
        "trainer": {"max_epochs": 3, "accelerator": "cpu", "devices": 1},
        "loader": {"batch_size": 16},
        "early_stopping": {"patience": 2},
        "evaluate": {"resamples": 100, "examples": 2},
    }
    made = OmegaConf.merge(content, small, changes)
    assert isinstance(made, DictConfig)
    return made


@cache
def _composed(overrides: tuple[str, ...]) -> dict[str, Any]:
    return tree.frozen(compose(ROOT, overrides))


def _plain(chosen: dict[str, str]) -> dict[str, Any]:
    return dict(_composed(("name=tiny", *(f"{group}={name}" for group, name in chosen.items()))))


def calm(content: DictConfig) -> DictConfig:
    """The same configuration without dropout and noise."""
    for name in NOISE:
        if name in content.model:
            content.model[name] = NOISE[name]
    return content
