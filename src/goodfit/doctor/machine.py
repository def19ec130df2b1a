"""The machine and what is installed on it, looked at without importing any of it."""

from __future__ import annotations

import platform
import re
import shutil
import tempfile
import tomllib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet

from goodfit.doctor.finding import Finding, found, listed, note, ok, size
from goodfit.errors import UserError
from goodfit.provenance import dvc
from goodfit.provenance.dvc import outputs
from goodfit.system.hardware import cores, gpus

# bytes; databases, logs and reports grow, and SQLite fails where it cannot write its journal
_SPARE = 200e6
# of checkpoints: two to go on from, the best weights of both, and the one that is being written
_COPIES = 5
_STATE = 3  # AdamW keeps two numbers beside each weight
_ROOM = "`dvc gc --workspace --dry` lists what only older results need; build/runs and mlruns hold old models"
_DRIVER = {
    "11": 450,
    "12": 525,
    "13": 580,
}  # least Linux driver; docs.nvidia.com/deploy/cuda-compatibility


def versions() -> Iterator[Finding]:
    """Installed packages lie in the ranges of pyproject.toml; what differs from requirements.lock
    is told.
    """
    try:
        project = tomllib.loads(Path("pyproject.toml").read_text())["project"]
        wanted = [Requirement(line) for line in project["dependencies"]]
        extra = [
            Requirement(line)
            for lines in project.get("optional-dependencies", {}).values()
            for line in lines
        ]
        python = SpecifierSet(project["requires-python"])
    except (OSError, ValueError, KeyError, InvalidRequirement, InvalidSpecifier) as error:
        yield found(f"pyproject.toml cannot be read: {error}", "`git checkout pyproject.toml`")
        return
    bad = list(_wrong(wanted, extra))
    if platform.python_version() not in python:
        advice = "`rm -r .venv`, then `make repro PYTHON=` with the name of a newer one"
        bad.append(found(f"Python is {platform.python_version()}, wanted {python}", advice))
    yield from bad
    if differing := _differing():
        advice = "results may differ in the last digits; `rm .venv/ready && make repro` installs the locked ones"
        yield note(
            f"{len(differing)} packages are not those of requirements.lock: {listed(differing)}",
            advice,
        )
    if not bad:
        yield ok(
            f"Python {platform.python_version()} and {len(wanted)} packages are as pyproject.toml wants them"
        )


def _wrong(wanted: list[Requirement], extra: list[Requirement]) -> Iterator[Finding]:
    for need in [*wanted, *extra]:
        version = _installed(need.name)
        advice = f"`pip install -c requirements.lock '{need.name}{need.specifier}'`"
        if version is None and need in wanted:
            yield found(f"{need.name} is not installed, wanted {need.specifier}", advice)
        elif version is not None and not need.specifier.contains(version, prereleases=True):
            yield found(f"{need.name} {version} is installed, wanted {need.specifier}", advice)


def _installed(name: str) -> str | None:
    """Without the build: +cpu belongs to no range."""
    try:
        return metadata.version(name).partition("+")[0]
    except metadata.PackageNotFoundError:
        return None


def _differing() -> list[str]:
    lock = Path("requirements.lock")
    lines = lock.read_text(errors="replace").splitlines() if lock.exists() else []
    pairs = [line.split("==") for line in lines if re.fullmatch(r"[\w.-]+==[^=\s]+", line)]
    have = [(name, locked, _installed(name)) for name, locked in pairs]
    return [
        f"{name} {now} (lock {locked})" for name, locked, now in have if now not in (None, locked)
    ]


def hardware() -> Iterator[Finding]:
    """What a training would run on, and whether torch, CUDA and driver can work together."""
    here = gpus()
    where = (
        f"{len(here)} GPU{'s' if len(here) > 1 else ''} ({', '.join(here)})" if here else "the CPU"
    )
    yield ok(f"trainer.devices=auto trains on {where}; {len(cores())} cores")
    if not here:
        return
    try:
        build = metadata.version("torch").partition("+")[2]
    except metadata.PackageNotFoundError:
        return  # `versions` says so
    if build == "cpu":
        advice = f"`pip install --force-reinstall torch=={_installed('torch')}`, or trainer=cpu"
        yield found(
            "GPUs are here, but the installed torch is the build for CPUs: training fails", advice
        )
        return
    cuda, driver = _cuda(), _driver()
    if cuda and driver and driver < _DRIVER.get(cuda, 0):
        advice = f"update the driver to {_DRIVER[cuda]} or newer, install a torch for an older CUDA, or trainer=cpu"
        yield found(
            f"torch was built for CUDA {cuda}, the driver {driver} is too old for it", advice
        )


def _cuda() -> str:
    """The main version of the CUDA that torch brings along, "" where it brings none."""
    for name, main in (
        ("nvidia-cuda-runtime", ""),
        *((f"nvidia-cuda-runtime-cu{main}", main) for main in _DRIVER),
    ):
        if version := _installed(name):
            return main or version.partition(".")[0]
    return ""


def _driver() -> int:
    path = Path("/proc/driver/nvidia/version")
    match = (
        re.search(r"Kernel Module.*?\s(\d{3,})\.\d", path.read_text()) if path.exists() else None
    )
    return int(match[1]) if match else 0


def disks() -> Iterator[Finding]:
    """Room for what is still to be made: outputs that are missing, a training's checkpoints,
    temporary files.
    """
    try:
        cache: Path | None = dvc.cache_folder()
    except UserError as error:
        yield note(str(error), "the room that its cache needs is not known")
        cache = None
    try:
        known = outputs()
    except UserError:
        known = []  # `lock_file` says so
    model = max([out.size for out in known if out.path.parts[:1] == ("models",)], default=0)
    absent = sum(out.size for out in known if not out.path.exists())
    needs = [
        (
            Path(),
            absent + model * _STATE * _COPIES + _SPARE,
            "outputs that are not here, checkpoints, databases",
        ),
        (
            Path(tempfile.gettempdir()),
            2 * model + _SPARE,
            "MLflow makes a model there before it keeps it",
        ),
    ]
    if cache:
        lacking = {
            out.md5: out.size for out in known if not dvc.object_path(cache, out.md5).exists()
        }
        needs.append((cache, sum(lacking.values()) + _SPARE, "a copy of each output that it lacks"))
    by_disk: dict[int, list[tuple[Path, float, str]]] = {}
    for path, need, reason in needs:
        path = next(
            place for place in (path.absolute(), *path.absolute().parents) if place.exists()
        )
        by_disk.setdefault(path.stat().st_dev, []).append((path, need, reason))
    for group in by_disk.values():
        free, need = shutil.disk_usage(group[0][0]).free, sum(amount for _, amount, _ in group)
        where = ", ".join(str(path) for path, _, _ in group)
        if free < need:
            reasons = "; ".join(f"{size(amount)}: {reason}" for _, amount, reason in group)
            yield found(
                f"{size(free)} free at {where}, about {size(need)} needed ({reasons})", _ROOM
            )
        else:
            yield ok(f"{size(free)} free at {where}, about {size(need)} needed")
