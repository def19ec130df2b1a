"""The hash of a stage's code changes when, and only when, code that the stage can reach changes."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import tiny

from goodfit.provenance import environment
from goodfit.provenance.code import Roots, answering_roots, source_hashes, stage_roots

MODULES = [
    "goodfit.training.loop",
    "goodfit.data.mnist",
    "goodfit.model.cnn",
    "goodfit.task.classification",
]
ASK = """
import json, sys
from goodfit.provenance.code import Roots, source_hashes
print(json.dumps(source_hashes(Roots(*json.loads(sys.argv[1])))))
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    shutil.copytree(
        tiny.ROOT / "src/goodfit",
        tmp_path / "goodfit",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    return tmp_path


def code(tree: Path, roots: Roots = Roots(tuple(MODULES))) -> dict[str, str]:  # noqa: B008 - frozen
    """The hashes as a process sees them that imports the copy of the package in `tree`."""
    done = subprocess.run(
        [sys.executable, "-c", ASK, json.dumps(roots)],
        env={"PYTHONPATH": str(tree)},
        capture_output=True,
        text=True,
        check=True,
    )
    hashes = json.loads(done.stdout)
    assert isinstance(hashes, dict)
    return hashes


def edit(tree: Path, file: str, text: str = "\n# edited\n") -> None:
    with (tree / "goodfit" / file).open("a") as stream:
        stream.write(text)


@pytest.mark.slow
@pytest.mark.parametrize(
    "file",
    ["training/loop.py", "model/cnn.py", "model/blocks.py", "system/files.py", "task/base.py"],
)
def test_a_reachable_file_changes_the_hash(tree: Path, file: str) -> None:
    before = code(tree)
    edit(tree, file)
    after = code(tree)
    name = "goodfit." + file.removesuffix(".py").replace("/", ".")
    assert {key for key in after if after[key] != before.get(key)} == {name}


@pytest.mark.slow
@pytest.mark.parametrize(
    "file", ["model/rnn.py", "evaluation/evaluate.py", "baseline/svm.py", "data/reviews.py"]
)
def test_a_file_out_of_reach_changes_nothing(tree: Path, file: str) -> None:
    before = code(tree)
    edit(tree, file)
    assert code(tree) == before


CONTENT = {key: tiny.section(key, tiny.names(key)[0]) for key in ("data", "model", "task")}
CONTENT |= {"schedule": tiny.section("schedule", "cosine"), "guard": tiny.section("guard", "stop")}
CONTENT |= {"augment": {"affine": tiny.section("augment", "affine")}}
CONTENT |= {"baseline": {name: tiny.section("baseline", name) for name in ("blobs", "hog_svm")}}
RECORDING = ("tracking", "search", "reporting", "doctor", "stages", "evaluation", "provenance")


@pytest.mark.parametrize("room", RECORDING)
def test_no_file_of_a_room_that_only_records_is_behind_the_weights(room: str) -> None:
    files = source_hashes(stage_roots(CONTENT)["train"])
    assert [name for name in files if name.startswith(f"goodfit.{room}.")] == []


@pytest.mark.slow
@pytest.mark.parametrize(
    "file",
    [
        "launch/worker.py",
        "launch/session.py",
        "training/batchnorm.py",
        "training/pretrained.py",
        "store/loader.py",
    ],
)
def test_what_brings_a_training_about_is_behind_the_weights(tree: Path, file: str) -> None:
    roots = stage_roots(CONTENT)["train"]
    before = code(tree, roots)
    edit(tree, file)
    assert code(tree, roots) != before


def test_how_files_are_fetched_is_not_behind_the_weights(tree: Path) -> None:
    """A pretrained file is the pinned one, wherever it came from."""
    roots = stage_roots(CONTENT)["train"]
    before = code(tree, roots)
    edit(tree, "store/fetch.py")
    assert code(tree, roots) == before


@pytest.mark.slow
@pytest.mark.parametrize(
    ("stage", "file"),
    [
        ("prepare", "stages/prepare.py"),
        ("evaluate", "stages/evaluate.py"),
        ("report", "stages/report.py"),
        ("report", "reporting/templates/style.css.j2"),
        ("register", "stages/register.py"),
        ("register", "tracking/pyfunc.py"),
        ("register", "predictor.py"),
    ],
)
def test_what_writes_a_stages_output_is_behind_it(tree: Path, stage: str, file: str) -> None:
    """Each stage's own module counts, though what it hands on to does not."""
    before = code(tree, _roots_in(tree, stage))
    edit(tree, file, "\n\n")
    assert code(tree, _roots_in(tree, stage)) != before


def _roots_in(tree: Path, stage: str) -> Roots:
    """The roots of a stage, with files that are named by their path moved into the copy."""
    roots = stage_roots(CONTENT)[stage]
    here = str(tiny.ROOT / "src")
    return roots._replace(files=tuple(name.replace(here, str(tree)) for name in roots.files))


@pytest.mark.fault(71)
@pytest.mark.parametrize(
    ("file", "answers"),
    [
        ("tracking/pyfunc.py", True),
        ("predictor.py", True),
        ("data/table.py", True),
        ("task/classification.py", True),
        ("tracking/registry.py", False),
        ("reporting/page.py", False),
        ("training/loop.py", False),
    ],
)
def test_what_answers_is_the_code_that_a_model_in_use_runs(file: str, answers: bool) -> None:
    content = CONTENT | {"data": tiny.section("data", "table")}
    content |= {"task": tiny.section("task", "classification")}
    module = "goodfit." + file.removesuffix(".py").replace("/", ".")
    assert (module in source_hashes(answering_roots(content))) is answers


def test_a_new_network_changes_nothing(tree: Path) -> None:
    before = code(tree)
    (tree / "goodfit/model/new.py").write_text("import torch\n")
    assert code(tree) == before


@pytest.mark.slow
def test_an_import_for_types_alone_does_not_count(tree: Path) -> None:
    before = code(tree)
    for_types = """
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    from goodfit.evaluation.evaluate import evaluate
"""
    edit(tree, "model/cnn.py", for_types)
    assert code(tree).keys() == before.keys()


def test_an_import_inside_a_function_counts(tree: Path) -> None:
    late = """
def late() -> None:
    from goodfit.evaluation.evaluate import evaluate
"""
    edit(tree, "model/cnn.py", late)
    assert "goodfit.evaluation.evaluate" in code(tree)


def test_the_libraries_that_compute_are_named_with_their_versions() -> None:
    hashes = source_hashes(Roots(tuple(MODULES)))
    assert hashes["torch (version)"] == environment.version("torch")


def test_the_check_of_a_configuration_reaches_no_computing_library() -> None:
    hashes = source_hashes(Roots(("goodfit.config.check",)))
    assert [name for name in hashes if "(version)" in name] == []


def test_the_code_that_dvc_yaml_names_is_the_code_that_compose_writes() -> None:
    import re

    named = set(re.findall(r"code\.(\w+)", (tiny.ROOT / "dvc.yaml").read_text()))
    assert named == set(stage_roots(CONTENT))


def test_without_git_there_is_no_commit_and_no_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert environment.commit().sha == "none"


def test_each_baseline_is_behind_the_scores_and_not_behind_the_weights() -> None:
    roots = stage_roots(CONTENT)
    behind = [stage for stage in roots if "goodfit.baseline.hog_svm" in source_hashes(roots[stage])]
    assert behind == ["evaluate"]
