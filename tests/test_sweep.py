"""A sweep from the command line to its winner's file, resumed after it was stopped or killed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
import studies
import yaml
from optuna.trial import FrozenTrial, TrialState
from repository import EXPERIMENTS, Repository, make

pytestmark = pytest.mark.slow
SEARCH = (
    "pipelines/train.py",
    "-m",
    "experiment=breast_cancer",
    "search=mlp",
    "trainer.max_epochs=4",
)
SMALL = (
    "hydra.sweeper.n_trials=6",
    "hydra.sweeper.listener.top=1",
    "hydra.sweeper.listener.seeds=3",
)
TUNED = Path("conf/tuned/breast_cancer.yaml")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """Prepared data without the test split and the raw file: whoever opens them fails.

    The experiment's own rate is so small that nothing is learned with it: any search finds better.
    """
    made = make(tmp_path_factory.mktemp("sweep"))
    made.run("dvc", "repro", "-q", "prepare@breast_cancer")
    shutil.rmtree(made.path / "data/raw")
    shutil.rmtree(made.path / "data/inbox")
    shutil.rmtree(made.path / "data/prepared/breast_cancer/test")
    made.edit("conf/experiment/breast_cancer.yaml", optimizer={"lr": 1e-7})
    file = made.path / "conf/experiment/breast_cancer.yaml"
    file.write_text("# @package _global_\n" + file.read_text())
    return made


@pytest.fixture(scope="module")
def swept(prepared: Repository) -> str:
    """What the sweep printed."""
    return prepared.run(sys.executable, *SEARCH, *SMALL)


def trials(repository: Repository, study: str = "breast_cancer-mlp") -> list[FrozenTrial]:
    return studies.load(repository.path / "optuna.db", study).trials


def runs(repository: Repository, study: str) -> list[tuple[object, ...]]:
    """Status, trial and trial_state of the study's runs."""
    tag = "(select value from tags where run_uuid = r.run_uuid and key = 'goodfit.{}')"
    columns = ", ".join(["r.status", tag.format("trial"), tag.format("trial_state")])
    return repository.sql(f"select {columns} from runs r where {tag.format('study')} = '{study}'")


def test_a_sweep_needs_neither_raw_nor_test_data(prepared: Repository, swept: str) -> None:
    assert "6/6 trials" in swept
    assert not (prepared.path / "data/prepared/breast_cancer/test").exists()


def test_each_trial_has_a_run_that_says_what_became_of_it(prepared: Repository, swept: str) -> None:
    ends = {TrialState.COMPLETE: ("FINISHED", "complete"), TrialState.PRUNED: ("KILLED", "pruned")}
    expected: set[tuple[object, ...]] = {("FINISHED", None, None)}  # the parent
    for trial in trials(prepared):
        if not trial.user_attrs.get("pruned", "").startswith("not tried"):
            status, state = ends[trial.state]
            expected.add((status, str(trial.number), state))
    assert set(runs(prepared, "breast_cancer-mlp")) == expected


def test_the_parent_holds_plots_and_the_summary(prepared: Repository, swept: str) -> None:
    plots = {path.name for path in (prepared.path / "mlruns").rglob("plots/*.png")}
    assert {"history.png", "parallel_coordinates.png", "slices.png", "curves.png"} <= plots
    assert len(list((prepared.path / "mlruns").rglob("summary.md"))) == 1


def test_the_objective_in_mlflow_is_the_value_of_the_study(
    prepared: Repository, swept: str
) -> None:
    query = (
        "select t.value, m.value from metrics m "
        "join tags t using (run_uuid) join tags s using (run_uuid) "
        "where m.key = 'objective' and t.key = 'goodfit.trial' "
        "and s.key = 'goodfit.study' and s.value = 'breast_cancer-mlp'"
    )
    complete = [trial for trial in trials(prepared) if trial.state == TrialState.COMPLETE]
    assert dict(prepared.sql(query)) == {str(trial.number): trial.value for trial in complete}


def test_the_winner_is_written_and_the_next_composition_says_so(
    prepared: Repository, swept: str
) -> None:
    assert "the values before" in swept
    content = yaml.safe_load((prepared.path / TUNED).read_text())
    assert content["optimizer"]["lr"] > 1e-7
    compose = (sys.executable, "pipelines/compose.py", "breast_cancer")
    assert "with conf/tuned/breast_cancer.yaml" in prepared.run(*compose)
    (prepared.path / TUNED).rename(prepared.path / "moved.yaml")
    assert "conf/tuned" not in prepared.run(*compose)
    (prepared.path / "moved.yaml").rename(prepared.path / TUNED)


def test_what_was_given_for_the_whole_sweep_is_part_of_what_was_found(
    prepared: Repository, swept: str
) -> None:
    """Without the optimizer, the momentum that was found would be no configuration."""
    before = (prepared.path / TUNED).read_text()
    given = (
        "optimizer=sgd",
        "optimizer.lr=0.05",
        "search=custom",
        "hydra.sweeper.study_name=given",
        "trainer.max_epochs=4",
    )
    searched = "optimizer.momentum=interval(0.8,0.95)"
    # an experiment of the gallery, which a bare `dvc repro` leaves alone
    prepared.edit("params.yaml", experiments=["mnist"])
    try:
        output = prepared.run(sys.executable, *SEARCH[:3], "~tuned", *given, searched, *SMALL)
        assert "`make repro ONLY=breast_cancer` takes them up" in output
        assert "holds the 3 values of trial" in output, output
        text = (prepared.path / TUNED).read_text()
        content = yaml.safe_load(text)
        assert content["defaults"] == [{"override /optimizer": "sgd"}]
        assert content["optimizer"]["lr"] == 0.05
        assert 0.8 <= content["optimizer"]["momentum"] <= 0.95
        assert "Searched with ~tuned trainer.max_epochs=4." in text
        length = "searched with trainer.max_epochs=4; confirmed at the experiment's own length, "
        assert f"{length}with trainer.max_epochs=60" in output
        assert f"It was {length}with trainer.max_epochs=60." in text
        prepared.run(sys.executable, "pipelines/compose.py", "breast_cancer")
    finally:
        prepared.edit("params.yaml", experiments=list(EXPERIMENTS))
        (prepared.path / TUNED).write_text(before)


@pytest.mark.fault(66)
def test_one_tag_tells_trials_and_confirmations_apart(prepared: Repository, swept: str) -> None:
    query = (
        "select distinct t.value from tags t join runs r using (run_uuid) "
        "where t.key = 'goodfit.started_by' and r.name like '{}'"
    )
    for name, expected in (
        ("sweep %", "sweep"),
        ("trial %", "trial"),
        ("again: %", "confirmation"),
    ):
        assert prepared.sql(query.format(name)) == [(expected,)]


@pytest.mark.fault(64)
def test_the_winner_is_confirmed_as_long_as_the_experiment_trains(
    prepared: Repository, swept: str
) -> None:
    """What is best after four epochs may be worse after sixty."""
    query = (
        "select p.value, t.value is null from params p join runs r using (run_uuid) "
        "left join tags t on t.run_uuid = r.run_uuid and t.key = 'goodfit.trial_state' "
        "where p.key = 'trainer.max_epochs' and r.name like '{}'"
    )
    assert {epochs for epochs, _ in prepared.sql(query.format("trial %"))} == {"4"}
    assert {epochs for epochs, _ in prepared.sql(query.format("again: %"))} == {"60"}


def test_dvc_takes_the_file_up_and_without_it_goes_back(prepared: Repository, swept: str) -> None:
    """compose alone runs: raw data are not here. Its output decides what runs after it."""
    stage = ("dvc", "repro", "-s", "compose@breast_cancer")
    composed = prepared.path / "build/breast_cancer.json"
    before = (prepared.path / TUNED).read_text()
    try:
        (prepared.path / TUNED).unlink()
        prepared.run(*stage)
        own = composed.read_bytes()
        (prepared.path / TUNED).write_text("# @package _global_\nmodel: {width: 23}\n")
        expected = "breast_cancer: with conf/tuned/breast_cancer.yaml, which a sweep wrote"
        assert expected in prepared.run(*stage)
        assert json.loads(composed.read_bytes())["model"]["width"] == 23
        assert "train@breast_cancer:" in prepared.run("dvc", "status", "train@breast_cancer")
        (prepared.path / TUNED).unlink()
        assert "conf/tuned" not in prepared.run(*stage)
        assert composed.read_bytes() == own
    finally:
        (prepared.path / TUNED).write_text(before)


def test_the_same_command_again_trains_nothing(prepared: Repository, swept: str) -> None:
    before = trials(prepared)
    again = prepared.run(sys.executable, *SEARCH, *SMALL)
    assert "goes on after 6 trials" in again
    assert trials(prepared) == before


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("trainer.max_epochs=3", "trainer.max_epochs"),
        ("hydra.sweeper.direction=maximize", "hydra.sweeper.direction=minimize"),
        ("experiment=mnist search=cnn", "dvc repro prepare@mnist"),
        ("model.width=choice(0,8)", "model.width"),
        ("model.wdith=choice(8,16)", "model.wdith"),
        ("model=choice(mlp,cnn)", "unknown key 'model.depth'"),
        ("hydra.sweeper.listener.seeds=1", "listener: expected top >= 0 and seeds >= 3, got"),
        ("hydra.sweeper.listener.top=abc", "expected top >= 0"),
        ("hydra.sweeper.constraints=[nonsense]", "nonsense"),
        (
            "hydra.sweeper.constraints=['paramters<=1e5']",
            "'paramters', which is neither searched nor given",
        ),
    ],
)
def test_a_mistake_ends_with_2_and_names_what_to_do(
    prepared: Repository, swept: str, override: str, expected: str
) -> None:
    output = prepared.run(sys.executable, *SEARCH, *SMALL, *override.split(), code=2)
    assert expected in output
    assert "Traceback" not in output


def start(repository: Repository, *overrides: str) -> subprocess.Popen[str]:
    command = [sys.executable, *SEARCH, *overrides]
    return subprocess.Popen(
        command,
        cwd=repository.path,
        env=repository.env,
        stdout=-1,
        stderr=-2,
        text=True,
        start_new_session=True,
    )


def wait_for_trials(process: subprocess.Popen[str], count: int) -> None:
    """Until so many trials have ended."""
    assert process.stdout is not None
    for line in process.stdout:
        count -= line.startswith("trial ")
        if count == 0:
            time.sleep(0.5)  # into the next one
            return
    raise AssertionError("the sweep ended before that")


def test_a_sweep_killed_by_sigkill_is_resumed_and_repeats_nothing_that_was_finished(
    prepared: Repository,
) -> None:
    options = (
        "hydra.sweeper.study_name=killed",
        "hydra.sweeper.n_trials=5",
        "hydra.sweeper.listener.top=0",
        "hydra.sweeper.listener.seeds=3",
        "trainer.max_epochs=250",
        "early_stopping.patience=null",
        "~tuned",
        # a point that breaks one ends at once, and the study with it
        "hydra.sweeper.constraints=[]",
    )
    process = start(prepared, *options)
    wait_for_trials(process, 2)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    finished = [trial for trial in trials(prepared, "killed") if trial.state.is_finished()]
    assert 2 <= len(finished) < 5
    prepared.run(sys.executable, *SEARCH, *options)
    after = trials(prepared, "killed")
    numbers = {trial.number for trial in finished}
    assert [trial for trial in after if trial.number in numbers] == finished
    states = Counter(trial.state for trial in after)
    assert states[TrialState.RUNNING] == states[TrialState.WAITING] == 0
    ended = states[TrialState.COMPLETE] + states[TrialState.PRUNED]
    assert ended == 5, [trial.user_attrs for trial in after]
    tracked = runs(prepared, "killed")
    assert not [status for status, _, _ in tracked if status == "RUNNING"]
    assert not [trial for _, trial, state in tracked if trial and not state]


@pytest.mark.fault(7)
def test_ctrl_c_ends_a_sweep_with_130_and_nothing_is_left_running(prepared: Repository) -> None:
    process = start(prepared, "hydra.sweeper.study_name=stopped", "trainer.max_epochs=50", "~tuned")
    wait_for_trials(process, 1)
    os.killpg(process.pid, signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 130, output
    assert "Traceback" not in output
    states = {trial.state for trial in trials(prepared, "stopped")}
    assert TrialState.RUNNING not in states
    tracked = runs(prepared, "stopped")
    assert ("KILLED", None, None) in tracked
    assert not [status for status, _, _ in tracked if status == "RUNNING"]
