"""The code of a run comes back from what is stored with it, and trains the same weights."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
import repository

from goodfit.system.files import sha256

pytestmark = [pytest.mark.slow, pytest.mark.fault(55)]
NETWORK = '''\
"""A network of one's own, with a table of numbers beside it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import nn

from goodfit.contract import DataSpec
from goodfit.schema import Count


class Own(nn.Module):
    """Takes `numbers` (B, F), gives (B, K)."""

    def __init__(self, spec: DataSpec, *, width: Count) -> None:
        super().__init__()
        start = torch.from_numpy(np.load(Path(__file__).with_name("own.npy")))
        features = spec.inputs["numbers"].shape[0]
        self.layers = nn.Sequential(
            nn.Linear(features, width), nn.ReLU(), nn.Linear(width, spec.outputs)
        )
        with torch.no_grad():
            self.layers[0].bias += start[:width]

    def forward(self, numbers: torch.Tensor) -> torch.Tensor:
        """numbers (B, F) -> (B, K)."""
        return self.layers(numbers)'''  # without a newline at the end
OVERRIDES = [
    "experiment=breast_cancer",
    f"data.sources.table.sha256={sha256(repository.SAMPLES / 'breast_cancer.csv')}",
    "model=own",
    "optimizer.lr=0.02",
    "trainer.max_epochs=2",
]


def test_the_stored_code_trains_the_same_weights_bit_for_bit(tmp_path: Path) -> None:
    import numpy as np

    project = repository.make(tmp_path / "project")
    source = project.path / "src/goodfit/model"
    (source / "own.py").write_text(NETWORK)
    np.save(source / "own.npy", np.linspace(-1, 1, 64, dtype=np.float32))
    (project.path / "conf/model/own.yaml").write_text("_target_: goodfit.model.own.Own\nwidth: 24")
    optimizer = project.path / "conf/optimizer/adamw.yaml"
    optimizer.write_text(optimizer.read_text().rstrip() + " # tried")
    project.run("git", "mv", "conf/model/rnn.yaml", "conf/model/recurrent.yaml")
    project.run("git", "rm", "-q", "src/goodfit/model/rnn.py")
    project.run("git", "mv", "conf/experiment/electricity.yaml", "conf/experiment/demand.yaml")
    with (project.path / "nohup.out").open("w") as stream:
        stream.write("a stray log")

    for stage in ("fetch", "prepare"):
        project.run("python", f"pipelines/{stage}.py", *OVERRIDES)
    printed = project.run("python", "pipelines/train.py", *OVERRIDES)
    run_id = printed.split("run ")[-1].split()[0]
    artifacts = next((project.path / "mlruns").rglob(f"{run_id}/artifacts"))
    commands = (artifacts / "lineage/restore.md").read_text().split("```")[1]
    commands = commands.removeprefix("bash\n")

    first, second = commands.split("cd ../restored\n")
    clone = repository.Repository(tmp_path / "restored")
    subprocess.run(["bash", "-ec", first], cwd=project.path, env=project.env, check=True)
    shutil.copytree(project.path / "data/inbox", clone.path / "data/inbox")
    clone.run("bash", "-ec", second)

    assert weights(clone) == weights(project)
    assert clone.run("git", "status", "--short", "src", "conf").count("\n") > 5
    status = clone.run("git", "status", "--short", "--untracked-files=all")
    assert "nohup" not in status


def weights(project: repository.Repository) -> str:
    """The hash of the weights of the only training by hand."""
    (made,) = (project.path / "build/runs").glob("*/train.json")
    return str(json.loads(made.read_text())["weights_sha256"])
