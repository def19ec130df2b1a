"""A wrong configuration is refused in a line that names what is right, before torch is imported."""

from __future__ import annotations

import inspect
import subprocess
import sys
from typing import Any

import pytest
import tiny
import torch
from omegaconf import OmegaConf

from goodfit.config.check import check
from goodfit.errors import UserError, nearest

BAD: list[tuple[str, Any, str]] = [
    (
        "model.widht",
        3,
        "unknown key 'model.widht' for goodfit.model.mlp.MLP. Did you mean 'model.width'?",
    ),
    ("trainer.precision", "foo", "trainer.precision"),
    ("trainer.precision", "16-mixed", "trainer.precision"),
    ("trainer.max_steps", 0, "trainer.max_steps"),
    ("trainer.max_epoch", 3, "Did you mean 'trainer.max_epochs'?"),
    ("optimizer.weight_decey", 0.1, "Did you mean 'optimizer.weight_decay'?"),
    ("loader.batchsize", 3, "Did you mean 'loader.batch_size'?"),
    ("early_stopping.patiense", 3, "Did you mean 'early_stopping.patience'?"),
    ("data.splitseed", 3, "Did you mean 'data.split_seed'?"),
    ("data.sources.table.sha", "x", "Did you mean 'data.sources.table.sha256'?"),
    ("data.sources.table", {"file": "t.csv"}, "'data.sources.table.sha256' is missing."),
    ("data.sources.table.file", "???", "'data.sources.table.file' has no value; set data.sources"),
    ("data.sources.table", "t.csv", "data.sources.table: expected names and values, got 't.csv'."),
    ("data.sources", None, "data.sources: expected names and values, got None."),
    (
        "data.sources.tabel",
        {"file": "t.csv", "sha256": None},
        "unknown key 'data.sources.tabel' for goodfit.data.breast_cancer.BreastCancer. "
        "Did you mean 'data.sources.table'?",
    ),
    (
        "data.sources",
        {},
        "'data.sources.table' is missing: goodfit.data.breast_cancer.BreastCancer reads it",
    ),
    (
        "data.sources.table.npm",
        "is-odd@3.0.1",
        "data.sources.table: expected one of package and npm.",
    ),
    (
        "data.sources.table",
        {"sha256": None},
        "data.sources.table: expected file, folder, package, debian or npm.",
    ),
    (
        "data.sources.table",
        {"sha256": None, "file": "x", "debian": "hello=1"},
        "data.sources.table: a package of debian is kept closed; expected no file.",
    ),
    (
        "data.sources.table.package",
        "-e git+https://somewhere/x",
        "data.sources.table.package: expected name==version, got '-e git+https://somewhere/x'.",
    ),
    ("data.sources.table.npm", "is-odd", "npm: expected name@version, as in name@1.2.3, got"),
    ("data.sources.table.npm", "./folder@1.2.3", "npm: expected name@version"),
    ("data.sources.table.npm", "is-odd@^1.2.3", "npm: expected name@version"),
    ("data.sources.table.debian", "hello", "debian: expected name=version, as apt-get takes it"),
    ("data.sources.table.debian", "-oDir=1", "debian: expected name=version"),
    ("optimiser", {}, "unknown key 'optimiser'. Did you mean 'optimizer'?"),
    ("model.width", "abc", "model.width: expected a valid integer, got 'abc'"),
    ("model.width", 0, "model.width: expected greater than or equal to 1, got 0"),
    ("model.width", 8.5, "model.width: expected a valid integer, got 8.5"),
    ("model.width", True, "model.width: expected a valid integer, got True"),
    ("model.dropout", 1.0, "model.dropout: expected less than 1, got 1.0"),
    ("model.dropout", -0.1, "model.dropout: expected greater than or equal to 0, got -0.1"),
    ("model.dropout", float("nan"), "model.dropout: expected"),
    ("optimizer.lr", "abc", "optimizer.lr: expected a valid number, got 'abc'"),
    ("optimizer.lr", -0.1, "optimizer.lr: expected greater than 0, got -0.1"),
    ("optimizer.lr", float("inf"), "optimizer.lr: expected a finite number"),
    ("trainer.max_epochs", -5, "trainer.max_epochs: expected greater than or equal to 1, got -5"),
    ("trainer.accelerator", "gpuu", "trainer.accelerator: expected 'auto', 'cpu', 'gpu'"),
    ("loader.batch_size", 0, "loader.batch_size: expected greater than or equal to 1"),
    ("seed", -1, "seed: expected greater than or equal to 0, got -1"),
    ("average", 1.5, "average: expected less than 1, got 1.5"),
    ("average", -0.5, "average: expected greater than or equal to 0, got -0.5"),
    ("schedule.warmup", 2.0, "schedule.warmup: expected less than 1, got 2.0"),
    ("evaluate.resamples", 99, "evaluate.resamples: expected greater than or equal to 100, got 99"),
    ("seed", 99999999999, "seed: expected less than or equal to 2147483647"),
    ("loader.batch_size", 10**20, "loader.batch_size: expected"),
    ("early_stopping.patience", 60, "early_stopping.patience=60 never ends a training of"),
    ("early_stopping.patience", 1.0, "early_stopping.patience: expected"),
    ("trainer.check_val_every_n_epoch", 2, "trainer.check_val_every_n_epoch: expected 1, got 2"),
    ("trainer.limit_val_batches", 0, "trainer.limit_val_batches: expected greater than 0, got 0"),
    ("trainer.fast_dev_run", True, "trainer.fast_dev_run: expected False, got True"),
    ("model._partial_", True, "unknown key 'model._partial_'"),
    ("data._args_", [1], "unknown key 'data._args_'"),
    ("optimizer._partial_", False, "optimizer._partial_ is False; expected true"),
    ("schedule._convert_", "all", "unknown key 'schedule._convert_'"),
    ("name", "a" * 101, "name: "),
    ("data.test", 1.2, "data.test: expected less than 1, got 1.2"),
    (
        "data.kind",
        "colour",
        "data.kind: expected 'class', 'ordered', 'labels', 'number',",
    ),
    ("data.label", "???", "'data.label' has no value; set data.label=..."),
    ("task.monitor", "los", "task.monitor=los does not exist. Did you mean 'loss'?"),
    ("task.score", "acuracy", "task.score=acuracy does not exist. Did you mean 'accuracy'?"),
    ("task.score", "loss", "task.score=loss does not exist."),
    ("name", "???", "no experiment chosen: add experiment=<name>"),
    ("name", "../elsewhere", "name"),
    ("name", "a/b", "name"),
    (
        "model._target_",
        "os.system",
        "model._target_ is 'os.system'; only goodfit.model.* may be named there",
    ),
    (
        "trainer._target_",
        "pytorch_lightning.Trainer.fit",
        "only pytorch_lightning.Trainer* may be named there",
    ),
    (
        "optimizer._target_",
        "torch.optim.AdamX",
        "optimizer._target_: there is no torch.optim.AdamX",
    ),
    (
        "optimizer._target_",
        "torch.optim.lr_scheduler.StepLR",
        "optimizer._target_: torch.optim.lr_scheduler.StepLR is no optimizer",
    ),
    ("optimizer.params", [], "optimizer.params is set by goodfit itself; leave it out"),
    ("trainer.logger", False, "trainer.logger is set by goodfit itself; leave it out"),
    (
        "schedule",
        None,
        "'schedule' names no class; expected schedule._target_ (goodfit.schedule.*)",
    ),
    ("model", "cnn", "'model' names no class; expected model._target_ (goodfit.model.*)"),
    ("loader", 32, "loader: expected names and values, got 32."),
    (
        "model._target_",
        "goodfit.model.mlp.MLPs",
        "model._target_: there is no goodfit.model.mlp.MLPs",
    ),
    ("model._target_", "goodfit.data.mnist.Mnist", "only goodfit.model.* may be named there"),
    (
        "trainer.logger",
        {"_target_": "os.system"},
        "trainer.logger._target_: a _target_ may stand only at the top",
    ),
    ("parameters.unfreeze_at", 2, "parameters.unfreeze_at=2, but parameters.freeze names nothing"),
    ("parameters.unfreeze_at", 0, "parameters.unfreeze_at: expected greater than or equal to 1"),
    ("parameters.no_decay", "norms", "parameters.no_decay: expected 'none' or 'norms_and_biases'"),
    ("parameters.frieze", [], "Did you mean 'parameters.freeze'?"),
    ("parameters.groups", [{"lr_factor": 0.1}], "'parameters.groups.names' is missing"),
    (
        "parameters.groups",
        [{"names": "*", "lr_facter": 0.1}],
        "parameters.groups.lr_facter: unknown key, got 0.1.",
    ),
    (
        "parameters.groups",
        [{"names": "*", "lr_factor": 0}],
        "parameters.groups.lr_factor: expected greater than 0, got 0",
    ),
    ("pretrained.source", None, "pretrained.source: expected names and values"),
    ("pretrained.source.sha256", "ab" * 32, "expected file, folder, package, debian or npm"),
    (
        "pretrained.source",
        {"file": "x.pt", "sha256": "ab"},
        "pretrained.source.sha256: expected 64 hexadecimal digits, as sha256sum prints them",
    ),
    (
        "pretrained.source",
        {"package": "net==1.0", "sha256": None},
        "pretrained: expected source.file, for a whole package is no file of weights",
    ),
    ("pretrained.source.mirors", ["x.pt"], "pretrained.source.mirors: unknown key"),
    ("pretrained.fresh", ["head.*"], "pretrained: rename and fresh are about a file"),
    ("pretrained.rename", [{"file": "a."}], "'pretrained.rename.network' is missing"),
    (
        "trainer.callbacks",
        [{"_target_": "os.system"}],
        "a _target_ may stand only at the top of a section",
    ),
]


CHECK_ALL = """
import sys
from pathlib import Path
from omegaconf import OmegaConf
from goodfit.config.check import check
from goodfit.config.compose import compose
from goodfit.config.regularization import settled

for path in Path("conf/experiment").glob("*.yaml"):
    overrides = [f"experiment={path.stem}"]
    content, _ = settled(compose(Path(), overrides), overrides)
    check(OmegaConf.create(content))
heavy = {"torch", "pytorch_lightning", "mlflow", "optuna", "pandas", "sklearn"}
print(sorted(heavy & set(sys.modules)))
"""


@pytest.fixture(scope="module")
def good() -> dict[str, Any]:
    return OmegaConf.to_container(tiny.cfg("breast_cancer"), resolve=False)  # type: ignore[return-value]


@pytest.mark.parametrize(
    "case", [case for case in tiny.cases() if tiny.models(case) and tiny.baselines(case)]
)
def test_a_right_configuration_passes(case: str) -> None:
    check(tiny.cfg(case))


@pytest.mark.fault(20)
@pytest.mark.parametrize(
    ("key", "value", "message"), BAD, ids=[f"{key}={value}" for key, value, _ in BAD]
)
def test_a_wrong_value_is_refused_with_what_is_right(
    key: str, value: Any, message: str, good: dict[str, Any]
) -> None:
    cfg = OmegaConf.create(good)
    OmegaConf.update(cfg, key, value, merge=False, force_add=True)
    with pytest.raises(UserError) as error:
        check(cfg)
    assert message in str(error.value)
    assert len(str(error.value).splitlines()) <= 2


@pytest.mark.parametrize(
    "key", ["model.width", "task.score", "schedule.warmup", "data.test", "data.sources"]
)
def test_a_missing_hyperparameter_is_named(key: str, good: dict[str, Any]) -> None:
    cfg = OmegaConf.create(good)
    group, _, name = key.partition(".")
    del cfg[group][name]
    with pytest.raises(UserError, match=f"'{key}' is missing: goodfit"):
        check(cfg)


def optimizers() -> list[str]:
    """The names in torch.optim that are classes of optimizers, without their abstract base."""
    names = []
    for name in torch.optim.__all__:
        item = getattr(torch.optim, name)
        if inspect.isclass(item) and issubclass(item, torch.optim.Optimizer):
            names.append(name)
    names.remove("Optimizer")
    return names


@pytest.mark.slow
@pytest.mark.parametrize("name", optimizers())
def test_every_optimizer_of_torch_is_known_with_its_arguments(
    name: str, good: dict[str, Any]
) -> None:
    """Some are in a file of another name: Muon in torch/optim/_muon.py."""
    section = {"_target_": f"torch.optim.{name}", "_partial_": True, "lr": 0.1}
    for argument in inspect.signature(getattr(torch.optim, name)).parameters.values():
        if argument.default is not inspect.Parameter.empty:
            section.setdefault(argument.name, argument.default)
    check(OmegaConf.create({**good, "optimizer": section}))

    wrong = OmegaConf.create({**good, "optimizer": {**section, "momentun": 0.9}})
    with pytest.raises(UserError, match=f"unknown key 'optimizer.momentun' for torch.optim.{name}"):
        check(wrong)


@pytest.mark.parametrize("key", ["seed", "loader", "trainer", "model"])
def test_a_missing_section_is_named(key: str, good: dict[str, Any]) -> None:
    cfg = OmegaConf.create({name: value for name, value in good.items() if name != key})
    with pytest.raises(UserError, match=f"'{key}' is missing from the configuration"):
        check(cfg)


def test_the_nearest_name_is_the_one_whose_last_part_is_like_it() -> None:
    options = ["trainer.max_epochs", "trainer.max_time", "loader.max_epochs"]
    assert nearest("trainer.max_epoch", options) == " Did you mean 'trainer.max_epochs'?"


def test_what_is_like_nothing_gets_the_list() -> None:
    assert nearest("xyz", ["width", "depth"]) == " Known: depth, width."


@pytest.mark.slow
@pytest.mark.fault(20)
def test_composing_and_checking_imports_nothing_heavy() -> None:
    done = subprocess.run(
        [sys.executable, "-c", CHECK_ALL],
        cwd=tiny.ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "[]\n"
