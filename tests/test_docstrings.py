"""A public function says what it claims: shapes of arrays, and the errors it raises for users."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import tiny

FOLDERS = [tiny.ROOT / "src/goodfit", tiny.ROOT / "src/hydra_plugins"]
ARRAYS = re.compile(r"\b(Tensor|Array|ndarray|Arrays)\b")
# in brackets a letter, several of them, or nothing for a single number
SHAPED = re.compile(
    r"\((?:[A-Z][A-Za-z]*(?:, ?[^()]*)?|samples(?:, ?[^()]*)?|\d+(?:, ?[^()]*)+|)\)"
)
FOR_USERS = {"UserError", "SweepError", "FailureError", "NonFiniteLossError", "NoRoomError"}


class Function(NamedTuple):
    """A public function or method, by where it stands and what it is called."""

    name: str
    node: ast.FunctionDef


def functions() -> Iterator[Function]:
    for folder in FOLDERS:
        for path in sorted(folder.rglob("*.py")):
            tree = ast.parse(path.read_text())
            where = str(path.relative_to(tiny.ROOT / "src"))
            for owner in [tree, *(node for node in tree.body if isinstance(node, ast.ClassDef))]:
                if isinstance(owner, ast.ClassDef) and owner.name.startswith("_"):
                    continue
                for node in owner.body:
                    if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
                        yield Function(f"{where}:{node.name}", node)


def overrides(function: ast.FunctionDef) -> bool:
    """Lightning's hooks are documented by Lightning."""
    return any(
        isinstance(item, ast.Name) and item.id == "override" for item in function.decorator_list
    )


def on_arrays(function: ast.FunctionDef) -> bool:
    arguments = [*function.args.args, *function.args.kwonlyargs]
    annotations = [item.annotation for item in arguments] + [function.returns]
    return any(ARRAYS.search(ast.unparse(item)) for item in annotations if item is not None)


def raised(function: ast.FunctionDef) -> set[str]:
    names = set()
    for node in ast.walk(function):
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            names.add(ast.unparse(node.exc.func))
    return names & FOR_USERS


ALL = list(functions())
WITH_ARRAYS = [item for item in ALL if on_arrays(item.node) and not overrides(item.node)]
RAISING = [item for item in ALL if raised(item.node)]


@pytest.mark.parametrize("function", WITH_ARRAYS, ids=[item.name for item in WITH_ARRAYS])
def test_a_public_function_on_arrays_states_shapes(function: Function) -> None:
    assert SHAPED.search(ast.get_docstring(function.node) or "")


@pytest.mark.parametrize("function", RAISING, ids=[item.name for item in RAISING])
def test_a_public_function_that_raises_for_users_says_so(function: Function) -> None:
    text = ast.get_docstring(function.node) or ""
    assert all(name in text for name in raised(function.node))


def test_the_rules_find_functions_to_hold() -> None:
    assert len(WITH_ARRAYS) > 50
    assert len(RAISING) > 30


@pytest.mark.parametrize(
    ("text", "shaped"),
    [
        ("Probabilities, (B, K), each row sums to one.", True),
        ("Numbers (N,) of a split.", True),
        ("A scalar ().", True),
        ("(samples, T) each.", True),
        ("The mean loss of a batch (a scalar).", False),
        ("Kept (see `stop`).", False),
    ],
)
def test_a_shape_is_told_from_prose(text: str, shaped: bool) -> None:
    assert bool(SHAPED.search(text)) is shaped


def test_no_comprehension_stands_inside_another() -> None:
    nested = []
    for folder in FOLDERS:
        for path in sorted(folder.rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                kinds = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
                if isinstance(node, kinds):
                    inner = [
                        each
                        for each in ast.walk(node)
                        if each is not node and isinstance(each, kinds)
                    ]
                    if inner or len(node.generators) > 2:
                        nested.append(f"{Path(path).relative_to(tiny.ROOT)}:{node.lineno}")
    assert nested == []
