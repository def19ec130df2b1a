"""The numbers of the house against answers that are known, and the limits that they keep."""

from __future__ import annotations

import ast
from pathlib import Path

import tiny

from benchmarks.structure import (
    circular,
    density,
    function_lengths,
    imported_files,
    nested,
    room_arrows,
)

FOLDERS = ("src", "pipelines", "benchmarks", "tests")
LONGEST_FILE, LONGEST_FUNCTION = 400, 50  # lines


def python_files() -> list[Path]:
    """Every file for which the limits hold."""
    return [path for name in FOLDERS for path in sorted((tiny.ROOT / name).rglob("*.py"))]


def test_no_file_has_more_lines_than_the_limit() -> None:
    longer = {}
    for path in python_files():
        lines = len(path.read_text().splitlines())
        if lines > LONGEST_FILE:
            longer[str(path.relative_to(tiny.ROOT))] = lines
    assert longer == {}


def test_no_function_has_more_lines_than_the_limit() -> None:
    longer = {}
    for path in python_files():
        for name, lines in function_lengths(ast.parse(path.read_text())):
            if lines > LONGEST_FUNCTION:
                longer[f"{path.relative_to(tiny.ROOT)}: {name}"] = lines
    assert longer == {}


def test_a_circle_is_found_and_who_leads_to_it_or_from_it_is_not_in_it() -> None:
    one, other, before, after = (Path(name) for name in ("one", "other", "before", "after"))
    graph = {one: {other}, other: {one, after}, before: {one}, after: set()}
    assert circular(graph) == {one, other}


def test_a_house_without_a_circle_is_empty_of_them() -> None:
    assert (
        circular({Path("a"): {Path("b"), Path("c")}, Path("b"): {Path("c")}, Path("c"): set()})
        == set()
    )


def test_docstrings_are_neither_tokens_nor_comments() -> None:
    counted = density('"""A module."""\n\n# why\nx = f(1)  # and how\n')
    assert (counted.lines, counted.code_lines, counted.tokens, counted.comments) == (4, 1, 6, 2)


def test_a_function_is_as_long_as_from_its_def_to_its_last_line() -> None:
    text = '@once\ndef f(\n    x,\n):\n    """A claim."""\n\n    return x\n\n\nasync def g(): ...\n'
    assert dict(function_lengths(ast.parse(text))) == {"f": 6, "g": 1}


def test_a_comprehension_inside_another_counts_once() -> None:
    assert nested(ast.parse("[[y for y in x] for x in z]")) == 1


def test_imports_inside_functions_count_and_those_for_types_do_not(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        (tmp_path / f"{name}.py").touch()
    text = "import a\ndef f():\n    import b\nif TYPE_CHECKING:\n    import c\n"
    assert {path.stem for path in imported_files(tmp_path, ast.parse(text))} == {"a", "b"}


def test_an_arrow_leads_from_room_to_room_and_not_within_one(tmp_path: Path) -> None:
    store, fetch, build = (
        tmp_path / name for name in ("store/arrays.py", "store/fetch.py", "build.py")
    )
    graph = {build: {store}, store: {fetch}, fetch: set()}
    assert set(room_arrows(tmp_path, graph)) == {("build", "store")}
