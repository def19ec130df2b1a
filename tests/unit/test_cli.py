"""What a user sees at the command line: a code, a line or two, never a traceback."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import tiny

# of a copy: says what it was given, and which code a process of its own would run
MAIN = """def main() -> int:
    print(os.environ["PYTHONPATH"].split(":")[0], sys.argv[1:])
    return 5


def other() -> int:"""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with neither data nor models."""
    root = tmp_path_factory.mktemp("repository")
    for name in ("pipelines", "conf"):
        shutil.copytree(tiny.ROOT / name, root / name)
    shutil.copy(tiny.ROOT / "dvc.yaml", root)
    (root / "params.yaml").write_text("experiments: [mnist]\noverrides: {}\n")
    (root / "build").mkdir()
    (root / "build/broken.json").write_text("name: [")
    (root / "build/binary.json").write_bytes(b"\xcb\x00")
    return root


def call(root: Path, script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, f"pipelines/{script}.py", *arguments]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)


@pytest.mark.fault(70)
@pytest.mark.parametrize("script", sorted(path.stem for path in tiny.ROOT.glob("pipelines/*.py")))
def test_a_python_without_goodfit_says_how_to_get_it(root: Path, script: str) -> None:
    done = subprocess.run(
        [sys.executable, "-S", f"pipelines/{script}.py", "mnist"],  # -S: no installed package
        cwd=root,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == (
        f"goodfit: this Python ({sys.executable}) has no module 'goodfit'; "
        "first: source .venv/bin/activate (`make .venv/ready` makes it)\n"
    )
    assert (done.returncode, done.stdout) == (2, "")


@pytest.mark.slow
@pytest.mark.fault(20)
@pytest.mark.parametrize(
    ("script", "arguments", "message"),
    [
        ("train", ["experiment=mnits"], "experiment=mnits does not exist. Did you mean 'mnist'?"),
        (
            "train",
            ["experiment=mnist", "model.widht=3"],
            "unknown key 'model.widht'. Did you mean 'model.width'?",
        ),
        (
            "train",
            ["experiment=mnist", "optimizer.lr=abc"],
            "optimizer.lr: expected a valid number, got 'abc'",
        ),
        (
            "train",
            ["experiment=mnist", "model=mlp"],
            "MLP.forward takes ['numbers'], the data set gives ['image']",
        ),
        (
            "train",
            ["experiment=mnist", "+modle.lr=1"],
            "unknown key 'modle'. Did you mean 'model'?",
        ),
        (
            "train",
            ["experiment=mnist", "size=full/mnist"],
            "size/full=mnist does not exist. Known: translation.",
        ),
        (
            "train",
            ["experiment=translation", "size=full"],
            "size=full does not exist. Known: full/translation.",
        ),
        (
            "train",
            ["experiment=translation", "+size=full/translation"],
            "size has a choice already; replace it with size=full/translation, without a '+'",
        ),
        ("train", ["experiment=mnist", "seed=${nowhere}"], "nowhere"),
        ("train", ["experiment=mnist", "model.width=[1"], "[1"),
        (
            "train",
            ["experiment=mnist"],
            "data/prepared/mnist does not exist; make it with `dvc repro prepare@mnist`",
        ),
        ("train", ["experiment=mnist", "model=null"], "a group of conf/ was set to null"),
        (
            "train",
            ["build/binary.json"],
            "build/binary.json, line 1, column 1: the byte 0xcb is no UTF-8",
        ),
        ("train", [], "no experiment chosen: add experiment=<"),
        (
            "train",
            ["build/none.json"],
            "build/none.json does not exist; `make repro ONLY=none` makes it",
        ),
        ("train", ["build/broken.json"], "build/broken.json"),
        ("train", ["conf/experiment/mnist.yaml"], "defaults"),
        ("compose", ["mnits"], "experiment 'mnits' does not exist. Did you mean 'mnist'?"),
        ("compose", [], "experiment"),
        ("summary", [], "mnist: not evaluated yet"),
    ],
)
def test_a_mistake_ends_with_code_2_and_says_what_is_right(
    root: Path, script: str, arguments: list[str], message: str
) -> None:
    done = call(root, script, *arguments)
    assert done.returncode == 2, done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    assert len(done.stderr.splitlines()) <= 2


def test_help_lists_every_group_and_choice_at_once(root: Path) -> None:
    started = time.monotonic()
    done = call(root, "train", "--help")
    seconds = time.monotonic() - started
    groups = [
        path.name for path in (root / "conf").iterdir() if path.is_dir() and tiny.names(path.name)
    ]
    assert all(f"  {group}={'|'.join(tiny.names(group))}" in done.stdout for group in groups)
    assert "  size=full/translation\n" in done.stdout
    assert done.returncode == 0
    assert seconds < 1.5


@pytest.mark.slow
def test_a_composed_experiment_is_a_file_that_the_check_accepts(root: Path) -> None:
    assert call(root, "compose", "mnist").returncode == 0
    done = call(root, "train", "build/mnist.json")
    assert "data/prepared/mnist does not exist" in done.stderr


def test_a_defect_keeps_its_traceback(root: Path, tmp_path: Path) -> None:
    script = tmp_path / "pipelines/x.py"
    script.parent.mkdir()
    script.write_text("from goodfit.cli import guarded\nguarded(lambda: 1 / 0)\n")
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, "ZeroDivisionError" in done.stderr) == (1, True)


@pytest.mark.fault(54)
def test_a_copy_that_shares_an_environment_runs_its_own_code(tmp_path: Path) -> None:
    """Also a worktree, and the folder of `dvc exp run --temp`; ranks and workers inherit it."""
    for name in ("pipelines", "conf", "src/goodfit"):
        shutil.copytree(tiny.ROOT / name, tmp_path / name)
    own = tmp_path / "src/goodfit/stages/repro.py"
    own.write_text(own.read_text().replace("def main() -> int:", MAIN))
    done = call(tmp_path, "repro", "a", "b=ä c")
    assert done.stdout == f"{tmp_path / 'src'} ['a', 'b=ä c']\n"
    assert done.returncode == 5
