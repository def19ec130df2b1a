"""A training starts from the pinned file, name by name and bit by bit, or it does not start."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from cutting import case, cut, same, weights
from mlflow import MlflowClient
from omegaconf import DictConfig
from torch import Tensor, nn

from goodfit import build
from goodfit.contract import DataSpec
from goodfit.errors import UserError
from goodfit.launch.fit import fit
from goodfit.paths import PRETRAINED
from goodfit.predictor import Predictor
from goodfit.records import Training
from goodfit.schema import Pretrained
from goodfit.store.fetch import fetch_weights
from goodfit.system.files import read_json, sha256, write_json
from goodfit.training.pretrained import start_from

Home = Callable[..., DictConfig]
State = dict[str, Tensor]
FIRST, LAST = ["layers.0.weight", "layers.0.bias"], ["layers.6.weight", "layers.6.bias"]


class Start(pl.Callback):
    """Keeps the network's state before the first step, and the loss of that step."""

    def __init__(self) -> None:
        self.state: State = {}
        self.loss: float | None = None

    def on_train_start(self, trainer: pl.Trainer, module: Any) -> None:
        self.state = {name: value.clone() for name, value in module.task.model.state_dict().items()}

    def on_train_batch_end(
        self, trainer: pl.Trainer, task: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if self.loss is None:
            self.loss = float(outputs["loss"])


def network_of(model: Path) -> State:
    """The network's own tensors: the task keeps what it has learned beside them."""
    named = weights(model)
    return {name: value for name, value in named.items() if not name.startswith("task:")}


def from_file(path: Path, **changes: Any) -> dict[str, Any]:
    """The section `pretrained` for a file at a path."""
    return {"source": {"mirrors": [str(path)], "sha256": sha256(path)}, **changes}


@pytest.mark.slow
def test_frozen_layers_are_the_files_and_the_head_is_the_seeds(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    """The usual case: a backbone that was trained elsewhere, and a head for this task."""
    fit(home(seed=1), out=Path("before"))
    file = Path("before/weights.pt")
    fresh, started = Start(), Start()
    fit(home(), out=Path("fresh"), callbacks=[fresh])
    capsys.readouterr()

    chosen = from_file(file, fresh=["layers.6.*"])
    cfg = home(pretrained=chosen, parameters={"freeze": ["layers.0.*"]})
    fit(cfg, out=Path("model"), callbacks=[started])
    content, end = network_of(Path("before")), network_of(Path("model"))
    for name, value in started.state.items():
        expected = fresh.state if name in LAST else content
        assert torch.equal(value, expected[name]), name
    assert [name for name in end if torch.equal(end[name], content[name])] == FIRST
    assert started.loss != fresh.loss

    numbers = sum(value.numel() for name, value in content.items() if name not in LAST)
    line = (
        f"starting from weights.pt (SHA-256 {sha256(file)[:12]}...): 4 tensors with {numbers:,} "
        f"numbers; fresh: {', '.join(LAST)}; not used of the file: {', '.join(LAST)}, "
        "task:temperature"
    )
    assert capsys.readouterr().out.splitlines().count(line) == 1


@pytest.mark.slow
def test_the_files_hash_is_with_the_model_and_its_run(home: Home) -> None:
    fit(home(), out=Path("before"))
    before = Training.read(Path("before/train.json"))
    assert before.pretrained_sha256 is None

    cfg = home(pretrained=from_file(Path("before/weights.pt")))
    fit(cfg, out=Path("model"))
    training = Training.read(Path("model/train.json"))
    assert training.pretrained_sha256 == before.weights_sha256
    client = MlflowClient(cfg.tracking.uri)
    tags = [client.get_run(run_id).data.tags for run_id in (before.run_id, training.run_id)]
    found = [item.get("goodfit.pretrained_sha256") for item in tags]
    assert found == [None, before.weights_sha256]


def test_a_record_of_a_version_before_is_read(home: Home) -> None:
    fit(home(), out=Path("model"))
    content = read_json(Path("model/train.json"))
    del content["pretrained_sha256"]
    write_json(Path("model/train.json"), content)
    assert Training.read(Path("model/train.json")).pretrained_sha256 is None


@pytest.mark.slow
def test_a_trained_model_needs_the_file_no_more(home: Home) -> None:
    fit(home(), out=Path("before"))
    fit(home(pretrained=from_file(Path("before/weights.pt"))), out=Path("model"))
    remove_file()
    model = Predictor.load(Path("model")).task.model
    assert isinstance(model, nn.Module)
    kept = weights(Path("model"))
    assert all(torch.equal(value, kept[name]) for name, value in model.state_dict().items())


@pytest.mark.slow
def test_a_training_that_goes_on_needs_the_file_no_more(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    fit(home(), out=Path("before"))
    section = from_file(Path("before/weights.pt"))

    def cfg() -> DictConfig:
        made = case(home, "plain")
        made.pretrained.source.update(section["source"])
        return made

    fit(cfg(), out=Path("whole"))
    cut(cfg(), 1, 0)
    remove_file()
    Path("before/weights.pt").unlink()
    capsys.readouterr()
    fit(cfg(), out=Path("model"))
    assert same(Path("model"), Path("whole"))
    assert "starting from" not in capsys.readouterr().out


def remove_file() -> None:
    (path,) = PRETRAINED.glob("*/*.pt")
    path.unlink()


def test_weights_that_nobody_fetched_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("x.pt").write_bytes(b"content")
    section = Pretrained(**from_file(Path("x.pt")), rename=(), fresh=())
    with pytest.raises(UserError, match=r"does not exist; training or pipelines/fetch\.py brings"):
        start_from(Network(), section)


def test_of_another_file_nothing_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("x.pt").write_bytes(b"content")
    source = Pretrained(**from_file(Path("x.pt")), rename=(), fresh=()).source
    assert source is not None
    Path("x.pt").write_bytes(b"another")
    with pytest.raises(UserError, match=r"in pretrained\.source\.mirrors"):
        fetch_weights(source)
    assert [path.name for path in PRETRAINED.rglob("*") if path.is_file()] == [".lock"]


class Network(nn.Module):
    """Two layers, and a buffer that is saved with them."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Linear(3, 2)
        self.head = nn.Linear(2, 1)
        self.register_buffer("mean", torch.zeros(3))


def content(**changes: Any) -> dict[str, Any]:
    """A state of `Network`, whose numbers are all others."""
    made: dict[str, Any] = {}
    for index, (name, value) in enumerate(Network().state_dict().items()):
        made[name] = torch.full_like(value, 5.0 + index)
    return made | {name.replace("_", "."): value for name, value in changes.items()}


def start(
    file: Path, *, rename: tuple[tuple[str, str], ...] = (), fresh: tuple[str, ...] = ()
) -> tuple[State, State, str]:
    """The network's state before and after, and the line that says what was taken."""
    rules = tuple({"file": old, "network": new} for old, new in rename)
    section = Pretrained(**from_file(file), rename=rules, fresh=fresh)
    assert section.source is not None
    fetch_weights(section.source)
    network = Network()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    line = start_from(network, section)
    assert line is not None
    return before, network.state_dict(), line


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return Path("x.pt")


def test_buffers_are_taken_like_parameters(file: Path) -> None:
    torch.save(content(), file)
    _, after, line = start(file)
    assert {name: set(value.flatten().tolist()) for name, value in after.items()} == {
        "mean": {5.0},
        "body.weight": {6.0},
        "body.bias": {7.0},
        "head.weight": {8.0},
        "head.bias": {9.0},
    }
    assert line.endswith("5 tensors with 14 numbers; fresh: nothing; not used of the file: nothing")


def test_the_first_rule_that_matches_renames_and_the_rest_keep_their_names(file: Path) -> None:
    renames = (("encoder.last.", "head."), ("encoder.", ""))
    old = content()
    names = {"head.weight": "encoder.last.weight", "head.bias": "encoder.last.bias"}
    names |= {"body.weight": "encoder.body.weight", "body.bias": "encoder.body.bias"}
    torch.save({names.get(name, name): value for name, value in old.items()}, file)
    _, after, _ = start(file, rename=renames)
    assert all(torch.equal(value, old[name]) for name, value in after.items())


def test_what_is_fresh_stays_and_what_is_not_used_is_named(file: Path) -> None:
    torch.save({**content(), "fc.weight": torch.zeros(7)}, file)
    before, after, line = start(file, fresh=("head.*", "mean"))
    kept = [name for name, value in before.items() if torch.equal(value, after[name])]
    assert kept == ["mean", "head.weight", "head.bias"]
    assert "fresh: mean, head.weight, head.bias; not used" in line
    assert line.endswith("not used of the file: mean, head.weight, head.bias, fc.weight")


def test_narrower_numbers_are_exact(file: Path) -> None:
    narrow = {name: value.half() for name, value in content(mean=torch.rand(3)).items()}
    torch.save(narrow, file)
    _, after, _ = start(file)
    assert all(torch.equal(value, narrow[name].float()) for name, value in after.items())


LACKS = "name them in pretrained.fresh, or rename the file's by pretrained.rename"
WRONG: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({"encoder.weight": torch.ones(2)}, {}, "x.pt has no name of Network: it has encoder.weight,"),
    (
        {name: value for name, value in content().items() if name != "head.bias"},
        {},
        f"x.pt lacks 1 of 5 tensors of Network: head.bias; {LACKS}",
    ),
    (
        content(head_weight=torch.ones(1, 3)),
        {},
        "head.weight has the shape (1, 3) in x.pt, (1, 2) in Network; name it in pretrained.fresh",
    ),
    (content(mean=torch.tensor([1.0, float("nan"), 1.0])), {}, "mean in x.pt is not finite"),
    (content(mean=torch.tensor([1, 1e300, 1]).double()), {}, "mean in x.pt is not finite"),
    (
        content(mean=torch.full((3,), 0.1, dtype=torch.float64)),
        {},
        "mean in x.pt holds torch.float64 that torch.float32 of Network rounds",
    ),
    (content(), {"fresh": ("haed.*",)}, "pretrained.fresh: 'haed.*' matches nothing of Network."),
    (content(), {"fresh": ("*",)}, "pretrained.fresh matches all of Network"),
    (
        content(),
        {"rename": (("encoder.", "body."),)},
        "pretrained.rename: no name in x.pt begins with 'encoder.'; it has mean, body.weight,",
    ),
    (
        content(),
        {"rename": (("head.", "body."),)},
        "'body.weight' and 'head.weight' of x.pt both become 'body.weight'",
    ),
    ({"state_dict": content(), "epoch": 3}, {}, "holds more than dense tensors: state_dict, epoch"),
    (content(mean=torch.ones(3).to_sparse()), {}, "holds more than dense tensors: mean"),
    (content(mean=torch.ones(3, device="meta")), {}, "holds more than dense tensors: mean"),
    ({}, {}, "holds no names with tensors"),
]


@pytest.mark.parametrize(("saved", "rules", "message"), WRONG, ids=[item[2] for item in WRONG])
def test_what_does_not_fit_is_refused(
    file: Path, saved: dict[str, Any], rules: dict[str, Any], message: str
) -> None:
    torch.save(saved, file)
    with pytest.raises(UserError) as error:
        start(file, **rules)
    assert message in str(error.value)
    assert len(str(error.value).splitlines()) <= 2


def cut_file(path: Path) -> None:
    torch.save(content(), path)
    path.write_bytes(path.read_bytes()[:500])


def zip_file(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("text.txt", "no tensors")


def safetensors(path: Path) -> None:
    head = json.dumps({"mean": {"dtype": "F32", "shape": [3], "data_offsets": [0, 12]}}).encode()
    path.write_bytes(len(head).to_bytes(8, "little") + head + bytes(12))


@pytest.mark.parametrize(
    "write",
    [
        cut_file,
        zip_file,
        safetensors,
        lambda path: path.write_bytes(b""),
        lambda path: path.write_text("hello world"),
        lambda path: path.write_bytes(b"U\xdc"),
        lambda path: path.write_text("r"),
        lambda path: torch.save(torch.ones(2), path),
        lambda path: torch.save(Network(), path),
    ],
    ids=["cut", "zip", "safetensors", "empty", "text", "no UTF-8", "a letter", "tensor", "module"],
)
def test_a_file_of_something_else_is_refused(file: Path, write: Callable[[Path], Any]) -> None:
    write(file)
    with pytest.raises(UserError, match=r"expected what torch\.save") as error:
        start(file)
    assert len(str(error.value).splitlines()) == 1


class Hostile:
    """Unpickled, it makes a folder."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("marker",)


def test_code_in_a_file_does_not_run(file: Path) -> None:
    torch.save({**content(), "more": Hostile()}, file)
    with pytest.raises(UserError, match="it would call"):
        start(file)
    assert not Path("marker").exists()


def test_a_file_that_has_changed_on_the_disk_is_refused(file: Path) -> None:
    torch.save(content(), file)
    start(file)
    (path,) = PRETRAINED.glob("*/x.pt")
    torch.save(content(mean=torch.ones(3)), path)
    with pytest.raises(UserError, match=f"{path} fails its checksum; delete it"):
        start(file)


def test_a_mistake_leaves_no_run(home: Home) -> None:
    fit(home(), out=Path("before"))
    cfg = home(pretrained=from_file(Path("before/weights.pt")), model={"width": 3})
    client = MlflowClient(cfg.tracking.uri)
    with pytest.raises(UserError, match=r"layers.0.weight has the shape \(64, 30\)"):
        fit(cfg, out=Path("model"))
    (experiment,) = [item for item in client.search_experiments() if item.name == cfg.name]
    assert len(client.search_runs([experiment.experiment_id])) == 1


def test_no_random_number_is_drawn(home: Home) -> None:
    """What is drawn later, such as dropout, is as it would be from fresh weights."""
    cfg = home()
    pl.seed_everything(0, verbose=False)
    network = build.task(cfg, DataSpec.read(Path("data/prepared/tiny/spec.json"))).model
    assert isinstance(network, nn.Module)
    Path("files").mkdir()
    torch.save(network.state_dict(), "files/x.pt")
    section = Pretrained(**from_file(Path("files/x.pt")), rename=(), fresh=())
    assert section.source is not None
    fetch_weights(section.source)
    before = torch.get_rng_state()
    start_from(network, section)
    assert torch.equal(torch.get_rng_state(), before)
