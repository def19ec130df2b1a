"""Experiments that params.yaml does not name, in a real DVC repository: on demand, and pinned."""

from __future__ import annotations

import contextlib
import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from repository import Repository, make

from goodfit.system.files import sha256

pytestmark = pytest.mark.slow
REPRO = [sys.executable, "pipelines/repro.py"]
STAGES = ("compose", "fetch", "prepare", "train", "evaluate", "report", "register")
# of params.yaml, and those that only conf/experiment/ has
NAMED, OTHERS = "breast_cancer", ("mine", "theirs")


def repro(repository: Repository, *arguments: str) -> list[str]:
    """The stages that ran."""
    lines = repository.run(*REPRO, *arguments).splitlines()
    return [line.split("'")[1] for line in lines if line.startswith("Running stage")]


def stages(name: str) -> list[str]:
    prefix = "" if name == NAMED else "gallery/dvc.yaml:"
    return [f"{prefix}{stage}@{name}" for stage in STAGES]


def status(repository: Repository) -> set[str]:
    """The stages that `dvc status` names."""
    return set(json.loads(repository.run("dvc", "status", "--json")))


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """A clone in which nothing has run: params.yaml names one of three experiments."""
    made = make(tmp_path_factory.mktemp("fresh"))
    experiment = made.path / f"conf/experiment/{NAMED}.yaml"
    content = yaml.safe_load((made.path / "params.yaml").read_text())
    options = content["overrides"][NAMED]
    overrides = {NAMED: options}
    for seed, name in enumerate(OTHERS, 3):
        text = experiment.read_text()
        assert text.count(f"name: {NAMED}\n") == 1
        text = text.replace(f"name: {NAMED}\n", f"name: {name}\n")
        experiment.with_name(f"{name}.yaml").write_text(text)
        overrides[name] = [*options, f"seed={seed}"]
    made.edit("params.yaml", experiments=[NAMED], overrides=overrides)
    commit(made)
    return made


def commit(repository: Repository) -> None:
    repository.run("git", "add", "-A")
    identity = ("-c", "user.name=a", "-c", "user.email=a@b.c")
    repository.run("git", *identity, "commit", "-qm", "next")


@pytest.fixture(scope="module")
def asked(fresh: Repository, tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """A copy in which the first of the others has been asked for."""
    copy = copied(fresh, tmp_path_factory.mktemp("asked"))
    assert repro(copy, OTHERS[0]) == stages(OTHERS[0])
    return copy


@pytest.fixture(scope="module")
def both(asked: Repository, tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """A copy in which the one that params.yaml names has run as well, and no other one."""
    copy = copied(asked, tmp_path_factory.mktemp("both"))
    with something_to_do(copy):
        assert repro(copy) == stages(NAMED)
    return copy


@contextlib.contextmanager
def something_to_do(repository: Repository) -> Iterator[None]:
    """Meanwhile an experiment that params.yaml does not name is another one than has run."""
    file = repository.path / f"conf/experiment/{OTHERS[0]}.yaml"
    kept = file.read_text()
    file.write_text(f"{kept}seed: 9\n")
    try:
        yield
    finally:
        file.write_text(kept)


@pytest.mark.fault(48)
def test_a_new_experiment_composes_no_other_one(both: Repository, tmp_path: Path) -> None:
    copy = copied(both, tmp_path)
    text = (copy.path / f"conf/experiment/{NAMED}.yaml").read_text()
    new = copy.path / "conf/experiment/loans.yaml"
    new.write_text(text.replace(f"name: {NAMED}\n", "name: loans\n"))
    assert status(copy) == set()
    copy.edit("params.yaml", experiments=[NAMED, "loans"])
    assert status(copy) == {f"{stage}@loans" for stage in STAGES}


@pytest.mark.fault(47)
def test_one_that_fails_hides_no_result_of_the_others_and_shows_none_of_before(
    both: Repository, tmp_path: Path
) -> None:
    copy = copied(both, tmp_path)
    content = yaml.safe_load((copy.path / "params.yaml").read_text())
    content["overrides"][NAMED].append(f"data.sources.table.sha256={'0' * 64}")
    copy.edit("params.yaml", **content)
    stopped = copy.run(*REPRO, NAMED, OTHERS[0], code=255)
    assert "test score" not in stopped

    printed = copy.run(*REPRO, NAMED, OTHERS[0], "--keep-going", code=255)
    table = printed[printed.index("test score") :]
    assert f" {OTHERS[0]} " in table
    assert f" {NAMED} " not in table
    assert f"goodfit: not done, see above: {NAMED}\n" in printed
    assert (copy.path / f"report/{NAMED}/evaluation/evaluation.json").exists()


def changes(repository: Repository) -> str:
    """What git sees but for mlruns/, which in the project ignores its own contents."""
    return repository.run("git", "status", "--porcelain", "--", ".", ":!mlruns")


def copied(repository: Repository, path: Path) -> Repository:
    return Repository(Path(shutil.copytree(repository.path, path / "copy", symlinks=True)))


def test_dvc_knows_nothing_of_the_others_in_a_fresh_clone(fresh: Repository) -> None:
    assert status(fresh) == set(stages(NAMED))


def test_a_second_time_nothing_is_to_do(asked: Repository) -> None:
    assert repro(asked, OTHERS[0]) == []


def test_of_what_was_not_asked_for_nothing_is_said_or_made(asked: Repository) -> None:
    assert status(asked) == set(stages(NAMED))
    assert [path.name for path in (asked.path / "models").iterdir()] == [OTHERS[0]]


def test_git_sees_the_lock_of_the_gallery_what_opened_test_and_nothing_else(
    asked: Repository,
) -> None:
    assert changes(asked) == "?? gallery/dvc.lock\n?? openings/\n"


def test_overrides_of_params_yaml_hold_in_the_gallery(asked: Repository) -> None:
    config = yaml.safe_load((asked.path / f"models/{OTHERS[0]}/config.yaml").read_text())
    assert config["seed"] == 3


def test_the_summary_has_a_row_for_what_was_named(asked: Repository) -> None:
    printed = asked.run(sys.executable, "pipelines/summary.py", OTHERS[0])
    assert f" {OTHERS[0]} " in printed
    assert NAMED not in printed
    missing = asked.run(sys.executable, "pipelines/summary.py", *OTHERS, code=2)
    assert f"goodfit: {OTHERS[1]}: not evaluated yet; run `make repro ONLY='theirs'`" in missing


def test_a_plain_repro_runs_those_of_params_yaml_alone(both: Repository) -> None:
    with something_to_do(both):
        assert repro(both) == []
        assert repro(both, NAMED) == []


def test_the_pages_and_results_hold_all_that_have_results(both: Repository, tmp_path: Path) -> None:
    copy = copied(both, tmp_path)
    page = copy.path / "report/index.html"
    links = [f'href="{name}/index.html"' for name in (NAMED, OTHERS[0])]
    assert [link in page.read_text() for link in links] == [True, True]

    # where DVC brought an experiment back, no stage has written the page anew
    page.write_text(page.read_text().replace(links[1], "gone"))
    copy.run(sys.executable, "pipelines/summary.py", OTHERS[0])
    assert links[1] in page.read_text()

    (copy.path / "docs").mkdir()
    copy.run(sys.executable, "pipelines/results.py")
    results = (copy.path / "docs/results.md").read_text()
    assert [line for line in results.splitlines() if line.startswith("## ")] == [
        f"## {NAMED}",
        f"## {OTHERS[0]}",
    ]
    machine = json.loads((copy.path / f"models/{OTHERS[0]}/train.json").read_text())["machine"]
    assert results.count(f" of training on {machine}, ") == 2


def test_all_of_them_with_what_is_done_left_alone(both: Repository, tmp_path: Path) -> None:
    copy = copied(both, tmp_path)
    assert repro(copy, *OTHERS, NAMED, "--keep-going") == stages(OTHERS[1])
    assert repro(copy, *OTHERS, NAMED, "--keep-going") == []
    assert status(copy) == set()


def test_an_experiment_that_params_yaml_names_later_trains_no_second_time(
    asked: Repository, tmp_path: Path
) -> None:
    copy = copied(asked, tmp_path)
    weights = sha256(copy.path / f"models/{OTHERS[0]}/weights.pt")
    copy.edit("params.yaml", experiments=[OTHERS[0]])
    # two stages would make its files; the command below takes it out of the gallery
    assert "is specified in" in copy.run("dvc", "repro", code=255)
    assert repro(copy) == [f"compose@{OTHERS[0]}"]
    assert sha256(copy.path / f"models/{OTHERS[0]}/weights.pt") == weights
    assert copy.run("dvc", "repro").endswith("Data and pipelines are up to date.\n")


def test_another_clone_takes_the_pinned_results_from_a_remote(
    asked: Repository, tmp_path: Path
) -> None:
    copy = copied(asked, tmp_path)
    copy.run("dvc", "remote", "add", "-d", "store", str(tmp_path / "store"))
    copy.run("dvc", "push")
    commit(copy)
    copy.run("git", "clone", "-q", str(copy.path), str(tmp_path / "clone"))
    clone = Repository(tmp_path / "clone")
    assert status(clone) == set(stages(NAMED))  # the lock names the other one, DVC does not
    assert repro(clone, OTHERS[0], "--pull") == [f"gallery/dvc.yaml:compose@{OTHERS[0]}"]
    name = f"models/{OTHERS[0]}/weights.pt"
    assert sha256(clone.path / name) == sha256(copy.path / name)
    assert changes(clone) == ""
