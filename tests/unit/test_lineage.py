"""The hash of a stage's code changes when, and only when, code that the stage can reach changes."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import tiny

from goodfit import lineage

MODULES = ["goodfit.launch", "goodfit.data.mnist", "goodfit.model.cnn", "goodfit.task.classification"]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    shutil.copytree(tiny.ROOT / "src/goodfit", tmp_path / "goodfit", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def code(tree: Path, modules: list[str] = MODULES) -> dict[str, str]:
    ask = "import json, sys; from goodfit import lineage; print(json.dumps(lineage.code(json.loads(sys.argv[1]))))"
    done = subprocess.run(
        [sys.executable, "-c", ask, json.dumps(modules)],
        env={"PYTHONPATH": str(tree)},
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(done.stdout)
    assert isinstance(found, dict)
    return found


def edit(tree: Path, file: str, text: str = "\n# edited\n") -> None:
    with (tree / "goodfit" / file).open("a") as stream:
        stream.write(text)


@pytest.mark.parametrize("file", ["train.py", "model/cnn.py", "model/blocks.py", "files.py", "task/base.py"])
def test_a_reachable_file_changes_the_hash(tree: Path, file: str) -> None:
    before = code(tree)
    edit(tree, file)
    after = code(tree)
    name = "goodfit." + file.removesuffix(".py").replace("/", ".")
    assert {key for key in after if after[key] != before.get(key)} == {name}


@pytest.mark.parametrize("file", ["model/rnn.py", "evaluate.py", "report.py", "baseline/svm.py", "data/reviews.py"])
def test_a_file_out_of_reach_changes_nothing(tree: Path, file: str) -> None:
    before = code(tree)
    edit(tree, file)
    assert code(tree) == before


def test_a_new_network_changes_nothing(tree: Path) -> None:
    before = code(tree)
    (tree / "goodfit/model/new.py").write_text("import torch\n")
    assert code(tree) == before


def test_an_import_for_types_alone_does_not_count(tree: Path) -> None:
    before = code(tree)
    edit(
        tree,
        "model/cnn.py",
        "\nfrom typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from goodfit.evaluate import evaluate\n",
    )
    assert code(tree).keys() == before.keys()


def test_an_import_inside_a_function_counts(tree: Path) -> None:
    edit(tree, "model/cnn.py", "\ndef late() -> None:\n    from goodfit.evaluate import evaluate\n")
    assert "goodfit.evaluate" in code(tree)


def test_the_libraries_that_compute_are_named_with_their_versions() -> None:
    found = lineage.code(MODULES)
    assert found["torch (version)"] == lineage.version("torch")


def test_the_check_of_a_configuration_reaches_no_computing_library() -> None:
    assert [name for name in lineage.code(["goodfit.check"]) if "(version)" in name] == []


def test_the_code_that_dvc_yaml_names_is_the_code_that_compose_writes() -> None:
    import re

    named = set(re.findall(r"code\.(\w+)", (tiny.ROOT / "dvc.yaml").read_text()))
    content = {key: tiny.section(key, tiny.names(key)[0]) for key in ("data", "model", "task", "augment", "baseline")}
    content |= {"schedule": tiny.section("schedule", "cosine"), "guard": tiny.section("guard", "stop")}
    assert named == set(lineage.stage_modules(content))


def test_a_difference_that_is_not_utf_8_is_told_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes").write_text("plain")
    for command in ("init -q", "add -A", "-c user.name=a -c user.email=a@b.c commit -qm first"):
        subprocess.run(["git", *command.split()], check=True)
    (tmp_path / "notes").write_bytes(b"caf\xe9")
    found = lineage.git()
    assert found["dirty"] == "true"
    assert "caf\ufffd" in found["diff"]
