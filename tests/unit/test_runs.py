"""A run in MLflow says the truth about its training.

The database is a real one.
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import tiny
from omegaconf import OmegaConf
from planted import trained

from goodfit.config import tree
from goodfit.errors import UserError
from goodfit.tracking import attach, database, runs

if TYPE_CHECKING:
    from multiprocessing.synchronize import Barrier

PROCESSES = multiprocessing.get_context("forkserver")
# imported once for all processes
PROCESSES.set_forkserver_preload(["goodfit.tracking.runs", "mlflow"])


def run_alone(uri: str, barrier: Barrier) -> None:
    """What each of several trainings that start together does."""
    barrier.wait()
    run = runs.start(uri, "shared", f"by {os.getpid()}", tags={}, params={"a": 1})
    with runs.run_status(run):
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
    known = client.get_experiment_by_name(experiment)
    assert known is not None
    return list(client.search_runs([known.experiment_id]))


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


@pytest.mark.slow
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


@pytest.mark.slow
def test_a_run_that_ends_while_another_lists_runs_keeps_its_own_status(
    uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = begin(uri)
    listed = run.client.search_runs

    def ends_meanwhile(self: object, experiments: list[str], query: str) -> list[Any]:
        matches = list(listed(experiments, query))
        process = PROCESSES.Process(target=end_and_exit, args=(uri, run.run_id))
        process.start()
        process.join(60)
        return matches

    # process 1 was born at another time
    run.client.set_tag(run.run_id, "goodfit.process", f"{socket.gethostname()}:1@0")
    monkeypatch.setattr(type(run.client), "search_runs", ends_meanwhile)
    begin(uri)
    assert status(uri, run.run_id) == runs.FINISHED


def test_the_process_that_resumes_a_run_is_the_process_of_the_run(uri: str) -> None:
    run = runs.find(uri, begin(uri).run_id)
    assert run is not None
    run.client.set_tag(run.run_id, "goodfit.process", f"{socket.gethostname()}:1@0")
    with runs.run_status(run):
        begin(uri)
        assert status(uri, run.run_id) == runs.RUNNING


def test_a_run_that_has_just_begun_is_not_opened_again(
    uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = begin(uri)
    opened = []
    update = type(run.client).update_run

    def counted(self: Any, run_id: str, **changes: Any) -> None:
        opened.append(changes)
        update(self, run_id, **changes)

    monkeypatch.setattr(type(run.client), "update_run", counted)
    with runs.run_status(run):
        assert not opened
        assert status(uri, run.run_id) == runs.RUNNING
    with runs.run_status(run):  # it has ended meanwhile
        assert opened == [{"status": runs.RUNNING}]
        assert status(uri, run.run_id) == runs.RUNNING
    assert status(uri, run.run_id) == runs.FINISHED


def test_what_a_run_used_is_recorded_in_one_call(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    run = begin(uri)
    calls = []
    log = type(run.client).log_inputs

    def counted(self: Any, run_id: str, inputs: list[Any]) -> None:
        calls.append(run_id)
        log(self, run_id, inputs)

    monkeypatch.setattr(type(run.client), "log_inputs", counted)
    shared = {"digest": "d" * 40, "source": "{}", "profile": '{"samples": 3}'}
    contexts = {"x/train": "training", "x/validation": "validation"}
    used = [runs.DataInput(name=name, context=contexts[name], **shared) for name in contexts]
    runs.log_data_inputs(run, used)

    assert calls == [run.run_id]
    recorded = run.client.get_run(run.run_id).inputs.dataset_inputs
    assert {item.dataset.name: item.tags[0].value for item in recorded} == contexts
    assert {item.dataset.digest for item in recorded} == {"d" * 36}


def test_a_run_that_goes_on_after_a_failure_does_not_say_how_it_ended(uri: str) -> None:
    run = begin(uri)
    with pytest.raises(RuntimeError), runs.run_status(run):
        raise RuntimeError("lost")
    assert "goodfit.ended" in run.client.get_run(run.run_id).data.tags
    with runs.run_status(run):
        pass
    assert "goodfit.ended" not in run.client.get_run(run.run_id).data.tags


def test_a_deleted_run_is_not_found(uri: str) -> None:
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
    history = run.client.get_metric_history(run.run_id, "loss")
    assert [(metric.step, metric.value) for metric in history] == [(5, 2.0)]


def test_metrics_arrive_complete_and_in_order(uri: str) -> None:
    run = begin(uri)
    for step in range(1000):
        run.log({"a": step / 7, "b": -step, "c": 1.0}, step)
    run.end(runs.FINISHED)
    history = run.client.get_metric_history(run.run_id, "a")
    arrived = [(metric.step, metric.value) for metric in history]
    assert arrived == [(step, step / 7) for step in range(1000)]


def test_a_batch_is_sent_before_it_is_too_large_for_the_server(uri: str) -> None:
    run = begin(uri)
    run.log({f"m{number}": 1.0 for number in range(2500)})
    run.end(runs.FINISHED)
    assert len(run.client.get_run(run.run_id).data.metrics) == 2500


def test_more_than_a_hundred_parameters_arrive(uri: str) -> None:
    params = {f"p{number}": number for number in range(250)}
    run = begin(uri, **params)
    arrived = run.client.get_run(run.run_id).data.params
    assert arrived == {key: str(value) for key, value in params.items()}


@pytest.mark.slow
def test_a_parameter_that_is_too_long_is_cut(uri: str) -> None:
    run = begin(uri, long="x" * 20_000)
    assert set(run.client.get_run(run.run_id).data.params["long"]) == {"x"}


@pytest.mark.fault(55)
def test_a_text_keeps_its_bytes(uri: str, tmp_path: Path) -> None:
    run = begin(uri)
    run.text("lineage/patch", "+caf\udce9\r\n+\u2028\n")
    run.end(runs.FINISHED)
    (stored,) = (tmp_path / "mlruns").rglob("patch")
    assert stored.read_bytes() == b"+caf\xe9\r\n+\xe2\x80\xa8\n"


def test_a_run_is_found_again_and_an_unknown_one_is_not(uri: str) -> None:
    run = begin(uri)
    again = runs.find(uri, run.run_id)
    assert again is not None
    assert again.run_id == run.run_id
    assert runs.find(uri, "0" * 32) is None


def test_leaves_are_dotted_names() -> None:
    assert tree.dotted({"a": {"b": 1, "c": [2]}, "d": None}) == {"a.b": 1, "a.c": [2], "d": None}


def test_a_deleted_experiment_is_named_with_what_to_do(uri: str) -> None:
    run = begin(uri)
    run.client.delete_experiment(run.experiment)
    expected = rf"'x' is deleted .* `mlflow experiments restore -x {run.experiment}`"
    with pytest.raises(UserError, match=expected):
        begin(uri)


def test_a_scheme_that_mlflow_does_not_know_is_a_mistake_told_without_the_password() -> None:
    expected = r"tracking\.uri=banana://\*\*\*@x does not answer"
    with pytest.raises(UserError, match=expected) as error:
        database.connect("banana://me:tiger-lily@x")
    assert "tiger-lily" not in str(error.value)


def test_a_run_whose_parameters_cannot_be_written_is_failed(uri: str) -> None:
    with pytest.raises(Exception, match="Names may only contain"):
        begin(uri, **{"a;b": 1})
    assert [run.info.status for run in listed_runs(uri, "x")] == [runs.FAILED]


# pyfunc is what MLflow runs to find a registered model, and so imports MLflow
MODULES = sorted(
    {path.stem for path in (tiny.ROOT / "src/goodfit/tracking").glob("*.py")} - {"pyfunc"}
)
IMPORTS = """
import importlib, logging, os, sys

def state():
    names = ["root", *logging.root.manager.loggerDict]
    levels = {name: logging.getLogger(name).level for name in names}
    return dict(os.environ), {name: level for name, level in levels.items() if level}

before = state()
for module in sys.argv[1:]:
    importlib.import_module(f"goodfit.tracking.{module}")
assert state() == before, (before, state())
assert "mlflow" not in sys.modules
"""
CONNECTS = """
import os, sys
from goodfit.tracking.database import connect

connect(sys.argv[1])
print(os.environ["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"])
"""


def in_new_process(program: str, *arguments: str, **variables: str) -> str:
    """What a program prints in an interpreter of its own, in which no MLFLOW_... is set."""
    env = {key: value for key, value in os.environ.items() if not key.startswith("MLFLOW")}
    env |= {"PYTHONPATH": str(tiny.ROOT / "src"), **variables}
    command = [sys.executable, "-c", program, *arguments]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.slow
def test_importing_tracking_changes_no_variable_and_no_logger_and_imports_no_mlflow() -> None:
    assert in_new_process(IMPORTS, *MODULES) == ""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("variables", "expected"),
    [({}, "false"), ({"MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "true"}, "true")],
)
def test_connect_forbids_pickles_unless_the_user_allows_them(
    uri: str, variables: dict[str, str], expected: str
) -> None:
    assert in_new_process(CONNECTS, uri, **variables) == expected


@pytest.mark.parametrize("text", [None, "epoch,val/loss\n0,abc\n", "val/loss\n0.5\n"])
def test_a_model_whose_curves_cannot_be_read_leaves_no_half_made_run(
    uri: str, text: str | None
) -> None:
    """The next stage would find it, and take it for the training's own."""
    cfg = OmegaConf.create({"name": "tiny", "tracking": {"uri": uri}})
    model = Path("models/tiny")
    model.mkdir(parents=True)
    trained("0").write(model / "train.json")
    (model / "config.yaml").write_text("model: {_target_: a.Net}\nseed: 1\n")
    if text is not None:
        (model / "history.csv").write_text(text)
    with pytest.raises(UserError, match=r"models/tiny/history\.csv"):
        attach.find_or_recreate(cfg, model)
    assert database.connect(uri).get_experiment_by_name("tiny") is None
