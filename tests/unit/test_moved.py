"""A virtual environment that was moved or copied with its folder runs what is in the new one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import tiny

from goodfit.system.moved import settle

pytestmark = pytest.mark.fault(52)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """An environment with a package that is the folder's own, and a script, as pip leaves them."""
    folder = tmp_path / "old"
    (folder / "src").mkdir(parents=True)
    (folder / "src/own.py").write_text("import pathlib\nprint(pathlib.Path(__file__).parents[1])\n")
    environment = folder / ".venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(environment)], check=True)
    (packages,) = environment.glob("lib/python*/site-packages")
    (packages / "__editable__.own-1.pth").write_text(f"{folder}/src")
    (packages / "own-1.dist-info").mkdir()
    (packages / "own-1.dist-info/direct_url.json").write_text(f'{{"url": "{folder.as_uri()}"}}')
    script = environment / "bin/own"
    script.write_text(f"#!{environment}/bin/python\nimport own\n")
    script.chmod(0o755)
    (environment / "ready").touch()
    return folder


def runs_in(folder: Path) -> str:
    """The folder whose code the script runs, called by a shell that has activated."""
    command = f'. "{folder}/.venv/bin/activate"; own'
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    return done.stdout.strip() or done.stderr


@pytest.mark.parametrize("name", ["new", "a b", "größe", "long" * 40])
def test_moved_it_works_again(project: Path, tmp_path: Path, name: str) -> None:
    assert runs_in(project) == str(project)
    new = project.rename(tmp_path / name)
    assert runs_in(new) != str(new)
    told = settle(new / ".venv", new)
    assert told is not None
    assert f"was made in {project}" in told
    assert runs_in(new) == str(new)
    assert settle(new / ".venv", new) is None
    (url,) = new.glob(".venv/lib/*/site-packages/*/direct_url.json")
    assert new.as_uri() in url.read_text()


def test_twice_moved_and_back_it_works(project: Path, tmp_path: Path) -> None:
    settle(project / ".venv", project)
    for name in ("a b", "c", "old"):
        project = project.rename(tmp_path / name)
        settle(project / ".venv", project)
        assert runs_in(project) == str(project)


def test_copied_it_does_not_run_the_original(project: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(project, tmp_path / "copy", symlinks=True))
    assert runs_in(copy) == str(project)  # without a word
    settle(copy / ".venv", copy)
    assert runs_in(copy) == str(copy)
    assert runs_in(project) == str(project)


def test_where_nothing_was_moved_nothing_is_written(project: Path) -> None:
    before = (project / ".venv/bin/own").stat().st_mtime_ns
    assert settle(project / ".venv", project) is None
    assert (project / ".venv/bin/own").stat().st_mtime_ns == before
    assert (project / ".venv/ready").read_text() == f"{project}\n"


def test_make_does_so_before_anything_else(project: Path, tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    new = project.rename(tmp_path / "a b")
    for name in ("Makefile", "pyproject.toml", "requirements.lock"):
        shutil.copy(root / name, new / name)
    shutil.copytree(root / "src/goodfit", new / "src/goodfit")
    (new / ".venv/ready").touch()
    done = subprocess.run(["make", "-n", "ui"], cwd=new, capture_output=True, text=True, check=True)
    assert f".venv was made in {project}" in done.stdout
    assert runs_in(new) == str(new)


@pytest.mark.parametrize(
    ("given", "used"), [("C", "C.UTF-8"), ("POSIX", "C.UTF-8"), ("de_DE.UTF-8", "de_DE.UTF-8")]
)
def test_a_folder_with_an_umlaut_can_be_read_whatever_the_locale(
    tmp_path: Path, given: str, used: str
) -> None:
    """Python 3.11 decodes the .pth file of the environment by LC_ALL."""
    shutil.copy(tiny.ROOT / "Makefile", tmp_path)
    command = ["make", "--no-print-directory", "--eval=show:; @echo $$LC_ALL", "show"]
    done = subprocess.run(
        command, cwd=tmp_path, env=os.environ | {"LC_ALL": given}, capture_output=True, text=True
    )
    assert done.stdout == f"{used}\n"
