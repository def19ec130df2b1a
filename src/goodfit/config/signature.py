"""What a class takes, read from its source text: a check of the configuration need not import
torch.

Importing torch, Lightning and their friends takes 5 to 9 seconds; parsing one file of ours takes 2
ms.
"""

from __future__ import annotations

import ast
import importlib.util
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Signature:
    """Keyword-only parameters with their annotations as text, all arguments' names, those of
    `forward`, constants.
    """

    parameters: dict[str, str]
    arguments: tuple[str, ...] = ()
    forward: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    constants: dict[str, Any] = field(default_factory=dict)


@cache
def read(target: str) -> Signature | None:
    """The signature of `goodfit.model.cnn.CNN`, or of a function; None where there is no such
    thing.

    Base classes in this project are followed, so a class without an `__init__` has its base's
    parameters.
    """
    module, _, name = target.rpartition(".")
    path = source_file(module)
    if path is None:
        return None
    tree = ast.parse(path.read_text())
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name == name:
            return Signature(_keywords(node), _arguments(node))
        if isinstance(node, ast.ClassDef) and node.name == name:
            return _class(node, tree)
    return None


def source_file(module: str) -> Path | None:
    """The file of a module, without importing it or the packages that it is in."""
    if not module:
        return None
    package, *rest = module.split(".")
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        return None
    base = Path(spec.submodule_search_locations[0], *rest)
    files = [base.with_suffix(".py"), base / "__init__.py"] if rest else [base / "__init__.py"]
    return next((path for path in files if path.exists()), None)


def _class(node: ast.ClassDef, tree: ast.Module) -> Signature:
    here = {item.name: item for item in tree.body if isinstance(item, ast.ClassDef)}
    parents = [
        _class(here[base.id], tree) if base.id in here else read(_origin(base, tree))
        for base in node.bases
        if isinstance(base, ast.Name)
    ]
    known = [parent for parent in parents if parent]
    parameters: dict[str, str] = {}
    arguments: tuple[str, ...] = ()
    forward: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    constants: dict[str, Any] = {}
    for parent in reversed(known):
        parameters, arguments = parent.parameters, parent.arguments
        forward, optional = parent.forward, parent.optional
        constants = {**constants, **parent.constants}
    for item in node.body:
        if isinstance(item, ast.FunctionDef) and item.name == "__init__":
            parameters, arguments = _keywords(item), _arguments(item)
        if isinstance(item, ast.FunctionDef) and item.name == "forward":
            forward = tuple(argument.arg for argument in item.args.args[1:])
            optional = forward[len(forward) - len(item.args.defaults) :]
        constants |= _constant(item)
    return Signature(parameters, arguments, forward, optional, constants)


def _keywords(node: ast.FunctionDef) -> dict[str, str]:
    return {
        item.arg: ast.unparse(item.annotation) if item.annotation else ""
        for item in node.args.kwonlyargs
    }


def _arguments(node: ast.FunctionDef) -> tuple[str, ...]:
    return tuple(
        item.arg for item in [*node.args.args, *node.args.kwonlyargs] if item.arg != "self"
    )


def _constant(item: ast.stmt) -> dict[str, Any]:
    match item:
        case ast.Assign(targets=[ast.Name(id=name)], value=value):
            pass
        case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
            pass
        case _:
            return {}
    try:
        return {name: ast.literal_eval(value)}
    except ValueError:
        return {}


def _origin(base: ast.Name, tree: ast.Module) -> str:
    """The dotted name of a base class that is imported from this project."""
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and any(alias.name == base.id for alias in node.names):
            return f"{node.module}.{base.id}" if str(node.module).startswith("goodfit") else ""
    return ""
