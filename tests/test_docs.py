"""The worked examples of docs/flow.md are members like any other: they pass the contract tests."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import tiny

PAGE = tiny.ROOT / "docs/flow.md"
# a path in backquotes on a line of its own, then a block: the file and what it holds
FILE = re.compile(r"^`(?P<path>[\w./]+)`[^\n]*\n\n```\w+\n(?P<content>.*?)^```$", re.M | re.S)
SAMPLE = re.compile(r"^```python\n(?P<code>def waves\(\) -> str:.*?)^```$", re.M | re.S)
COPIED = ("conf", "src", "tests", "pyproject.toml", "docs", "dvc.yaml", "params.yaml")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project with the files that the page tells a reader to write."""
    root = tmp_path_factory.mktemp("project")
    for name in COPIED:
        source = tiny.ROOT / name
        skip = shutil.ignore_patterns("__pycache__", "*.egg-info", "images")
        copy = shutil.copytree if source.is_dir() else shutil.copy
        copy(source, root / name, **({"ignore": skip} if source.is_dir() else {}))

    page = PAGE.read_text()
    for file in FILE.finditer(page):
        (root / file["path"]).write_text(file["content"])
    make = root / "tests/samples/make.py"
    sample = SAMPLE.search(page)
    assert sample is not None
    script = make.read_text()
    assert script.count("def contents(") == 1
    script = script.replace("def contents(", f"{sample['code']}\n\ndef contents(")
    marker = '"table.csv":'
    assert script.count(marker) == 1
    make.write_text(script.replace(marker, f'"waves.csv": waves().encode(),\n        {marker}'))
    subprocess.run([sys.executable, str(make)], cwd=root, env=environment(root), check=True)
    return root


def environment(root: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(root / "src")}


def test_the_page_has_a_data_set_a_network_and_a_task() -> None:
    paths = {file["path"] for file in FILE.finditer(PAGE.read_text())}
    for group, name in (("data", "waves"), ("model", "gru"), ("task", "brier")):
        assert {f"src/goodfit/{group}/{name}.py", f"conf/{group}/{name}.yaml"} <= paths
    assert "conf/experiment/waves.yaml" in paths


@pytest.mark.slow
def test_the_worked_examples_pass_the_contract_tests(project: Path) -> None:
    names = ("waves", "gru", "brier")
    command = [sys.executable, "-m", "pytest", "-v", "-p", "no:cacheprovider"]
    command += ["-k", " or ".join(names)]
    done = subprocess.run(
        [*command, "tests/contracts", "tests/test_docstrings.py", "tests/test_layers.py"],
        cwd=project,
        env=environment(project),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:]
    passed = [line for line in done.stdout.splitlines() if " PASSED " in line]
    assert all(sum(name in line for line in passed) > 10 for name in names), done.stdout[-3000:]
