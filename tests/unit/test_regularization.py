"""A level of regularization sets what the experiment has, and leaves what its user said."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import tiny
from omegaconf import OmegaConf

from goodfit.config import tree
from goodfit.config.check import check
from goodfit.config.compose import compose
from goodfit.config.regularization import settled
from goodfit.errors import UserError

LEVELS = ("none", "light", "strong")


@pytest.fixture(autouse=True)
def repository(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tiny.ROOT)


def of(*overrides: str, root: Path = tiny.ROOT) -> tuple[dict[str, Any], str]:
    """The settled configuration and the line about it."""
    content, line = settled(compose(root, overrides), overrides)
    return content, line or ""


@pytest.mark.slow
@pytest.mark.parametrize("experiment", tiny.names("experiment"))
def test_every_level_suits_every_experiment(experiment: str) -> None:
    composed = compose(tiny.ROOT, [f"experiment={experiment}", "~tuned"])
    for level in LEVELS:  # composed once: Hydra takes most of the time
        composed.regularization = OmegaConf.load(f"conf/regularization/{level}.yaml")
        content, line = settled(composed, [f"regularization={level}"])
        check(OmegaConf.create(content))
        assert line is not None
        said = line.splitlines()[-1]  # behind what `transfer` sets, of networks that have it
        assert said.startswith(f"regularization={level} sets average=")


@pytest.mark.parametrize("model", tiny.names("model"))
def test_without_regularization_no_share_of_a_network_is_dropped(model: str) -> None:
    """Whatever a network calls its dropout, noise or masks: `none` knows the name."""
    table = tiny.ROOT / "conf/regularization/none.yaml"
    known = OmegaConf.load(table).model["any"]
    for key in _leaves(tiny.section("model", model)):
        if any(word in key for word in ("dropout", "noise", "mask", "stochastic")):
            assert known[key] == 0


def _leaves(section: dict[str, Any]) -> list[str]:
    keys = []
    for key, value in section.items():
        keys += _leaves(value) if isinstance(value, dict) else [key]
    return keys


def test_where_nothing_is_said_nothing_changes() -> None:
    content, line = of("experiment=mnist", "~tuned")
    assert line == ""
    assert content["regularization"] is None
    assert content["task"]["label_smoothing"] == 0.05
    assert list(content["augment"]) == ["affine"]


def test_images_of_classes_are_mixed_and_what_is_set_is_told() -> None:
    content, line = of("experiment=mnist", "~tuned", "regularization=strong")
    assert list(content["augment"]) == ["affine", "mixup", "cutmix"]
    assert content["model"]["dropout"] == 0.4
    assert "model.dropout=0.4" in line
    assert "augment=[affine,mixup,cutmix]" in line


def test_none_turns_the_experiments_own_off() -> None:
    content, _ = of("experiment=reviews", "regularization=none")
    assert list(content["augment"]) == ["none"]
    assert (content["average"], content["optimizer"]["weight_decay"]) == (0, 0)
    assert {content["model"][key] for key in content["model"] if "dropout" in key} == {0}


def test_series_and_boxes_get_what_suits_them() -> None:
    series, _ = of("experiment=electricity", "~tuned", "regularization=strong")
    boxes, _ = of("experiment=crowns", "regularization=strong")
    assert list(series["augment"]) == ["none"]
    assert series["model"]["noise"] == 0.2
    assert list(boxes["augment"]) == ["aerial"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("override", "key"),
    [
        ("model.dropout=0.1", "model.dropout"),
        ("model={dropout:0.1}", "model.dropout"),
        ("++average=0.5", "average"),
        ("augment=none", "augment"),
        ("augment.affine.degrees=3", "augment"),
    ],
)
def test_an_override_stands_wherever_it_stands(override: str, key: str) -> None:
    for overrides in ((override, "regularization=strong"), ("regularization=strong", override)):
        content, line = of("experiment=mnist", "~tuned", *overrides)
        plain, _ = of("experiment=mnist", "~tuned", override)
        assert _select(content, key) == _select(plain, key)
        assert f"leaves {key} as said" in line


def _select(content: dict[str, Any], key: str) -> Any:
    return tree.dotted(content).get(key, content.get(key))


def test_in_an_experiments_file_its_values_stand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(tiny.ROOT / "conf", tmp_path / "conf")
    path = tmp_path / "conf/experiment/mnist.yaml"
    text = path.read_text().replace("augment: affine", "regularization: strong")
    path.write_text(text)
    monkeypatch.chdir(tmp_path)
    content, line = of("experiment=mnist", "~tuned", root=tmp_path)
    assert content["task"]["label_smoothing"] == 0.05
    assert content["optimizer"]["weight_decay"] == 0.02
    assert content["model"]["dropout"] == 0.4
    assert "leaves optimizer.weight_decay, task.label_smoothing as said" in line


def test_two_levels_are_refused() -> None:
    with pytest.raises(UserError, match="expected one of none, light and strong"):
        of("experiment=mnist", "~tuned", "regularization=[light,strong]")


def test_a_level_that_sets_nothing_is_refused() -> None:
    said = ["average", "sharpness", "optimizer.weight_decay", "task.label_smoothing"]
    overrides = [f"{key}=0.0" for key in [*said, "model.dropout"]]
    with pytest.raises(UserError, match=r"regularization=light sets nothing: average, .* are said"):
        of("experiment=mnist", "~tuned", "regularization=light", "augment=none", *overrides)


@pytest.mark.parametrize(
    ("overrides", "problem"),
    [
        (("experiment=crowns", "augment=mixup"), "augment.mixup mixes targets, and Detection"),
        (("experiment=reviews", "augment=mixup"), "augment.mixup mixes .*'image'"),
        (("experiment=crowns", "augment=affine"), r"augment.affine would make \['boxes'"),
        (("experiment=electricity", "augment=noise"), r"augment.noise changes \['numbers'\]"),
    ],
)
def test_an_augmentation_that_means_nothing_here_is_refused(
    overrides: tuple[str, ...], problem: str
) -> None:
    content, _ = of(*overrides)
    with pytest.raises(UserError, match=problem):
        check(OmegaConf.create(content))


def test_rows_that_do_not_count_alike_are_not_mixed() -> None:
    cfg = tiny.cfg("table-class", augment={"mixup": tiny.section("augment", "mixup")})
    cfg.data.weight = "number"
    cfg.baseline = {"boosting": tiny.section("baseline", "boosting")}
    with pytest.raises(UserError, match=r"augment\.mixup mixes rows, and those of data\.weight"):
        check(cfg)
