"""A test set that several models have opened is known as one, whatever was deleted or merged."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
import tiny
from evaluated import evaluation_of

from goodfit.records import Evaluation
from goodfit.tracking import openings, runs

FIRST, SECOND, THIRD, TEST, OTHER = (letter * 64 for letter in "abcde")
FILE = Path("openings/x.txt")


@pytest.fixture
def uri(database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    shutil.copy(database, tmp_path / "mlflow.db")
    return f"sqlite:///{tmp_path / 'mlflow.db'}"


def evaluation(weights: str, test: str = TEST) -> Evaluation:
    file = Path("evaluation.json")
    file.write_text(json.dumps(evaluation_of("x", "class", 0, 1)))
    return replace(Evaluation.read(file), weights_sha256=weights, test_sha256=test)


def opened(uri: str, weights: str, test: str = TEST) -> int:
    """How many models have opened a test set, once a run with these weights has."""
    run = runs.start(uri, "x", "a run", tags={}, params={})
    with runs.run_status(run):
        result = evaluation(weights, test)
        result = replace(result, opened_by=openings.opened_by(run, result))
        run.tag(**openings.tags(result))
    return len(result.opened_by)


def test_the_same_weights_again_are_the_same_opening_and_others_are_another(uri: str) -> None:
    asked = [FIRST, FIRST, SECOND, FIRST]
    assert [opened(uri, weights) for weights in asked] == [1, 1, 2, 2]
    assert opened(uri, FIRST, test=OTHER) == 1


@pytest.mark.parametrize("lost", [FILE, Path("mlflow.db")], ids=str)
def test_file_and_database_each_bring_back_the_other(uri: str, database: Path, lost: Path) -> None:
    opened(uri, FIRST)
    opened(uri, SECOND)
    shutil.copy(database, "mlflow.db") if lost.suffix == ".db" else lost.unlink()
    assert opened(uri, THIRD) == 3
    assert FILE.read_text() == "".join(f"{TEST} {each}\n" for each in (FIRST, SECOND, THIRD))


def test_two_clones_are_merged_as_a_union(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(tiny.ROOT / ".gitattributes", tmp_path)
    openings.keep("x", TEST, [FIRST])

    def git(*words: str) -> None:
        who = ("-c", "user.name=n", "-c", "user.email=e@x")
        subprocess.run(["git", *who, *words], check=True, capture_output=True)

    git("init", "--initial-branch=main")
    git("add", "-A")
    git("commit", "-m", "first")
    for branch, model in (("theirs", SECOND), ("ours", THIRD)):
        git("checkout", "-b", branch, "main")
        openings.keep("x", TEST, [model])
        git("commit", "-am", branch)
    git("merge", "theirs")
    openings.keep("x", OTHER, [FIRST])
    pairs = [(TEST, FIRST), (TEST, SECOND), (TEST, THIRD), (OTHER, FIRST)]
    assert FILE.read_text() == "".join(f"{test} {model}\n" for test, model in pairs)


def test_of_several_openings_it_is_said_what_they_mean(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    once = replace(evaluation(FIRST), opened_by=(FIRST,))
    assert (openings.said(once), openings.meaning(once)) == ("opened once", None)
    again = replace(once, opened_by=(FIRST, SECOND))
    assert openings.said(again) == "opened by 2 models"
    assert "optimistic, and the score of a new one counts less" in str(openings.meaning(again))
    assert openings.said(evaluation(FIRST)) == "opened, not counted"
