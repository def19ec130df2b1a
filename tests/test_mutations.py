"""Each guard is turned off in a copy of the source: the test that watches it must fail, or it
watches nothing.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path
from typing import Any

import psutil
import pytest
import warm_pytest
import yaml

ROOT = Path(__file__).parents[1]
COPIED = (
    "conf",
    "pipelines",
    "src",
    "tests",
    ".dvc",
    "gallery",
    "dvc.yaml",
    "params.yaml",
    "pyproject.toml",
    "requirements.lock",
)
COPIED += (".dvcignore", ".gitignore")


MUTANTS = yaml.safe_load((ROOT / "tests/mutants.yaml").read_text())
each = pytest.mark.parametrize(
    "mutant", MUTANTS, ids=[f"{one['row']}-{Path(one['file']).name}" for one in MUTANTS]
)


@each
def test_a_guard_is_there_to_be_turned_off(mutant: dict[str, Any]) -> None:
    """Quick, so that an edit of a guard is noticed with the other tests."""
    assert (ROOT / mutant["file"]).read_text().count(mutant["old"]) == 1


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of the repository, as they are."""
    folder = tmp_path_factory.mktemp("whole")
    for name in COPIED:
        # with bytecode: of files that are as they were, it is valid, and saves half a second each
        skip = shutil.ignore_patterns("cache", "tmp", "*.egg-info", "config.local")
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=skip)
        else:
            shutil.copy(source, folder / name)
    return folder


@pytest.mark.mutation
@each
def test_with_the_guard_off_its_test_fails(
    mutant: dict[str, Any], whole: Path, tmp_path: Path
) -> None:
    link(whole, tmp_path)
    file = tmp_path / mutant["file"]
    mutated = file.read_text().replace(mutant["old"], mutant["new"])
    file.unlink()  # it is the file of `whole`, too
    file.write_text(mutated)
    code = run_pytest(tmp_path, mutant["test"].split())
    assert code == 1, (tmp_path / "said").read_text()[-3000:]


@pytest.mark.mutation
def test_with_every_guard_on_a_copy_passes(whole: Path, tmp_path: Path) -> None:
    """What fails in a copy fails because of the guard, not because of how it is run."""
    link(whole, tmp_path)
    code = run_pytest(tmp_path, ["tests/unit/test_taken_up.py", "tests/unit/test_registry.py"])
    assert code == 0, (tmp_path / "said").read_text()[-3000:]


def link(whole: Path, target: Path) -> None:
    """Copies in a tenth of the time: tests write to none of these files."""
    shutil.copytree(whole, target, copy_function=os.link, dirs_exist_ok=True)


def run_pytest(folder: Path, tests: list[str]) -> int | None:
    """The code of pytest in a copy; None after 240 s. All that it left running is ended."""
    options = ["-q", "-x", "-m", "not mutation", f"--basetemp={folder / 'temp'}"]
    process = warm_pytest.start(folder, [*options, *tests], folder / "said")
    try:
        process.join(240)
        return process.exitcode
    finally:
        process.kill()
        end_all(warm_pytest.path_of(folder))


def end_all(path: str) -> None:
    """Ends what runs from a mutant's source: with a guard off, orphans live on."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get("PYTHONPATH") == path:
                process.kill()
