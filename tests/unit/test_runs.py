"""A run in MLflow says the truth about its training, and nothing that is secret.

The database is a real one.
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from goodfit.config import tree
from goodfit.errors import UserError
from goodfit.tracking import database, runs

if TYPE_CHECKING:
    from multiprocessing.synchronize import Barrier

    from omegaconf import DictConfig

CANARY, HERON = "canary-7f3a", "heron-55d1"
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(
    ["goodfit.tracking.runs", "mlflow"]
)  # imported once for all processes


def run_alone(uri: str, barrier: Barrier) -> None:
    """What each of several trainings that start together does."""
    barrier.wait()
    with runs.run_status(
        runs.start(uri, "shared", f"by {os.getpid()}", tags={}, params={"a": 1})
    ) as run:
        run.log({"loss": 1.0})


def run_and_die(uri: str) -> None:
    """A training that is killed in its midst."""
    runs.start(uri, "x", "dies", tags={}, params={})
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.fixture
def uri(database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    shutil.copy(database, tmp_path / "mlflow.db")
    return f"sqlite:///{tmp_path / 'mlflow.db'}"


def begin(uri: str, **params: object) -> runs.Run:
    return runs.start(uri, "x", "a run", tags={}, params=params)


def status(uri: str, run_id: str) -> str:
    return str(database.connect(uri).get_run(run_id).info.status)


def listed_runs(uri: str, experiment: str) -> list[Any]:
    client = database.connect(uri)
    found = client.get_experiment_by_name(experiment)
    assert found is not None
    return list(client.search_runs([found.experiment_id]))


@pytest.mark.fault(14)
@pytest.mark.slow
def test_eight_processes_that_start_together_on_no_database_all_succeed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    uri = f"sqlite:///{tmp_path / 'fresh.db'}"
    barrier = PROCESSES.Barrier(8)
    started = [PROCESSES.Process(target=run_alone, args=(uri, barrier)) for _ in range(8)]
    for process in started:
        process.start()
    for process in started:
        process.join(120)
    assert [process.exitcode for process in started] == [0] * 8
    assert [run.info.status for run in listed_runs(uri, "shared")] == [runs.FINISHED] * 8


def test_a_killed_run_is_marked_by_the_next_one(uri: str) -> None:
    dying = PROCESSES.Process(target=run_and_die, args=(uri,))
    dying.start()
    dying.join(60)
    assert dying.exitcode == -signal.SIGKILL
    begin(uri)
    states = {run.info.run_name: run.info.status for run in listed_runs(uri, "x")}
    assert states == {"dies": runs.KILLED, "a run": runs.RUNNING}


def test_a_run_that_is_alive_is_left_alone(uri: str) -> None:
    first = begin(uri)
    begin(uri)
    assert status(uri, first.run_id) == runs.RUNNING


def end_and_exit(uri: str, run_id: str) -> None:
    """A training's last moments, in a process that is then gone."""
    run = runs.find(uri, run_id)
    assert run is not None
    with runs.run_status(run):
        pass


def test_a_run_that_ends_while_another_looks_keeps_its_own_last_word(
    uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = begin(uri)
    listed = run.client.search_runs

    def ends_meanwhile(self: object, experiments: list[str], query: str) -> list[Any]:
        found = list(listed(experiments, query))
        process = PROCESSES.Process(target=end_and_exit, args=(uri, run.run_id))
        process.start()
        process.join(60)
        return found

    run.client.set_tag(
        run.run_id, "goodfit.process", f"{socket.gethostname()}:1@0"
    )  # number 1 was born otherwise
    monkeypatch.setattr(type(run.client), "search_runs", ends_meanwhile)
    begin(uri)
    assert status(uri, run.run_id) == runs.FINISHED


def test_who_goes_on_in_a_run_is_the_process_of_the_run(uri: str) -> None:
    run = begin(uri)
    run.client.set_tag(run.run_id, "goodfit.process", f"{socket.gethostname()}:1@0")
    with runs.run_status(run):
        begin(uri)
        assert status(uri, run.run_id) == runs.RUNNING


def test_a_run_in_the_waste_bin_is_not_found(uri: str) -> None:
    run = begin(uri)
    assert runs.find(uri, run.run_id) is not None
    run.client.delete_run(run.run_id)
    assert runs.find(uri, run.run_id) is None
    assert runs.find(uri, "0" * 32) is None


def test_a_block_that_ends_finishes_the_run(uri: str) -> None:
    with runs.run_status(begin(uri)) as run:
        pass
    assert status(uri, run.run_id) == runs.FINISHED


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ZeroDivisionError("x"), runs.FAILED),
        (SystemExit(143), runs.KILLED),
        (KeyboardInterrupt(), runs.KILLED),
        (MemoryError(), runs.FAILED),
    ],
)
def test_a_block_that_is_left_says_how(uri: str, error: BaseException, expected: str) -> None:
    run = begin(uri)

    def leave() -> None:
        with runs.run_status(run):
            raise error

    with pytest.raises(type(error)):
        leave()
    assert status(uri, run.run_id) == expected


def test_what_waits_is_sent_before_a_failed_run_ends(uri: str) -> None:
    run = begin(uri)

    def leave() -> None:
        with runs.run_status(run):
            run.log({"loss": 2.0}, 5)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        leave()
    assert [(m.step, m.value) for m in run.client.get_metric_history(run.run_id, "loss")] == [
        (5, 2.0)
    ]


def test_metrics_arrive_complete_and_in_order(uri: str) -> None:
    run = begin(uri)
    for step in range(1000):
        run.log({"a": step / 7, "b": -step, "c": 1.0}, step)
    run.end(runs.FINISHED)
    found = [(m.step, m.value) for m in run.client.get_metric_history(run.run_id, "a")]
    assert found == [(step, step / 7) for step in range(1000)]


def test_a_batch_is_sent_before_it_is_too_large_for_the_server(uri: str) -> None:
    run = begin(uri)
    run.log({f"m{number}": 1.0 for number in range(2500)})
    run.end(runs.FINISHED)
    assert len(run.client.get_run(run.run_id).data.metrics) == 2500


def test_more_than_a_hundred_parameters_arrive(uri: str) -> None:
    params = {f"p{number}": number for number in range(250)}
    run = begin(uri, **params)
    assert run.client.get_run(run.run_id).data.params == {
        key: str(value) for key, value in params.items()
    }


def test_a_parameter_that_is_too_long_is_cut(uri: str) -> None:
    run = begin(uri, long="x" * 20_000)
    assert set(run.client.get_run(run.run_id).data.params["long"]) == {"x"}


def test_a_run_is_found_again_and_an_unknown_one_is_not(uri: str) -> None:
    run = begin(uri)
    found = runs.find(uri, run.run_id)
    assert found is not None
    assert found.run_id == run.run_id
    assert runs.find(uri, "0" * 32) is None


def test_leaves_are_dotted_names() -> None:
    assert tree.dotted({"a": {"b": 1, "c": [2]}, "d": None}) == {"a.b": 1, "a.c": [2], "d": None}


def leaks(home: Path) -> list[str]:
    """The files of the store that hold the canary."""
    stored = [home / "mlflow.db", *(home / "mlruns").rglob("*")]
    return [
        f"{word} in {path}"
        for path in stored
        if path.is_file()
        for word in (CANARY, HERON)
        if word.encode() in path.read_bytes()
    ]


@pytest.mark.fault(25)
def test_a_secret_of_the_environment_is_in_no_byte_of_database_and_artifacts(
    home: Callable[..., DictConfig], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from goodfit.launch.fit import fit

    monkeypatch.setenv("DEPLOY_TOKEN", CANARY)  # its name says it is secret
    monkeypatch.setenv("PLAIN", HERON)  # that the configuration refers to it says so
    mirrors = ["https://me:${oc.env:PLAIN}@host/x", "https://host/${oc.env:DEPLOY_TOKEN}"]
    cfg = home(data={"source": {"mirrors": mirrors}}, trainer={"max_epochs": 1})
    (tmp_path / "notes.txt").write_text("nothing")
    git = ["git", "-c", "user.name=x", "-c", "user.email=x@x"]
    for arguments in (["init", "-q"], ["add", "notes.txt"], ["commit", "-qm", "x"]):
        subprocess.run([*git, *arguments], check=True)
    (tmp_path / "notes.txt").write_text(f"tokens {CANARY} {HERON}")
    run = fit(cfg, overrides=["experiment=x", f"+note={CANARY}"])
    assert (
        database.connect(cfg.tracking.uri).get_run(run.run_id).data.tags["goodfit.git_dirty"]
        == "true"
    )
    assert leaks(tmp_path) == []


@pytest.mark.fault(25)
def test_a_login_written_into_the_configuration_reaches_no_artifact(
    home: Callable[..., DictConfig], tmp_path: Path
) -> None:
    from goodfit.launch.fit import fit

    mirrors = [f"https://me:{CANARY}@host/x"]
    fit(home(data={"source": {"mirrors": mirrors}}, trainer={"max_epochs": 1}))
    assert leaks(tmp_path) == []


def test_a_deleted_experiment_is_named_with_what_to_do(uri: str) -> None:
    run = begin(uri)
    run.client.delete_experiment(run.experiment)
    with pytest.raises(
        UserError, match=rf"'x' is deleted .* `mlflow experiments restore -x {run.experiment}`"
    ):
        begin(uri)


def test_a_database_of_no_kind_that_mlflow_knows_is_a_mistake_without_the_password() -> None:
    with pytest.raises(
        UserError, match=r"tracking\.uri=banana://\*\*\*@x does not answer"
    ) as error:
        database.connect("banana://me:tiger-lily@x")
    assert "tiger-lily" not in str(error.value)


def test_a_run_whose_parameters_cannot_be_written_is_failed(uri: str) -> None:
    with pytest.raises(Exception, match="Names may only contain"):
        begin(uri, **{"a;b": 1})
    assert [found.info.status for found in listed_runs(uri, "x")] == [runs.FAILED]
