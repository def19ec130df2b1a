"""Parts that do not fit each other are refused, and so are classes that a section may not name."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import tiny
from omegaconf import DictConfig, OmegaConf

from goodfit.config import signature
from goodfit.config.check import ALLOWED, BASES, allowed, check
from goodfit.config.sections import SEVERAL
from goodfit.errors import UserError


def test_a_network_that_takes_other_inputs_is_refused() -> None:
    with pytest.raises(
        UserError, match=r"CNN.forward takes \['image'\], the data set gives \['numbers'\]"
    ):
        check(tiny.cfg("breast_cancer", model="cnn"))


def test_a_task_for_other_targets_is_refused() -> None:
    with pytest.raises(
        UserError,
        match="task Forecasting is for targets of kind series, the data set's are of kind",
    ):
        check(tiny.cfg("breast_cancer", task="forecasting"))


BOXES = """
from goodfit.task.classification import Classification

class Boxes(Classification):
    def loss(self, output, boxes, labels):
        return output
"""
CHECK_STDIN = """
import sys
from omegaconf import OmegaConf
from goodfit.config.check import check
check(OmegaConf.create(sys.stdin.read()))
"""
LAST_DAY = """
class LastDay:
    def __init__(self, spec): ...
    def forward(self, past): ...
"""


def checked(folder: Path, cfg: DictConfig, **files: str) -> str:
    """What `check` says of a configuration in a copy of the package with more files."""
    shutil.copytree(tiny.ROOT / "src/goodfit", folder / "goodfit")
    for name, content in files.items():
        (folder / "goodfit" / name.replace("__", "/")).with_suffix(".py").write_text(content)
    done = subprocess.run(
        [sys.executable, "-c", CHECK_STDIN],
        input=OmegaConf.to_yaml(cfg),
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stderr


@pytest.mark.slow
def test_a_task_whose_loss_takes_targets_of_other_names_is_refused(tmp_path: Path) -> None:
    cfg = tiny.cfg("breast_cancer")
    cfg.task._target_ = "goodfit.task.boxes.Boxes"
    assert (
        "the loss of task Boxes takes ['boxes', 'labels'], the data set gives ['target']; "
        "choose another task= or data="
    ) in checked(tmp_path, cfg, task__boxes=BOXES)


def test_a_network_may_leave_out_inputs_that_the_data_set_gives(tmp_path: Path) -> None:
    cfg = tiny.cfg("electricity")
    cfg.model = {"_target_": "goodfit.model.last_day.LastDay"}
    assert checked(tmp_path, cfg, model__last_day=LAST_DAY) == ""


def test_a_baseline_for_other_inputs_is_refused() -> None:
    with pytest.raises(
        UserError, match=r"baseline\.svm SupportVectors takes \['image'\], the data set gives"
    ):
        check(tiny.cfg("breast_cancer", baseline="svm"))


def test_an_augmentation_of_other_inputs_is_refused() -> None:
    with pytest.raises(
        UserError,
        match=r"augment\.affine changes \['image'\], the network is given \['numbers'\]",
    ):
        check(tiny.cfg("breast_cancer", augment={"affine": tiny.section("augment", "affine")}))


@pytest.mark.parametrize("key", sorted(ALLOWED))
@pytest.mark.parametrize(
    "target", ["os.system", "builtins.exec", "goodfit", "goodfit.system.files.replacing", ""]
)
def test_no_section_may_name_what_is_not_its_own(key: str, target: str) -> None:
    assert not allowed(key, target)


@pytest.mark.parametrize("section", sorted(BASES))
def test_a_base_class_is_refused_with_what_a_subclass_defines(section: str) -> None:
    base = signature.read(BASES[section])
    assert base is not None
    cfg = tiny.cfg("breast_cancer")
    part = {"_target_": BASES[section]}
    cfg[section] = {"base": part} if section in SEVERAL else {**cfg[section], **part}
    with pytest.raises(UserError) as refused:
        check(cfg)
    assert f"does not define {', '.join(base.undefined)}; name a subclass" in str(refused.value)


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("data.base.arrays_as_lists", "is not derived from goodfit.data.base.DataSet"),
        ("model.embedding.character_ngrams", "is no network, for it has no forward"),
    ],
)
def test_a_target_of_the_right_package_and_the_wrong_kind_is_refused(
    target: str, reason: str
) -> None:
    cfg = tiny.cfg("breast_cancer")
    cfg[target.partition(".")[0]]._target_ = f"goodfit.{target}"
    with pytest.raises(UserError, match=reason):
        check(cfg)


CLASSES = """
from abc import ABC, abstractmethod
from typing import ClassVar
from made import base

class Base(base.Root):
    kinds: ClassVar[str]
    @abstractmethod
    def read(self): ...
class Half(Base):
    title = "half"
class Read(Base):
    kinds: str = "number"
    def read(self): ...
class Both(Half, Read):
    pass
"""


def test_bases_are_followed_in_the_order_of_python(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What one base leaves open the other defines; a base may be named by its module."""
    (tmp_path / "made").mkdir()
    (tmp_path / "made/__init__.py").touch()
    (tmp_path / "made/base.py").write_text("class Root:\n    title = 'root'\n")
    (tmp_path / "made/parts.py").write_text(CLASSES)
    monkeypatch.syspath_prepend(tmp_path)
    both, half = signature.read("made.parts.Both"), signature.read("made.parts.Half")
    assert both is not None
    assert half is not None
    names = [name.rpartition(".")[2] for name in both.classes]
    assert names == ["Both", "Half", "Read", "Base", "Root"]
    assert both.undefined == ()
    assert both.constants == {"title": "half", "kinds": "number"}
    assert half.undefined == ("kinds", "read")


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("goodfit.baseline.blob.Blobs", "there is no goodfit.baseline.blob"),
        ("goodfit.model.mlp.Mlp", r"only goodfit\.baseline\.\* may be named"),
        ("goodfit.baseline.ridge.RidgeRegression", "is for targets of kind"),
        ("goodfit.baseline.hog.Hog", "a second time, as baseline.hog; leave it out"),
    ],
)
def test_each_baseline_is_checked(target: str, message: str) -> None:
    others = {"baseline": {"more": {"_target_": target}}}
    cfg = OmegaConf.merge(tiny.cfg("mnist"), others)
    with pytest.raises(UserError, match=message) as refused:
        check(cfg)  # type: ignore[arg-type]
    assert "baseline.more" in str(refused.value)
