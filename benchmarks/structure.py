"""The house in numbers: `python -m benchmarks.structure [folder of a checkout]`.

Rooms are folders and modules of src/goodfit, an arrow is a room that imports another one, a circle
is a group of files that import each other. Tokens and comments are those of Python's own tokenizer;
a docstring is neither.
"""

from __future__ import annotations

import ast
import io
import json
import statistics
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_LAYOUT = {
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENDMARKER,
}


class Density(NamedTuple):
    """Counts of one file."""

    lines: int
    code_lines: int
    tokens: int
    comments: int


def main(root: Path) -> None:
    """Prints one line for each number."""
    source = root / "src"
    package = source / "goodfit"
    files = sorted(package.rglob("*.py")) + sorted((source / "hydra_plugins").rglob("*.py"))
    texts = {path: path.read_text() for path in files}
    trees = {path: ast.parse(text) for path, text in texts.items()}
    graph = {path: set(imported_files(source, tree)) for path, tree in trees.items()}

    densities = [density(text) for text in texts.values()]
    lines = sum(item.lines for item in densities)
    tokens = sum(item.tokens for item in densities)
    functions = [length for tree in trees.values() for _, length in function_lengths(tree)]
    arrows = set(room_arrows(package, graph))
    for name, value in {
        "modules at the top of the package": len(top_modules(package)),
        "rooms": len({room(package, path) for path in files} - {None}),
        "arrows between rooms": len(arrows),
        "files in a circle of imports": len(circular(graph)),
        "files, lines": f"{len(files)}, {lines}",
        "lines of a file, median and most": _spread([item.lines for item in densities]),
        "lines of a function, median and most": _spread(functions),
        "dict[str, Any]": sum(text.count("dict[str, Any]") for text in texts.values()),
        "comprehensions with another inside": sum(nested(tree) for tree in trees.values()),
        "tokens in a line of code": f"{tokens / sum(item.code_lines for item in densities):.2f}",
        "comments in a hundred lines": f"{100 * sum(d.comments for d in densities) / lines:.1f}",
        "lines over 100 columns": sum(long_lines(text) for text in texts.values()),
        "files behind the weights": behind_the_weights(root),
    }.items():
        print(f"{name:<40} {value}")


def top_modules(package: Path) -> list[Path]:
    """Modules that lie in no room."""
    return [path for path in package.glob("*.py") if path.name != "__init__.py"]


def room(package: Path, path: Path) -> str | None:
    """The folder or module of the package that a file belongs to; None for files of others."""
    if not path.is_relative_to(package) or (path.parent == package and path.stem == "__init__"):
        return None
    return path.relative_to(package).parts[0].removesuffix(".py")


def imported_files(source: Path, tree: ast.AST) -> Iterator[Path]:
    """Files below `source` that a module imports, also in functions; not those for types alone."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        names = []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            yield from imported_files(source, node)
        for name in names:
            path = (source / name.replace(".", "/")).with_suffix(".py")
            if path.exists():
                yield path


def room_arrows(package: Path, graph: dict[Path, set[Path]]) -> Iterator[tuple[str, str]]:
    """Pairs of rooms of which the first imports the second."""
    for path, imported in graph.items():
        for other in imported:
            start, end = room(package, path), room(package, other)
            if start and end and start != end:
                yield start, end


def circular(graph: dict[Path, set[Path]]) -> set[Path]:
    """What remains when all go that import nothing left, or that nothing left imports."""
    rest = {path: imported & graph.keys() for path, imported in graph.items()}
    while True:
        used = set().union(*rest.values()) if rest else set()
        free = {path for path, imported in rest.items() if not imported or path not in used}
        if not free:
            return set(rest)
        rest = {path: imported - free for path, imported in rest.items() if path not in free}


def function_lengths(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Each function's name, and its lines from `def` to the last one, docstring included."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, (node.end_lineno or node.lineno) - node.lineno + 1


def nested(tree: ast.AST) -> int:
    """Comprehensions that hold another one."""
    count = 0
    for node in ast.walk(tree):
        if isinstance(node, _COMPREHENSIONS):
            inside = [part for part in ast.walk(node) if part is not node]
            count += any(isinstance(part, _COMPREHENSIONS) for part in inside)
    return count


def density(text: str) -> Density:
    """Lines, lines with code, tokens and comments of a file."""
    tokens, comments, code = 0, 0, set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            comments += 1
        elif token.type not in _LAYOUT and not token.line.lstrip().startswith('"""'):
            tokens += 1
            code.add(token.start[0])
    return Density(len(text.splitlines()), len(code), tokens, comments)


def long_lines(text: str) -> int:
    """Lines of more than 100 columns."""
    return sum(len(line) > 100 for line in text.splitlines())


def behind_the_weights(root: Path) -> str:
    """How many source files the hash of training holds, by what compose wrote last."""
    composed = sorted((root / "build").glob("*.json"))
    counts = []
    for path in composed:
        hashes = json.loads(path.read_text())["sources"]["train"]
        counts.append(f"{path.stem} {sum('(version)' not in name for name in hashes)}")
    return ", ".join(counts) or "nothing is composed here"


def _spread(values: list[int]) -> str:
    return f"{statistics.median(values):.0f}, {max(values)}"


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path())
