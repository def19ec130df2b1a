"""Every command that a message gives can be typed as it is printed: it is parsed by its program."""

from __future__ import annotations

import ast
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import tiny
from dvc.cli import parse_args
from omegaconf import OmegaConf
from pip._internal.commands import create_command

from goodfit.config import check, overrides, tree
from goodfit.config.compose import compose

# what stands in a message for a value that it has, by the last name of the expression
VALUES = {
    "asked": "experiment=mnist",
    "experiment": "mnist",
    "folder": "data/prepared/mnist",
    "maker": "prepare",
    "missing": "mnist reviews",
    "name": "mnist",
    "path": "build/mnist.json",
    "script": "train.py",
    "stage": "train@mnist",
    "uri": "sqlite:///mlflow.db",
    "wanted": ">=2",
    "extra": "text",
}
PROGRAMS = ("dvc", "git", "make", "mlflow", "pip", "python", "rm", "sqlite3", "srun")
COMMAND = re.compile(rf"`((?:{'|'.join(PROGRAMS)}) [^`]+)`")
# commands without backquotes: of the usage, and behind a colon
BARE = re.compile(
    r"^(python pipelines/\S+ [^`\n]*?)(?:   .*)?$|: ?((?:make|dvc|python)(?: [\w/.=@-]+)+)", re.M
)


def messages() -> Iterator[tuple[str, str]]:
    """Every text of src/ that is no docstring, with its place; values stand in it as VALUES."""
    for path in sorted((tiny.ROOT / "src").rglob("*.py")):
        parsed = ast.parse(path.read_text())
        passed_over = set()
        for node in ast.walk(parsed):
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
                passed_over.add(node.value)  # a docstring
            if isinstance(node, ast.JoinedStr):
                passed_over |= set(ast.walk(node)) - {node}
        for node in ast.walk(parsed):
            if node in passed_over:
                continue
            if isinstance(node, ast.JoinedStr):
                yield f"{path.name}:{node.lineno}", "".join(map(filled, node.values))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield f"{path.name}:{node.lineno}", node.value


def filled(part: ast.expr) -> str:
    """A part of an f-string; a value is one of VALUES, or mnist."""
    if isinstance(part, ast.Constant):
        return str(part.value)
    names = re.findall(r"[a-z_]+", ast.unparse(part))
    for name in reversed(names):
        if name in VALUES:
            return VALUES[name]
    return "mnist"


def commands() -> list[tuple[str, str]]:
    found = []
    for place, text in messages():
        for match in COMMAND.finditer(text):
            found.append((place, match[1]))
        for match in BARE.finditer(text):
            found.append((place, (match[1] or match[2]).strip()))
    return found


COMMANDS = commands()


def test_messages_give_commands_of_each_program() -> None:
    assert len(COMMANDS) >= 40
    assert {command.split()[0] for _, command in COMMANDS} >= {
        "dvc",
        "git",
        "make",
        "mlflow",
        "pip",
    }


@pytest.mark.slow
@pytest.mark.fault(46)
@pytest.mark.parametrize(("place", "command"), COMMANDS, ids=[f"{p} {c}" for p, c in COMMANDS])
def test_a_command_in_a_message_is_taken_by_its_program(
    place: str, command: str, tmp_path: Path
) -> None:
    for part in command.split(" && "):
        for piece in part.split(" | "):
            # <name> is for the reader to replace
            words = shlex.split(piece.replace("<name>", "mnist").replace("<names>", "mnist"))
            assert words[0] in PROGRAMS
            CHECKS[words[0]](words[1:], tmp_path)


def check_dvc(words: list[str], _path: Path) -> None:
    parse_args(words)  # exits with 2 where an argument is none
    for target in words[1:]:
        if "@" in target:
            stage = target.rpartition(":")[2].partition("@")[0]
            stages = OmegaConf.load(tiny.ROOT / "dvc.yaml").stages
            assert stage in stages


def check_make(words: list[str], path: Path) -> None:
    for name in ("Makefile", "pyproject.toml", "requirements.lock"):
        shutil.copy(tiny.ROOT / name, path)
    done = subprocess.run(
        ["make", "--dry-run", *words], cwd=path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    makefile = (tiny.ROOT / "Makefile").read_text()
    for word in words:
        variable, _, value = word.partition("=")
        if value:
            assert re.search(rf"\b{variable}\b", makefile)
        assert value or "=" not in word


def check_git(words: list[str], path: Path) -> None:
    command, *rest = words
    done = subprocess.run(["git", command, "-h"], cwd=path, capture_output=True, text=True)
    taken = re.split(r"[\s,\[\]]+", done.stdout + done.stderr)
    for word in rest:
        if word.startswith("-"):
            assert word in taken
        else:
            assert word not in ("", ".")


def check_mlflow(words: list[str], _path: Path) -> None:
    from mlflow.cli import cli

    command, rest = cli, list(words)
    while hasattr(command, "commands"):
        command = command.commands[rest.pop(0)]
    if "--help" not in rest:
        command.make_context("mlflow", rest)


def check_pip(words: list[str], _path: Path) -> None:
    options, requirements = create_command(words[0]).parse_args(words[1:])
    assert requirements or options.editables
    for file in options.constraints:
        assert (tiny.ROOT / file).exists()


def check_python(words: list[str], _path: Path) -> None:
    script, *rest = words
    if script == "-m":
        assert rest == ["goodfit.doctor"]
        return
    assert (tiny.ROOT / script).exists()
    if script.endswith("train.py") and rest and not rest[0].endswith(".json"):
        chosen = [word for word in rest if not word.startswith(("[", "..."))]
        check.check(OmegaConf.create(tree.frozen(compose(tiny.ROOT, overrides.parse(chosen)))))


def check_rm(words: list[str], _path: Path) -> None:
    assert words in (["-r", ".venv"], [".venv/ready"])


def check_sqlite3(words: list[str], _path: Path) -> None:
    assert words in ([VALUES["path"], ".recover"], ["new.db"])


def check_srun(words: list[str], path: Path) -> None:
    options = [word for word in words if word.startswith("--")]
    assert all(re.fullmatch(r"--(nodes|ntasks-per-node)=\w+", option) for option in options)
    check_python(words[words.index("python") + 1 :], path)


CHECKS = {
    "dvc": check_dvc,
    "git": check_git,
    "make": check_make,
    "mlflow": check_mlflow,
    "pip": check_pip,
    "python": check_python,
    "rm": check_rm,
    "sqlite3": check_sqlite3,
    "srun": check_srun,
}
