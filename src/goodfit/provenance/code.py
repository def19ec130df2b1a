"""The code behind a stage's result: a hash of every file that can change it.

Docs: docs/decisions/0001-one-composed-file.md.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from goodfit.config.signature import source_file
from goodfit.provenance.environment import version
from goodfit.system.extras import EXTRAS, needs

# a change of these versions can change the numbers, so it re-runs the stages that import them
_COMPUTING = {
    "torch",
    "pytorch_lightning",
    "torchmetrics",
    "numpy",
    "pandas",
    "scipy",
    "sklearn",
    *EXTRAS,
}
# a registered model carries the code that loads it
_REGISTRY = (
    "goodfit.tracking.registry",
    "goodfit.tracking.package",
    "goodfit.tracking.pyfunc",
)


class Roots(NamedTuple):
    """Where the code of a stage starts.

    What the modules `reached` import counts too, directly or not. The modules `alone` count by
    themselves: they hand the result on to rooms that only record it, and an edit there must re-run
    nothing. `files` are texts that no module imports.
    """

    reached: tuple[str, ...]
    alone: tuple[str, ...] = ()
    files: tuple[str, ...] = ()


def stage_roots(content: Mapping[str, Any]) -> dict[str, Roots]:
    """The roots of each stage: its own modules, and those that the configuration `content` names.

    Training starts at what computes. A session also opens a run and asks what was cut, a worker
    also watches its neighbours: through their imports all of tracking would count, and a word in a
    run's description would train every network again.
    """

    def targets(*groups: str) -> tuple[str, ...]:
        return tuple(_module(content[group]) for group in groups)

    return {
        "prepare": Roots(
            reached=("goodfit.store.prepare", *targets("data")),
            alone=("goodfit.stages.prepare",),
        ),
        "train": Roots(
            reached=(
                "goodfit.training.loop",
                *targets("model", "task", "guard", "schedule"),
                *(_module(section) for section in content["augment"].values()),
            ),
            alone=("goodfit.launch.session", "goodfit.launch.worker"),
        ),
        "evaluate": Roots(
            reached=(
                "goodfit.evaluation.evaluate",
                *targets("model", "task", "data"),
                *(_module(section) for section in content["baseline"].values()),
            ),
            alone=("goodfit.stages.evaluate",),
        ),
        "report": Roots(
            reached=("goodfit.reporting.page",),
            alone=("goodfit.stages.report",),
            files=_templates(),
        ),
        "register": Roots(
            reached=(*_REGISTRY, *targets("data", "model", "task")),
            alone=("goodfit.stages.register",),
        ),
    }


def _module(section: Mapping[str, Any]) -> str:
    """The module of the class that a section names."""
    module: str = section["_target_"].rpartition(".")[0]
    return module


def source_hashes(roots: Roots) -> dict[str, str]:
    """The hash of every source file behind `roots`, by its module, and the versions of libraries.

    Written into the composed configuration, it makes DVC re-run a stage when, and only when, code
    that the stage can reach has changed: a new network in src/goodfit/model re-runs nothing.

    Raises:
        UserError: a library of an extra is not installed.
    """
    sources: dict[str, Path] = {}
    libraries: set[str] = set()
    waiting = list(roots.reached)
    while waiting:
        module = waiting.pop()
        path = source_file(module)
        if module in sources or path is None:  # of `from a import b`, b may be a function
            continue
        sources[module] = path
        own, others = _imports(path)
        waiting += own
        libraries |= others & _COMPUTING

    for module in roots.alone:
        path = source_file(module)
        assert path is not None, module
        sources[module] = path
    for file in roots.files:
        sources[Path(file).name] = Path(file)

    hashes = {name: _file_hash(path) for name, path in sorted(sources.items())}
    return hashes | {f"{name} (version)": _version(name) for name in sorted(libraries)}


def digest(hashes: Mapping[str, str]) -> str:
    """One hash for all that `source_hashes` gives."""
    return hashlib.sha256(repr(sorted(hashes.items())).encode()).hexdigest()[:16]


def training_digest(content: Mapping[str, Any]) -> str:
    """One hash for all code that training by this configuration runs."""
    return digest(source_hashes(stage_roots(content)["train"]))


def answering_roots(content: Mapping[str, Any]) -> Roots:
    """The roots of the code by which a model of this configuration answers, wherever it is used."""
    targets = [_module(content[group]) for group in ("data", "model", "task")]
    return Roots(reached=("goodfit.tracking.pyfunc", *targets))


def answering_digest(content: Mapping[str, Any]) -> str:
    """One hash for the code that answers: the same weights with another `decode` are another model.

    Docs: docs/decisions/0031-the-code-of-a-version.md.
    """
    return digest(source_hashes(answering_roots(content)))


def imported_names(tree: ast.AST) -> Iterator[str]:
    """Dotted names that a module imports, also inside functions; for types alone does not count.

    `from a import b` gives both a and a.b, for b may be a module. An import that is hidden from the
    parser, such as one by importlib, is missed.
    """
    for node in ast.iter_child_nodes(tree):
        # an expression holds no import, and most of a file; what is for types runs in no process
        if isinstance(node, ast.expr) or _is_for_types(node):
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


def optional_libraries(content: Mapping[str, Any]) -> tuple[str, ...]:
    """The libraries of extras that a model of the configuration `content` can import.

    Raises:
        UserError: one of them is not installed.
    """
    reached = source_hashes(stage_roots(content)["register"])
    return tuple(name for name in EXTRAS if f"{name} (version)" in reached)


def _version(library: str) -> str:
    if library not in EXTRAS:
        return version(library)
    with needs(EXTRAS[library]):
        return version(library)


def _is_for_types(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.If)
        and isinstance(node.test, ast.Name)
        and node.test.id == "TYPE_CHECKING"
    )


@cache
def _imports(path: Path) -> tuple[list[str], set[str]]:
    """Modules of this package that a file imports, and the names of other packages."""
    own: list[str] = []
    others: set[str] = set()
    for name in imported_names(ast.parse(path.read_text())):
        package = name.partition(".")[0]
        if package == "goodfit":
            own.append(name)
        else:
            others.add(package)
    return own, others


def _templates() -> tuple[str, ...]:
    """The text of the pages."""
    page = source_file("goodfit.reporting.page")
    assert page is not None
    return tuple(str(path) for path in sorted((page.parent / "templates").iterdir()))


def _file_hash(path: Path) -> str:
    # of bytes, not of meaning: a comment that changes in a file of training trains again
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]
