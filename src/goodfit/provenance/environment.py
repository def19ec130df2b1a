"""What a result was made in: the commit, the packages, the machine."""

from __future__ import annotations

import platform
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from goodfit.provenance.changes import Changes, since
from goodfit.system.hardware import cores

if TYPE_CHECKING:
    import torch

# where a package is installed under another name than it is imported by
_DISTRIBUTIONS = {"pytorch_lightning": "pytorch-lightning", "sklearn": "scikit-learn"}


@dataclass(frozen=True)
class Commit:
    """The commit that the code is at, and how code, configuration and parameters differ from it.

    `dirty` is "true", "false", or "unknown" outside a repository, as MLflow's tags are texts.
    """

    sha: str
    dirty: str
    changes: Changes


def commit() -> Commit:
    """The commit of the current folder's repository; its sha is "none" where there is none."""
    sha = _head()
    changes = since(sha) if sha else None
    dirty = "unknown"
    if changes is not None:
        dirty = "true" if changes else "false"
    return Commit(sha or "none", dirty, changes or Changes())


def version(package: str) -> str:
    """The installed version, without the build: 2.13.0 is 2.13.0 on a CPU and on CUDA."""
    return metadata.version(_DISTRIBUTIONS.get(package, package)).partition("+")[0]


@cache
def packages() -> str:
    """All installed packages with their versions, one a line, as pip would freeze them."""
    lines = {f"{item.metadata['Name']}=={item.version}" for item in metadata.distributions()}
    return "\n".join(sorted(lines, key=str.lower)) + "\n"


def hardware() -> dict[str, str]:
    """Processor, cores, accelerators, and the versions of Python and torch."""
    facts = {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": _processor(),
        "cores": str(len(cores())),
    }
    torch = sys.modules.get("torch")  # a process that has not imported it computes nothing
    if torch:
        gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
        facts["torch"] = torch.__version__
        facts["threads"] = str(torch.get_num_threads())
        facts["gpus"] = ", ".join(gpus) or "none"
    return facts


def machine(device: torch.device, ranks: int) -> str:
    """What the `ranks` processes of a training compute on, by its maker's name and how many."""
    if device.type == "cpu":
        count = len(cores())
        each = "" if ranks == 1 else f" for each of {ranks} processes"
        return f"{_processor()}, {count} core{'' if count == 1 else 's'}{each}"

    name = device.type
    if device.type == "cuda":
        name = sys.modules["torch"].cuda.get_device_name(device)
    return name if ranks == 1 else f"{ranks} x {name}"


def _head() -> str | None:
    """The commit's hash; None where git fails or is not installed."""
    command = ["git", "rev-parse", "--verify", "HEAD"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _processor() -> str:
    """The model's name, where the kernel tells it."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor()
