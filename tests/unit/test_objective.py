"""A training as a trial: what it reports, when it ends early, and what is left of it.

Real studies, real trainings.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import optuna
import pytest
import studies
import tiny
from omegaconf import DictConfig, OmegaConf
from optuna.distributions import CategoricalDistribution

from goodfit import build
from goodfit.errors import UserError
from goodfit.launch.fit import fit
from goodfit.search.listener import check_names, parent_attribute
from goodfit.search.objective import objective
from goodfit.tracking import database, runs
from goodfit.training.datamodule import DataModule
from hydra_plugins.hydra_optuna_sweeper import trial as trials
from hydra_plugins.hydra_optuna_sweeper._constraints import Constraint
from hydra_plugins.hydra_optuna_sweeper._space import Space

Home = Callable[..., DictConfig]
NEVER = {"_target_": "optuna.pruners.NopPruner"}
ALWAYS = {"_target_": "optuna.pruners.ThresholdPruner", "upper": -1.0}  # no loss is below it


@pytest.fixture
def begin(tmp_path: Path) -> Callable[..., tuple[optuna.Trial, AbstractContextManager[None]]]:
    """Gives a trial of a study in a real database, and the block in which it is the current one."""
    url = f"sqlite:///{tmp_path / 'optuna.db'}"

    def make(
        pruner: dict[str, Any], *constraints: str
    ) -> tuple[optuna.Trial, AbstractContextManager[None]]:
        from hydra.utils import instantiate

        study = optuna.create_study(
            storage=studies.storage(url),
            study_name="s",
            pruner=instantiate(pruner),
            load_if_exists=True,
        )
        trial = study.ask()
        return trial, trials.running(trial, url, pruner=pruner, constraints=constraints)

    return make


def only_run(uri: str) -> Any:
    client = database.connect(uri)
    experiment = client.get_experiment_by_name("tiny")
    assert experiment is not None
    (run,) = client.search_runs([experiment.experiment_id])
    return run


def parameters(cfg: DictConfig) -> int:
    """The size of the network."""
    spec = DataModule(Path("data/prepared/tiny"), batch_size=16, seed=0).spec
    return sum(parameter.numel() for parameter in build.task(cfg, spec).parameters())


@pytest.mark.slow
def test_a_trial_scores_what_the_same_training_scores_outside_a_sweep(
    home: Home, begin: Any
) -> None:
    _, running = begin(NEVER)
    with running:
        score = objective(home(), [])
    assert score == fit(home()).score


@pytest.mark.slow
def test_each_validation_is_reported_once(home: Home, begin: Any) -> None:
    trial, running = begin(NEVER)
    with running:
        objective(home(), [])
    run = only_run(home().tracking.uri)
    logged = database.connect(home().tracking.uri).get_metric_history(run.info.run_id, "val/loss")
    reported = trial.study.trials[0].intermediate_values
    assert reported == pytest.approx({metric.step: metric.value for metric in logged})
    assert len(reported) == home().trainer.max_epochs


def test_validations_inside_an_epoch_are_reported_too(home: Home, begin: Any) -> None:
    trial, running = begin(NEVER)
    with running:
        # 1: after each batch
        objective(home(trainer={"val_check_interval": 1, "max_epochs": 1}), [])
    batches = len(DataModule(Path("data/prepared/tiny"), batch_size=16, seed=0).train_dataloader())
    assert len(trial.study.trials[0].intermediate_values) == batches > 1


def test_a_pruned_trial_says_so_everywhere_and_leaves_no_files(home: Home, begin: Any) -> None:
    trial, running = begin(ALWAYS)
    with running, pytest.raises(optuna.TrialPruned):
        objective(home(), [])
    run = only_run(home().tracking.uri)
    assert run.info.status == runs.KILLED
    assert run.data.tags["goodfit.ended"] == "pruned: at epoch 1"
    assert trial.study.trials[0].user_attrs["pruned"] == "at epoch 1"
    assert not list(Path("build").rglob("*.*"))


def test_a_pruned_trial_trained_no_epoch_after_the_verdict(home: Home, begin: Any) -> None:
    trial, running = begin({**ALWAYS, "n_warmup_steps": 1})
    with running, pytest.raises(optuna.TrialPruned):
        objective(home(), [])
    assert sorted(trial.study.trials[0].intermediate_values) == [0, 1]


@pytest.mark.slow
def test_a_training_that_ends_by_itself_is_complete_even_where_it_would_be_pruned(
    home: Home, begin: Any
) -> None:
    """With a rate of almost zero nothing gets better: early stopping acts in the pruner's epoch."""
    _, running = begin({**ALWAYS, "n_warmup_steps": 2})
    stuck = home(
        trainer={"max_epochs": 9},
        optimizer={"lr": 1e-30},
        early_stopping={"patience": 2, "min_delta": 0.1},
    )
    with running:
        score = objective(stuck, [])
    assert only_run(stuck.tracking.uri).info.status == runs.FINISHED
    assert score == fit(stuck).score


@pytest.mark.slow
def test_the_last_epoch_is_never_pruned(home: Home, begin: Any) -> None:
    _, running = begin({**ALWAYS, "n_warmup_steps": 2})
    cfg = home(trainer={"max_epochs": 3})
    with running:
        score = objective(cfg, [])
    assert score == fit(cfg).score


def test_a_constraint_on_parameters_ends_a_trial_before_its_first_step(
    home: Home, begin: Any
) -> None:
    trial, running = begin(NEVER, "parameters <= 10")
    with running, pytest.raises(optuna.TrialPruned):
        objective(home(), [])
    ended = trial.study.trials[0]
    assert ended.user_attrs["pruned"] == "not tried: parameters <= 10 does not hold"
    assert ended.user_attrs["parameters"] == parameters(home())
    assert not ended.intermediate_values


def test_the_run_is_named_after_the_trial_and_nested_in_the_sweeps(home: Home, begin: Any) -> None:
    trial, running = begin(NEVER)
    cfg = home()
    trial.suggest_float("optimizer.lr", 0.001, 0.001)
    trial.study.set_user_attr(parent_attribute(cfg.tracking.uri), "abc")
    with running:
        objective(cfg, ["experiment=tiny", "optimizer.lr=0.001"])
    run = only_run(cfg.tracking.uri)
    assert run.info.run_name == "trial 0: optimizer.lr=0.001"
    tags = {
        name: run.data.tags[name]
        for name in ("mlflow.parentRunId", "goodfit.trial", "goodfit.study")
    }
    assert tags == {"mlflow.parentRunId": "abc", "goodfit.trial": "0", "goodfit.study": "s"}


@pytest.mark.slow
@pytest.mark.parametrize("confirms", [False, True])
def test_a_confirmation_is_told_how_well_it_fits_and_leaves_no_model(
    home: Home, begin: Any, confirms: bool
) -> None:
    trial, running = begin(NEVER)
    cfg = home()
    if confirms:
        trial.study.set_user_attr("repeats", "s")
    with running:
        score = objective(cfg, [])
    run = only_run(cfg.tracking.uri)
    assert score == fit(cfg).score
    assert ("goodfit.fit" in run.data.tags) == confirms
    assert ("fit_gap" in run.data.metrics) == confirms
    assert run.info.status == "FINISHED"
    client = database.connect(cfg.tracking.uri)
    assert "model" not in [item.path for item in client.list_artifacts(run.info.run_id)]


RANK = """
import json, os, sys
import pytorch_lightning as pl, torch.distributed
from omegaconf import OmegaConf
from goodfit import build
from goodfit.training.datamodule import DataModule
from goodfit.errors import PrunedError
from goodfit.paths import Paths
from goodfit.launch.trial import current_judge
from goodfit.training.lightning_task import LightningTask
from goodfit.training.pruning import Pruning

cfg = OmegaConf.load(sys.argv[1])
pl.seed_everything(0, verbose=False)
data = DataModule(Paths(cfg.name).prepared, batch_size=16, seed=0)
task = build.task(cfg, data.spec)
judge = current_judge()
# without sanity validation, as trainings have it: it would be reported as the first
trainer = pl.Trainer(
    accelerator="cpu", devices=2, strategy="ddp", max_epochs=5, callbacks=[Pruning(judge)],
    num_sanity_val_steps=0, logger=False, enable_progress_bar=False, enable_model_summary=False,
    enable_checkpointing=False, use_distributed_sampler=False,
)
try:
    trainer.fit(LightningTask(task), datamodule=data)
    end = "complete"
except PrunedError as error:
    end = str(error)
rank = int(os.environ["RANK"])
with open(f"{sys.argv[1]}.{rank}", "w") as out:
    out.write(json.dumps([judge is None, end, trainer.current_epoch, float(cfg.optimizer.lr)]))
"""


@pytest.mark.slow
def test_two_ranks_have_the_same_parameters_and_are_pruned_together_by_rank_0(
    home: Home, begin: Any, tmp_path: Path
) -> None:
    trial, running = begin({**ALWAYS, "n_warmup_steps": 1})
    cfg = home(optimizer={"lr": trial.suggest_float("optimizer.lr", 1e-3, 1e-2)})
    (tmp_path / "cfg.yaml").write_text(OmegaConf.to_yaml(cfg))
    (tmp_path / "rank.py").write_text(RANK)
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    with running:
        done = subprocess.run(
            [*launch, "rank.py", "cfg.yaml"],
            env={**os.environ, "PYTHONPATH": str(tiny.ROOT / "src"), "GLOO_SOCKET_IFNAME": "lo"},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    ranks = [json.loads((tmp_path / f"cfg.yaml.{rank}").read_text()) for rank in (0, 1)]
    lr = trial.params["optimizer.lr"]
    # in the third epoch no step was made
    assert ranks == [[False, "at epoch 2", 2, lr], [True, "at epoch 2", 2, lr]]
    reported = optuna.load_study(
        study_name="s", storage=f"sqlite:///{tmp_path / 'optuna.db'}"
    ).trials[0]
    assert sorted(reported.intermediate_values) == [0, 1]  # once a validation, by one rank


@pytest.mark.parametrize("key", ["experiment", "name", "data"])
def test_scores_on_different_data_are_not_compared(key: str) -> None:
    space = Space({key: CategoricalDistribution(("mnist", "reviews"))})
    with pytest.raises(UserError, match=f"{key} cannot be searched"):
        check_names(space)


def test_a_constraint_on_a_name_without_a_value_is_a_mistake() -> None:
    width = {"model.width": CategoricalDistribution((8, 16))}
    check_names(Space(width, constraints=[Constraint.parse("model.width <= parameters")]))
    with pytest.raises(UserError, match="'wdith', which is neither searched nor given"):
        check_names(Space(width, constraints=[Constraint.parse("wdith <= 8")]))
