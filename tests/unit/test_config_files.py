"""A mistake in a file of conf/, params.yaml or build/ is one line: file, line, column."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import tiny
import yaml
from omegaconf import OmegaConf

from goodfit.config import gallery, numbers, params, read, tree
from goodfit.config.compose import compose
from goodfit.config.overrides import of_mapping
from goodfit.errors import UserError
from goodfit.stages.compose import write_composed

EXPERIMENT = "conf/experiment/mnist.yaml"
GLOBAL = "# @package _global_\n"
BROKEN = [
    (
        f"{GLOBAL}name: mnist\nloader: {{batch_size: 3\nseed: 1\n",
        "line 4, column 5: expected ',' or",
    ),
    (f"{GLOBAL}name: mnist\nloader:\n\tbatch_size: 3\n", "line 4, column 1: found character"),
    (
        f"{GLOBAL}name: mnist\n\nname: mnist\n",
        "line 4, column 1: the key 'name' stands here a second",
    ),
    (f"{GLOBAL}name: !!python/name:os.system x\n", "line 2, column 7: could not determine"),
    (f"{GLOBAL}? [name]\n: mnist\n", "line 2, column 3: found unhashable key"),
    (f"{GLOBAL}name: a\x00b\n", "line 2, column 8: a character that no YAML may hold, '\\x00'"),
    (f"{GLOBAL}name: gr\udcf6sse\n", "line 2, column 9: the byte 0xf6 is no UTF-8"),
]
NO_MAPPING = [
    ("", "conf/experiment/mnist.yaml holds nothing; expected names and values"),
    ("- name: mnist\n", "conf/experiment/mnist.yaml holds a list; expected names and values"),
    ("model.width=3\n", "conf/experiment/mnist.yaml holds a str; expected names and values"),
    ("name: mnist\n", "conf/experiment/mnist.yaml does not begin with the line '# @package _glo"),
    (
        f"{GLOBAL}defaults: mnist\n",
        "conf/experiment/mnist.yaml: defaults is 'mnist'; expected a list",
    ),
]
LISTS = ["[3]", "[{a: b, c: d}]", "[{override /data: {a: b}}]"]
NUMBERS = [
    "1e-5",
    "'1e-5'",
    ".01e-3",
    "100e-7",
    "1E-5",
    "1.e-5",
    "+1e-5",
    "1e-05",
    "0.1e-4",
    ".1e-4",
    "10e-6",
    "1_0e-6",
]


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository in which commands work, without what a sweep has tuned."""
    shutil.copytree(tiny.ROOT / "conf", tmp_path / "conf", ignore=shutil.ignore_patterns("tuned"))
    for name in ("params.yaml", "dvc.yaml", "requirements.lock"):
        shutil.copy(tiny.ROOT / name, tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(file: str, text: str) -> None:
    Path(file).write_bytes(text.encode(errors="surrogateescape"))


def call(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    shutil.copytree(tiny.ROOT / "pipelines", root / "pipelines", dirs_exist_ok=True)
    command = [sys.executable, "pipelines/train.py", *arguments]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)


@pytest.mark.slow
@pytest.mark.fault(40)
@pytest.mark.parametrize(("text", "mistake"), BROKEN)
@pytest.mark.parametrize("file", [EXPERIMENT, "conf/model/cnn.yaml", "conf/config.yaml"])
def test_a_file_that_is_no_yaml_is_named_with_line_and_column(
    root: Path, file: str, text: str, mistake: str
) -> None:
    write(file, text)
    with pytest.raises(UserError) as error:
        compose(root, ["experiment=mnist"])
    assert str(error.value).startswith(f"{file}, {mistake}")
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.slow
@pytest.mark.fault(40)
@pytest.mark.parametrize(("text", "mistake"), [*BROKEN, *NO_MAPPING])
def test_a_broken_file_does_not_spoil_the_answer_to_another_mistake(
    root: Path, text: str, mistake: str
) -> None:
    write(EXPERIMENT, text)
    with pytest.raises(UserError, match=r"unknown key 'model.widht'. Did you mean 'model.width'"):
        compose(root, ["experiment=breast_cancer", "model.widht=3"])


@pytest.mark.fault(40)
@pytest.mark.parametrize(("text", "message"), NO_MAPPING)
def test_a_file_that_holds_no_names_and_values_is_not_passed_over(
    root: Path, text: str, message: str
) -> None:
    write(EXPERIMENT, text)
    with pytest.raises(UserError) as error:
        compose(root, ["experiment=mnist"])
    assert str(error.value).startswith(message)


@pytest.mark.fault(40)
@pytest.mark.parametrize("defaults", LISTS)
def test_a_list_of_defaults_that_hydra_refuses_is_a_mistake_of_the_user(
    root: Path, defaults: str
) -> None:
    write(EXPERIMENT, f"{GLOBAL}defaults: {defaults}\nname: mnist\n")
    with pytest.raises(UserError, match=r"^a file of conf/ cannot be composed: .*defaults?"):
        compose(root, ["experiment=mnist"])


@pytest.mark.fault(40)
@pytest.mark.parametrize("choice", ["tuned=mnist", "size=full/translation"])
def test_no_other_file_that_an_override_names_is_passed_over(root: Path, choice: str) -> None:
    file = Path("conf", f"{choice.replace('=', '/')}.yaml")
    file.parent.mkdir(exist_ok=True)
    file.write_text("- model.width=3\n")
    with pytest.raises(UserError, match=f"^{file} holds a list"):
        compose(root, ["experiment=mnist", choice])


@pytest.mark.slow
@pytest.mark.fault(40)
@pytest.mark.parametrize("file", [EXPERIMENT, "conf/data/mnist.yaml"])
def test_the_command_line_gives_the_same_line_and_no_traceback(root: Path, file: str) -> None:
    write(file, f"{GLOBAL}name: gr\udcf6sse\n")
    done = call(root, "experiment=mnist")
    assert (done.returncode, done.stderr) == (
        2,
        f"goodfit: {file}, line 2, column 9: the byte 0xf6 is no UTF-8; save the file as UTF-8\n",
    )
    assert "Did you mean 'mnist'?" in call(root, "experiment=mnits").stderr


@pytest.mark.fault(40)
@pytest.mark.parametrize("text", ["experiments: [mnist\n", "a: 1\na: 2\n", "a: gr\udcf6\n"])
def test_params_yaml_and_the_galleries_files_have_line_and_column_too(
    root: Path, text: str
) -> None:
    write("params.yaml", text)
    with pytest.raises(UserError, match=r"^params.yaml, line [12], column \d+: [^\n]*$"):
        params.experiments()
    write("dvc.yaml", text)
    with pytest.raises(UserError, match=r"^dvc.yaml, line [12], column \d+: [^\n]*$"):
        gallery.pipeline()


@pytest.mark.slow
@pytest.mark.fault(41)
@pytest.mark.parametrize("number", NUMBERS)
def test_an_exponent_makes_a_number_in_an_experiment_and_in_what_compose_writes(
    root: Path, number: str
) -> None:
    text = Path(EXPERIMENT).read_text()
    assert text.count("lr: 4.0e-3") == 1
    write(EXPERIMENT, text.replace("lr: 4.0e-3", f"lr: {number}"))
    write_composed("mnist")
    assert tree.load(Path("build/mnist.json")).optimizer.lr == 1e-5
    assert json.loads(Path("build/mnist.json").read_text())["optimizer"]["lr"] == 1e-5


@pytest.mark.slow
@pytest.mark.fault(41)
@pytest.mark.parametrize("number", NUMBERS)
def test_an_exponent_makes_a_number_in_params_yaml(root: Path, number: str) -> None:
    write("params.yaml", f"experiments: []\noverrides: {{mnist: {{optimizer.lr: {number}}}}}\n")
    write_composed("mnist")
    assert tree.load(Path("build/mnist.json")).optimizer.lr == 1e-5


@pytest.mark.slow
@pytest.mark.fault(41)
@pytest.mark.parametrize(
    "spelling", ["+overrides.mnist.optimizer.lr=1e-5", '+overrides.mnist=["optimizer.lr=1e-5"]']
)
def test_what_dvc_writes_for_an_override_of_an_experiment_is_taken(
    root: Path, spelling: str
) -> None:
    from dvc.utils.hydra import apply_overrides

    apply_overrides("params.yaml", [spelling])
    write_composed("mnist")
    assert tree.load(Path("build/mnist.json")).optimizer.lr == 1e-5


@pytest.mark.slow
@pytest.mark.fault(41)
@pytest.mark.parametrize("number", ["1e3", "1e+3", "1.0e3", ".1e4", "1000.0", "1000"])
@pytest.mark.parametrize(
    "key", ["trainer.max_steps", "trainer.max_epochs", "seed", "model.width", "loader.batch_size"]
)
def test_an_exponent_makes_a_whole_number_where_one_is_expected(
    root: Path, number: str, key: str
) -> None:
    section, _, name = key.rpartition(".")
    line = f"{section}: {{{name}: {number}}}" if section else f"{name}: {number}"
    write("conf/size/x.yaml", f"{GLOBAL}{line}\n")
    write("params.yaml", "experiments: []\noverrides: {mnist: [size=x]}\n")
    if key == "trainer.max_steps":
        write("conf/size/x.yaml", f"{GLOBAL}trainer:\n  max_steps: {number}\n")
    write_composed("mnist")
    value = OmegaConf.select(tree.load(Path("build/mnist.json")), key)
    assert (value, type(value)) == (1000, int)


@pytest.mark.fault(41)
def test_a_number_is_repaired_wherever_it_stands_and_nothing_else_is(root: Path) -> None:
    groups = [{"names": "1e5", "lr_factor": "1e-2"}, {"names": "a.*", "lr_factor": 0.5}]
    content = tree.frozen(compose(root, ["experiment=mnist"]))
    content["parameters"] |= {"groups": groups, "unfreeze_at": 2.0, "freeze": ["1e5"]}
    content["trainer"] |= {"devices": 2.0, "max_steps": 2.5, "precision": "1e5"}
    content["tracking"]["run_name"] = "1e5"
    content["model"]["width"] = "16"
    exact = numbers.exact(content)
    assert exact["parameters"]["groups"][0] == {"names": "1e5", "lr_factor": 0.01}
    assert exact["parameters"]["freeze"] == ["1e5"]
    assert exact["tracking"]["run_name"] == "1e5"
    assert exact["trainer"]["max_steps"] == 2.5
    assert exact["trainer"]["precision"] == "1e5"
    assert exact["model"]["width"] == "16"
    whole = (exact["parameters"]["unfreeze_at"], exact["trainer"]["devices"])
    assert [(value, type(value)) for value in whole] == [(2, int), (2, int)]
    assert content["trainer"]["devices"] == 2.0  # a copy


def test_names_and_values_become_overrides_that_set_the_same(root: Path) -> None:
    content: dict[str, Any] = {
        "tracking": {"run_name": 'a=b "[größe]", it\'s\\'},
        "parameters.groups": [{"names": "a.*", "lr_factor": 1e-6}],
        "early_stopping": {"patience": 3, "min_delta": 0.5},
        "optimizer": {"fused": False},
    }
    cfg = tree.frozen(compose(root, ["experiment=mnist", *of_mapping(content)]))
    assert cfg["tracking"]["run_name"] == content["tracking"]["run_name"]
    assert cfg["parameters"]["groups"] == content["parameters.groups"]
    assert cfg["early_stopping"] == content["early_stopping"]
    assert cfg["optimizer"]["fused"] is False


def test_what_is_no_number_stays_a_text(root: Path) -> None:
    texts = ["e5", "1e", "1e-", "e-5", "1-e5", "0x1e5", "v1e5", "1e5.0", "2024-03-05", "1:30"]
    write("x.yaml", "".join(f"- {text}\n" for text in texts))
    content = read.read(Path("x.yaml"))
    assert content[:5] + content[6:9] == texts[:5] + texts[6:9]
    assert content[5] == 0x1E5
    assert read.read(Path("x.yaml"))[9] == yaml.safe_load("1:30")  # as everything reads it
