"""A sweep on a real Slurm of two nodes: each trial a job, or a sweep on each node of one study."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import slurm
import sweeping
from optuna.trial import TrialState

LACKING = slurm.missing() or (
    "" if importlib.util.find_spec("submitit") else "pip install hydra-submitit-launcher"
)
pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(LACKING), reason=LACKING)]

JOB = """
print(os.environ["SLURMD_NODENAME"], file=open(f"node-{cfg.x}", "w"))
trial = trials.current()
for step in range(3):
    if trials.report(trial, cfg.x, step):
        raise trials.prune(trial, f"after step {step}")
return cfg.x
"""
SWEEPER = {"params": {"x": "interval(0.0,1.0)"}, "n_trials": 8, "n_jobs": 2}


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    with slurm.cluster(tmp_path_factory.mktemp("slurm")) as variables:
        yield variables


def nodes(folder: Path) -> set[str]:
    return {path.read_text().strip() for path in folder.glob("node-*")}


def test_each_trial_is_a_job_of_slurm_and_can_be_pruned(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    folder = sweeping.app(tmp_path, JOB, hydra={"sweeper": SWEEPER})
    launcher = [
        "hydra/launcher=submitit_slurm",
        "hydra.launcher.mem_gb=null",
        "hydra.launcher.cpus_per_task=2",
    ]
    pruner = ["hydra/sweeper/pruner=threshold", "hydra.sweeper.pruner.upper=0.5"]
    done = sweeping.call(folder, *launcher, *pruner, **environment)
    assert done.code == 0, done.err
    wanted = [
        TrialState.COMPLETE if trial.params["x"] <= 0.5 else TrialState.PRUNED
        for trial in done.trials
    ]
    assert done.states() == wanted
    assert set(wanted) == {TrialState.COMPLETE, TrialState.PRUNED}  # the seed gives both
    assert nodes(folder) == {"n1", "n2"}


def test_a_job_that_raises_in_slurm_is_failed_with_its_own_reason(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    folder = sweeping.app(
        tmp_path, "raise ValueError('no such fish')", hydra={"sweeper": {**SWEEPER, "n_trials": 1}}
    )
    options = ["hydra/launcher=submitit_slurm", "hydra.launcher.mem_gb=null"]
    done = sweeping.call(folder, *options, **environment)
    assert done.code == 1
    assert [trial.user_attrs["reason"] for trial in done.trials] == ["ValueError: no such fish"]
    assert done.err.splitlines()[-1].endswith("the last one: ValueError: no such fish")


def test_a_sweep_on_each_node_shares_the_study_and_tries_no_point_twice(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    folder = sweeping.app(tmp_path, JOB, hydra={"sweeper": {**SWEEPER, "n_jobs": 1}})
    command = ["srun", "-N2", "--ntasks-per-node=1", sys.executable, "app.py", "-m"]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    trials = sweeping.load(folder).get_trials()
    assert all(trial.state.is_finished() for trial in trials)
    assert len({trial.params["x"] for trial in trials}) == len(trials) == 8
    assert nodes(folder) == {"n1", "n2"}
