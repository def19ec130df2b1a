"""Everything is resolved but the environment, whose values no file may hold."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import tiny
from hydra.errors import ConfigCompositionException
from omegaconf import OmegaConf

from goodfit.config import messages, params, tree
from goodfit.config.compose import compose, tuned
from goodfit.errors import UserError, nearest

CANARY = "canary-7f3a"


@pytest.fixture(autouse=True)
def secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_SECRET", CANARY)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({"a": "${oc.env:MY_SECRET}"}, {"a": "${oc.env:MY_SECRET}"}),
        ({"a": "${oc.env:MY_SECRET,none}"}, {"a": "${oc.env:MY_SECRET,none}"}),
        (
            {"a": "x://${oc.env:MY_SECRET}@h/${b}", "b": 1},
            {"a": "x://${oc.env:MY_SECRET}@h/1", "b": 1},
        ),
        (
            {"a": "${b}", "b": "${c}", "c": "${oc.env:MY_SECRET}"},
            dict.fromkeys("abc", "${oc.env:MY_SECRET}"),
        ),
        (
            {"a": ["${b.c}"], "b": {"c": "${oc.env:MY_SECRET}"}},
            {"a": ["${oc.env:MY_SECRET}"], "b": {"c": "${oc.env:MY_SECRET}"}},
        ),
        (
            {"a": "${oc.env:UNSET,${oc.env:MY_SECRET}}"},
            {"a": "${oc.env:UNSET,${oc.env:MY_SECRET}}"},
        ),
        ({"a": "${oc.env:UNSET,${b}}", "b": 3}, None),
        ({"a": "${b}", "b": 3}, {"a": 3, "b": 3}),
    ],
)
def test_a_reference_to_the_environment_stays_one(
    content: dict[str, object], expected: dict[str, object]
) -> None:
    frozen = tree.frozen(OmegaConf.create(content))
    assert frozen == expected or (expected is None and CANARY not in str(frozen))


def test_a_frozen_reference_still_gives_the_value() -> None:
    frozen = tree.frozen(OmegaConf.create({"a": "${b}", "b": "${oc.env:MY_SECRET}"}))
    assert OmegaConf.create(frozen).a == CANARY


def test_no_secret_is_in_the_dumped_text() -> None:
    composed = compose(
        tiny.ROOT, ["experiment=mnist", "tracking.uri=pg://me:${oc.env:MY_SECRET}@host/db"]
    )
    assert CANARY not in tree.dump(tree.frozen(composed))


def test_no_hydra_setting_is_in_the_frozen_tree() -> None:
    assert "hydra" not in tree.frozen(compose(tiny.ROOT, ["experiment=mnist"]))


def test_the_dumped_text_does_not_depend_on_the_order_of_keys() -> None:
    assert tree.dump({"b": {"d": 1, "c": 2}, "a": 3}) == tree.dump({"a": 3, "b": {"c": 2, "d": 1}})


def test_keys_are_those_of_inner_nodes_and_of_lists_too() -> None:
    content = {"a": {"b": 1, "c": [2, {"d": 3}]}, "e": None}
    assert list(tree.dotted_keys(content)) == ["a", "a.b", "a.c", "a.c.[].d", "e"]


def test_a_dumped_configuration_is_read_back_equal(tmp_path: Path) -> None:
    content = tree.frozen(compose(tiny.ROOT, ["experiment=electricity"]))
    (tmp_path / "x.yaml").write_text(tree.dump(content))
    assert tree.frozen(tree.load(tmp_path / "x.yaml")) == content


def test_the_section_code_is_left_out_when_a_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text("name: x\ncode: {train: {a: b}}\n")
    assert list(tree.load(tmp_path / "x.yaml")) == ["name"]


@pytest.mark.parametrize(
    ("text", "message"), [("", "x.yaml"), ("- a\n", "x.yaml"), ("a: [1\n", "x.yaml")]
)
def test_a_file_that_is_no_configuration_is_named(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "x.yaml").write_text(text)
    with pytest.raises(UserError, match=message):
        tree.load(tmp_path / "x.yaml")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("experiment=mnits", "experiment=mnits does not exist. Did you mean 'mnist'?"),
        ("model=cn", "model=cn does not exist. Did you mean 'cnn'?"),
        ("model.widht=3", "unknown key 'model.widht'. Did you mean 'model.width'?"),
        (
            "trainer.max_epoch=3",
            "unknown key 'trainer.max_epoch'. Did you mean 'trainer.max_epochs'? What conf/ does "
            "not name of Lightning's Trainer is added: +trainer.max_epoch=...",
        ),
        ("modle=cnn", "'modle'. Did you mean 'model'?"),
        ("model.width=[1", "'[1'"),
    ],
)
def test_a_wrong_override_is_explained(override: str, message: str) -> None:
    with pytest.raises(UserError) as error:
        tree.frozen(compose(tiny.ROOT, ["experiment=mnist", override]))
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("overrides", "added"),
    [
        (["experiment=mnist"], ["tuned=mnist"]),
        (["+experiment=mnist", "seed=1"], ["tuned=mnist"]),
        (["experiment=mnist", "tuned=null"], []),
        (["experiment=mnist", "~tuned"], []),
        (["experiment=other"], []),
        (["~experiment=mnist"], []),
        ([], []),
    ],
)
def test_tuned_values_are_taken_up_unless_the_overrides_name_them(
    overrides: list[str], added: list[str], tmp_path: Path
) -> None:
    (tmp_path / "conf/tuned").mkdir(parents=True)
    (tmp_path / "conf/tuned/mnist.yaml").touch()
    assert tuned(tmp_path, overrides) == added


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("hydra.sweeper.n_trails", "hydra.sweeper.n_trials"),
        ("hydra.sweeper.sampler.n_startup", "hydra.sweeper.sampler.n_startup_trials"),
        ("hydra.swep.dir", "hydra.sweep.dir"),
    ],
)
def test_a_key_of_the_sweeper_is_known_too(key: str, meant: str) -> None:
    error = ConfigCompositionException(f"Could not override '{key}'.")
    assert messages.explain(error, tiny.ROOT) == f"unknown key '{key}'. Did you mean '{meant}'?"


@pytest.mark.parametrize(
    ("group", "choice", "advice"),
    [
        ("hydra/sweeper/sampler", "tpo", "Did you mean 'tpe'?"),
        (
            "hydra/sweeper/pruner",
            "x",
            "Known: hyperband, median, none, patient, percentile, threshold.",
        ),
        ("model", "x", nearest("x", tiny.names("model")).strip()),
        ("nowhere", "x", "Known: none."),
    ],
)
def test_a_choice_that_is_none_is_answered_with_those_that_are(
    group: str, choice: str, advice: str
) -> None:
    error = ConfigCompositionException(f"Could not find '{group}/{choice}'")
    assert messages.explain(error, tiny.ROOT) == f"{group}={choice} does not exist. {advice}"


def test_without_an_experiment_the_message_lists_them() -> None:
    with pytest.raises(UserError) as error:
        compose(tiny.ROOT, [])
    assert f"experiment=<{'|'.join(tiny.names('experiment'))}>" in str(error.value)


def test_a_key_that_only_another_choice_of_its_group_has_is_not_offered_as_the_right_one() -> None:
    with pytest.raises(
        UserError, match=r"unknown key 'data.split_seed': only another choice of data="
    ):
        compose(tiny.ROOT, ["experiment=electricity", "data.split_seed=1"])


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """A repository in which a file of conf/ is no YAML."""
    shutil.copytree(tiny.ROOT / "conf", tmp_path / "conf")
    (tmp_path / "conf/model/cnn.yaml").write_text("width: 3\nkernel: [3\n")
    return tmp_path


def test_a_file_of_conf_that_is_no_yaml_is_named_with_its_line(broken: Path) -> None:
    with pytest.raises(UserError, match=r"conf/model/cnn.yaml, line 3, column 1: .* YAML"):
        compose(broken, ["experiment=mnist"])


def test_a_broken_file_beside_it_does_not_hide_a_wrong_key(broken: Path) -> None:
    with pytest.raises(UserError, match=r"unknown key 'model.widht'. Did you mean"):
        compose(broken, ["experiment=breast_cancer", "model.widht=3"])


def test_params_yaml_lists_experiments_and_their_overrides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    params.PARAMS.write_text("experiments: [b, a]\noverrides: {a: [seed=1]}\n")
    assert params.experiments() == ["b", "a"]
    assert [params.overrides(name) for name in ("a", "b")] == [["seed=1"], []]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "params.yaml cannot be read: No such file"),
        ("experiments: [a", "params.yaml, line 1, column 16: expected"),
        ("- a", "params.yaml holds a list"),
        ("", "params.yaml holds nothing"),
        ("experiments: a\noverrides: [b]", "params.yaml: (experiments|overrides) is "),
        ("overrides: {a: seed=1}", "params.yaml: (experiments is None|overrides.a is 'seed=1')"),
        ("overrides: {a: [{seed: 1}]}", "params.yaml: (experiments is None|overrides.a is )"),
    ],
)
@pytest.mark.parametrize("question", [params.experiments, lambda: params.overrides("a")])
def test_a_wrong_params_yaml_is_the_users_to_mend(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None, message: str, question: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    if text is not None:
        params.PARAMS.write_text(text)
    with pytest.raises(UserError, match=message):
        question()
