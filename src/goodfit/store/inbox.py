"""Files and folders of this machine that are no longer those that were pinned.

It reads what compose wrote, and imports little: `make repro` asks at every start.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from goodfit.errors import UserError
from goodfit.paths import INBOX, Paths
from goodfit.system import folder
from goodfit.system.files import read_json, sha256


def edited(name: str) -> Iterator[str]:
    """A line for each file or folder of an experiment that was changed after fetch took it.

    A file is read only where its size differs, or where it was written after the copy of it; a
    folder where a file or a folder in it was.
    """
    paths = Paths(name)
    if not paths.config.exists():
        return
    for source, entry in read_json(paths.config)["data"]["sources"].items():
        if not entry.get("sha256"):
            continue
        if entry.get("folder"):
            yield from _edited_folder(name, source, entry["folder"], entry["sha256"])
        if not entry.get("file"):
            continue
        filename = PurePosixPath(entry["file"]).name
        here, taken = _here(filename, entry), paths.raw / source / filename
        if here is None or not taken.is_file():
            continue
        now, then = here.stat(), taken.stat()
        # the time of the last change of any kind: that of the content comes along with `cp -p`
        if now.st_size == then.st_size and now.st_ctime <= then.st_mtime:
            continue
        digest = sha256(here)
        if digest != entry["sha256"]:
            yield (
                f"{here} is not the file that {name} is pinned to, and is not used; to take it: "
                f"data.sources.{source}.sha256={digest}"
            )


def _here(filename: str, entry: Mapping[str, Any]) -> Path | None:
    """Where fetch finds the file first: in data/inbox, or at a path among the mirrors."""
    mirrors = [Path(mirror) for mirror in entry.get("mirrors", []) if "://" not in mirror]
    return next((path for path in (INBOX / filename, *mirrors) if path.is_file()), None)


def _edited_folder(name: str, source: str, place: str, pinned: str) -> Iterator[str]:
    """The line of one folder."""
    path = Path(place).expanduser()
    taken = [*(Paths(name).raw / source).glob("*.zip")]
    if not (path.is_dir() and taken):
        return
    then = taken[0].stat().st_mtime
    try:
        # the time of a folder is that of the last file that came or went
        changed = any(each.lstat().st_ctime > then for each in (path, *path.rglob("*")))
        digest = folder.folder_digest(path) if changed else pinned
    except (OSError, UserError) as error:
        yield f"{path}, which {name} was made of, can no longer be read: {error}"
        return
    if digest != pinned:
        yield (
            f"{path} is not the folder that {name} is pinned to, and is not used; to take it: "
            f"data.sources.{source}.sha256={digest}"
        )
