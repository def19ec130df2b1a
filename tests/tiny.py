"""Tiny experiments on the samples, where every test starts that needs a configuration or data.

What is read of conf/ and src/ is read once: unread anew, it was four fifths of the contract tests.
"""

from __future__ import annotations

from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from omegaconf import DictConfig, OmegaConf

from goodfit.config import signature, tree
from goodfit.config.compose import compose
from goodfit.config.sections import SEVERAL

if TYPE_CHECKING:
    from goodfit.data.base import DataSet

ROOT = Path(__file__).parents[1]
SAMPLES = ROOT / "tests" / "samples"
QUICK = "breast_cancer"  # the data set whose network trains fastest
NOISE = {"dropout": 0.0, "noise": 0.0}  # hyperparameters that make training random
# networks as large as the weights that they start from, as tests make them
LIGHT = {"sentence_encoder": {"width": 16, "heads": 2, "blocks": 2, "read": 2}}
PARTS = ("model", "task", "baseline")  # what a data set decides
# for a data set that nothing fits yet: its own contract test then says so, and not this module
ANY_PART = {"model": "mlp", "task": "regression", "baseline": "svm"}
ANY = {"data": QUICK} | ANY_PART
SMALL = {
    "trainer": {"max_epochs": 3, "accelerator": "cpu", "devices": 1},
    "loader": {"batch_size": 16},
    "early_stopping": {"patience": 2},
    "evaluate": {"resamples": 100, "examples": 2},
}


@cache
def names(group: str) -> tuple[str, ...]:
    """The choices of a group of conf/."""
    return tuple(sorted(path.stem for path in (ROOT / "conf" / group).glob("*.yaml")))


@cache
def cases() -> tuple[str, ...]:
    """Every data set; several times where samples/<data>.yaml has variants, as "table-class"."""
    data_sets = []
    for name in names("data"):
        variants = _variants(name)
        data_sets += [f"{name}-{variant}" for variant in variants] or [name]
    return tuple(data_sets)


def section(group: str, name: str) -> dict[str, Any]:
    """The composed content of one YAML; for data, with what its sample needs."""
    return deepcopy(_section_of_case(name) if group == "data" else _section(group, name))


def raw(data: DataSet) -> dict[str, Path]:
    """The sample of each source of a data set."""
    return {name: SAMPLES / source.filename for name, source in data.origins.items()}


def augment_mixes(name: str) -> bool:
    """Whether an augmentation mixes samples, targets and all."""
    return bool(constants(section("augment", name))["mixes"])


def augment_suits(name: str, case: str) -> bool:
    """Whether an augmentation is for the inputs of a data set; one that mixes is for classes."""
    changed = set(constants(section("augment", name))["inputs"])
    if augment_mixes(name):
        return kind(case) == "class" and gives(case) <= changed
    return changed <= gives(case)


def constants(content: dict[str, Any]) -> dict[str, Any]:
    """The constants of the class that a section names."""
    return _signature(content).constants


@cache
def kind(case: str) -> str:
    """What the target of a data set means."""
    content = section("data", case)
    return str(content.get("kind", constants(content)["kind"]))


@cache
def gives(case: str) -> frozenset[str]:
    """The names of a data set's inputs; where the data decide, those of its sample."""
    declared = constants(section("data", case))
    if not declared["may_give"]:
        return frozenset(declared["inputs"])
    from goodfit import build

    data = build.data_set(OmegaConf.create({"data": section("data", case)}))
    return frozenset(data.fit(data.read(raw(data))).inputs)


@cache
def takes(model: str) -> tuple[frozenset[str], frozenset[str]]:
    """The names of `forward`'s arguments: those that it needs, and all of them."""
    network = _signature(section("model", model))
    return frozenset(network.needed), frozenset(network.forward)


@cache
def models(case: str, task: str | None = None) -> tuple[str, ...]:
    """The networks that take what a data set gives, for one of its tasks, or for `task`.

    One that takes anything, and so needs nothing, stands behind those that are made for it, and one
    that starts from weights behind those that do not.
    """
    wanted = (task,) if task is not None else tasks(case)
    fitting = []
    for name in sorted(names("model"), key=lambda name: (not takes(name)[0], name in LIGHT)):
        if any(_is_pair(name, case, each) for each in wanted):
            fitting.append(name)
    return tuple(fitting)


@cache
def tasks(case: str) -> tuple[str, ...]:
    """The tasks for a data set's target."""
    return tuple(name for name in names("task") if kind(case) in _kinds("task", name))


@cache
def baselines(case: str) -> tuple[str, ...]:
    """The baselines for a data set's inputs and target."""
    fitting = []
    for name in names("baseline"):
        inputs = set(constants(section("baseline", name))["inputs"])
        if kind(case) in _kinds("baseline", name) and inputs & gives(case):
            fitting.append(name)
    return tuple(fitting)


def baseline_pairs() -> list[tuple[str, str]]:
    """Every baseline with every kind of input and target that it is for.

    Of data sets that give alike, a variant is taken: that of tables has every type of column.
    """
    found = {}
    for case in sorted(cases(), key=lambda name: "-" not in name):
        for name in baselines(case):
            found.setdefault((name, gives(case), kind(case)), (name, case))
    return list(found.values())


def pairs() -> list[tuple[str, str]]:
    """Every network with every kind of input and target that it takes.

    A network sees arrays, and not whose they are: of data sets that give alike, one is enough.
    """
    found = {}
    for case in cases():
        for model in models(case):
            found.setdefault((model, gives(case), kind(case)), (model, case))
    return list(found.values())


def pairs_of_all() -> list[tuple[str, str]]:
    """The same, and every data set with one of its networks."""
    firsts = [(fitting[0], case) for case in cases() if (fitting := models(case))]
    return list(dict.fromkeys([*pairs(), *firsts]))


def cfg(case: str, **changes: Any) -> DictConfig:
    """A whole configuration for a data set, small and quick.

    `changes` are sections or plain values to merge; model, task and baseline are names. Those that
    are not given are the first that fit the data set.
    """
    fitting = {
        "model": models(case, changes.get("task")),
        "task": tasks(case),
        "baseline": baselines(case),
    }
    chosen = {}
    for part in PARTS:
        named = changes.pop(part, None)
        if named or fitting[part]:
            chosen[part] = named or fitting[part][0]

    content = _defaults({"data": case.partition("-")[0]} | ANY_PART | chosen)
    content |= {part: section(part, name) for part, name in chosen.items()}
    content["data"] = section("data", case)
    if "baseline" in chosen:
        content["baseline"] = {chosen["baseline"]: content["baseline"]}
    merged = OmegaConf.merge(content, SMALL, changes)
    assert isinstance(merged, DictConfig)
    return merged


def calm(content: DictConfig) -> DictConfig:
    """The same configuration without dropout and noise."""
    for name in NOISE:
        if name in content.model:
            content.model[name] = NOISE[name]
    return content


def _is_pair(model: str, case: str, task: str) -> bool:
    """Whether a network takes what data and task give it, and gives what the task reads."""
    reader = _signature(section("task", task))
    needed, known = takes(model)
    inputs, fed = gives(case), set(reader.constants["feeds"])
    readable = reader.can_read(_signature(section("model", model)))
    return needed - fed <= inputs and inputs | fed <= known and readable


@cache
def _variants(data: str) -> dict[str, Any]:
    """What a sample fills in where the YAML of its data set leaves something open."""
    path = SAMPLES / f"{data}.yaml"
    return dict(yaml.safe_load(path.read_text())) if path.exists() else {}


def _kinds(group: str, name: str) -> tuple[str, ...]:
    """The kinds of target that a task or a baseline is for."""
    return tuple(constants(section(group, name))["kinds"])


def _signature(content: dict[str, Any]) -> signature.Signature:
    read = signature.read(content["_target_"])
    assert read is not None
    return read


@cache
def _section_of_case(case: str) -> dict[str, Any]:
    base, _, variant = case.partition("-")
    changes = _variants(base)[variant] if variant else {}
    merged = OmegaConf.to_container(OmegaConf.merge(_section("data", base), changes))
    assert isinstance(merged, dict)
    return merged  # type: ignore[return-value]


@cache
def _section(group: str, name: str) -> dict[str, Any]:
    # of a file that chooses no other, Hydra makes what stands in it, in 0.1 s each
    content = _composed_alone(group, name) if _chooses(group, name) else _file(group, name)
    return dict(content) | (LIGHT.get(name, {}) if group == "model" else {})


def _composed_alone(group: str, name: str) -> Any:
    from hydra import compose, initialize_config_dir

    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3", job_name="goodfit"):
        composed: Any = OmegaConf.to_container(compose(f"{group}/{name}"), resolve=False)
    # of these there may be several: each stands under its name
    return composed[group][name] if group in SEVERAL else composed[group]


@cache
def _file(group: str, name: str) -> Any:
    return OmegaConf.to_container(OmegaConf.load(ROOT / f"conf/{group}/{name}.yaml"))


def _chooses(group: str, name: str) -> bool:
    """Whether the file of a choice chooses other files, too."""
    return "defaults" in _file(group, name)


def _defaults(chosen: dict[str, str]) -> dict[str, Any]:
    """The composed configuration but for the sections of these choices: of each the default one."""
    untrained = _with(ANY)
    composed = _with(ANY | {group: name for group, name in chosen.items() if _chooses(group, name)})
    # no weights: a test downloads nothing
    return composed | {key: untrained[key] for key in ("pretrained", "transfer")}


def _with(choices: dict[str, str]) -> dict[str, Any]:
    return _composed(("name=tiny", *(f"{group}={name}" for group, name in choices.items())))


@cache
def _composed(overrides: tuple[str, ...]) -> dict[str, Any]:
    return tree.frozen(compose(ROOT, overrides))
