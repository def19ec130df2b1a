"""What differs from a commit in code, configuration and parameters, as a patch that applies."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import NamedTuple

from goodfit.system import units

# what can change a result; not what stages write themselves, nor documents and tests
PATHS = (
    "src",
    "pipelines",
    "conf",
    "params.yaml",
    "dvc.yaml",
    "gallery/dvc.yaml",
    "pyproject.toml",
    "requirements.lock",
    "Makefile",
)
# what shells, editors and merges leave behind; of new files alone, for a commit may hold such names
_LITTER = ("*.log", "*.out", "*.err", "*.tmp", "*.sw?", "*.bak", "*.orig", "*.rej", "*~", ".DS_*")
LIMIT = 10_000_000  # bytes of all patches
# whatever a user's own settings of git say, and with binary files whole. A rename is a file that
# goes and one that comes: so each part of the patch is about one file
_DIFF = (
    "diff",
    "--binary",
    "--full-index",
    "--no-renames",
    "--no-color",
    "--no-ext-diff",
    "--no-textconv",
    "--src-prefix=a/",
    "--dst-prefix=b/",
)


class Patch(NamedTuple):
    """How one file differs, as `git apply` takes it; bytes that are no UTF-8 are surrogates."""

    path: Path
    text: str


class LeftOut(NamedTuple):
    """A file that differs, and that no patch holds, with the reason."""

    path: str
    reason: str


@dataclass(frozen=True)
class Changes:
    """All that differs; together with the commit it is what runs."""

    patches: tuple[Patch, ...] = ()
    left_out: tuple[LeftOut, ...] = ()

    def __bool__(self) -> bool:
        """Whether anything differs."""
        return bool(self.patches or self.left_out)


def since(commit: str) -> Changes | None:
    """What differs from `commit` in the current folder; None where git fails.

    New files count unless git ignores them. Staged or not is one: what counts is what runs.
    """
    try:
        with tempfile.TemporaryDirectory(prefix="goodfit-index-") as folder:
            return _Index(Path(folder), commit).changes()
    except (OSError, subprocess.CalledProcessError, UnicodeError):
        return None


class _Index:
    """An index of git's beside the user's, which stays as it is, as do the repository's objects.

    In the user's own one, files may be staged, forced in, or marked as unchanged whatever they are.
    """

    def __init__(self, folder: Path, commit: str) -> None:
        objects = _git(os.environ, "rev-parse", "--git-path", "objects").strip()
        (folder / "objects").mkdir()
        self.commit = commit
        self.environment = {
            **os.environ,
            "GIT_INDEX_FILE": str(folder / "index"),
            "GIT_OBJECT_DIRECTORY": str(folder / "objects"),
            "GIT_ALTERNATE_OBJECT_DIRECTORIES": str(Path(objects).resolve()),
            "GIT_LITERAL_PATHSPECS": "1",  # a file may be called [x].py
        }

    def changes(self) -> Changes:
        self._git("read-tree", self.commit)
        left_out = self._add_new()
        patches = []
        for path in self._changed():
            size = os.lstat(path).st_size if os.path.lexists(path) else 0
            if size > LIMIT:
                left_out.append(_too_large(path, size))
            else:
                text = self._git(*_DIFF, self.commit, "--", path)
                patches.append(Patch(Path(path), text))

        kept, total = [], 0
        # the smallest first: a large file takes no source file's place
        for patch in sorted(patches, key=lambda patch: len(patch.text)):
            total += len(patch.text)
            if total <= LIMIT:
                kept.append(patch)
            else:
                left_out.append(_too_large(str(patch.path), len(patch.text)))
        return Changes(tuple(sorted(kept)), tuple(sorted(left_out)))

    def _add_new(self) -> list[LeftOut]:
        """Files that the commit does not have, so that a difference shows them."""
        in_commit = set(_split(self._git("ls-files", "-z")))
        staged = _git(os.environ, "ls-files", "-z", "--", *PATHS)
        untracked = _git(
            os.environ, "ls-files", "-z", "--others", "--exclude-standard", "--", *PATHS
        )
        new, left_out = [], []
        for path in dict.fromkeys([*_split(staged), *_split(untracked)]):
            if path in in_commit or not os.path.lexists(path) or _is_litter(path):
                continue
            if path.endswith("/") or Path(path, ".git").exists():
                left_out.append(LeftOut(path, "a git repository of its own"))
            else:
                new.append(path)
        if new:
            self._git("add", "--intent-to-add", "--force", "--", *new)
        return left_out

    def _changed(self) -> list[str]:
        names = self._git(*_DIFF, "--relative", "--name-only", "-z", self.commit, "--", *PATHS)
        return _split(names)

    def _git(self, *arguments: str) -> str:
        return _git(self.environment, *arguments)


def _git(environment: Mapping[str, str], *arguments: str) -> str:
    """What git prints, to the byte.

    Raises:
        CalledProcessError: it fails.
    """
    command = ["git", "-c", "core.quotePath=false", "-c", "core.safecrlf=false", *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, check=True)
    return done.stdout.decode(errors="surrogateescape")


def _split(names: str) -> list[str]:
    return [name for name in names.split("\0") if name]


def _too_large(path: str, size: int) -> LeftOut:
    return LeftOut(path, f"{units.size(size)}; of all changes, {units.size(LIMIT)} are stored")


def _is_litter(path: str) -> bool:
    name = Path(path).name
    return any(fnmatch(name, pattern) for pattern in _LITTER)
