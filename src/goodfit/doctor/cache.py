"""The objects of DVC's cache hold what their names say, and each output has its copy there."""

from __future__ import annotations

import functools
import hashlib
import json
import re
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from goodfit.doctor.dvc import idle
from goodfit.doctor.finding import Finding, found, listed, note, ok, quarantine, size
from goodfit.errors import UserError
from goodfit.provenance import dvc
from goodfit.provenance.dvc import Output, outputs

QUARANTINE = Path(".dvc/tmp/quarantine")
_OFTEN = 2.0  # seconds between two words about how far it is


def cache() -> Iterator[Finding]:
    """Each object holds the bytes that its name says; DVC never looks again at one that is
    read-only.
    """
    try:
        root = dvc.cache_folder()
    except UserError as error:
        yield found(str(error), "`git checkout .dvc` brings DVC's settings back")
        return
    try:
        known = outputs()
    except UserError:
        known = []  # `lock_file` says so; the objects can be looked at without it
    objects = {
        path.parent.name + path.name: path
        for path in sorted(root.glob("[0-9a-f][0-9a-f]/*"))
        if _named(path)
    }
    bad = list(_corrupted(objects))
    uses = _uses(known, objects, set(bad))
    for digest in bad:
        yield _explained(digest, objects[digest], uses.get(digest, []))
    yield from _lacking(
        root, {digest: users for digest, users in uses.items() if digest not in objects}
    )
    if not bad:
        total = sum(path.stat().st_size for path in objects.values())
        yield ok(f"{len(objects)} objects of DVC's cache ({size(total)}) hold what their names say")


def _named(path: Path) -> bool:
    return re.fullmatch(r"[0-9a-f]{30}(\.dir)?", path.name) is not None and path.is_file()


def _corrupted(objects: dict[str, Path]) -> Iterator[str]:
    """The names of objects that hold other bytes; says how far it is where that takes long."""
    total = sum(path.stat().st_size for path in objects.values())
    done, said = 0, time.monotonic()
    for digest, path in objects.items():
        if _md5(path) != digest.removesuffix(".dir"):
            yield digest
        done += path.stat().st_size
        if time.monotonic() - said > _OFTEN:
            said = time.monotonic()
            print(f"read {size(done)} of {size(total)} of DVC's cache", file=sys.stderr, flush=True)


def _md5(path: Path) -> str:
    """Of a file's bytes; empty where they cannot be read."""
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(
                stream, functools.partial(hashlib.md5, usedforsecurity=False)
            ).hexdigest()
    except OSError:
        return ""


def _uses(known: list[Output], objects: dict[str, Path], bad: set[str]) -> dict[str, list[Output]]:
    """Which outputs need each object; the files of a folder stand in the folder's own object."""
    uses: dict[str, list[Output]] = {}
    for use in known:
        digest = use.md5
        uses.setdefault(digest, []).append(use)
        if digest.endswith(".dir"):
            whole = digest in objects and digest not in bad
            for item in json.loads(objects[digest].read_bytes() if whole else _listing(use.path)):
                uses.setdefault(item["md5"], []).append(
                    Output(use.stage, use.path / item["relpath"], item["md5"], 0)
                )
    return uses


def _listing(folder: Path) -> bytes:
    """The object that DVC would write for a folder, as DVC 3 writes it."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    items = [{"md5": _md5(path), "relpath": path.relative_to(folder).as_posix()} for path in files]
    return json.dumps(sorted(items, key=lambda item: item["relpath"]), sort_keys=True).encode()


def _good(digest: str, uses: list[Output]) -> Path | None:
    """Where the workspace holds what the object should hold."""
    for use in uses:
        if digest.endswith(".dir"):
            made = (
                hashlib.md5(_listing(use.path), usedforsecurity=False).hexdigest()
                if use.path.is_dir()
                else ""
            )
        else:
            made = _md5(use.path) if use.path.is_file() else ""
        if made == digest.removesuffix(".dir"):
            return use.path
    return None


def _explained(digest: str, path: Path, uses: list[Output]) -> Finding:
    stages = sorted({use.stage for use in uses})
    where = (
        f"for {listed([str(use.path) for use in uses])} of {listed(stages)}"
        if uses
        else "of no present output"
    )
    if not _md5(path):
        return found(
            f"object {path} {where} cannot be read", "look at its mode and owner, then at the disk"
        )
    if good := _good(digest, uses):
        advice = (
            f"DVC does not notice, and would hand it out; put it back from {good}, which is whole"
        )
    elif uses:
        advice = f"DVC does not notice, and hands it out; move it aside, then {_again(stages)} makes it again"
    else:
        advice = f"an older result that no checkout could trust; move it to {QUARANTINE}"
    return found(
        f"object {path} {where} is corrupted", advice, functools.partial(_mend, digest, path, uses)
    )


def _again(stages: list[str]) -> str:
    return " and ".join(f"`dvc repro {stage}`" for stage in stages)


def _mend(digest: str, path: Path, uses: list[Output]) -> str:
    """Puts a good copy in the object's place where the workspace has one; else moves the object aside, for it may be
    the only copy. DVC runs a stage again whose object is missing, whatever the workspace holds."""
    idle()
    if _md5(path) == digest.removesuffix(".dir"):
        return f"{path} is whole by now"
    if good := _good(digest, uses):
        _put(good, path)
        return f"put {path} back from {good}"
    if not path.exists():
        raise UserError(f"{uses[0].path} has changed meanwhile")
    place = quarantine(path, QUARANTINE)
    stages = sorted({use.stage for use in uses})
    return f"moved it to {place}" + (
        f"; {_again(stages)} (or `make repro`) makes it again" if stages else ""
    )


def _put(good: Path, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = (
        path.parent / f".{path.name}.tmp"
    )  # not `files.replacing`: it takes a name without a dot for a folder's
    try:
        part.write_bytes(_listing(good)) if good.is_dir() else shutil.copyfile(good, part)
        if _md5(part) != (path.parent.name + path.name).removesuffix(".dir"):
            raise UserError(f"{good} has changed meanwhile")
        part.chmod(0o444)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _lacking(root: Path, lacking: dict[str, list[Output]]) -> Iterator[Finding]:
    """What has no second copy is found; what is not in the workspace either will be made when it is
    asked for.
    """
    absent = set()
    for digest, uses in lacking.items():
        here = [use for use in uses if use.path.exists()]
        if not here:
            absent |= {use.stage for use in uses}
            continue
        what = f"DVC's cache lacks {here[0].path} of {here[0].stage}"
        if _good(digest, here):
            mend = functools.partial(_mend, digest, dvc.object_path(root, digest), here)
            yield found(
                f"{what}, so the copy in the workspace is the only one", "put a copy there", mend
            )
        else:
            advice = f"`dvc repro {here[0].stage}` makes it again"
            yield found(f"{what}, and the workspace holds something else", advice)
    if absent:
        what = f"neither here nor in DVC's cache is what {listed(sorted(absent))} made"
        yield note(what, "`make repro` makes it (or `dvc pull`, where a remote has it)")
