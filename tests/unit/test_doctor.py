"""The doctor calls a healthy repository healthy, names planted faults, mends what is safe."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from planted import (
    CACHE,
    MENDED,
    MODEL,
    NOT_MENDED,
    STEP,
    dead,
    flip,
    lay_out,
    lock,
    object_of,
    replace,
    spooled,
    sql,
)
from repository import ROOT
from tiny import QUICK

from goodfit.doctor import __main__, machine
from goodfit.doctor.cache import QUARANTINE
from goodfit.launch.resume import BegunTraining
from goodfit.provenance import dvc
from goodfit.store import manifest
from goodfit.system.processes import identity
from goodfit.tracking import database, places

Healthy = Callable[..., tuple[int, str]]


@pytest.fixture(scope="module")
def template(
    tmp_path_factory: pytest.TempPathFactory, prepared: Callable[[str], Path], database: Path
) -> Path:
    """What a pipeline leaves behind, in small."""
    home = tmp_path_factory.mktemp("template")
    with contextlib.chdir(home):
        lay_out(prepared(QUICK), database)
    return home


@pytest.fixture
def healthy(
    template: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Healthy:
    """Makes the current folder a healthy repository; examines it: exit code and report."""
    home = tmp_path / "home"
    shutil.copytree(template, home)
    monkeypatch.chdir(home)
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b.c"]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "start"], check=True)
    places.mend(home / "mlflow.db")  # it is a copy
    # MLflow keeps connections by name
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{home}/mlflow.db")
    monkeypatch.setattr(dvc, "cache_folder", lambda: CACHE)  # DVC takes half a second to say it

    def examine(*arguments: str) -> tuple[int, str]:
        capsys.readouterr()
        # a process hashes a file once; each examination is a process of its own
        manifest._hash.cache_clear()
        code = __main__.main(arguments)
        return code, capsys.readouterr().out

    assert examine()[0] == 0
    return examine


@pytest.mark.slow
@pytest.mark.parametrize("name", [*MENDED, *NOT_MENDED])
def test_a_planted_fault_is_found_and_named(healthy: Healthy, name: str) -> None:
    plant, words = (MENDED | NOT_MENDED)[name]
    plant()
    code, report = healthy()
    assert code == 1, report
    assert words in report


@pytest.mark.slow
@pytest.mark.parametrize("name", MENDED)
def test_what_is_safe_to_mend_is_mended_for_good(healthy: Healthy, name: str) -> None:
    MENDED[name][0]()
    code, report = healthy("--fix")
    assert code == 0, report
    assert "1 fixed" in report
    code, report = healthy()
    assert code == 0, report


@pytest.mark.slow
@pytest.mark.parametrize("name", NOT_MENDED)
def test_what_is_not_safe_to_mend_stays_as_it_is(healthy: Healthy, name: str) -> None:
    NOT_MENDED[name][0]()
    before = {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()}
    assert healthy("--fix")[0] == 1
    assert {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()} == before


@pytest.mark.slow
@pytest.mark.parametrize("damaged", [object_of("weights.pt"), "folder"])
def test_an_object_comes_back_from_the_workspace_byte_for_byte(
    healthy: Healthy, damaged: Path | str
) -> None:
    path = next(CACHE.glob("*/*.dir")) if isinstance(damaged, str) else damaged
    before = path.read_bytes()
    flip(path)
    healthy("--fix")
    assert path.read_bytes() == before
    assert path.stat().st_mode & 0o777 == 0o444


def test_an_only_copy_goes_into_quarantine_and_the_stage_that_makes_it_again_is_named(
    healthy: Healthy,
) -> None:
    path = object_of("weights.pt")
    shutil.rmtree(MODEL)
    flip(path)
    content = path.read_bytes()
    assert f"move it to {QUARANTINE}, then `dvc repro train@tiny` makes it again" in healthy()[1]
    assert path.exists()
    code, report = healthy("--fix")
    assert code == 0
    assert "`dvc repro train@tiny` (or `make repro`) makes it again" in report
    assert not path.exists()
    assert (QUARANTINE / path.name).read_bytes() == content


def test_weights_that_share_the_fault_of_the_object_are_no_good_copy(healthy: Healthy) -> None:
    """As after `dvc checkout` of the corrupted object."""
    path = object_of("weights.pt")
    flip(path)
    shutil.copyfile(path, MODEL / "weights.pt")
    assert f"{MODEL}/weights.pt fails its checksum" in healthy()[1]
    assert "moved it to" in healthy("--fix")[1]


def test_what_a_running_dvc_works_on_is_left_alone(healthy: Healthy) -> None:
    lock(os.getpid())
    assert healthy()[0] == 0
    flip(object_of("weights.pt"))
    content = object_of("weights.pt").read_bytes()
    code, report = healthy("--fix")
    assert code == 1
    assert "not mended: not while another run (PID" in report
    assert dvc.RWLOCK.exists()
    assert object_of("weights.pt").read_bytes() == content


def test_what_a_running_training_writes_is_left_alone(healthy: Healthy) -> None:
    part = STEP.parent / ".step-000000020.ckpt.part"
    part.touch()
    begun(identity()).write(BegunTraining.path(STEP.parent))
    code, report = healthy("--fix")
    assert code == 1
    assert "is being trained by process" in report
    assert part.exists()


def begun(process: str) -> BegunTraining:
    return BegunTraining(facts={}, run_id="0", micro_batches=1, process=process)


@pytest.mark.slow
def test_a_broken_note_of_a_training_is_a_finding_and_stops_the_mending_beside_it(
    healthy: Healthy,
) -> None:
    """Who trains there cannot be told, so nothing is deleted that somebody may be writing."""
    part = STEP.parent / ".step-000000020.ckpt.part"
    part.touch()
    for text in ("{", '{"process": "here:1@1"}'):
        BegunTraining.path(STEP.parent).write_text(text)
        code, report = healthy("--fix")
        assert code == 1
        assert f"a training stops at it; delete {BegunTraining.path(STEP.parent)}" in report
        assert "not mended" in report
        assert part.exists()
    begun(dead()).write(BegunTraining.path(STEP.parent))
    assert healthy("--fix")[0] == 0
    assert not part.exists()


@pytest.mark.slow
@pytest.mark.parametrize("text", ["{", '{"weights_sha256": "0"}', "[]"])
def test_a_broken_record_of_a_model_is_a_finding(healthy: Healthy, text: str) -> None:
    (MODEL / "train.json").write_text(text)
    code, report = healthy()
    assert code == 1
    assert f"{MODEL}/train.json is missing, broken, or of another version" in report


@pytest.mark.slow
@pytest.mark.fault(47)
@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("experiments: [breast_cancer\n", "params.yaml, line "),
        ("experiments: []\noverrides: {braest_cancer: []}\n", "overrides of 'braest_cancer'"),
    ],
)
def test_a_params_yaml_that_make_repro_stops_at_is_a_finding(
    healthy: Healthy, text: str, named: str
) -> None:
    Path("params.yaml").write_text(text)
    code, report = healthy()
    assert code == 1
    assert named in " ".join(report.split())


@pytest.mark.fault(51)
def test_models_that_dvc_brought_to_a_clone_are_not_said_to_be_in_mlflow(healthy: Healthy) -> None:
    Path("params.yaml").write_text(f"experiments: [{MODEL.name}]\n")
    code, report = healthy()
    assert code == 1
    assert f"whether MLflow has runs and models of {MODEL.name} is not known here yet" in report
    assert "MLflow has what it should of 0 experiments" in report


def test_the_last_copy_of_a_folder_that_was_being_replaced_comes_back(healthy: Healthy) -> None:
    MODEL.rename(MODEL.with_name(".tiny.old"))
    assert "is the last whole models/tiny" in healthy()[1]
    assert healthy("--fix")[0] == 0
    assert (MODEL / "weights.pt").read_bytes() == b"weights"


def test_entries_that_wait_are_sent(healthy: Healthy) -> None:
    client = database.connect(os.environ["MLFLOW_TRACKING_URI"])
    run = client.create_run("0").info.run_id
    item = {"uri": client.tracking_uri, "run_id": run, "metrics": [["loss", 0.5, 1, 0]]}
    spooled(json.dumps(item) + "\n")
    assert f"build/spool/x.jsonl holds 1 entry for {client.tracking_uri}" in healthy()[1]
    assert healthy("--fix")[0] == 0
    assert client.get_run(run).data.metrics == {"loss": 0.5}
    database.disconnect(client)


def test_a_trial_of_a_dead_worker_is_told_and_left_to_the_next_sweep(healthy: Healthy) -> None:
    sql("optuna.db", f"update trial_user_attributes set value_json = '\"{dead()}\"'")
    code, report = healthy()
    assert code == 0
    assert "optuna.db: 1 trial running without a live worker: tiny 0" in report


def test_a_full_disk_is_found_with_what_is_needed(
    healthy: Healthy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda _path: SimpleNamespace(free=5e6))
    code, report = healthy()
    assert code == 1
    assert "5.0 MB free at" in report
    assert "needed (2" in report


def test_a_gpu_beside_a_torch_for_cpus_is_found(
    healthy: Healthy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    monkeypatch.setattr(machine.metadata, "version", lambda _name: "2.13.0+cpu")
    assert "the installed torch is the build for CPUs" in healthy()[1]


@pytest.mark.slow
@pytest.mark.parametrize(("driver", "code"), [(570, 1), (580, 0)])
def test_a_driver_too_old_for_torchs_cuda_is_found(
    healthy: Healthy, monkeypatch: pytest.MonkeyPatch, driver: int, code: int
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    known = machine.metadata.version
    fake = {"torch": "2.13.0", "nvidia-cuda-runtime": "13.0.96"}
    monkeypatch.setattr(machine.metadata, "version", lambda name: fake.get(name) or known(name))
    monkeypatch.setattr(machine, "_driver", lambda: driver)
    assert healthy()[0] == code


def test_a_version_that_is_not_the_locked_one_is_told(healthy: Healthy) -> None:
    lines = Path("requirements.lock").read_text().splitlines()
    old = next(line for line in lines if line.startswith("psutil=="))
    replace("requirements.lock", old, "psutil==0.1")
    code, report = healthy()
    assert code == 0
    assert "(lock 0.1)" in report


def test_a_password_of_the_tracking_server_is_not_printed(
    healthy: Healthy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://me:canary-7@tracking.example")
    report = healthy()[1]
    assert "https://***@tracking.example" in report
    assert "canary-7" not in report


def test_nothing_that_is_broken_gives_a_traceback(healthy: Healthy) -> None:
    for path in [path for path in Path().rglob("*") if path.is_file() and path.name != "dvc.yaml"]:
        path.chmod(0o644)
        path.write_bytes(b"\xff\xfe{[ broken")
    code, report = healthy("--fix")
    assert code == 1
    assert "cut short" not in report


@pytest.mark.slow
def test_neither_torch_nor_lightning_nor_mlflow_is_imported_to_look(healthy: Healthy) -> None:
    code = """
import sys
from goodfit.doctor.__main__ import main
main([])
print({'torch', 'pytorch_lightning', 'mlflow', 'optuna'} & {*sys.modules})
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    assert done.stdout.splitlines()[-1] == "set()"
