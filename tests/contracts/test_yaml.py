"""conf/ and src/goodfit say the same: names, targets, hyperparameters; every experiment can run."""

from __future__ import annotations

from pathlib import Path

import pytest
import tiny
import yaml
from omegaconf import OmegaConf

from goodfit.config import signature, tree
from goodfit.config.check import check, hyperparameters
from goodfit.config.compose import compose
from goodfit.config.regularization import settled

GROUPS = {path.name for path in (tiny.ROOT / "conf").iterdir() if path.is_dir()}
PACKAGES = {path.parent.name for path in (tiny.ROOT / "src/goodfit").glob("*/__init__.py")}
# the room of sweeps is no group, though their ranges are
MIRRORED = sorted(GROUPS & PACKAGES - {"search"})
# given by build.py and the task, not by YAML
FROM_THE_PROGRAM = {"optimizer", "schedule", "total_steps"}
FILES = [(group, name) for group in MIRRORED for name in tiny.names(group)]
TARGETS = sorted({tiny.section(group, name)["_target_"] for group, name in FILES})
files = pytest.mark.parametrize(("group", "name"), FILES)
experiments = pytest.mark.parametrize("experiment", tiny.names("experiment"))


def test_every_group_whose_targets_are_ours_is_a_folder_of_the_package() -> None:
    """conf/ decides: a group whose files name a class of ours has a room of the same name."""
    ours = set()
    for group in GROUPS - {"search", "experiment", "tuned"}:
        targets = [str(tiny.section(group, name).get("_target_", "")) for name in tiny.names(group)]
        if any(target.startswith("goodfit.") for target in targets):
            ours.add(group)
    assert ours == set(MIRRORED)


@files
def test_the_target_is_in_the_module_of_the_same_name(group: str, name: str) -> None:
    assert tiny.section(group, name)["_target_"].startswith(f"goodfit.{group}.{name}.")


@files
def test_the_target_exists(group: str, name: str) -> None:
    assert signature.read(tiny.section(group, name)["_target_"]) is not None


@files
def test_the_keys_are_exactly_the_hyperparameters(group: str, name: str) -> None:
    section = tiny.section(group, name)
    keys = {key for key in section if not key.startswith("_")}
    assert keys == set(hyperparameters(section["_target_"]))


@pytest.mark.parametrize("target", TARGETS)
def test_every_annotation_of_a_hyperparameter_is_understood(target: str) -> None:
    declared = signature.read(target)
    assert declared is not None
    assert set(declared.parameters) - set(hyperparameters(target)) <= FROM_THE_PROGRAM


@pytest.mark.parametrize("group", MIRRORED)
def test_every_module_with_a_concrete_class_has_its_yaml(group: str) -> None:
    """base, blocks, split, embedding and their like hold what others use."""
    targets = {
        tiny.section(group, name)["_target_"].rpartition(".")[0] for name in tiny.names(group)
    }
    modules = {f"goodfit.{group}.{name}" for name in tiny.names(group)}
    assert targets == modules


@pytest.mark.parametrize(
    "experiment", sorted(path.stem for path in (tiny.ROOT / "conf/size/full").glob("*.yaml"))
)
def test_a_full_size_is_its_experiment_with_other_numbers(experiment: str) -> None:
    overrides = [f"experiment={experiment}", "~tuned"]
    quick = tree.frozen(compose(tiny.ROOT, overrides))
    composed = compose(tiny.ROOT, [*overrides, f"size=full/{experiment}"])
    check(composed)
    full = tree.frozen(composed)
    assert full != quick
    for group in MIRRORED:
        assert full[group].keys() == quick[group].keys()
        # of baselines each has its section
        for name in ["_target_"] if "_target_" in quick[group] else quick[group]:
            assert full[group][name] == quick[group][name]


def test_config_yaml_names_every_group_that_no_network_brings() -> None:
    files = [tiny.ROOT / "conf/config.yaml", *(tiny.ROOT / "conf/model").glob("*.yaml")]
    named: set[str] = set()
    for path in files:
        for item in yaml.safe_load(path.read_text()).get("defaults", []):
            if isinstance(item, dict):
                named |= {key.removeprefix("/").partition("@")[0] for key in item}
    assert named >= GROUPS


@experiments
def test_every_experiment_passes_the_check(
    experiment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tiny.ROOT)
    chosen = [f"experiment={experiment}"]
    content, _ = settled(compose(tiny.ROOT, chosen), chosen)
    check(OmegaConf.create(content))


@experiments
def test_an_experiment_is_named_like_its_file(experiment: str) -> None:
    assert compose(tiny.ROOT, [f"experiment={experiment}"]).name == experiment


@experiments
def test_an_experiment_says_only_what_differs_from_the_defaults(experiment: str) -> None:
    content = yaml.safe_load((tiny.ROOT / f"conf/experiment/{experiment}.yaml").read_text())
    groups = []
    for item in content.pop("defaults"):
        for key, name in item.items():  # what overrides nothing is added
            chosen = key.removeprefix("override ")
            group = chosen.removeprefix("/").partition("@")[0]
            groups.append(f"{'' if chosen != key else '+'}{group}={name}")
    # with what `transfer` and `regularization` set: an experiment may take that back
    overrides = ["name=x", *groups]
    plain = OmegaConf.create(settled(compose(tiny.ROOT, overrides), overrides)[0])

    del content["name"]
    repeated = []
    for key, value in tree.dotted(content).items():
        if value is not None and OmegaConf.select(plain, key, default=None) == value:
            repeated.append(key)
    assert repeated == []


def test_a_class_without_init_takes_what_its_base_takes_in_another_file() -> None:
    table = signature.read("goodfit.data.table.Table")
    cancer = signature.read("goodfit.data.breast_cancer.BreastCancer")
    assert table is not None
    assert cancer is not None
    assert cancer.parameters == table.parameters


def test_a_class_without_init_takes_what_its_base_takes_in_the_same_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "goodfit_nets").mkdir()
    (tmp_path / "goodfit_nets/__init__.py").write_text("")
    (tmp_path / "goodfit_nets/two.py").write_text(
        "class Net:\n"
        "    def __init__(self, spec, *, width: Count): ...\n"
        "    def forward(self, image): ...\n"
        "class Wide(Net):\n"
        "    pass\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    wide = signature.read("goodfit_nets.two.Wide")
    assert wide is not None
    assert (wide.parameters, wide.forward) == ({"width": "Count"}, ("image",))


def test_a_name_that_its_module_only_imports_is_followed_within_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "goodfit_library"
    (folder / "deep").mkdir(parents=True)
    (folder / "__init__.py").write_text(
        "from os import PathLike\nfrom goodfit_library import deep\n"
        "from .deep import Inner as Outer, absent\n"
    )
    (folder / "deep/__init__.py").write_text("from .._net import Net as Inner\n")
    (folder / "_net.py").write_text("class Net:\n    def __init__(self, width): ...\n")
    monkeypatch.syspath_prepend(tmp_path)

    outer = signature.read_imported("goodfit_library.Outer")
    assert outer is not None
    assert outer.arguments == ("width",)
    assert signature.read("goodfit_library.Outer") is None
    # of another package, a module, a name that is nowhere
    for name in ("PathLike", "deep", "absent", "nothing"):
        assert signature.read_imported(f"goodfit_library.{name}") is None
