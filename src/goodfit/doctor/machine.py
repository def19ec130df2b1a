"""The machine and what is installed on it, examined without importing any of it."""

from __future__ import annotations

import platform
import re
import shutil
import tempfile
import tomllib
from collections.abc import Iterator, Sequence
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet

from goodfit.doctor.finding import Finding, abbreviate, count, note, ok, problem
from goodfit.errors import UserError
from goodfit.provenance import dvc
from goodfit.provenance.dvc import Output
from goodfit.system import units
from goodfit.system.hardware import cores, gpus

# bytes; databases, logs and reports grow, and SQLite fails where it cannot write its journal
_SPARE = 200e6
# of checkpoints: two to go on from, the best weights of both, and the one that is being written
_COPIES = 5
_STATE = 3  # AdamW keeps two numbers beside each weight
_MAKE_ROOM = (
    "`dvc gc --workspace --dry` lists what only older results need; "
    "build/runs and mlruns hold old models"
)
# the oldest Linux driver for each CUDA; docs.nvidia.com/deploy/cuda-compatibility
_OLDEST_DRIVER = {"11": 450, "12": 525, "13": 580}


class Project(NamedTuple):
    """What pyproject.toml asks for."""

    python: SpecifierSet
    needed: list[Requirement]
    extra: list[Requirement]


class Need(NamedTuple):
    """Bytes that are still to be written at a path, and what for."""

    path: Path
    size: float
    reason: str


def versions() -> Iterator[Finding]:
    """Installed packages lie in pyproject.toml's ranges; what differs from the lock is a note."""
    try:
        project = _project()
    except (OSError, ValueError, KeyError, InvalidRequirement, InvalidSpecifier) as error:
        yield problem(f"pyproject.toml cannot be read: {error}", "`git checkout pyproject.toml`")
        return

    wrong = list(_wrong_versions(project))
    yield from wrong
    differing = _not_as_locked()
    if differing:
        packages = count(len(differing), "package")
        yield note(
            f"{packages} not as in requirements.lock: {abbreviate(differing)}",
            "results may differ in the last digits; "
            "`rm .venv/ready && make repro` installs the locked ones",
        )
    if not wrong:
        python, needed = platform.python_version(), len(project.needed)
        yield ok(f"Python {python} and {needed} packages are as pyproject.toml wants them")


def hardware() -> Iterator[Finding]:
    """What a training would run on; torch, CUDA and the driver can work together."""
    names = gpus()
    where = f"{count(len(names), 'GPU')} ({', '.join(names)})" if names else "the CPU"
    yield ok(f"trainer.devices=auto trains on {where}; {count(len(cores()), 'core')}")
    if not names:
        return

    try:
        build = metadata.version("torch").partition("+")[2]
    except metadata.PackageNotFoundError:
        return  # `versions` reports it
    if build == "cpu":
        yield problem(
            "GPUs are here, but the installed torch is the build for CPUs: training fails",
            f"`pip install --force-reinstall torch=={_installed('torch')}`, or trainer=cpu",
        )
        return

    cuda, driver = _cuda(), _driver()
    if cuda is None or driver is None:
        return
    oldest = _OLDEST_DRIVER.get(cuda, 0)
    if driver < oldest:
        yield problem(
            f"torch was built for CUDA {cuda}, the driver {driver} is too old for it",
            f"update the driver to {oldest} or newer, install a torch for an older CUDA, "
            "or trainer=cpu",
        )


def disks() -> Iterator[Finding]:
    """Each disk has room for what is still to be written to it."""
    try:
        cache: Path | None = dvc.cache_folder()
    except UserError as error:
        yield note(str(error), "the room that its cache needs is not known")
        cache = None
    try:
        outputs = dvc.outputs()
    except UserError:
        outputs = []  # `lock_file` reports it

    # what lies on one disk shares its room: the needs add up
    for needs in _by_disk(_needs(outputs, cache)):
        free = shutil.disk_usage(_existing(needs[0].path)).free
        wanted = sum(need.size for need in needs)
        where = ", ".join(str(_existing(need.path)) for need in needs)
        message = f"{units.size(free)} free at {where}, about {units.size(wanted)} needed"
        if free < wanted:
            reasons = "; ".join(f"{units.size(need.size)}: {need.reason}" for need in needs)
            yield problem(f"{message} ({reasons})", _MAKE_ROOM)
        else:
            yield ok(message)


def _project() -> Project:
    content = tomllib.loads(Path("pyproject.toml").read_text())["project"]
    extra = []
    for lines in content.get("optional-dependencies", {}).values():
        extra += [Requirement(line) for line in lines]
    needed = [Requirement(line) for line in content["dependencies"]]
    return Project(SpecifierSet(content["requires-python"]), needed, extra)


def _wrong_versions(project: Project) -> Iterator[Finding]:
    """An extra that is not installed is no problem; one of a wrong version is."""
    for requirement in [*project.needed, *project.extra]:
        name, wanted = requirement.name, requirement.specifier
        version = _installed(name)
        advice = f"`pip install -c requirements.lock '{name}{wanted}'`"
        if version is None and requirement in project.needed:
            yield problem(f"{name} is not installed, wanted {wanted}", advice)
        # a release candidate counts as well: 2.0rc1 lies in >=1
        elif version is not None and not wanted.contains(version, prereleases=True):
            yield problem(f"{name} {version} is installed, wanted {wanted}", advice)

    python = platform.python_version()
    if python not in project.python:
        advice = "`rm -r .venv`, then `make repro PYTHON=python3.12`, or another that is wanted"
        yield problem(f"Python is {python}, wanted {project.python}", advice)


def _installed(name: str) -> str | None:
    """A package's version without the build: +cpu belongs to no range."""
    try:
        return metadata.version(name).partition("+")[0]
    except metadata.PackageNotFoundError:
        return None


def _not_as_locked() -> list[str]:
    lock = Path("requirements.lock")
    if not lock.exists():
        return []
    differing = []
    for line in lock.read_text(errors="replace").splitlines():
        match = re.fullmatch(r"([\w.-]+)==([^=\s]+)", line)
        if match is None:
            continue
        name, locked = match.groups()
        version = _installed(name)
        if version not in (None, locked):
            differing.append(f"{name} {version} (lock {locked})")
    return differing


def _cuda() -> str | None:
    """The major version of the CUDA that torch brings along; None where it brings none."""
    # since CUDA 13 the package's name is without the version
    version = _installed("nvidia-cuda-runtime")
    if version:
        return version.partition(".")[0]
    for major in _OLDEST_DRIVER:
        if _installed(f"nvidia-cuda-runtime-cu{major}"):
            return major
    return None


def _driver() -> int | None:
    """The major version of NVIDIA's driver; None where the kernel has none."""
    path = Path("/proc/driver/nvidia/version")
    if not path.exists():
        return None
    match = re.search(r"Kernel Module.*?\s(\d{3,})\.\d", path.read_text())
    return int(match[1]) if match else None


def _needs(outputs: Sequence[Output], cache: Path | None) -> list[Need]:
    """Missing outputs, a training's checkpoints, temporary files, and the cache's copies."""
    absent = sum(output.size for output in outputs if not output.path.exists())
    models = [output.size for output in outputs if output.path.parts[:1] == ("models",)]
    largest = max(models, default=0)
    here = absent + largest * _STATE * _COPIES + _SPARE
    temporary = Path(tempfile.gettempdir())
    needs = [
        Need(Path(), here, "outputs that are not here, checkpoints, databases"),
        Need(temporary, 2 * largest + _SPARE, "MLflow makes a model there before it keeps it"),
    ]
    if cache:
        # two outputs with the same bytes share an object
        sizes = {output.md5: output.size for output in outputs}
        lacking = sum(
            size for md5, size in sizes.items() if not dvc.object_path(cache, md5).exists()
        )
        needs.append(Need(cache, lacking + _SPARE, "a copy of each output that it lacks"))
    return needs


def _by_disk(needs: Sequence[Need]) -> list[list[Need]]:
    disks: dict[int, list[Need]] = {}
    for need in needs:
        disks.setdefault(_existing(need.path).stat().st_dev, []).append(need)
    return list(disks.values())


def _existing(path: Path) -> Path:
    """The path, or the nearest folder above it that exists."""
    path = path.absolute()
    while not path.exists():
        path = path.parent
    return path
