"""`dvc exp run` in a real repository: runs are kept, and what is not applied is not registered."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import repository
import yaml
from repository import Repository

pytestmark = [pytest.mark.slow, pytest.mark.fault(56)]
NAME = "breast_cancer"
NETWORK = "src/goodfit/model/own.py"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """One experiment is done and committed; its environment has goodfit from elsewhere."""
    made = repository.make(tmp_path_factory.mktemp("experiments") / "project")
    for person in ("AUTHOR", "COMMITTER"):
        made.env |= {f"GIT_{person}_NAME": "a", f"GIT_{person}_EMAIL": "a@b.c"}
    params = yaml.safe_load((made.path / "params.yaml").read_text())
    overrides: dict[str, object] = {}
    for item in params["overrides"][NAME]:
        keys, _, value = item.partition("=")
        put(overrides, keys.split("."), yaml.safe_load(value))
    made.edit("params.yaml", experiments=[NAME], overrides={NAME: overrides})
    with (made.path / ".gitignore").open("a") as stream:
        stream.write("/mlruns/\n*.db.*lock\n")
    made.repro()
    made.run("git", "add", "-A")
    made.run("git", "commit", "-qm", "done")
    made.env["PYTHONPATH"] = str(repository.ROOT / "src")
    return made


@pytest.fixture(autouse=True)
def committed(project: Repository) -> Iterator[None]:
    """Each test finds the project as it was committed."""
    yield
    project.run("git", "reset", "-q", "--hard")
    project.run("dvc", "checkout", "-q", "--force")


def put(tree: dict[str, object], keys: list[str], value: object) -> None:
    for key in keys[:-1]:
        tree = tree.setdefault(key, {})  # type: ignore[assignment]
    tree[keys[-1]] = value


def versions(project: Repository) -> int:
    ((count,),) = project.sql("select count(*) from model_versions")
    return int(str(count))


def run_of(project: Repository, experiment: str) -> str:
    """The finished run of DVC's experiment, whose files are here."""
    query = (
        "select run_uuid, artifact_uri, status from runs join tags using (run_uuid) "
        f"where tags.key = 'goodfit.dvc_experiment' and tags.value = '{experiment}'"
    )
    ((run_id, place, status),) = project.sql(query)
    assert status == "FINISHED"
    for file in ("model/weights.pt", "evaluation/evaluation.json", "report/index.html"):
        assert Path(str(place).removeprefix("file://"), file).exists()
    return str(run_id)


def registered(project: Repository) -> dict[str, object]:
    content = json.loads((project.path / f"report/{NAME}/registered.json").read_text())
    assert isinstance(content, dict)
    return content


@pytest.mark.parametrize("flags", [["--temp"], ["--queue"], []], ids=["temp", "queue", "here"])
def test_an_experiment_is_tracked_and_registered_once_it_is_applied(
    project: Repository, flags: list[str]
) -> None:
    name = "-".join(["wide", *flags]).replace("--", "")
    width = 20 + len(name)
    before = versions(project)
    own = f"-n {name} -S ++overrides.{NAME}.model.width={width}".split()
    printed = project.run("dvc", "exp", "run", *own, *flags)
    if "--queue" in flags:
        printed = project.run("dvc", "exp", "run", "--run-all")
    run_id = run_of(project, name)
    assert versions(project) == before

    if flags:
        made = json.loads((project.path / f"models/{NAME}/train.json").read_text())
        assert made["run_id"] != run_id  # the project's model is what it was
        assert not project.run("git", "status", "--short")
        project.run("dvc", "exp", "apply", name)
    else:
        assert f"of the experiment {name}; `make repro` registers it" in printed
    assert registered(project)["version"] is None

    project.env["PYTHONPATH"] = str(project.path / "src")  # as `make` has it
    printed = project.run("python", "pipelines/repro.py")
    again = project.run("python", "pipelines/repro.py")
    project.env["PYTHONPATH"] = str(repository.ROOT / "src")
    assert f"registered {NAME} version {before + 1}: " in printed
    assert "Running stage" not in again
    assert versions(project) == before + 1
    assert registered(project)["version"] == str(before + 1)
    assert project.sql(f"select run_id from model_versions where version = {before + 1}") == [
        (run_id,)
    ]


def test_the_code_of_an_experiment_is_its_copys(project: Repository) -> None:
    """With --temp a file that git does not know is left behind; one that is added is used."""
    source = (project.path / "src/goodfit/model/mlp.py").read_text()
    (project.path / NETWORK).write_text(source)
    section = (project.path / "conf/model/mlp.yaml").read_text().replace("mlp.MLP", "own.MLP")
    (project.path / "conf/model/own.yaml").write_text(section)
    command = f"dvc exp run --temp -n own -S ++overrides.{NAME}.model=own".split()
    assert "model=own does not exist" in project.run(*command, code=255)
    project.run("git", "add", "src", "conf")
    project.run(*command)
    run_of(project, "own")


@pytest.mark.parametrize(
    "spelling",
    [
        f"++overrides.{NAME}.model.width=77",
        f"+overrides.{NAME}.model.width=77",
        f"++overrides.{NAME}.model={{width:77}}",
        "conf/model/mlp.yaml:width=77",
    ],
)
def test_a_value_is_set_by_each_spelling_that_the_docs_name(
    project: Repository, spelling: str
) -> None:
    project.run("dvc", "exp", "run", "-S", spelling, f"compose@{NAME}")
    composed = json.loads((project.path / f"build/{NAME}.json").read_text())
    assert composed["model"]["width"] == 77


def test_where_params_yaml_has_a_list_the_list_is_set(project: Repository) -> None:
    project.edit("params.yaml", overrides={NAME: ["model.width=5"]})
    spelling = f'overrides.{NAME}=["model.width=77","seed=3"]'
    project.run("dvc", "exp", "run", "-S", spelling, f"compose@{NAME}")
    composed = json.loads((project.path / f"build/{NAME}.json").read_text())
    assert (composed["model"]["width"], composed["seed"]) == (77, 3)
