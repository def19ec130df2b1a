"""The folder that the project is in: its git repository, and links in it that lead elsewhere."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from goodfit.errors import UserError

# folders that hold outputs of stages: DVC writes a .gitignore into each
_OUTPUTS = ("data", "data/raw", "data/prepared", "models", "report")
_OTHERS = ("build", "mlruns", "data/inbox", "sweeps", ".dvc/cache")
_WITHOUT_GIT = "`dvc config --local core.no_scm true` goes on without git"
_BEHIND_LINK = (
    "let {link} be a folder, and give DVC's cache the other disk: "
    "`dvc config --local cache.dir <folder>`, `dvc config --local cache.type symlink`"
)


def check(experiments: Iterable[str]) -> None:
    """DVC can keep the outputs of stages here, so it says before the first stage, not behind it.

    Raises:
        UserError: this is no git repository, or a folder of outputs is a link that leads elsewhere,
            or nowhere.
    """
    root = Path.cwd()
    outputs = [*_OUTPUTS, *(f"report/{name}" for name in experiments)]
    for name in (*outputs, *_OTHERS):
        path = Path(name)
        if path.is_symlink() and not path.exists():
            raise UserError(
                f"{name} is a link to {path.readlink()}, which is not there; "
                "mount the disk, or remove the link"
            )

    top = _top(root)
    if top is None:
        if not _is_without_git():
            raise UserError(
                f"{root} is no git repository, which DVC wants (a ZIP download has none): "
                "clone it, or `git init && git add -A && git commit -m start`; " + _WITHOUT_GIT
            )
        return
    if top != root and _fails("ls-files", "--error-unmatch", "dvc.yaml"):
        raise UserError(
            f"{root} lies in the git repository {top}, which does not have it: runs would name a "
            "commit without this code; `git init && git add -A && git commit -m start` here"
        )
    for name in outputs:
        path = Path(name)
        if path.is_symlink() and not path.resolve().is_relative_to(top) and not _is_without_git():
            raise UserError(
                f"{name} is a link to {path.resolve()}, outside of the git repository, where DVC "
                f"keeps no output; {_BEHIND_LINK.format(link=name)}"
            )


def notes() -> Iterator[str]:
    """A line where runs will name no commit, with what to do."""
    if _top(Path.cwd()) is None:
        yield "no git repository: runs name no commit"
        return
    try:
        done = _git("rev-parse", "HEAD")
    except FileNotFoundError:
        yield "git is not installed, or not on PATH: runs name no commit"
        return
    if done.returncode == 0:
        return
    if "dubious ownership" in done.stderr:
        yield (
            "another user owns this git repository, and git refuses it: runs name no commit; "
            f"`git config --global --add safe.directory '{_top(Path.cwd())}'` trusts it"
        )
    elif "unknown revision" in done.stderr or "ambiguous argument" in done.stderr:
        yield "the git repository has no commit yet: runs name none; `git add -A && git commit`"
    else:
        reason = (done.stderr.strip().splitlines() or ["it says nothing"])[0]
        yield f"git cannot read this repository ({reason}): runs name no commit"


def _top(folder: Path) -> Path | None:
    """The folder with .git, which is a file in a worktree or a submodule."""
    for path in (folder, *folder.parents):
        if (path / ".git").exists():
            return path
    return None


def _is_without_git() -> bool:
    """Whether DVC is told to work without git; asking DVC itself takes 0.3 s."""
    done = subprocess.run(
        [sys.executable, "-m", "dvc", "config", "core.no_scm"],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip().lower() == "true"


def _fails(*arguments: str) -> bool:
    """Whether git says no; where it is not installed, or refuses the repository, `notes` does."""
    try:
        return _git(*arguments).returncode == 1
    except FileNotFoundError:
        return False


def _git(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "LC_ALL": "C"}  # its messages are read
    return subprocess.run(
        ["git", *arguments],
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        env=environment,
    )
