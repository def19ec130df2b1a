"""The floors of the house: a file imports only what stands on a lower one.

Docs: docs/decisions/0016-rooms-and-floors.md.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
import tiny

from goodfit.provenance.code import imported_names

SOURCE = tiny.ROOT / "src"
PACKAGE = SOURCE / "goodfit"
FLOORS = [  # from the roof down
    {"stages", "doctor"},
    {"search", "repeats"},
    {"launch", "evaluation", "reporting"},
    {"training", "tracking"},
    {"predictor"},
    {"build"},
    {"store", "provenance", "cli"},
    {"config", "data", "model", "task", "augment", "baseline", "guard", "schedule"},
    {"contract", "records", "schema", "paths", "metrics"},
    {"system"},
    {"errors"},
]
FLOOR = {room: len(FLOORS) - depth for depth, rooms in enumerate(FLOORS) for room in rooms}
# what a command composes, checks and reports with, though it stands on a lower floor than its parts
MOST_AT_THE_TOP = 8


def files() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(path: Path) -> Iterator[str]:
    """Rooms that a file imports, also inside functions; not those for type checkers alone."""
    for name in imported_names(ast.parse(path.read_text())):
        package, _, rest = name.partition(".")
        if package == "goodfit" and rest:
            yield rest.partition(".")[0]


def test_every_room_has_its_floor() -> None:
    rooms = {room_of(path) for path in files()} - {"__init__"}
    assert rooms == set(FLOOR)


@pytest.mark.parametrize("page", ["README.md", "docs/images/house.svg"])
def test_the_table_and_the_picture_have_every_room(page: str) -> None:
    text = (tiny.ROOT / page).read_text()
    before, after = ("| `", "` |") if page == "README.md" else (">", "<")
    for room in FLOOR:
        file = f"{room}/" if (PACKAGE / room).is_dir() else f"{room}.py"
        assert f"{before}{file}{after}" in text, file


@pytest.mark.parametrize("path", files(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_file_imports_only_what_stands_on_a_lower_floor(path: Path) -> None:
    room = room_of(path)
    if room == "__init__":
        return
    upwards = {other for other in imported(path) if other != room and FLOOR[other] >= FLOOR[room]}
    assert upwards == set()


def test_no_two_files_name_each_other_in_a_circle_not_even_for_types() -> None:
    graph: dict[str, set[str]] = {}
    for path in files():
        module = ".".join(path.relative_to(SOURCE).with_suffix("").parts)
        # what is imported for type checkers alone counts here
        text = path.read_text().replace("if TYPE_CHECKING:", "if True:")
        names = imported_names(ast.parse(text))
        graph[module] = {
            name for name in names if (SOURCE / f"{name.replace('.', '/')}.py").exists()
        }
    waiting = dict(graph)
    while True:
        free = [module for module, needs in waiting.items() if not needs & waiting.keys()]
        if not free:
            break
        for module in free:
            del waiting[module]
    assert waiting == {}


def test_the_sweeper_is_for_any_hydra_application() -> None:
    for path in (SOURCE / "hydra_plugins").rglob("*.py"):
        names = list(imported_names(ast.parse(path.read_text())))
        assert [name for name in names if name.partition(".")[0] == "goodfit"] == [], path.name


def test_few_modules_stand_at_the_top_of_the_package() -> None:
    modules = [path.name for path in PACKAGE.glob("*.py") if path.name != "__init__.py"]
    assert len(modules) <= MOST_AT_THE_TOP


KINDS = {str(tiny.constants(tiny.section("data", name))["kind"]) for name in tiny.names("data")}
KINDS |= {
    kind
    for name in tiny.names("task")
    for kind in tiny.constants(tiny.section("task", name))["kinds"]
}
INPUTS = {given for case in tiny.cases() for given in tiny.gives(case)}
# networks, augmentations and baselines are made for certain inputs: their names are their interface
OWN_NAMES = {"data", "task", "model", "augment", "baseline"}
ELSEWHERE = [path for path in files() if room_of(path) not in OWN_NAMES]
# what a run is told there is a text for MLflow
OTHER_MEANINGS = {
    "tracking/spool.py": {"text"},
    "schema.py": {"number", "text", "image"},  # what a column is read as
    "reporting/error_charts.py": {"count", "labels"},
}


def asked_for(tree: ast.AST) -> Iterator[str]:
    """Texts that decide something: compared with, looked up by, or matched."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
        elif isinstance(node, ast.Subscript):
            sides = [node.slice]
        elif isinstance(node, ast.MatchValue):
            sides = [node.value]
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            sides = node.args[:1] if node.func.attr == "get" else []
        else:
            continue
        for side in sides:
            for part in ast.walk(side):
                if isinstance(part, ast.Constant) and isinstance(part.value, str):
                    yield part.value


@pytest.mark.parametrize("path", ELSEWHERE, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_outside_data_and_tasks_nobody_asks_for_a_kind_of_target_or_an_input(path: Path) -> None:
    """So a task, and a data set, is one file."""
    other = OTHER_MEANINGS.get(str(path.relative_to(PACKAGE)), set())
    assert set(asked_for(ast.parse(path.read_text()))) & (KINDS | INPUTS) - other == set()


@pytest.mark.parametrize(
    "path", sorted((PACKAGE / "reporting/templates").iterdir()), ids=lambda p: p.name
)
def test_no_page_asks_for_a_kind_of_target(path: Path) -> None:
    assert "spec.kind" not in path.read_text()
