"""The code behind a stage's result: a hash of every file that can change it."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from goodfit.config.signature import source_file
from goodfit.provenance.environment import version

# a change of these versions can change the numbers, so it re-runs the stages that import them
COMPUTING = {"torch", "pytorch_lightning", "torchmetrics", "numpy", "pandas", "sklearn"}
_REGISTRY = tuple(f"goodfit.tracking.{name}" for name in ("registry", "package", "pyfunc"))


class Roots(NamedTuple):
    """Where the code of a stage starts.

    What the modules `reached` import counts too, directly or not. The files `alone` count by
    themselves: they hand the result on to rooms that only record it, and an edit there must re-run
    nothing.
    """

    reached: tuple[str, ...]
    alone: tuple[str, ...] = ()


def stage_roots(content: Mapping[str, Any]) -> dict[str, Roots]:
    """The roots of each stage: its own modules, and those that the configuration `content` names.

    Training starts at what computes. A session also opens a run and asks what was cut, a worker
    also watches its neighbours: through their imports all of tracking would count, and a word in a
    run's description would train every network again.
    """

    def targets(*keys: str) -> tuple[str, ...]:
        return tuple(content[key]["_target_"].rpartition(".")[0] for key in keys)

    return {
        "prepare": Roots(
            ("goodfit.store.prepare", *targets("data")),
            ("goodfit.stages.prepare",),
        ),
        "train": Roots(
            ("goodfit.training.loop", *targets("model", "task", "augment", "guard", "schedule")),
            ("goodfit.launch.session", "goodfit.launch.worker"),
        ),
        "evaluate": Roots(
            ("goodfit.evaluation.evaluate", *targets("model", "task", "baseline", "data")),
            ("goodfit.stages.evaluate",),
        ),
        "report": Roots(
            ("goodfit.reporting.page",),
            ("goodfit.stages.report", *_templates()),
        ),
        # a registered model carries the code that loads it
        "register": Roots(
            (*_REGISTRY, *targets("data", "model", "task")),
            ("goodfit.stages.register",),
        ),
    }


def source_hashes(roots: Roots) -> dict[str, str]:
    """The hash of every source file behind `roots`, by its module, and the versions of libraries.

    Written into the composed configuration, it makes DVC re-run a stage when, and only when, code
    that the stage can reach has changed: a new network in src/goodfit/model re-runs nothing.
    """
    files: dict[str, Path] = {}
    libraries: set[str] = set()
    waiting = list(roots.reached)
    while waiting:
        module = waiting.pop()
        path = source_file(module)
        if module in files or path is None:
            continue
        files[module] = path
        own, others = _imports(path)
        waiting += own
        libraries |= others & COMPUTING

    for name in roots.alone:
        path = source_file(name) or Path(name)
        files[name if source_file(name) else path.name] = path
    hashes = {name: _file_hash(path) for name, path in sorted(files.items())}
    return hashes | {f"{name} (version)": version(name) for name in sorted(libraries)}


def digest(hashes: Mapping[str, str]) -> str:
    """One hash for all that `source_hashes` gives."""
    return hashlib.sha256(repr(sorted(hashes.items())).encode()).hexdigest()[:16]


def training_digest(content: Mapping[str, Any]) -> str:
    """One hash for all code that training by this configuration runs."""
    return digest(source_hashes(stage_roots(content)["train"]))


def _templates() -> tuple[str, ...]:
    """The pages' text, which nothing imports."""
    page = source_file("goodfit.reporting.page")
    assert page is not None
    return tuple(str(path) for path in sorted((page.parent / "templates").iterdir()))


def _file_hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


@cache
def _imports(path: Path) -> tuple[list[str], set[str]]:
    """Modules of this package that a file imports, also inside functions, and the names of other
    packages.
    """
    own, others = [], set()
    for name in imported_names(ast.parse(path.read_text())):
        package = name.partition(".")[0]
        if package == "goodfit":
            own.append(name)
        else:
            others.add(package)
    return own, others


def imported_names(tree: ast.AST) -> Iterator[str]:
    """Dotted names; of `from a import b` both a and a.b, for b may be a module.

    Types alone do not count.
    """
    for node in ast.iter_child_nodes(tree):
        if _is_for_types(node):  # runs in no process
            continue
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            for alias in node.names:
                yield f"{node.module}.{alias.name}"
        elif isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name
        else:
            yield from imported_names(node)


def _is_for_types(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.If)
        and isinstance(node.test, ast.Name)
        and node.test.id == "TYPE_CHECKING"
    )
