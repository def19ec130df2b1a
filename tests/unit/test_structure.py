"""The numbers of the house against answers that are known."""

from __future__ import annotations

import ast
from pathlib import Path

from benchmarks.structure import circular, density, imported_files, nested, room_arrows


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
