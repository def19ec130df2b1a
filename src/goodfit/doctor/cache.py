"""The objects of DVC's cache hold what their names say, and each output has its copy there.

An object is named by the MD5 of its bytes. That of a folder ends in `.dir`, and lists the objects
of the folder's files.
"""

from __future__ import annotations

import functools
import hashlib
import json
import re
import shutil
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from goodfit.doctor.dvc import check_idle
from goodfit.doctor.finding import (
    Finding,
    abbreviate,
    note,
    ok,
    problem,
    quarantine,
)
from goodfit.errors import UserError
from goodfit.provenance import dvc
from goodfit.provenance.dvc import Output
from goodfit.system import units
from goodfit.system.files import replacing_file

QUARANTINE = Path(".dvc/tmp/quarantine")
_PROGRESS = 2.0  # seconds between two lines about how much has been read

Objects = Mapping[str, Path]  # by their names, as dvc.lock has them


def cache() -> Iterator[Finding]:
    """Each object holds the bytes that its name says: one that is read-only DVC trusts for good."""
    try:
        root = dvc.cache_folder()
    except UserError as error:
        yield problem(str(error), "`git checkout .dvc` brings DVC's settings back")
        return
    try:
        outputs = dvc.outputs()
    except UserError:
        outputs = []  # `lock_file` reports it; the objects can be examined without it

    objects = _objects(root)
    corrupted = list(_corrupted(objects))
    needed_by = _outputs_by_object(outputs, objects, set(corrupted))
    for digest in corrupted:
        yield _corruption(digest, objects[digest], needed_by.get(digest, []))

    missing = {name: users for name, users in needed_by.items() if name not in objects}
    yield from _missing(root, missing)

    if not corrupted:
        size = units.size(_total_size(objects))
        yield ok(f"{len(objects)} objects of DVC's cache ({size}) hold what their names say")


def _objects(root: Path) -> Objects:
    """Whatever else lies in the cache, such as a file that DVC was writing, is no object."""
    objects = {}
    for path in sorted(root.glob("[0-9a-f][0-9a-f]/*")):
        if re.fullmatch(r"[0-9a-f]{30}(\.dir)?", path.name) and path.is_file():
            objects[path.parent.name + path.name] = path
    return objects


def _total_size(objects: Objects) -> int:
    return sum(path.stat().st_size for path in objects.values())


def _corrupted(objects: Objects) -> Iterator[str]:
    """The names of objects that hold other bytes; prints progress where that takes long."""
    total = _total_size(objects)
    read = 0
    printed = time.monotonic()
    for digest, path in objects.items():
        if _md5(path) != digest.removesuffix(".dir"):
            yield digest
        read += path.stat().st_size
        if time.monotonic() - printed > _PROGRESS:
            printed = time.monotonic()
            progress = f"read {units.size(read)} of {units.size(total)} of DVC's cache"
            print(progress, file=sys.stderr, flush=True)


def _md5(path: Path) -> str | None:
    """Of a file's bytes; None where they cannot be read."""
    # without usedforsecurity=False, a Python that keeps to FIPS refuses MD5
    md5 = functools.partial(hashlib.md5, usedforsecurity=False)
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, md5).hexdigest()
    except OSError:
        return None


def _outputs_by_object(
    outputs: Sequence[Output], objects: Objects, corrupted: set[str]
) -> dict[str, list[Output]]:
    """The outputs that need each object; a file of a folder counts as an output of its own."""
    needed_by: dict[str, list[Output]] = {}
    for output in outputs:
        needed_by.setdefault(output.md5, []).append(output)
        if not output.md5.endswith(".dir"):
            continue
        # where the list of a folder's files is lost, the folder itself tells what it would hold
        trusted = output.md5 in objects and output.md5 not in corrupted
        listing = objects[output.md5].read_bytes() if trusted else _folder_object(output.path)
        for item in json.loads(listing):
            file = Output(output.stage, output.path / item["relpath"], item["md5"], 0)
            needed_by.setdefault(file.md5, []).append(file)
    return needed_by


def _folder_object(folder: Path) -> bytes:
    """The object of a folder, byte for byte as DVC 3 writes it."""
    items = []
    for path in folder.rglob("*"):
        if path.is_file():
            items.append({"md5": _md5(path), "relpath": path.relative_to(folder).as_posix()})
    # the order counts: the object's name is the hash of these bytes
    items.sort(key=lambda item: str(item["relpath"]))
    return json.dumps(items, sort_keys=True).encode()


def _folder_md5(folder: Path) -> str | None:
    """Of a folder's object; None where there is no folder."""
    if not folder.is_dir():
        return None
    return hashlib.md5(_folder_object(folder), usedforsecurity=False).hexdigest()


def _intact_copy(digest: str, outputs: Sequence[Output]) -> Path | None:
    """Where the workspace holds what the object should hold."""
    md5 = _folder_md5 if digest.endswith(".dir") else _md5
    for output in outputs:
        if md5(output.path) == digest.removesuffix(".dir"):
            return output.path
    return None


def _corruption(digest: str, path: Path, outputs: Sequence[Output]) -> Finding:
    """What depends on a corrupted object, and whether a copy can take its place."""
    stages = _stages(outputs)
    if outputs:
        files = abbreviate([str(output.path) for output in outputs])
        what = f"object {path} for {files} of {abbreviate(stages)}"
    else:
        what = f"object {path} of no present output"
    if _md5(path) is None:
        return problem(f"{what} cannot be read", "look at its mode and owner, then at the disk")

    copy = _intact_copy(digest, outputs)
    if copy:
        advice = (
            f"DVC does not notice, and would hand it out; put it back from {copy}, which is whole"
        )
    elif outputs:
        advice = (
            f"DVC does not notice, and hands it out; move it to {QUARANTINE}, "
            f"then {_repro(stages)} makes it again"
        )
    else:
        advice = f"an older result that no checkout could trust; move it to {QUARANTINE}"
    fix = functools.partial(_mend, digest, path, outputs)
    return problem(f"{what} is corrupted", advice, fix)


def _missing(root: Path, missing: Mapping[str, list[Output]]) -> Iterator[Finding]:
    """An output whose only copy is in the workspace; one that is nowhere is made when asked for."""
    absent: set[str] = set()
    for digest, outputs in missing.items():
        present = [output for output in outputs if output.path.exists()]
        if not present:
            absent.update(_stages(outputs))
            continue
        first = present[0]
        what = f"DVC's cache lacks {first.path} of {first.stage}"
        if _intact_copy(digest, present):
            fix = functools.partial(_mend, digest, dvc.object_path(root, digest), present)
            message = f"{what}, so the copy in the workspace is the only one"
            yield problem(message, "put a copy there", fix)
        else:
            message = f"{what}, and the workspace holds something else"
            yield problem(message, f"`dvc repro {first.stage}` makes it again")
    if absent:
        message = f"neither here nor in DVC's cache is what {abbreviate(sorted(absent))} made"
        yield note(message, "`make repro` makes it (or `dvc pull`, where a remote has it)")


def _mend(digest: str, path: Path, outputs: Sequence[Output]) -> str:
    """Puts an intact copy of the workspace in the object's place, or the object in quarantine.

    It may be the only copy, so it is not deleted. DVC runs a stage again whose object is missing,
    whatever the workspace holds.
    """
    check_idle()
    # hashed again: a `dvc` that has ended since then may have brought it back
    if _md5(path) == digest.removesuffix(".dir"):
        return f"{path} is whole by now"
    copy = _intact_copy(digest, outputs)
    if copy:
        _restore(copy, path)
        return f"put {path} back from {copy}"
    if not path.exists():
        raise UserError(f"{outputs[0].path} has changed meanwhile")

    moved = quarantine(path, QUARANTINE)
    stages = _stages(outputs)
    if not stages:
        return f"moved it to {moved}"
    return f"moved it to {moved}; {_repro(stages)} (or `make repro`) makes it again"


def _restore(copy: Path, path: Path) -> None:
    """The bytes are compared with the object's name before they take its place."""
    with replacing_file(path) as part:
        if copy.is_dir():
            part.write_bytes(_folder_object(copy))
        else:
            shutil.copyfile(copy, part)
        if _md5(part) != (path.parent.name + path.name).removesuffix(".dir"):
            raise UserError(f"{copy} has changed meanwhile")
        part.chmod(0o444)  # as DVC protects its own objects


def _stages(outputs: Sequence[Output]) -> list[str]:
    return sorted({output.stage for output in outputs})


def _repro(stages: Sequence[str]) -> str:
    return " and ".join(f"`dvc repro {stage}`" for stage in stages)
