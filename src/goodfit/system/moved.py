"""A virtual environment that came along when its folder was moved or copied.

Its scripts and its link to the project's source name the old folder: they would fail, or run what
is there. `make` calls this before anything else, with the environment's own Python.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from goodfit.system.files import replacing_file

_READY = "ready"  # a file of the environment: the folder that it was made for, or moved to
_LONGEST = 127  # characters of a script's first line that Linux reads
_PACKAGES = "lib/python*/site-packages"
# where pip and venv write the folder
_NAMING = (
    "bin/*",
    "pyvenv.cfg",
    f"{_PACKAGES}/*.pth",
    f"{_PACKAGES}/__editable__*",
    f"{_PACKAGES}/*.dist-info/direct_url.json",
)


def main() -> None:
    """Says in a line if .venv was made for another folder, and is for this one now."""
    told = settle(Path(".venv"), Path.cwd())
    if told:
        print(told, flush=True)


def settle(environment: Path, here: Path) -> str | None:
    """The environment names the folder `here`; a line if it named another one."""
    old = _made_for(environment)
    changed = 0
    if old is not None and old != here:
        for path in _naming(environment):
            changed += _rename(path, old, here)
    (environment / _READY).write_text(f"{here}\n")
    if changed == 0:
        return None
    return f"{environment} was made in {old}; {changed} of its files name this folder now"


def _made_for(environment: Path) -> Path | None:
    """The folder that the environment belongs to; None where it does not say."""
    ready = (environment / _READY).read_text().strip()
    if ready:
        return Path(ready)
    # of an environment of an earlier version
    for line in (environment / "pyvenv.cfg").read_text().splitlines():
        key, _, value = line.partition(" = ")
        folder = value.rpartition(" ")[2]
        if key == "command" and folder.startswith("/"):
            return Path(folder).parent
    return None


def _naming(environment: Path) -> Iterator[Path]:
    for pattern in _NAMING:
        for path in environment.glob(pattern):
            if path.is_file() and not path.is_symlink():
                yield path


def _rename(path: Path, old: Path, new: Path) -> bool:
    """Writes the file with another folder; whether it named the old one."""
    content = path.read_bytes()
    if path.name == "direct_url.json":  # it has URIs, with %20 for a space
        renamed = content.replace(old.as_uri().encode(), new.as_uri().encode())
    else:
        renamed = content.replace(os.fsencode(f"{old}/"), os.fsencode(f"{new}/"))
    if content == renamed:
        return False
    with replacing_file(path) as part:
        part.write_bytes(_runnable(renamed, new))
        shutil.copymode(path, part)
    return True


def _runnable(script: bytes, folder: Path) -> bytes:
    """A script whose first line Linux can read: a long path, or one with a space, goes by sh."""
    first, newline, rest = script.partition(b"\n")
    if not first.startswith(b"#!" + os.fsencode(folder)):
        return script
    interpreter = first.removeprefix(b"#!")
    if b" " not in interpreter and len(first) <= _LONGEST:
        return script
    # the form of pip: a command for sh, and a string for Python
    start = b"#!/bin/sh\n'''exec' \"" + interpreter + b'" "$0" "$@"\n' + b"' '''"
    return start + newline + rest


if __name__ == "__main__":
    main()
