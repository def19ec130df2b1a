"""Names on the command line become DVC's targets; gallery/dvc.yaml says what dvc.yaml says."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
import tiny
import torch
import yaml

from goodfit.cli import guarded
from goodfit.config import gallery
from goodfit.config.compose import files
from goodfit.errors import UserError
from goodfit.provenance import dvc, environment
from goodfit.stages import repro
from goodfit.system.hardware import cores

OUT = "outs: [{path: models/%s, md5: '%s', size: 1}]"


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository whose params.yaml names `first`; `second` and `third` are experiments, too."""
    monkeypatch.chdir(tmp_path)
    for name in ("third", "first", "second"):
        path = Path(f"conf/experiment/{name}.yaml")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    Path("params.yaml").write_text("experiments: [first]\noverrides: {}\n")
    shutil.copy(tiny.ROOT / "dvc.yaml", tmp_path)
    return tmp_path


def test_the_tracked_file_of_the_gallery_is_made_from_the_present_dvc_yaml() -> None:
    assert (tiny.ROOT / gallery.PIPELINE).read_text() == gallery.pipeline()


def test_the_gallery_has_the_stages_of_dvc_yaml_in_the_folder_above() -> None:
    ours = yaml.safe_load((tiny.ROOT / "dvc.yaml").read_text())["stages"]
    theirs = yaml.safe_load((tiny.ROOT / gallery.PIPELINE).read_text())["stages"]
    assert list(theirs) == list(ours)
    for name, stage in ours.items():
        body = theirs[name]["do"]
        assert body.pop("wdir") == ".."
        assert stage.pop("matrix") == {"experiment": "${experiments}"}
        assert body == stage


def test_without_names_params_yaml_decides() -> None:
    assert gallery.targets([]) == []
    gallery.activate([])
    assert not Path("gallery").exists()


@pytest.mark.fault(47)
def test_a_name_in_params_yaml_that_is_no_experiment_is_answered_before_dvc_starts() -> None:
    Path("params.yaml").write_text("experiments: [first, secnod]\n")
    message = "^params.yaml: experiment 'secnod' does not exist. Did you mean 'second'?"
    with pytest.raises(UserError, match=message):
        gallery.targets([])
    assert gallery.targets(["first"]) == ["register@first"]  # what is named runs


@pytest.mark.fault(47)
@pytest.mark.parametrize("names", [[], ["second"]])
def test_overrides_of_no_experiment_are_refused(names: list[str]) -> None:
    Path("params.yaml").write_text("experiments: [first]\noverrides: {secnod: [seed=2]}\n")
    message = "params.yaml: overrides of 'secnod', an experiment that does not exist. Did you mean "
    with pytest.raises(UserError, match=f"{message}'second'"):
        gallery.targets(names)
    Path("params.yaml").write_text("experiments: [first]\noverrides: {second: [seed=2]}\n")
    gallery.targets(names)


@pytest.mark.fault(47)
def test_where_params_yaml_names_none_dvc_is_not_asked_for_all() -> None:
    Path("params.yaml").write_text("experiments: []\noverrides: {}\n")
    with pytest.raises(UserError, match="experiments names none"):
        gallery.targets([])
    assert gallery.targets(["first"])


def test_each_name_is_a_target_once_of_the_file_that_has_its_stages() -> None:
    expected = ["gallery/dvc.yaml:register@third", "register@first"]
    assert gallery.targets(["third", "first", "third"]) == expected


def test_an_unknown_name_ends_with_2_and_the_nearest_name(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["repro.py", "secnod"])
    with pytest.raises(SystemExit) as end:
        guarded(repro.main)
    assert end.value.code == 2
    message = "goodfit: experiment 'secnod' does not exist. Did you mean 'second'?\n"
    assert capsys.readouterr().err == message
    assert not Path("gallery").exists()


def test_what_was_asked_for_stays_until_params_yaml_names_it_or_its_file_is_gone() -> None:
    gallery.activate(["second", "first"])
    assert gallery.active() == ["second"]
    gallery.activate(["third"])
    assert gallery.active() == ["second", "third"]
    Path("params.yaml").write_text("experiments: [first, second]\n")
    gallery.activate([])
    assert gallery.active() == ["third"]
    Path("conf/experiment/third.yaml").unlink()
    gallery.activate([])
    assert gallery.active() == []


@pytest.mark.slow
@pytest.mark.fault(48)
def test_dvc_sees_every_file_that_an_experiment_of_the_project_is_composed_of(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tiny.ROOT)
    for name in gallery.known():
        gallery.check_watched(files(tiny.ROOT, [f"experiment={name}"]), name)


@pytest.mark.fault(48)
@pytest.mark.parametrize(
    ("file", "addition"),
    [
        ("experiment/mnist", "conf/experiment/mnist.yaml"),
        ("experiment/base/wide", "conf/experiment/base"),
        ("own/wide", "conf/own"),
    ],
)
def test_a_file_whose_edits_dvc_would_not_see_is_refused_with_what_to_add(
    root: Path, file: str, addition: str
) -> None:
    shutil.copytree(tiny.ROOT / "conf", root / "conf", dirs_exist_ok=True)
    path = Path("conf", f"{file}.yaml")
    path.parent.mkdir(exist_ok=True)
    path.write_text(Path("conf/experiment/mnist.yaml").read_text())
    text = f"# @package _global_\ndefaults:\n  - /{file}\nname: second\n"
    Path("conf/experiment/second.yaml").write_text(text)
    used = files(root, ["experiment=second"])
    with pytest.raises(UserError, match=f"^second uses {path}, .*; add {addition} to the deps of"):
        gallery.check_watched(used, "second")

    pipeline = yaml.safe_load(Path("dvc.yaml").read_text())
    pipeline["stages"]["compose"]["deps"].append(addition)
    Path("dvc.yaml").write_text(yaml.safe_dump(pipeline))
    gallery.check_watched(used, "second")


def test_a_new_dependency_in_dvc_yaml_is_one_of_the_gallery() -> None:
    pipeline = yaml.safe_load(Path("dvc.yaml").read_text())
    pipeline["stages"]["train"]["deps"].append("words.txt")
    Path("dvc.yaml").write_text(yaml.safe_dump(pipeline))
    gallery.activate(["second"])
    stages = yaml.safe_load(gallery.PIPELINE.read_text())["stages"]
    assert stages["train"]["do"]["deps"][-1] == "words.txt"


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ("experiments: 1", ": experiments is 1; expected names"),
        ("[", ", line 1, column 2: "),
        ("", " holds nothing"),
        ("other: {}", ": experiments is None"),
    ],
)
def test_a_broken_list_of_the_gallery_is_told_in_a_line(text: str, mistake: str) -> None:
    gallery.ACTIVE.parent.mkdir()
    gallery.ACTIVE.write_text(text)
    with pytest.raises(UserError, match=rf"^gallery/params\.yaml{mistake}.*; delete "):
        gallery.active()


def test_the_advised_command_is_that_of_the_file_that_has_the_stages() -> None:
    gallery.activate(["second"])
    assert gallery.command("train", "first") == "dvc repro train@first"
    assert gallery.command("train", "second") == "dvc repro gallery/dvc.yaml:train@second"
    assert gallery.command("train", "third") == "make repro ONLY=third"


def test_outputs_of_the_gallery_count_where_they_were_asked_for() -> None:
    lock = "schema: '2.0'\nstages:\n"
    Path("dvc.lock").write_text(f"{lock}  train@first: {{{OUT % ('first', 'a')}}}\n")
    dvc.GALLERY_LOCK.parent.mkdir()
    lines = [f"  train@{name}: {{{OUT % (name, 'b')}}}" for name in ("second", "third")]
    dvc.GALLERY_LOCK.write_text(lock + "\n".join(lines))
    assert [output.stage for output in dvc.outputs()] == ["train@first"]
    gallery.activate(["third"])
    expected = ["train@first", "gallery/dvc.yaml:train@third"]
    assert [output.stage for output in dvc.outputs()] == expected
    assert dvc.output_hash(Path("models/third")) == "b"


def test_a_broken_lock_of_the_gallery_is_named() -> None:
    gallery.activate(["third"])
    dvc.GALLERY_LOCK.write_text("stages: [1")
    with pytest.raises(UserError, match=r"^gallery/dvc\.lock cannot be read: "):
        dvc.outputs()


@pytest.mark.parametrize(
    ("only", "expected"),
    [
        ("", "python pipelines/repro.py  \npython pipelines/summary.py \n"),
        (
            "third first",
            "python pipelines/repro.py third first \npython pipelines/summary.py third first\n",
        ),
    ],
)
def test_make_repro_hands_the_names_on(root: Path, only: str, expected: str) -> None:
    assert made(root, "repro", f"ONLY={only}") == expected
    assert made(root, "repro", f"ONLY={only}", "KEEP_GOING=0") == expected


def test_make_repro_with_keep_going_goes_on_behind_a_failure(root: Path) -> None:
    line = made(root, "repro", "KEEP_GOING=1", "ONLY=first").splitlines()[0]
    assert line == "python pipelines/repro.py first --keep-going"


def test_make_gallery_is_every_experiment_there_is(root: Path) -> None:
    repro_line, summary_line = made(root, "gallery").splitlines()
    assert repro_line.split()[-1] == "--keep-going"
    assert sorted(repro_line.split()[2:-1]) == ["first", "second", "third"]
    assert sorted(summary_line.split()[2:]) == ["first", "second", "third"]


def made(root: Path, *arguments: str) -> str:
    """What `make` would run, with everything installed."""
    shutil.copy(tiny.ROOT / "Makefile", root)
    command = ["make", "--dry-run", "--no-print-directory", "--assume-old=.venv/ready"]
    (root / ".venv").mkdir(exist_ok=True)
    (root / ".venv/ready").touch()
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, check=True)
    return done.stdout


def test_the_machine_of_a_training_is_named_with_how_much_of_it_computes() -> None:
    cpu = torch.device("cpu")
    processor = environment.hardware()["processor"]
    count = len(cores())
    words = "1 core" if count == 1 else f"{count} cores"
    assert environment.machine(cpu, 1) == f"{processor}, {words}"
    assert environment.machine(cpu, 3) == f"{processor}, {words} for each of 3 processes"
    assert environment.machine(torch.device("meta"), 1) == "meta"
    assert environment.machine(torch.device("meta"), 4) == "4 x meta"
