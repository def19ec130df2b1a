"""What DVC or git cannot do in a folder is said before the first stage, with the way out."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from goodfit.errors import UserError
from goodfit.provenance import checkout, environment

pytestmark = pytest.mark.fault(53)


def git(*arguments: str, at: Path | None = None) -> None:
    name = ("-c", "user.name=a", "-c", "user.email=a@b.c")
    subprocess.run(["git", *name, *arguments], cwd=at, check=True, capture_output=True)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository of git and DVC, with a commit."""
    folder = tmp_path / "project"
    for name in ("data/raw", "data/prepared", "models", "report/mnist", "build"):
        (folder / name).mkdir(parents=True)
    monkeypatch.chdir(folder)
    (folder / "dvc.yaml").write_text("stages: {}\n")
    git("init", "-q")
    subprocess.run(["dvc", "init", "-q"], check=True)
    git("add", "-A")
    git("commit", "-qm", "start")
    return folder


@pytest.mark.slow
def test_a_repository_is_all_right(project: Path) -> None:
    checkout.check(["mnist"])
    assert list(checkout.notes()) == []


@pytest.mark.slow
def test_a_shallow_clone_and_a_worktree_are_all_right(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    git("clone", "-q", "--depth=1", project.as_uri(), str(tmp_path / "shallow"))
    git("worktree", "add", "-q", str(tmp_path / "tree"))
    for name in ("shallow", "tree"):
        monkeypatch.chdir(tmp_path / name)
        checkout.check(["mnist"])
        assert list(checkout.notes()) == []


@pytest.mark.slow
def test_without_git_repository_the_way_out_is_one(project: Path) -> None:
    shutil.rmtree(project / ".git")
    with pytest.raises(UserError, match=r"no git repository, which DVC wants .* `git init && git"):
        checkout.check(["mnist"])
    git("init")
    checkout.check(["mnist"])
    shutil.rmtree(project / ".git")
    # the other way out, as it is printed
    subprocess.run(["dvc", "config", "--local", "core.no_scm", "true"], check=True)
    checkout.check(["mnist"])
    assert list(checkout.notes()) == ["no git repository: runs name no commit"]


@pytest.mark.slow
def test_a_folder_that_another_repository_does_not_have_is_refused(
    project: Path, tmp_path: Path
) -> None:
    """Its runs would name a commit that has nothing to do with them."""
    shutil.rmtree(project / ".git")
    git("init", "-q", at=tmp_path)
    with pytest.raises(UserError, match=f"in the git repository {tmp_path}, which does not have"):
        checkout.check(["mnist"])
    git("add", "-A", at=tmp_path)
    checkout.check(["mnist"])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["data", "data/raw", "models", "report", "report/mnist"])
def test_outputs_behind_a_link_are_refused_with_what_to_do(
    project: Path, tmp_path: Path, name: str
) -> None:
    """DVC would say so after the stage, which may be a training of hours."""
    (project / name).rename(tmp_path / "disk")
    (project / name).symlink_to(tmp_path / "disk")
    told = f"{name} is a link to {tmp_path / 'disk'}, outside of the git repository"
    with pytest.raises(UserError, match=told):
        checkout.check(["mnist"])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["build", "data/inbox", "mlruns", ".dvc/cache"])
def test_what_dvc_does_not_keep_may_be_elsewhere(project: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / "disk").mkdir()
    shutil.rmtree(project / name, ignore_errors=True)
    (project / name).symlink_to(tmp_path / "disk")
    checkout.check(["mnist"])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["data", "build", "mlruns", ".dvc/cache"])
def test_a_link_to_a_disk_that_is_not_there_is_told(project: Path, name: str) -> None:
    shutil.rmtree(project / name, ignore_errors=True)
    (project / name).symlink_to("/nowhere/disk")
    with pytest.raises(UserError, match=f"{name} is a link to /nowhere/disk, which is not there"):
        checkout.check(["mnist"])


@pytest.mark.slow
def test_without_the_program_git_runs_name_no_commit_and_that_is_said(
    project: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    checkout.check(["mnist"])
    assert list(checkout.notes()) == ["git is not installed, or not on PATH: runs name no commit"]
    assert environment.commit().sha == "none"


@pytest.mark.slow
def test_a_repository_without_a_commit_is_told(project: Path) -> None:
    shutil.rmtree(project / ".git")
    git("init", "-q")
    (note,) = checkout.notes()
    assert "has no commit yet" in note
    assert environment.commit().sha == "none"


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="wants the right to give a file away")
def test_a_repository_of_another_user_is_told_with_the_command_that_trusts_it(
    project: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))  # for git's global settings
    for path in (project, project / ".git"):
        shutil.chown(path, 65534)
    (note,) = checkout.notes()
    assert "another user owns this git repository" in note
    assert environment.commit().sha == "none"
    command = note.split("`")[1]
    subprocess.run(command, shell=True, check=True)  # noqa: S602 - a message's own command
    assert list(checkout.notes()) == []
    assert environment.commit().sha != "none"
