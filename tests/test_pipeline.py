"""The whole line in a real DVC repository: from raw samples to registered models."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from repository import EXPERIMENTS, Repository, make

from goodfit.system.files import sha256

STAGES = ("compose", "fetch", "prepare", "train", "evaluate", "report", "register")
pytestmark = pytest.mark.slow
# one file of each room that works with what a training gave
AFTER_TRAINING = (
    "tracking/describe.py",
    "search/confirm.py",
    "reporting/words.py",
    "doctor/files.py",
    "stages/summary.py",
    "evaluation/verdict.py",
    "provenance/environment.py",
)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    made = make(tmp_path_factory.mktemp("repository"))
    assert made.repro() == [f"{stage}@{name}" for name in EXPERIMENTS for stage in STAGES]
    return made


@pytest.mark.fault(69)
def test_a_second_repro_has_nothing_to_do(repository: Repository) -> None:
    assert repository.repro() == []


def test_a_model_tested_on_a_few_rows_is_registered_and_no_champion(repository: Repository) -> None:
    said = json.loads((repository.path / "report/mnist/registered.json").read_text())
    assert said["reason"].startswith("not champion: too few to tell: test has ")
    assert repository.sql("select * from registered_model_aliases") == []


def test_the_registered_model_answers_raw_rows(repository: Repository) -> None:
    code = """
import json, mlflow, pandas
mlflow.set_tracking_uri("sqlite:///mlflow.db")
model = mlflow.pyfunc.load_model("models:/mnist/1")
rows = pandas.DataFrame({"image": [[[0] * 28] * 28, [[255] * 28] * 28]})
print(json.dumps([sorted(model.predict(rows)["label"]), str(model.metadata.signature.inputs)]))
"""
    answer = repository.run(sys.executable, "-c", code).splitlines()[-1]
    labels, signature = json.loads(answer)
    assert len(labels) == 2
    assert "image" in signature


def test_one_run_holds_training_and_evaluation_and_is_finished(repository: Repository) -> None:
    run_id = json.loads((repository.path / "models/mnist/train.json").read_text())["run_id"]
    names = {
        name for (name,) in repository.sql(f"select key from metrics where run_uuid = '{run_id}'")
    }
    assert {
        "train/loss",
        "val/accuracy",
        "gap/loss",
        "final_val_loss",
        "test_accuracy",
        "test_accuracy_low",
    } <= names
    assert repository.sql(f"select status from runs where run_uuid = '{run_id}'") == [("FINISHED",)]


@pytest.mark.fault(66)
def test_mlflow_shows_curves_first_and_what_became_of_a_run(repository: Repository) -> None:
    """Its page of a run puts names with a slash first, by the alphabet; the others are bars."""
    facts = json.loads((repository.path / "models/mnist/train.json").read_text())
    counted = repository.sql(
        f"select key, count(*) from metrics where run_uuid = '{facts['run_id']}' group by key"
    )
    curves = {key for key, count in counted if count > 1}
    assert {key for key, _ in counted if "/" in key} <= curves
    assert {"train/loss", "val/loss"} <= curves

    tags = dict(
        repository.sql(
            "select t.key, t.value from experiment_tags t join experiments e using (experiment_id) "
            "where e.name = 'mnist'"
        )
    )
    result = repository.path / "report/mnist/evaluation/evaluation.json"
    verdict = json.loads(result.read_text())["verdict"]["text"]
    assert tags["mlflow.note.content"].startswith(f"On test, {verdict}. [Report](#/experiments/")
    columns = json.loads(json.loads(tags["mlflow.sharedViewState.goodfit"])["state"])
    shown = {name.partition("`")[2].rstrip("`") for name in columns["selectedColumns"]}
    own_tags = repository.sql(f"select key from tags where run_uuid = '{facts['run_id']}'")
    assert shown <= {key for key, _ in counted} | {key for (key,) in own_tags}
    assert {"test_accuracy", "goodfit.verdict", "goodfit.started_by"} <= shown
    assert any(name.startswith("baseline_accuracy_") for name in shown)


@pytest.mark.fault(66)
def test_a_registered_version_says_how_good_it_is_and_where_its_report_is(
    repository: Repository,
) -> None:
    text = repository.sql("select description from model_versions where name = 'mnist'")[0][0]
    run_id, experiment = repository.sql(
        "select r.run_uuid, r.experiment_id from runs r join model_versions v on v.run_id = "
        "r.run_uuid where v.name = 'mnist'"
    )[0]
    assert f"#/experiments/{experiment}/runs/{run_id}/artifacts/report/index.html" in text
    page = repository.path / f"mlruns/{experiment}/{run_id}/artifacts/report/index.html"
    assert page.is_file()
    result = repository.path / "report/mnist/evaluation/evaluation.json"
    assert f"On test: {json.loads(result.read_text())['verdict']['text']}." in text


def test_the_run_knows_the_hash_that_dvc_gave_the_data(repository: Repository) -> None:
    lock = yaml.safe_load((repository.path / "dvc.lock").read_text())
    md5 = lock["stages"]["prepare@mnist"]["outs"][0]["md5"]
    assert {(md5,)} == set(repository.sql("select digest from datasets where name like 'mnist/%'"))


def test_dvc_shows_metrics_and_plots(repository: Repository) -> None:
    metrics = json.loads(repository.run("dvc", "metrics", "show", "--json"))
    assert set(metrics[""]["data"]) == {f"report/{name}/metrics.json" for name in EXPERIMENTS}
    plots = json.loads(repository.run("dvc", "plots", "show", "--json"))["data"]
    assert set(plots) == {
        f"report/{name}/{kind}.csv" for name in EXPERIMENTS for kind in ("curves", "scores")
    }


def test_an_edit_re_runs_exactly_what_it_concerns(repository: Repository) -> None:
    later = ["train@mnist", "evaluate@mnist", "report@mnist", "register@mnist"]
    compose = [f"compose@{name}" for name in EXPERIMENTS]
    repository.edit("conf/model/cnn.yaml", width=4)
    # a network's width prepares nothing again
    assert sorted(repository.repro()) == sorted([*compose, *later])
    repository.edit("conf/model/rnn.yaml", width=4)
    assert repository.repro() == compose  # a group that nothing uses
    (repository.path / "src/goodfit/model/unused.py").write_text('"""A new network."""\n')
    assert repository.repro() == compose
    repository.edit("conf/baseline/lag_boosting.yaml", trees=7)
    assert repository.repro() == compose


def test_an_edit_behind_the_training_trains_nothing_again(
    repository: Repository, tmp_path: Path
) -> None:
    copy = Repository(Path(shutil.copytree(repository.path, tmp_path / "copy", symlinks=True)))
    assert changed_stages(copy) == set()
    comment(copy, *AFTER_TRAINING)
    changed = changed_stages(copy)
    assert {f"evaluate@{name}" for name in EXPERIMENTS} <= changed
    assert {stage.partition("@")[0] for stage in changed} == {"evaluate", "report", "register"}

    comment(copy, "launch/worker.py")
    assert {f"train@{name}" for name in EXPERIMENTS} <= changed_stages(copy)


def test_weights_to_start_from_train_again_and_fetch_and_prepare_nothing(
    repository: Repository, tmp_path: Path
) -> None:
    copy = Repository(Path(shutil.copytree(repository.path, tmp_path / "copy", symlinks=True)))
    shutil.copy(copy.path / "models/breast_cancer/weights.pt", copy.path / "x.pt")
    pinned = f"pretrained.source.sha256={sha256(copy.path / 'x.pt')}"
    params = yaml.safe_load((copy.path / "params.yaml").read_text())
    overrides = params["overrides"]["breast_cancer"]

    overrides += [pinned, "pretrained.source.mirrors=[x.pt]"]
    copy.edit("params.yaml", **params)
    composed = [f"compose@{name}" for name in EXPERIMENTS]
    later = [f"{stage}@breast_cancer" for stage in STAGES[3:]]
    assert sorted(copy.repro()) == sorted([*composed, *later])

    # the file is known by its hash, wherever it came from
    (copy.path / "x.pt").unlink()
    overrides[-1] = "pretrained.source.mirrors=[elsewhere/x.pt]"
    copy.edit("params.yaml", **params)
    assert copy.repro() == composed


def test_by_hand_a_training_starts_from_a_file(repository: Repository) -> None:
    file = repository.path / "models/breast_cancer/weights.pt"
    command = [sys.executable, "pipelines/train.py", "experiment=breast_cancer"]
    command += ["trainer.max_epochs=1", f"pretrained.source.mirrors=[{file}]"]
    refused = repository.run(*command, code=2)
    assert f"SHA-256 {sha256(file)}, none is pinned" in refused
    printed = repository.run(*command, f"pretrained.source.sha256={sha256(file)}")
    assert printed.count("starting from weights.pt") == 1


def comment(repository: Repository, *files: str) -> None:
    """Appends a comment to files of the package, and composes all experiments again."""
    for file in files:
        with (repository.path / "src/goodfit" / file).open("a") as stream:
            stream.write("# a comment\n")
    repository.run("dvc", "repro", *(f"compose@{name}" for name in EXPERIMENTS))


def changed_stages(repository: Repository) -> set[str]:
    """The stages that `dvc repro` would run because of what they depend on themselves."""
    status = json.loads(repository.run("dvc", "status", "--json"))
    return set(status)


def test_a_lost_database_is_refilled_from_the_files_of_the_stages(repository: Repository) -> None:
    (repository.path / "mlflow.db").rename(repository.path / "mlflow.old")
    printed = repository.run(sys.executable, "pipelines/summary.py")
    assert "mnist: MLflow lacked what DVC keeps; restored: its run, version 1" in printed
    run_id = json.loads((repository.path / "models/mnist/train.json").read_text())["run_id"]
    marked = repository.sql("select value from tags where key = 'goodfit.recreated_from'")
    assert (run_id,) in marked
    assert repository.sql("select count(*) from metrics where key = 'test_accuracy'") == [(2,)]
    assert "restored" not in repository.run(sys.executable, "pipelines/summary.py")
    (repository.path / "mlflow.old").rename(repository.path / "mlflow.db")


def test_sigterm_in_a_stage_is_not_taken_for_the_end_of_it(repository: Repository) -> None:
    before = (repository.path / "dvc.lock").read_text()
    repository.edit("params.yaml", experiments=["mnist"])
    repository.edit("conf/experiment/mnist.yaml", seed=7)
    source = repository.path / "conf/experiment/mnist.yaml"
    source.write_text("# @package _global_\n" + source.read_text())
    config = yaml.safe_load((repository.path / "params.yaml").read_text())
    config["overrides"]["mnist"] = [
        item for item in config["overrides"]["mnist"] if "max_epochs" not in item
    ]
    config["overrides"]["mnist"] += ["trainer.max_epochs=100000", "early_stopping.patience=null"]
    (repository.path / "params.yaml").write_text(yaml.safe_dump(config))
    process = subprocess.Popen(
        ["dvc", "repro"],
        cwd=repository.path,
        env=repository.env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    child = _wait_for_training(repository)
    os.kill(child, signal.SIGTERM)
    printed, _ = process.communicate(timeout=60)
    assert process.returncode != 0, printed
    assert "exited with 143" in printed
    after = yaml.safe_load((repository.path / "dvc.lock").read_text())["stages"]["train@mnist"]
    assert after == yaml.safe_load(before)["stages"]["train@mnist"]
    assert not (repository.path / "models/mnist").exists()
    assert repository.sql("select status from runs order by start_time desc limit 1") == [
        ("KILLED",)
    ]


def _wait_for_training(repository: Repository) -> int:
    """The process of the training that is RUNNING in the database."""
    query = (
        "select value from tags join runs using (run_uuid) "
        "where key = 'goodfit.process' and status = 'RUNNING'"
    )
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        processes = repository.sql(query)
        if processes:
            time.sleep(2)  # into its first epochs
            return int(str(processes[0][0]).rpartition(":")[2].partition("@")[0])
        time.sleep(0.2)
    raise AssertionError("no training started")
