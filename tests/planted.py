"""What a pipeline leaves behind, in small, and the faults that the doctor is to find in it."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import yaml
from repository import ROOT

from goodfit.provenance import dvc
from goodfit.records import Cost, Training
from goodfit.system.files import sha256
from goodfit.system.processes import identity
from goodfit.tracking import database
from goodfit.training.checkpoint_files import CheckpointNote, note_path

CACHE = Path(".dvc/cache/files/md5")
MODEL, STEP = Path("models/tiny"), Path("build/checkpoints/tiny/step-000000010.ckpt")


def keep(content: bytes, kind: str = "") -> str:
    """Puts an object into the cache, as DVC does: named by its MD5, read-only."""
    digest = hashlib.md5(content, usedforsecurity=False).hexdigest() + kind
    path = CACHE / digest[:2] / digest[2:]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    path.chmod(0o444)
    return digest


def flip(path: Path, offset: int = 3) -> None:
    """Another bit in one byte; mode and time stay, so that DVC sees nothing."""
    before, content = path.stat(), bytearray(path.read_bytes())
    content[offset] ^= 1
    path.chmod(0o644)
    path.write_bytes(content)
    path.chmod(before.st_mode)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def object_of(name: str) -> Path:
    """The cache's object of a file of the model, by what it held when it was kept."""
    digest = hashlib.md5({"weights.pt": b"weights"}[name], usedforsecurity=False).hexdigest()
    return CACHE / digest[:2] / digest[2:]


def trained(weights_sha256: str) -> Training:
    """The record of a training that kept these weights."""
    return Training(
        run_id="0",
        monitor="val/accuracy",
        epochs=1,
        best_epoch=0,
        steps=1,
        scores={"validation/accuracy": 0.5},
        cost=Cost(seconds=1.0, parameters=1, trainable=1, peak_memory_mb=1),
        machine="a processor, 2 cores",
        commit="none",
        dirty="unknown",
        weights_sha256=weights_sha256,
    )


def lay_out(prepared: Path, database: Path) -> None:
    """Makes the current folder a small repository in which all is well."""
    import optuna
    import studies

    for name in ("pyproject.toml", "requirements.lock", "dvc.yaml"):
        shutil.copy(ROOT / name, name)
    Path(".dvc/tmp").mkdir(parents=True)
    Path(".dvc/config").write_text("[core]\n    no_scm = true\n    analytics = false\n")
    MODEL.mkdir(parents=True)
    (MODEL / "weights.pt").write_bytes(b"weights")
    trained(sha256(MODEL / "weights.pt")).write(MODEL / "train.json")
    files = sorted(MODEL.iterdir())
    listing = [{"md5": keep(path.read_bytes()), "relpath": path.name} for path in files]
    digest = keep(json.dumps(listing, sort_keys=True).encode(), ".dir")
    outs = [{"path": str(MODEL), "hash": "md5", "md5": digest, "size": 100, "nfiles": 2}]
    Path("dvc.lock").write_text(
        yaml.safe_dump({"schema": "2.0", "stages": {"train@tiny": {"outs": outs}}})
    )
    STEP.parent.mkdir(parents=True)
    STEP.write_bytes(b"checkpoint")
    note = CheckpointNote(epoch=0, step=1, epoch_over=False, best=None, sha256=sha256(STEP))
    note.write(note_path(STEP))
    shutil.copytree(prepared, "data/prepared/tiny")
    shutil.copy(database, "mlflow.db")
    study = optuna.create_study(storage=studies.storage(Path("optuna.db")), study_name="tiny")
    study.ask().set_user_attr("worker", identity())


def in_gallery(name: str, text: str) -> None:
    """Writes a file of gallery/, which a repository has once an experiment was asked for."""
    path = Path("gallery", name)
    path.parent.mkdir()
    path.write_text(text)


def sql(path: str, *commands: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        for command in commands:
            connection.execute(command)
        connection.commit()


def orphan() -> None:
    """A run whose process is gone."""
    client = database.connect(os.environ["MLFLOW_TRACKING_URI"])
    run = client.create_run(client.create_experiment("tiny"), tags={"goodfit.process": dead()})
    assert client.get_run(run.info.run_id).info.status == "RUNNING"
    database.disconnect(client)


def dead() -> str:
    return identity().rpartition("@")[0] + "@1"


def lock(number: int) -> None:
    content = {"write": {"models/tiny": {"pid": number, "cmd": "dvc repro"}}, "read": {}}
    dvc.RWLOCK.write_text(json.dumps(content))


def replace(path: str, old: str, new: str) -> None:
    text = Path(path).read_text()
    assert old in text
    Path(path).write_text(text.replace(old, new))


def torn(path: str) -> None:
    """A page of a database overwritten."""
    content = Path(path).read_bytes()
    Path(path).write_bytes(content[:8192] + b"\xaa" * 4096 + content[12288:])


def spooled(text: str) -> None:
    Path("build/spool").mkdir(parents=True)
    Path("build/spool/x.jsonl").write_text(text)


MENDED: dict[str, tuple[Callable[[], Any], str]] = {
    "an empty lock": (lambda: dvc.RWLOCK.write_text(""), "rwlock cannot be read"),
    "a lock of another form": (
        lambda: dvc.RWLOCK.write_text('{"write": [1]}'),
        "rwlock cannot be read",
    ),
    "a lock of the dead": (lambda: lock(2**22 + 1), "rwlock names only processes that are gone"),
    "a corrupted object": (
        lambda: flip(object_of("weights.pt")),
        f"for {MODEL}/weights.pt of train@tiny is corrupted",
    ),
    "a corrupted folder": (
        lambda: flip(next(CACHE.glob("*/*.dir"))),
        f"for {MODEL} of train@tiny is corrupted",
    ),
    "an object without copy": (
        lambda: object_of("weights.pt").unlink(),
        f"cache lacks {MODEL}/weights.pt of train@tiny",
    ),
    "a half-written file": (
        lambda: (STEP.parent / ".x.ckpt.part").touch(),
        ".x.ckpt.part is a half-written x.ckpt",
    ),
    "a run of the dead": (orphan, "1 run RUNNING without a live process"),
    "a torn spool": (lambda: spooled('{"uri": "sqli'), "every run warns of it, and none sends it"),
}
NOT_MENDED: dict[str, tuple[Callable[[], Any], str]] = {
    "a version": (lambda: replace("pyproject.toml", "numpy>=2,<3", "numpy>=99"), "numpy"),
    "a package": (
        lambda: replace("pyproject.toml", "numpy>=2,<3", "nosuchthing>=1"),
        "nosuchthing is not installed",
    ),
    "a merge": (
        lambda: replace("dvc.lock", "schema:", "<<<<<<< HEAD\nschema:"),
        "marks of a merge conflict",
    ),
    "a broken dvc.lock": (
        lambda: Path("dvc.lock").write_text("stages: [1"),
        "dvc.lock cannot be read",
    ),
    "a broken gallery/dvc.lock": (
        lambda: in_gallery("dvc.lock", "stages: [1"),
        "gallery/dvc.lock cannot be read",
    ),
    "a broken list of the gallery": (
        lambda: in_gallery("params.yaml", "experiments: [1"),
        "gallery/params.yaml, line 1, column 16",
    ),
    "a checkpoint": (lambda: flip(STEP), f"{STEP} fails its checksum"),
    "no note": (lambda: STEP.with_suffix(".json").unlink(), f"{STEP} has no note beside it"),
    "prepared data": (
        lambda: flip(Path("data/prepared/tiny/spec.json")),
        "spec.json fails its checksum",
    ),
    "test data": (
        lambda: flip(next(Path("data/prepared/tiny/test").iterdir())),
        "fails its checksum",
    ),
    "a newer schema": (
        lambda: sql("mlflow.db", "update alembic_version set version_num = 'f00'"),
        "is newer than",
    ),
    "another database": (
        lambda: sql("mlflow.db", "drop table alembic_version"),
        "mlflow.db is no database of MLflow",
    ),
    "a torn mlflow.db": (lambda: torn("mlflow.db"), "mlflow.db is damaged"),
    "a torn optuna.db": (lambda: torn("optuna.db"), "optuna.db is damaged"),
}
