"""Files put by hand into data/inbox that are no longer those that were pinned.

It reads what compose wrote, and imports little: `make repro` asks at every start.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath

from goodfit.paths import INBOX, Paths
from goodfit.system.files import read_json, sha256


def edited(name: str) -> Iterator[str]:
    """A line for each file of an experiment that was changed after fetch took it.

    A file is read only where its size differs, or where it was written after the copy of it.
    """
    paths = Paths(name)
    if not paths.config.exists():
        return
    for source, entry in read_json(paths.config)["data"]["sources"].items():
        if not entry.get("file") or not entry.get("sha256"):
            continue
        filename = PurePosixPath(entry["file"]).name
        inbox, taken = INBOX / filename, paths.raw / source / filename
        if not (inbox.is_file() and taken.is_file()):
            continue
        now, then = inbox.stat(), taken.stat()
        # the time of the last change of any kind: that of the content comes along with `cp -p`
        if now.st_size == then.st_size and now.st_ctime <= then.st_mtime:
            continue
        digest = sha256(inbox)
        if digest != entry["sha256"]:
            yield (
                f"{inbox} is not the file that {name} is pinned to, and is not used; to take it: "
                f"data.sources.{source}.sha256={digest}"
            )
