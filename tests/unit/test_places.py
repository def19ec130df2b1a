"""The places in MLflow's database follow the project, and no other database's."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from goodfit.errors import UserError
from goodfit.tracking import places, runs
from goodfit.tracking.database import connect

pytestmark = pytest.mark.fault(52)


def uri() -> str:
    """That of the present folder's database; MLflow keeps a relative one open across folders."""
    return f"sqlite:///{Path.cwd() / 'mlflow.db'}"


@pytest.fixture
def project(database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with one run, which has a file."""
    folder = tmp_path / "project"
    folder.mkdir()
    shutil.copy(database, folder / "mlflow.db")
    monkeypatch.chdir(folder)
    write(folder)
    return folder


def write(folder: Path) -> Path:
    """Logs a run with a file in the present folder; gives the file."""
    run = runs.start(uri(), "net", "a run", tags={}, params={})
    run.text("note.txt", "hello")
    run.end(runs.FINISHED)
    (file,) = folder.glob(f"mlruns/*/{run.run_id}/artifacts/note.txt")
    return file


def stored(database: Path) -> set[str]:
    with closing(sqlite3.connect(database)) as connection:
        return {row[0] for row in connection.execute("select artifact_uri from runs")}


def test_files_lie_beside_the_database_not_below_the_present_folder(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a clone that shares the database of another one."""
    (tmp_path / "clone").mkdir()
    monkeypatch.chdir(tmp_path / "clone")
    shared = f"sqlite:///{project / 'mlflow.db'}"
    run = runs.start(shared, "another experiment", "a run", tags={}, params={})
    run.text("note.txt", "hello")
    run.end(runs.FINISHED)
    assert list(project.glob(f"mlruns/2/{run.run_id}/artifacts/note.txt"))
    assert not (tmp_path / "clone/mlruns").exists()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["new", "a b", "größe", "a#b", "100%"])
def test_after_a_move_files_are_read_and_written_in_the_new_folder(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    moved = project.rename(tmp_path / name)
    monkeypatch.chdir(moved)
    client = connect(uri())
    for location in stored(moved / "mlflow.db"):
        run_id = Path(location).parent.name
        read = client.download_artifacts(run_id, "note.txt")
        assert Path(read).read_text() == "hello"
    write(moved)
    assert not project.exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == [name]


def test_it_is_said_once(
    project: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(project.rename(tmp_path / "new"))
    connect(uri())
    connect(uri())
    assert capsys.readouterr().out.count("/mlflow.db was moved or copied") == 1
    assert places.misplaced(Path("mlflow.db")) == []


def test_a_copy_leaves_the_original_alone(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = stored(project / "mlflow.db")
    copy = Path(shutil.copytree(project, tmp_path / "copy"))
    monkeypatch.chdir(copy)
    connect(uri())
    assert {Path(place).parents[3] for place in stored(copy / "mlflow.db")} == {copy}
    write(copy)
    assert stored(project / "mlflow.db") == before
    assert len(list(project.glob("mlruns/1/*"))) == 1


def test_a_database_without_its_files_writes_here_and_reads_where_they_are(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = stored(project / "mlflow.db")
    (tmp_path / "other").mkdir()
    shutil.copy("mlflow.db", tmp_path / "other")
    monkeypatch.chdir(tmp_path / "other")
    connect(uri())
    assert stored(Path("mlflow.db")) == before
    write(tmp_path / "other")
    assert len(list(project.glob("mlruns/1/*"))) == 1


def test_a_place_that_somebody_chose_stays(project: Path, tmp_path: Path) -> None:
    """Another disk, with or without the name that MLflow gives its folder."""
    client = connect(uri())
    chosen = [f"{tmp_path}/disk/mlruns/9", f"{tmp_path}/disk/files", "s3://bucket/mlruns/9"]
    (tmp_path / "disk").mkdir()
    for number, location in enumerate(chosen):
        client.create_experiment(f"mine {number}", artifact_location=location)
    connect(uri())
    for number, location in enumerate(chosen):
        experiment = client.get_experiment_by_name(f"mine {number}")
        assert experiment is not None
        assert experiment.artifact_location == location


def test_a_link_to_the_project_is_the_same_folder(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "link").symlink_to(project)
    monkeypatch.chdir(tmp_path / "link")
    assert places.misplaced(tmp_path / "link/mlflow.db") == []


def test_a_path_that_mlflow_decodes_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = [tmp_path / name for name in ("a b", "a%20b")]
    for folder in folders:
        folder.mkdir()
    monkeypatch.chdir(tmp_path / "a%20b")
    with pytest.raises(UserError, match="a b, for it decodes %20"):
        connect(uri())
    assert sorted(tmp_path.rglob("*")) == folders


def test_what_such_a_path_has_left_behind_is_mended_when_it_is_renamed(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A database of before: it named a%20b, and its files went to another folder."""
    with closing(sqlite3.connect("mlflow.db")) as connection, connection:
        connection.execute(
            f"update experiments set artifact_location = '{tmp_path}/a%20b/mlruns/1'"
        )
    (tmp_path / "a b/mlruns/1").mkdir(parents=True)
    connect(uri())
    write(project)
    assert list((tmp_path / "a b/mlruns/1").iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"no database"])
def test_what_is_no_database_is_left_to_mlflow(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "mlflow.db").write_bytes(content)
    if content:
        with pytest.raises(sqlite3.DatabaseError):
            places.misplaced(tmp_path / "mlflow.db")
    else:
        assert places.misplaced(tmp_path / "mlflow.db") == []
    assert places.misplaced(tmp_path / "none.db") == []
    assert not (tmp_path / "none.db").exists()
